using System.Globalization;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Database;

namespace ImageAccess.Proxy.Policies.Exceptions;

/// <summary>Grants and ends exceptions, each in one transaction: it is done, or nothing is. A running proxy sees it by itself, and records it.</summary>
internal sealed class ExceptionChanges(SqlDatabase database, TimeProvider time)
{
    /// <summary>To the millisecond: PostgreSQL keeps no more than microseconds.</summary>
    public DateTimeOffset Now => SqlDatabase.NowOf(time);

    /// <summary>How an end is told.</summary>
    public static string Words(DateTimeOffset? until) => until is { } end ? $"until {Minute(end)}" : "without an end";

    public static string Minute(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd HH:mm'Z'", CultureInfo.InvariantCulture);

    /// <exception cref="RefusedChangeException">There is one already, or there are too many.</exception>
    public async Task<ExceptionRow> AddAsync(GrantedException granted, CancellationToken cancellationToken)
    {
        ExceptionRow? added = null;
        await database.WriteAsync(async context => added = await AddAsync(context, granted, cancellationToken), cancellationToken);
        return added!;
    }

    /// <summary>The same within a transaction.</summary>
    /// <inheritdoc cref="AddAsync(GrantedException, CancellationToken)"/>
    public async Task<ExceptionRow> AddAsync(DatabaseContext context, GrantedException granted, CancellationToken cancellationToken)
    {
        await CheckAsync(context, granted, cancellationToken);
        var added = await new ExceptionTable(context).AddAsync(granted, granted.Since, cancellationToken);
        await database.TellAsync(context, cancellationToken);
        return added;
    }

    /// <summary>Whether it could be added.</summary>
    /// <inheritdoc cref="AddAsync(GrantedException, CancellationToken)"/>
    public static async Task CheckAsync(DatabaseContext context, GrantedException granted, CancellationToken cancellationToken)
    {
        var table = new ExceptionTable(context);
        if (await table.FindInForceAsync(granted.Organization, granted.Pattern.ToString(), granted.Since, cancellationToken) is { } earlier)
        {
            throw new RefusedChangeException(string.Create(
                CultureInfo.InvariantCulture,
                $"{earlier.Organization} has an exception for {earlier.Image} already: {earlier.Id}, {Words(earlier.Until)}; end it first to change it"));
        }

        if (await table.CountInForceAsync(granted.Since, cancellationToken) >= Core.Policies.Exceptions.Maximum)
        {
            throw new RefusedChangeException(string.Create(
                CultureInfo.InvariantCulture,
                $"{Core.Policies.Exceptions.Maximum:N0} exceptions are in force, and there can be no more: end some, or grant one for a namespace"));
        }
    }

    /// <param name="id">Its number.</param>
    /// <param name="end">Who ends it, and why.</param>
    /// <param name="demand">Told the exception before anything changes; it throws where the change may not be.</param>
    /// <param name="cancellationToken">Cancels it.</param>
    /// <exception cref="RefusedChangeException">There is none with this number, or it is over already.</exception>
    public async Task<ExceptionRow> EndAsync(long id, ExceptionEnd end, Action<ExceptionRow>? demand, CancellationToken cancellationToken)
    {
        var now = Now;
        ExceptionRow? ended = null;
        await database.WriteAsync(
            async context =>
            {
                var table = new ExceptionTable(context);
                ended = await table.FindAsync(id, cancellationToken)
                    ?? throw Unknown(id);
                demand?.Invoke(ended);
                if (ended.Ended is { } at)
                    throw new RefusedChangeException($"the exception {id} was ended already, {Minute(at)} by {ended.EndedBy}");

                if (ended.Until is { } until && until <= now)
                    throw new RefusedChangeException($"the exception {id} ended by itself, {Minute(until)}");

                await table.EndAsync(ended, end, now, cancellationToken);
                await database.TellAsync(context, cancellationToken);
            },
            cancellationToken);
        return ended!;
    }

    public static UnknownChangeException Unknown(long id) => new($"there is no exception {id}; imageaccess exceptions list names them");
}
