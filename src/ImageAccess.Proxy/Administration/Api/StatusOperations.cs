using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Callers.Members;
using ImageAccess.Proxy.Foundation.DockerHub;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Catalog;
using ImageAccess.Proxy.Policies.Decisions;
using ImageAccess.Proxy.Policies.Following;
using ImageAccess.Proxy.Policies.Store;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ImageAccess.Proxy.Administration.Api;

/// <summary><c>status</c>, <c>members</c> and <c>images</c>: how things are, who belongs where, and what an image's verdict is.</summary>
internal sealed class StatusOperations(
    IPolicyStore policies, FollowedStore followed, MembershipDirectory directory, AbsenceWarnings absences, Checks checks, HealthCheckService health, PullBudget budget, TimeProvider time) : IOperations
{
    public void Map(IEndpointRouteBuilder api)
    {
        api.Get("/status", Operation.ReadStatus, StatusAsync);
        api.Get("/members", Operation.ReadMembers, Members);
        api.Get("/images/{*image}", Operation.ReadPolicy, CheckAsync);
    }

    private async Task<Answer<StatusFacts>> StatusAsync(HttpContext http)
    {
        var report = await health.CheckHealthAsync(http.RequestAborted);
        var (policy, visitor, now) = (policies.Current, http.Visitor(), time.GetUtcNow());
        var today = DateOnly.FromDateTime(now.UtcDateTime);
        return Answer.Of(new StatusFacts(
            policy.IsEnabled ? "on" : "off",
            policy.Version,
            policy.Blocks.Count,
            policy.Exceptions.All.Count(exception => visitor.Sees(exception.Organization) && exception.Holds(policy.Document.Exceptions, now)),
            policy.Organizations.Where(organization => visitor.Sees(organization.Name)).ToDictionary(organization => organization.Name, organization => organization.Mode(today)),
            report.Entries.Where(entry => entry.Value.Status != HealthStatus.Healthy).ToDictionary(entry => entry.Key, entry => Told(entry.Value.Description, visitor)))
        {
            Followed = followed.States.Where(one => visitor.Sees(one.Name)).ToDictionary(one => one.Name, one => FollowedFacts.Of(one, now)),
            PullBudget = new BudgetFacts(
                [.. (visitor.Organization is null ? budget.Accounts : []).Select(LeftFacts.Of)],
                [.. budget.Organizations.Where(left => visitor.Sees(left.Name)).Select(LeftFacts.Of)]),
            LostRoles = [.. absences.Roles.Where(role => role.Organization is null ? visitor.Organization is null : visitor.Sees(role.Organization)).Select(LostRole.Of)],
        });
    }

    /// <summary>What is degraded, in words; to a token of one organization nothing that names another.</summary>
    private string Told(string? concern, Visitor visitor) => concern is null ? "unknown"
        : policies.Current.Organizations.Any(one => !visitor.Sees(one.Name) && concern.Contains(one.Name, StringComparison.OrdinalIgnoreCase))
            || directory.Book.Lists.Keys.Any(name => !visitor.Sees(name) && concern.Contains(name, StringComparison.OrdinalIgnoreCase))
            ? "it is about other organizations too: whoever runs the proxy sees it at /readyz" : concern;

    /// <summary>By the member lists and the document's own lists.</summary>
    private Answer<Page<MemberFacts>> Members(HttpContext http, string? organization, int? limit, string? cursor)
    {
        var visitor = http.Visitor();
        if (organization is not null)
            visitor.Demand(Operation.ReadMembers, organization, $"organization {PrintableText.Of(organization)}");
        var paging = Paging.Of(limit, cursor);
        var listed = directory.Book.Lists.Values.SelectMany(list => list.Members.Select(member =>
            new MemberFacts(list.Organization, member.Username, member.Role == OrganizationRole.Owner ? "owner" : "member", "member-list")));
        var written = policies.Current.Document.Organizations.SelectMany(one => one.Owners.Select(name => new MemberFacts(one.Name, name, "owner", "document"))
            .Concat(one.Members.Select(name => new MemberFacts(one.Name, name, "member", "document"))));
        var found = listed.Concat(written)
            .Where(member => visitor.Sees(member.Organization) && (organization is null || member.Organization == organization))
            .Where(member => paging.After is null || string.CompareOrdinal(Key(member), paging.After) > 0)
            .OrderBy(Key, StringComparer.Ordinal)
            .Take(paging.Limit + 1)
            .ToList();
        return Answer.Of(paging.Show(found, member => member, Key));
    }

    /// <summary>As <c>imageaccess check</c> tells it; of a token of one organization, as that one alone judges. Who asks for another person must be allowed to read who the members are.</summary>
    private async Task<Answer<CheckAnswer>> CheckAsync(HttpContext http, string image, string? @as, string? organization)
    {
        var visitor = http.Visitor();
        if (@as is not null && !visitor.MaySomewhere(Operation.ReadMembers))
            throw Visitor.Forbidden("for another person");
        var named = organization ?? visitor.Organization;
        if (named is not null)
            visitor.Demand(Operation.ReadPolicy, named, $"organization {PrintableText.Of(named)}");
        if (named is not null && policies.Current.Organizations.All(one => one.Name != named))
            throw ProblemException.NotFound($"organization {PrintableText.Of(named)}");
        if (!ImageName.TryParse(image, out var name, out var problem))
            throw ProblemException.Bad([new Mistake("image", problem)]);
        return Answer.Of(await checks.AnswerAsync(name, new JudgedCaller(@as, named) { IsOfOneAlone = visitor.Organization is not null, Payer = CatalogPayer.Api(visitor.Actor.Name) }, http.RequestAborted));
    }

    private static string Key(MemberFacts member) => $"{member.Organization} {member.Name} {member.Source} {member.Role}";
}

/// <summary>How things are.</summary>
/// <param name="ImageAccess"><c>on</c> or <c>off</c>.</param>
/// <param name="Organizations"><c>off</c>, <c>observe</c> or <c>enforce</c>.</param>
/// <param name="Degraded">What does not work, and why.</param>
internal sealed record StatusFacts(
    string ImageAccess, string PolicyVersion, int Blocks, int Exceptions, IReadOnlyDictionary<string, string> Organizations, IReadOnlyDictionary<string, string> Degraded)
{
    /// <summary>The organizations that follow Docker Hub's own switches.</summary>
    public IReadOnlyDictionary<string, FollowedFacts> Followed { get; init; } = new Dictionary<string, FollowedFacts>();

    /// <summary>What Docker Hub still allows.</summary>
    public BudgetFacts PullBudget { get; init; } = new([], []);

    /// <summary>Roles that the policy gives by name, and that nobody of these has.</summary>
    public IReadOnlyList<LostRole> LostRoles { get; init; } = [];
}

/// <summary>Docker Hub's own switches of an organization that follows them.</summary>
internal sealed record FollowedFacts
{
    /// <summary>Those that hold, in words; null where none have been read yet, and the document's own hold.</summary>
    public string? Switches { get; init; }

    /// <summary>When they were read; null where that is not known.</summary>
    public DateTime? ReadAt { get; init; }

    public long? AgeSeconds { get; init; }

    /// <summary>Why the last reading failed; null when it did not.</summary>
    public string? Trouble { get; init; }

    public static FollowedFacts Of(FollowedOrganization one, DateTimeOffset now) => new()
    {
        Switches = one.Known?.Switches.ToString(),
        ReadAt = one.Known?.ReadAt?.UtcDateTime,
        AgeSeconds = one.Known?.ReadAt is { } readAt ? (long)(now - readAt).TotalSeconds : null,
        Trouble = one.Trouble,
    };
}

/// <summary>Pulls from Docker Hub that are left, where it limits them; the least first.</summary>
/// <param name="Accounts">By whom Docker Hub counts: accounts, and addresses of those who do not sign in. None for a token of one organization.</param>
/// <param name="Organizations">Of each the account with the least left.</param>
internal sealed record BudgetFacts(IReadOnlyList<LeftFacts> Accounts, IReadOnlyList<LeftFacts> Organizations);

/// <summary>Pulls that are left of a limit.</summary>
/// <param name="Low">A fifth or less was left, and less than three tenths are.</param>
internal sealed record LeftFacts(string Name, long Limit, long Remaining, long WindowSeconds, DateTime ReadAt, bool Low)
{
    public static LeftFacts Of(PullsLeft left) => new(left.Name, left.Limit, left.Remaining, (long)left.Window.TotalSeconds, left.ReadAt.UtcDateTime, left.IsLow);
}

/// <summary>A role that names of the policy do not have, because no member list names their account.</summary>
/// <param name="Role">As a token's, or <c>owner</c>.</param>
/// <param name="Names">A few of them.</param>
/// <param name="More">How many more there are.</param>
internal sealed record LostRole(string Role, IReadOnlyList<string> Names, int More)
{
    private const int MaximumTold = 5;

    /// <summary>Null for what all organizations share.</summary>
    public string? Organization { get; init; }

    public static LostRole Of(AbsentRole role) =>
        new(role.Role, [.. role.Names.Take(MaximumTold)], Math.Max(role.Names.Count - MaximumTold, 0)) { Organization = role.Organization };
}

/// <summary>Who belongs to an organization.</summary>
/// <param name="Role"><c>owner</c> or <c>member</c>.</param>
/// <param name="Source">Who says so: <c>member-list</c> or <c>document</c>.</param>
internal sealed record MemberFacts(string Organization, string Name, string Role, string Source);
