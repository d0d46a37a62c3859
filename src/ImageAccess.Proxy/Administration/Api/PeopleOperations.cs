using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Administration.Tokens;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Administration.Api;

/// <summary><c>people</c>: who may more than a member, or has a token; by which source, and whether it counts at this moment.</summary>
internal sealed class PeopleOperations(SqlDatabase database, RoleSources sources, RoleBook roles, TimeProvider time) : IOperations
{
    public void Map(IEndpointRouteBuilder api) => api.Get("/people", Operation.ReadMembers, ListAsync);

    /// <summary>Company owners have their role in every organization: they are in the list of each.</summary>
    private async Task<Answer<Page<PersonFacts>>> ListAsync(HttpContext http, string? organization, int? limit, string? cursor)
    {
        var visitor = http.Visitor();
        if (organization is not null)
            visitor.Demand(Operation.ReadMembers, organization, $"organization {PrintableText.Of(organization)}");
        var paging = Paging.Of(limit, cursor);
        var rows = await database.ReadAsync(
            context => new TokenTable(context).ListOfPersonsAsync(visitor.Organization, time.GetUtcNow(), http.RequestAborted), http.RequestAborted);
        var tokens = rows.ToLookup(row => new NamedHolder(row.Organization, row.Person!.ToLowerInvariant(), IsTeam: false));
        var held = sources.All();
        var found = held.Select(one => one.Key)
            .Union(tokens.Select(one => one.Key).Where(holder => MayReadTokens(visitor, holder)))
            .Where(holder => holder.Organization is { } name ? (organization ?? name) == name && visitor.May(Operation.ReadMembers, name) : held.Contains(holder) || visitor.Organization is null)
            .Where(holder => paging.After is null || string.CompareOrdinal(Key(holder), paging.After) > 0)
            .OrderBy(Key, StringComparer.Ordinal)
            .Take(paging.Limit + 1)
            .ToList();
        return Answer.Of(paging.Show(found, holder => Tell(holder, held[holder], MayReadTokens(visitor, holder) ? [.. tokens[holder]] : null), Key));
    }

    private PersonFacts Tell(NamedHolder holder, IEnumerable<RoleSource> by, IReadOnlyList<ApiTokenRow>? tokens)
    {
        var (known, now) = (by.ToList(), Core.Policies.Roles.None);
        now = holder.IsTeam ? known.Aggregate(now, (all, source) => all | source.Role) : roles.OfPerson(holder.Name, holder.Organization);
        return new PersonFacts(RoleNames.ListOf(now), [.. known.Select(RoleSourceFacts.Of)])
        {
            Organization = holder.Organization,
            Name = holder.IsTeam ? null : holder.Name,
            Team = holder.IsTeam ? holder.Name : null,
            Tokens = holder.IsTeam ? null : tokens?.Count,
            TokenLastUsed = tokens?.Max(row => row.LastUsed)?.UtcDateTime,
        };
    }

    private static bool MayReadTokens(Visitor visitor, NamedHolder holder) =>
        holder.Organization is { } name ? visitor.May(Operation.ReadTokens, name) : visitor.MayEverywhere(Operation.ReadTokens);

    /// <summary>No user name has a space.</summary>
    private static string Key(NamedHolder holder) => $"{holder.Organization} {(holder.IsTeam ? "team " : "")}{holder.Name}";
}

/// <summary>Who may something.</summary>
/// <param name="Roles">Those that they have at this moment.</param>
/// <param name="Sources">Who says so. A role of it that is not among <paramref name="Roles"/> does not count, because the member list does not name the account, or is too old.</param>
internal sealed record PersonFacts(IReadOnlyList<string> Roles, IReadOnlyList<RoleSourceFacts> Sources)
{
    /// <summary>Null for what all organizations share.</summary>
    public string? Organization { get; init; }

    /// <summary>A user of Docker Hub; null for a team.</summary>
    public string? Name { get; init; }

    /// <summary>A team of the organization; those in it whom the member list names have entries of their own.</summary>
    public string? Team { get; init; }

    /// <summary>How many tokens of the API are theirs, where that may be told.</summary>
    public int? Tokens { get; init; }

    public DateTime? TokenLastUsed { get; init; }
}

/// <summary>Who says that somebody has a role.</summary>
/// <param name="Source"><c>document</c>, <c>member-list</c>, or <c>team</c>: the document, by a team of the member list.</param>
internal sealed record RoleSourceFacts(string Role, string Source)
{
    public string? Team { get; init; }

    /// <summary>Also where the member list does not name the account.</summary>
    public bool? External { get; init; }

    public static RoleSourceFacts Of(RoleSource source) =>
        new(RoleNames.Of(source.Role), source.Name) { Team = source.Team, External = source.IsExternal ? true : null };
}
