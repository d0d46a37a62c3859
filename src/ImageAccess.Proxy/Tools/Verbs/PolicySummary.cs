using System.Globalization;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Callers.Members;
using ImageAccess.Proxy.Policies.Following;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary><c>policy validate</c>: every problem, or what the policy does in words.</summary>
internal static class PolicySummary
{
    public static async Task<int> WriteProblemsAsync(TextWriter output, string file, IReadOnlyList<PolicyProblem> problems, bool json)
    {
        if (json)
        {
            await Verb.WriteJsonAsync(output, new { Valid = false, Problems = problems.Select(problem => new { problem.Path, problem.Message }) });
            return Verb.No;
        }

        foreach (var problem in problems)
            await output.WriteLineAsync(TextTable.Plain($"{file}: {problem}"));
        await output.WriteLineAsync($"{TextTable.Count(problems.Count, "problem")}");
        return Verb.No;
    }

    /// <param name="absent">The owners whom the member lists do not name, where these are known.</param>
    public static async Task<int> WriteAsync(
        TextWriter output, string file, Policy policy, DateOnly today, bool json, IReadOnlyList<AbsentOwners>? absent = null)
    {
        var notes = policy.Document.Organizations.SelectMany(organization => Notes(organization, today))
            .Concat(Soon(policy, today))
            .Concat(FollowedNotes.Of(policy))
            .Concat((absent ?? []).Select(Note))
            .ToList();
        if (json)
        {
            await Verb.WriteJsonAsync(output, new
            {
                Valid = true,
                PolicyVersion = policy.Version,
                ImageAccess = policy.IsEnabled,
                Organizations = policy.Organizations.Select(organization => new { organization.Name, Mode = organization.Mode(today) }),
                Notes = notes,
            });
            return Verb.Yes;
        }

        await output.WriteLineAsync(TextTable.Plain(
            $"{file} is valid: policy {policy.Version}, image access is {(policy.IsEnabled ? "on" : "off")}"));
        var callers = policy.Document.Callers;
        await output.WriteLineAsync();
        await LineAsync(output, "anonymous callers", callers.DenyAnonymous ? "denied" : "judged as members of every organization");
        await LineAsync(output, "outsiders", callers.DenyOutsiders ? "denied" : "judged as members of every organization");
        await LineAsync(output, "organization tokens", callers.DenyOrganizationTokens ? "denied" : "judged as members");
        await LineAsync(output, "owners", callers.JudgeOwners ? "judged as members" : "exempt");
        if (policy.Document.Exceptions is { Forbidden: false, MaximumDays: { } days })
            await LineAsync(output, "exceptions", $"allowed, for {TextTable.Count(days, "day")} at most");
        else if (policy.Document.Exceptions.Forbidden)
            await LineAsync(output, "exceptions", "open nothing");
        if (policy.Document.Company)
            await LineAsync(output, "company", "the images of every organization are allowed to everybody");
        if (policy.Document.Changes.Approvals > 1)
            await LineAsync(output, "approvals", "what opens waits for a second person");
        if (policy.Document.Changes.DemandsTicket)
            await LineAsync(output, "ticket", "what opens needs one");
        await HoldersAsync(output, "company owners", policy.Document.CompanyOwners);
        foreach (var (name, account) in policy.Document.Accounts)
            await LineAsync(output, "account", $"{account} is {name}");
        foreach (var (organization, document) in policy.Organizations.Zip(policy.Document.Organizations))
            await WriteAsync(output, organization, document, today);

        if (notes.Count > 0)
            await output.WriteLineAsync();
        foreach (var note in notes)
            await output.WriteLineAsync(TextTable.Plain($"note: {note}"));
        return Verb.Yes;
    }

    private static async Task WriteAsync(TextWriter output, OrganizationPolicy organization, OrganizationDocument document, DateOnly today)
    {
        await output.WriteLineAsync();
        await output.WriteLineAsync($"{organization.Name} {Mode(organization, document, today)}");
        await LineAsync(output, "  namespaces", string.Join(", ", organization.Namespaces.Order(StringComparer.Ordinal)));
        var (owners, members) = (TextTable.Count(document.Owners.Count, "owner"), TextTable.Count(document.Members.Count, "member"));
        await LineAsync(output, "  people", $"{owners}, {members} by name");
        if (document.ExternalOwners.Count > 0)
            await LineAsync(output, "  external", $"{string.Join(", ", document.ExternalOwners)}: owners also where the member list does not name them");
        await HoldersAsync(output, "  administrators", document.Roles.Administrators);
        await HoldersAsync(output, "  approvers", document.Roles.Approvers);
        await HoldersAsync(output, "  auditors", document.Roles.Auditors);
        await HoldersAsync(output, "  on call", document.Roles.OnCall);
        var switches = new[]
        {
            ("official", document.AllowOfficial), ("verified publisher", document.AllowVerifiedPublisher), ("community", document.AllowCommunity),
        };
        var allowed = switches.Where(kind => kind.Item2).Select(kind => kind.Item1).Prepend("its own");
        var denied = switches.Where(kind => !kind.Item2).Select(kind => kind.Item1).ToList();
        await LineAsync(output, "  allows", $"{string.Join(", ", allowed)} images");
        if (denied.Count > 0)
            await LineAsync(output, "  denies", $"{string.Join(", ", denied)} images");
        var head = "  allowlist";
        foreach (var entry in document.Allowlist)
        {
            await LineAsync(output, head, entry.Expires is { } day ? $"{entry} through {Day(day)}" : $"{entry}");
            head = "";
        }

        if (document.Registries is { Enabled: true } or { Custom.Count: > 0 })
            await LineAsync(output, "  registries", RegistriesOf(document.Registries));
        if (document.Help is { } help)
            await LineAsync(output, "  help", help);
    }

    private static string RegistriesOf(RegistriesDocument registries) => !registries.Enabled ? "not limited"
        : $"limited to {string.Join(", ", registries.Custom.Where(one => one.Allowed).Select(one => one.Address).Prepend("Docker Hub"))}";

    private static Task HoldersAsync(TextWriter output, string head, IReadOnlyList<RoleHolder> holders) =>
        holders.Count == 0 ? Task.CompletedTask : LineAsync(output, head, string.Join(", ", holders));

    private static string Mode(OrganizationPolicy organization, OrganizationDocument document, DateOnly today) => organization.Mode(today) switch
    {
        "off" => "is off",
        "observe" when document.ObserveUntil is { } until => $"observes through {Day(until)}, then enforces",
        "observe" => "observes: nothing is refused",
        _ => "enforces",
    };

    private static IEnumerable<string> Notes(OrganizationDocument organization, DateOnly today)
    {
        if (organization is { Observe: true, ObserveUntil: { } until } && until < today)
            yield return $"{organization.Name}: observing ended on {Day(until)}; it enforces";
        if (organization is { Observe: false, ObserveUntil: not null })
            yield return $"{organization.Name}: observeUntil says nothing while mode is enforce";
        foreach (var entry in organization.Allowlist.Where(entry => entry.Expires < today))
            yield return $"{organization.Name}: the allowlist entry {entry} ended on {Day(entry.Expires!.Value)}";
    }

    private static IEnumerable<string> Soon(Policy policy, DateOnly today) => ExpiringEntries.Find(policy, today)
        .Select(entry => $"{entry.Organization}: the allowlist entry {entry.Repository} ends soon, on {Day(entry.Expires)}");

    private static string Note(AbsentOwners owners) =>
        $"{owners.Organization}: owners whom the member list of {Day(DateOnly.FromDateTime(owners.ReadAt.UtcDateTime))} does not name count as members: {owners}";

    private static Task LineAsync(TextWriter output, string head, string text) => output.WriteLineAsync($"{head,-20} {TextTable.Plain(text)}");

    private static string Day(DateOnly day) => day.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
}
