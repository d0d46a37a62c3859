using System.Globalization;
using System.Text.Encodings.Web;
using ImageAccess.Core.Hosts;
using ImageAccess.Core.Policies;

namespace ImageAccess.Proxy.Policies.Store;

/// <summary>
/// What one policy allows to anybody that the other did not. A change that may open something for a caller whose
/// memberships are only in his token is listed: a line too many in the trail is better than one too few.
/// </summary>
public static class PolicyChanges
{
    /// <param name="before">The policy that was in force.</param>
    /// <param name="after">The one that took its place.</param>
    /// <param name="today">The day in UTC, for what expires.</param>
    public static IReadOnlyList<string> Opens(Policy before, Policy after, DateOnly today)
    {
        var opens = new List<string>();
        AddRights(opens, before, after); // also where image access is off: whoever may change the policy decides what it will be
        AddRegistries(opens, before, after); // a matter of its own
        if (!before.IsEnabled)
        {
            AddOwners(opens, before, after);
            return opens;
        }

        if (!after.IsEnabled)
            opens.Add("image access is off");
        if (after.Document.Company && !before.Document.Company)
            opens.Add("company: the images of every organization are allowed to everybody");

        AddCallers(opens, before.Document.Callers, after.Document.Callers);
        AddExceptions(opens, before.Document.Exceptions, after.Document.Exceptions);
        foreach (var later in after.Document.Organizations)
        {
            if (Find(before, later.Name) is { } earlier)
                AddOrganization(opens, new Pair(before, after, earlier, later, today));
            else
                opens.Add($"organization {later.Name} added");
        }

        foreach (var earlier in before.Document.Organizations.Where(o => Find(after, o.Name) is null))
            opens.Add($"organization {earlier.Name} removed");

        AddTokenAccounts(opens, before, after);
        AddAccounts(opens, before, after);
        return opens;
    }

    /// <summary>Whether one of these lines is about this organization's section.</summary>
    internal static bool IsOf(string line, string organization) =>
        line.StartsWith($"organization {organization}:", StringComparison.Ordinal) || line.StartsWith($"organization {organization} ", StringComparison.Ordinal);

    /// <summary>Who may open more, and what it takes. An auditor reads, and opens nothing.</summary>
    private static void AddRights(List<string> opens, Policy before, Policy after)
    {
        if (after.Document.Changes.Approvals < before.Document.Changes.Approvals)
            opens.Add("changes that open need one person and not two");
        if (before.Document.Changes.DemandsTicket && !after.Document.Changes.DemandsTicket)
            opens.Add("changes that open need no ticket");
        if (before.Organizations.Count == 0)
            return;

        foreach (var owner in after.Document.CompanyOwners.Where(owner => IsNew(owner, before.Document.CompanyOwners)))
            opens.Add($"company owner {owner} added");
        if (LoneOrganization(after) is { } lone && LoneOrganization(before) != lone)
            opens.Add($"the owners of {lone} are company owners");
        foreach (var later in after.Document.Organizations)
        {
            var earlier = (Find(before, later.Name)?.Roles.Holders() ?? []).ToLookup(held => held.Role, held => held.Holder);
            if (later.FollowsDockerHub && Find(before, later.Name)?.FollowsDockerHub != true)
                opens.Add($"organization {later.Name}: follows Docker Hub's own switches, which may open");
            foreach (var (holder, role) in later.Roles.Holders().Where(held => held.Role != Roles.Auditor && IsNew(held.Holder, earlier[held.Role])))
                opens.Add($"organization {later.Name}: {Words(role)} {holder} added");
        }
    }

    /// <summary>While image access is off nobody is exempt, and an owner may change the policy all the same.</summary>
    private static void AddOwners(List<string> opens, Policy before, Policy after)
    {
        if (before.Organizations.Count == 0)
            return;
        foreach (var later in after.Document.Organizations)
        {
            var earlier = Find(before, later.Name);
            foreach (var name in later.Owners.Except(earlier?.Owners ?? []))
                opens.Add($"organization {later.Name}: owner {Plain(name)} added");
            AddExternalOwners(earlier, later, what => opens.Add($"organization {later.Name}: {what}"));
        }

        AddAccounts(opens, before, after);
    }

    private static void AddExternalOwners(OrganizationDocument? earlier, OrganizationDocument later, Action<string> add)
    {
        foreach (var name in later.ExternalOwners.Except(earlier?.ExternalOwners ?? []))
            add($"owner {Plain(name)} is external: an owner also where the member list does not name the account");
    }

    private static void AddAccounts(List<string> opens, Policy before, Policy after)
    {
        foreach (var (name, account) in after.Document.Accounts.Where(named => before.AccountOf(named.Name) != named.Account))
            opens.Add($"{Plain(name)} is account {account}");
    }

    /// <summary>Who was external before, and is so no longer, has lost something.</summary>
    private static bool IsNew(RoleHolder holder, IEnumerable<RoleHolder> earlier) => !earlier.Any(other => other == holder || other == holder with { IsExternal = true });

    private static string Words(Roles role) => role switch
    {
        Roles.Administrator => "administrator",
        Roles.Approver => "approver",
        _ => "on call:",
    };

    /// <summary>The organization whose owners are company owners, because it is the only one and nobody is named.</summary>
    private static string? LoneOrganization(Policy policy) =>
        policy.Document is { CompanyOwners.Count: 0, Organizations: [{ Name: var name }] } ? name : null;

    private static void AddRegistries(List<string> opens, Policy before, Policy after)
    {
        foreach (var earlier in before.Document.Organizations.Where(one => one.Registries.Enabled && Find(after, one.Name)?.Registries.Enabled != true))
            opens.Add($"organization {earlier.Name}: registries are no longer limited");
        foreach (var later in after.Document.Organizations.Where(one => one.Registries.Enabled))
            opens.AddRange(OpenedRegistries(Find(before, later.Name)?.Registries, later.Registries).Select(what => $"organization {later.Name}: registry {what}"));
    }

    /// <summary>Where registries were not limited they could be reached, but on the usual port alone.</summary>
    private static IEnumerable<string> OpenedRegistries(RegistriesDocument? earlier, RegistriesDocument later)
    {
        var allowed = Addresses(later, allowed: true);
        if (earlier is not { Enabled: true })
            return allowed.Where(address => RegistryPattern.TryParse(address, out var pattern) && pattern.Port != HostAndPort.Https).Select(Allowed);
        var opened = allowed.Except(Addresses(earlier, allowed: true), StringComparer.OrdinalIgnoreCase).Select(Allowed);
        var released = allowed.Exists(address => address.StartsWith("*.", StringComparison.Ordinal)) ? Addresses(earlier, allowed: false) : [];
        return opened.Concat(released.Except(Addresses(later, allowed: false).Concat(allowed), StringComparer.OrdinalIgnoreCase).Select(address => $"{address} no longer refused"));

        static string Allowed(string address) => $"{address} allowed";
    }

    private static List<string> Addresses(RegistriesDocument registries, bool allowed) => [.. registries.Custom.Where(one => one.Allowed == allowed).Select(one => one.Address)];

    private static void AddCallers(List<string> opens, CallersDocument before, CallersDocument after)
    {
        if (before.DenyAnonymous && !after.DenyAnonymous)
            opens.Add("anonymous callers are no longer denied");
        if (before.DenyOutsiders && !after.DenyOutsiders)
            opens.Add("outsiders are no longer denied");
        if (before.DenyOrganizationTokens && !after.DenyOrganizationTokens)
            opens.Add("organization access tokens are no longer denied");
        if (before.JudgeOwners && !after.JudgeOwners)
            opens.Add("owners are exempt");
    }

    private static void AddExceptions(List<string> opens, ExceptionsDocument before, ExceptionsDocument after)
    {
        if (after.Forbidden)
            return;
        if (before.Forbidden)
            opens.Add("exceptions are allowed");
        if (before.MaximumDays is { } most && (after.MaximumDays ?? int.MaxValue) > most)
            opens.Add(after.MaximumDays is { } days ? $"exceptions may last {days} days and not {most}" : $"exceptions may last any number of days and not {most}");
    }

    private static void AddOrganization(List<string> opens, Pair pair)
    {
        var (earlier, later, today) = (pair.Earlier, pair.Later, pair.Today);
        if (earlier.Enabled)
        {
            if (!later.Enabled)
                Add("disabled");

            var (observed, observes) = (ObservesThrough(earlier, today), ObservesThrough(later, today));
            if (observes > observed)
                Add(observes == DateOnly.MaxValue ? "observes instead of enforcing" : $"observes instead of enforcing, through {Day(observes)}");

            if (later.AllowOfficial && !earlier.AllowOfficial)
                Add("official images allowed");
            if (later.AllowVerifiedPublisher && !earlier.AllowVerifiedPublisher)
                Add("verified publisher images allowed");
            if (later.AllowCommunity && !earlier.AllowCommunity)
                Add("community images allowed");

            AddAllowlist(earlier, later, today, Add);
        }

        // Also where the organization is off: when another organization judges its members, its namespaces count as theirs.
        foreach (var name in Namespaces(later).Except(Namespaces(earlier)))
            Add($"namespace {name} added");

        AddPeople(pair, Add);

        void Add(string what) => opens.Add($"organization {later.Name}: {what}");
    }

    private static void AddAllowlist(OrganizationDocument earlier, OrganizationDocument later, DateOnly today, Action<string> add)
    {
        foreach (var entry in later.Allowlist.DistinctBy(entry => entry.ToString()))
        {
            var (held, holds) = (HeldThrough(earlier, entry, today), HoldsThrough(later, entry, today));
            if (holds <= held)
                continue;
            var until = holds == DateOnly.MaxValue ? "without expiry" : $"through {Day(holds)}";
            add(held == DateOnly.MinValue ? $"{entry} approved, {until}" : $"{entry} approved for longer, {until}");
        }
    }

    private static void AddPeople(Pair pair, Action<string> add)
    {
        foreach (var name in People(pair.Earlier).Union(People(pair.Later)))
        {
            var (was, becomes) = (RoleOf(pair.Earlier, name), RoleOf(pair.Later, name));
            if (becomes == OrganizationRole.Owner && was != OrganizationRole.Owner)
                add($"owner {Plain(name)} added");
            else if (becomes == OrganizationRole.Member && was == OrganizationRole.None && pair.JoiningOpens)
                add($"member {Plain(name)} added");
            else if (becomes == OrganizationRole.None && pair.LeavingOpens)
                add($"{Plain(name)} removed: perhaps only the rules of other organizations apply");
        }

        AddExternalOwners(pair.Earlier, pair.Later, add);
    }

    /// <summary>A token that no longer counts as an organization access token is no longer denied as one.</summary>
    private static void AddTokenAccounts(List<string> opens, Policy before, Policy after)
    {
        if (!before.Document.Callers.DenyOrganizationTokens || !after.Document.Callers.DenyOrganizationTokens)
            return;
        foreach (var account in Accounts(before).Except(Accounts(after)))
            opens.Add($"organization access tokens of {account} are no longer known as such");
    }

    private static OrganizationDocument? Find(Policy policy, string name) =>
        policy.Document.Organizations.FirstOrDefault(o => o.Name == name);

    private static IEnumerable<string> Namespaces(OrganizationDocument organization) =>
        organization.Namespaces.Count == 0 ? [organization.Name] : organization.Namespaces;

    private static IEnumerable<string> Accounts(Policy policy) =>
        policy.Document.Organizations.SelectMany(o => Namespaces(o).Append(o.Name)).Distinct();

    private static IEnumerable<string> People(OrganizationDocument organization) => organization.Owners.Concat(organization.Members);

    private static OrganizationRole RoleOf(OrganizationDocument organization, string name) =>
        organization.Owners.Contains(name) ? OrganizationRole.Owner
        : organization.Members.Contains(name) ? OrganizationRole.Member
        : OrganizationRole.None;

    /// <summary>The last day on which denials are only recorded; the first day of all when they are made.</summary>
    private static DateOnly ObservesThrough(OrganizationDocument organization, DateOnly today) =>
        organization.Observe ? NotPast(organization.ObserveUntil, today) : DateOnly.MinValue;

    /// <summary>Until when an earlier policy approved what the entry names, itself or with its whole namespace.</summary>
    private static DateOnly HeldThrough(OrganizationDocument organization, AllowlistEntry entry, DateOnly today) => organization.Allowlist
        .Where(other => other.ToString() == entry.ToString() || (other.Repository is null && other.Namespace == entry.Namespace))
        .Select(other => NotPast(other.Expires, today))
        .DefaultIfEmpty(DateOnly.MinValue)
        .Max();

    private static DateOnly HoldsThrough(OrganizationDocument organization, AllowlistEntry entry, DateOnly today) => organization.Allowlist
        .Where(other => other.ToString() == entry.ToString())
        .Max(other => NotPast(other.Expires, today));

    private static DateOnly NotPast(DateOnly? last, DateOnly today) =>
        last is not { } day ? DateOnly.MaxValue : day < today ? DateOnly.MinValue : day;

    private static string Day(DateOnly day) => day.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);

    /// <summary>User names are free text in the document.</summary>
    private static string Plain(string name) => JavaScriptEncoder.Default.Encode(name);

    /// <summary>One organization in both policies.</summary>
    private sealed record Pair(Policy Before, Policy After, OrganizationDocument Earlier, OrganizationDocument Later, DateOnly Today)
    {
        /// <summary>Whoever joins is no longer an outsider: not denied as one, and not judged by the rules of every organization.</summary>
        public bool JoiningOpens => Before.Document.Callers.DenyOutsiders || Before.Organizations.Count > 1;

        /// <summary>Whoever leaves an organization is judged by the other organizations alone.</summary>
        public bool LeavingOpens => Earlier.Enabled && After.Organizations.Count > 1;
    }
}
