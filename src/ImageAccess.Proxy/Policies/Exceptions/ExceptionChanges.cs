using System.Globalization;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Database;

namespace ImageAccess.Proxy.Policies.Exceptions;

/// <summary>Grants and ends exceptions, each in one transaction: it is done, or nothing is. A running proxy sees it by itself, and records it.</summary>
internal sealed class ExceptionChanges(SqlDatabase database, TimeProvider time)
{
    /// <summary>To the millisecond: PostgreSQL keeps no more than microseconds.</summary>
    public DateTimeOffset Now => DateTimeOffset.FromUnixTimeMilliseconds(time.GetUtcNow().ToUnixTimeMilliseconds());

    /// <summary>How an end is told.</summary>
    public static string Words(DateTimeOffset? until) => until is { } end ? $"until {Minute(end)}" : "without an end";

    public static string Minute(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd HH:mm'Z'", CultureInfo.InvariantCulture);

    /// <exception cref="RefusedChangeException">There is one already, or there are too many.</exception>
    public async Task<ExceptionRow> AddAsync(GrantedException granted, CancellationToken cancellationToken)
    {
        ExceptionRow? added = null;
        await database.WriteAsync(
            async context =>
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

                added = await table.AddAsync(granted, granted.Since, cancellationToken);
                await database.TellAsync(context, cancellationToken);
            },
            cancellationToken);
        return added!;
    }

    /// <exception cref="RefusedChangeException">There is none with this number, or it is over already.</exception>
    public async Task<ExceptionRow> EndAsync(long id, string by, string? reason, CancellationToken cancellationToken)
    {
        var now = Now;
        ExceptionRow? ended = null;
        await database.WriteAsync(
            async context =>
            {
                var table = new ExceptionTable(context);
                ended = await table.FindAsync(id, cancellationToken)
                    ?? throw new RefusedChangeException($"there is no exception {id}; imageaccess exceptions list names them");
                if (ended.Ended is { } at)
                    throw new RefusedChangeException($"the exception {id} was ended already, {Minute(at)} by {ended.EndedBy}");

                if (ended.Until is { } until && until <= now)
                    throw new RefusedChangeException($"the exception {id} ended by itself, {Minute(until)}");

                await table.EndAsync(ended, by, reason, now, cancellationToken);
                await database.TellAsync(context, cancellationToken);
            },
            cancellationToken);
        return ended!;
    }
}

/// <summary>A change cannot be made as things are; the message says why.</summary>
/// <param name="problems">Each a sentence.</param>
internal class RefusedChangeException(params IReadOnlyList<string> problems) : Exception(string.Join('\n', problems))
{
    public IReadOnlyList<string> Problems { get; } = problems;
}
