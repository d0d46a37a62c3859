using System.Globalization;
using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Administration.Tokens;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Administration.Api;

/// <summary><c>tokens</c>. A token makes none that may more than itself, that outlives its own person's role, or that stays when it is revoked.</summary>
internal sealed class TokenOperations(SqlDatabase database, DatabaseState state, ChangeDesk desk, IPolicyStore policies, TimeProvider time) : IOperations
{
    public void Map(IEndpointRouteBuilder api)
    {
        api.Get("/tokens", Operation.ReadTokens, ListAsync);
        api.Post<Wanted>("/tokens", Operation.ManageTokens, CreateAsync);
        api.Post("/tokens/{id:long}/revoke", Operation.ManageTokens, RevokeAsync);
    }

    private async Task<Answer<Page<TokenFacts>>> ListAsync(HttpContext http, int? limit, string? cursor)
    {
        var paging = Paging.Of(limit, cursor);
        var (before, organization) = (paging.Before, http.Visitor().Organization);
        var rows = await database.ReadAsync(context => new TokenTable(context).ListAsync(organization, before, paging.Limit + 1, http.RequestAborted), http.RequestAborted);
        return Answer.Of(paging.Show(rows, TokenFacts.Of, row => row.Id.ToString(CultureInfo.InvariantCulture)));
    }

    private async Task<Answer<MadeToken>> CreateAsync(HttpContext http)
    {
        var (visitor, wanted) = (http.Visitor(), await JsonBody.ReadAsync<Wanted>(http));
        var organization = wanted.Organization ?? visitor.Organization;
        if (organization is not null)
            visitor.Demand(Operation.ManageTokens, organization, $"organization {PrintableText.Of(organization)}");
        var now = time.GetUtcNow();
        var grant = new TokenGrant
        {
            Role = wanted.Role,
            Organization = organization,
            Person = visitor.Actor.Person,
            Parent = visitor.Actor.Token,
            Label = wanted.Label,
            Lifetime = Timestamp.Read(wanted.Expires, "expires") is { } expires ? expires - now : TokenGrant.DefaultLifetime,
        };
        if (grant.Faults(policies.Current).Select(fault => new Mistake(fault.Part, fault.Fault)).ToList() is { Count: > 0 } mistakes)
            throw ProblemException.Bad(mistakes);
        DemandCover(visitor, organization, grant.Role);
        var outcome = await desk.CreateTokenAsync(grant, new ChangeRequest(visitor.Actor, wanted.Reason ?? "") { Ticket = wanted.Ticket }, http.RequestAborted);
        state.Wake(); // the audit trail gets it at once
        var made = new MadeToken(outcome.Secret, TokenFacts.Of(outcome.Row)) { Waiting = outcome.Waiting is { } waiting ? ChangeFacts.Of(waiting) : null };
        return new Answer<MadeToken>(made) { Status = StatusCodes.Status201Created };
    }

    private async Task<Answer<TokenFacts>> RevokeAsync(HttpContext http, long id)
    {
        var what = string.Create(CultureInfo.InvariantCulture, $"token {id}");
        var row = await database.ReadAsync(context => new TokenTable(context).FindAsync(id, http.RequestAborted), http.RequestAborted);
        var visitor = http.Visitor();
        if (row is null || (visitor.Organization is { } own && row.Organization != own))
            throw ProblemException.NotFound(what);
        await JsonBody.ReadNothingAsync(http);
        var revoked = await desk.RevokeTokenAsync(id, visitor.Actor, http.RequestAborted);
        state.Wake();
        return Answer.Of(TokenFacts.Of(revoked));
    }

    /// <exception cref="ProblemException">The role allows something that the visitor may not do.</exception>
    private static void DemandCover(Visitor visitor, string? organization, string role)
    {
        if (!RoleNames.Cover(visitor.Actor.Fixed ?? visitor.RolesIn(organization), RoleNames.Find(role)))
            throw new ProblemException(new Problem(403, $"the token's role allows less than {role}"));
    }

    /// <summary>What <c>POST tokens</c> takes.</summary>
    internal sealed record Wanted(string Role, string Label)
    {
        /// <summary>The token's own where it has one.</summary>
        public string? Organization { get; init; }

        /// <summary>RFC 3339; 90 days from now where it is not said.</summary>
        public string? Expires { get; init; }

        /// <summary>Why it is made; the second person reads it.</summary>
        public string? Reason { get; init; }

        public string? Ticket { get; init; }
    }
}

/// <summary>A token that was made. It is told this once.</summary>
internal sealed record MadeToken(string Secret, TokenFacts Token)
{
    /// <summary>It is good once this is approved; null where it is good already.</summary>
    public ChangeFacts? Waiting { get; init; }
}

/// <summary>What is told of a token.</summary>
internal sealed record TokenFacts(long Id, string Label, string Role, DateTime Created, string CreatedBy, DateTime Expires)
{
    public string? Organization { get; init; }

    public string? Person { get; init; }

    /// <summary>The token that it was made with.</summary>
    public long? Parent { get; init; }

    public DateTime? LastUsed { get; init; }

    public DateTime? Revoked { get; init; }

    public string? RevokedBy { get; init; }

    public bool? Waits { get; init; }

    public static TokenFacts Of(ApiTokenRow row) => new(row.Id, row.Label, row.Role, row.Created.UtcDateTime, row.CreatedBy, row.Expires.UtcDateTime)
    {
        Organization = row.Organization,
        Person = row.Person,
        Parent = row.Parent,
        LastUsed = row.LastUsed?.UtcDateTime,
        Revoked = row.Revoked?.UtcDateTime,
        RevokedBy = row.RevokedBy,
        Waits = row.Waits ? true : null,
    };
}
