using System.Globalization;
using System.Net;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Configuration;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Limits;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Administration.Tokens;

/// <summary>Who presents a token of the API, looked up on every request: it ends at once when it is revoked, or when its person has lost the role.</summary>
internal sealed class TokenSignIn(
    SqlDatabase database, RoleBook roles, SessionTokens sessions, TokenUpkeep upkeep, ClientLimits limits, LimitMetrics metrics, AuditTrail trail, IOptions<ConsoleOptions> console,
    TimeProvider time) : IDisposable
{
    private const string Scheme = "Bearer ";

    private readonly SignInBudget _budget = new("api tokens", time, metrics);

    /// <param name="authorization">The header of that name.</param>
    /// <param name="client">Where it comes from.</param>
    /// <param name="takesSessions">Whether it may be the token of somebody who has signed in.</param>
    /// <param name="gone">The client has gone.</param>
    /// <returns>Who it is; nobody where there is no token that is good.</returns>
    /// <exception cref="System.Data.Common.DbException">The database cannot be read.</exception>
    public async Task<TokenBearer> IdentifyAsync(string? authorization, IPAddress? client, bool takesSessions, CancellationToken gone)
    {
        if (authorization?.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase) != true)
            return TokenBearer.Nobody;
        var secret = authorization[Scheme.Length..].Trim();
        var (hash, share) = (TokenSecret.Hash(secret), limits.ShareOf(client));
        var user = Convert.ToHexStringLower(hash);
        if (_budget.IsSpent(share, user, out var retryAfter))
        {
            await trail.RecordTokenRefusalAsync("limit", null, client, gone);
            return new TokenBearer(null, null, retryAfter);
        }

        var (bearer, flaw) = takesSessions && SessionTokens.MayBeOne(secret)
            ? await FindSessionAsync(secret, gone)
            : Judge(TokenSecret.IsOne(secret) ? await FindAsync(table => table.FindAsync(hash, gone), gone) : null);
        if (flaw is not null)
        {
            _budget.Failed(share, user);
            await trail.RecordTokenRefusalAsync(flaw, bearer.Token?.Id, client, gone);
            return TokenBearer.Nobody;
        }

        _budget.Succeeded(share, user);
        return bearer;
    }

    public void Dispose() => _budget.Dispose();

    /// <summary>A session of a token of the API is good as long as that token is.</summary>
    private async Task<(TokenBearer Bearer, string? Flaw)> FindSessionAsync(string text, CancellationToken gone)
    {
        var (session, flaw) = await sessions.ReadAsync(text);
        return session is null ? (TokenBearer.Nobody, flaw)
            : session.Token is { } id ? Judge(await FindAsync(table => table.FindAsync(id, gone), gone))
            : session.ActorOf(console.Value) is { } actor ? (new TokenBearer(actor, null, null), null)
            : (TokenBearer.Nobody, "off");
    }

    private Task<ApiTokenRow?> FindAsync(Func<TokenTable, Task<ApiTokenRow?>> find, CancellationToken gone) => database.ReadAsync(context => find(new TokenTable(context)), gone);

    private (TokenBearer Bearer, string? Flaw) Judge(ApiTokenRow? row)
    {
        if (Flaw(row) is { } flaw)
            return (new TokenBearer(null, row, null), flaw);
        upkeep.Note(row!.Id);
        var actor = new Actor
        {
            Name = row.Person ?? string.Create(CultureInfo.InvariantCulture, $"token {row.Id}"), // no user name has a space
            Person = row.Person,
            Fixed = RoleNames.Find(row.Role),
            Organization = row.Organization,
            Token = row.Id,
        };
        return (new TokenBearer(actor, row, null), null);
    }

    private string? Flaw(ApiTokenRow? row) =>
        row is null ? "unknown"
        : row.Revoked is not null ? "revoked"
        : row.Waits ? "waiting"
        : row.Expires <= time.GetUtcNow() ? "expired"
        : row.Person is { } person && !RoleNames.Cover(roles.OfPerson(person, row.Organization), RoleNames.Find(row.Role)) ? "left"
        : null;
}

/// <summary>Who presented a token.</summary>
/// <param name="Actor">Null for nobody.</param>
/// <param name="Token">Its row.</param>
/// <param name="RetryAfter">When the next try is free; null where that is not the reason.</param>
internal sealed record TokenBearer(Actor? Actor, ApiTokenRow? Token, TimeSpan? RetryAfter)
{
    public static TokenBearer Nobody { get; } = new(null, null, null);
}
