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
        var secret = TokenSecret.Make();
        var now = Now();
        var row = new ApiTokenRow
        {
            Label = grant.Label,
            Hash = TokenSecret.Hash(secret),
            Person = grant.Person,
            Role = grant.Role,
            Organization = grant.Organization,
            Created = now,
            CreatedBy = by,
            ExpiresMilliseconds = (now + grant.Lifetime).ToUnixTimeMilliseconds(),
        };
        await database.WriteAsync(
            async context =>
            {
                var table = new TokenTable(context);
                if (await table.CountInForceAsync(now, cancellationToken) >= TokenTable.Maximum)
                    throw new RefusedChangeException(string.Create(CultureInfo.InvariantCulture, $"{TokenTable.Maximum:N0} tokens are in force, and there can be no more: revoke some"));
                await table.AddAsync(row, cancellationToken);
                await database.TellAsync(context, cancellationToken);
            },
            cancellationToken);
        return (row, secret);
    }

    /// <exception cref="RefusedChangeException">There is none with this number, or it is revoked already.</exception>
    public async Task<ApiTokenRow> RevokeAsync(long id, string by, CancellationToken cancellationToken)
    {
        ApiTokenRow? revoked = null;
        await database.WriteAsync(
            async context =>
            {
                var table = new TokenTable(context);
                revoked = await table.FindAsync(id, cancellationToken) ?? throw new RefusedChangeException($"there is no token {id}");
                if (revoked.Revoked is { } at)
                    throw new RefusedChangeException($"the token {id} was revoked already, {ExceptionChanges.Minute(at)} by {revoked.RevokedBy}");
                (revoked.Revoked, revoked.RevokedBy) = (Now(), by);
                await table.SaveAsync(cancellationToken);
                await database.TellAsync(context, cancellationToken);
            },
            cancellationToken);
        return revoked!;
    }

    /// <summary>To the millisecond, as the database keeps it.</summary>
    private DateTimeOffset Now() => DateTimeOffset.FromUnixTimeMilliseconds(time.GetUtcNow().ToUnixTimeMilliseconds());
}
