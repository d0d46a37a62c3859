using System.Globalization;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Exceptions;

namespace ImageAccess.Proxy.Administration.Tokens;

/// <summary>Makes and revokes tokens of the API, each in one transaction. A running proxy records it.</summary>
internal sealed class TokenChanges(SqlDatabase database, TimeProvider time)
{
    /// <param name="grant">What is wanted; without a fault.</param>
    /// <param name="by">Who makes it.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <returns>Its row, and the token itself, which nobody can read again.</returns>
    /// <exception cref="RefusedChangeException">There are too many.</exception>
    public async Task<(ApiTokenRow Row, string Secret)> CreateAsync(TokenGrant grant, string by, CancellationToken cancellationToken)
    {
        var (row, secret) = Make(grant, by);
        await database.WriteAsync(
            async context =>
            {
                await AddAsync(context, row, cancellationToken);
                await database.TellAsync(context, cancellationToken);
            },
            cancellationToken);
        return (row, secret);
    }

    /// <summary>A token that is in no table yet.</summary>
    public (ApiTokenRow Row, string Secret) Make(TokenGrant grant, string by)
    {
        var (secret, now) = (TokenSecret.Make(), SqlDatabase.NowOf(time));
        var row = new ApiTokenRow
        {
            Label = grant.Label,
            Hash = TokenSecret.Hash(secret),
            Person = grant.Person,
            Role = grant.Role,
            Organization = grant.Organization,
            Created = now,
            CreatedBy = by,
            Parent = grant.Parent,
            ExpiresMilliseconds = (now + grant.Lifetime).ToUnixTimeMilliseconds(),
        };
        return (row, secret);
    }

    /// <summary>Adds it within a transaction.</summary>
    /// <exception cref="RefusedChangeException">There are too many, or the one that it was made with is revoked.</exception>
    public static async Task AddAsync(DatabaseContext context, ApiTokenRow row, CancellationToken cancellationToken)
    {
        var table = new TokenTable(context);
        if (row.Parent is { } parent && await table.FindAsync(parent, cancellationToken) is not { Revoked: null })
            throw new RefusedChangeException(string.Create(CultureInfo.InvariantCulture, $"the token {parent} was revoked: make another one"));
        if (await table.CountInForceAsync(row.Created, cancellationToken) >= TokenTable.Maximum)
            throw new RefusedChangeException(string.Create(CultureInfo.InvariantCulture, $"{TokenTable.Maximum:N0} tokens are in force, and there can be no more: revoke some"));
        await table.AddAsync(row, cancellationToken);
    }

    /// <summary>A token that waited is good from now on, within a transaction.</summary>
    /// <exception cref="RefusedChangeException">It is there no longer, or over.</exception>
    public async Task AdmitAsync(DatabaseContext context, byte[] hash, CancellationToken cancellationToken)
    {
        var table = new TokenTable(context);
        var row = await table.FindWaitingAsync(hash, cancellationToken);
        if (row is null || row.Revoked is not null || row.Expires <= SqlDatabase.NowOf(time))
            throw new RefusedChangeException("the token is over: make another one");
        row.Waits = false;
        await table.SaveAsync(cancellationToken);
    }

    /// <summary>Revokes a token, and those that were made with it: what somebody makes with a stolen one ends with it.</summary>
    /// <param name="id">Its number.</param>
    /// <param name="by">Who revokes it.</param>
    /// <param name="check">Throws where they may not; it may be asked more than once.</param>
    /// <exception cref="UnknownChangeException">There is none with this number.</exception>
    /// <exception cref="RefusedChangeException">It is revoked already.</exception>
    public async Task<ApiTokenRow> RevokeAsync(long id, string by, Action<ApiTokenRow> check, CancellationToken cancellationToken)
    {
        ApiTokenRow? revoked = null;
        await database.WriteAsync(
            async context =>
            {
                var table = new TokenTable(context);
                revoked = await table.FindAsync(id, cancellationToken) ?? throw Unknown(id);
                check(revoked);
                if (revoked.Revoked is { } at)
                    throw new RefusedChangeException($"the token {id} was revoked already, {ExceptionChanges.Minute(at)} by {revoked.RevokedBy}");
                var now = SqlDatabase.NowOf(time);
                foreach (var row in (await table.ListDescendantsAsync(id, cancellationToken)).Append(revoked))
                    (row.Revoked, row.RevokedBy) = (now, by);
                await table.SaveAsync(cancellationToken);
                await database.TellAsync(context, cancellationToken);
            },
            cancellationToken);
        return revoked!;
    }

    public static UnknownChangeException Unknown(long id) => new(string.Create(CultureInfo.InvariantCulture, $"there is no token {id}"));
}
