using System.Collections;
using System.Reflection;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Policies.Store;
using ImageAccess.Proxy.Tools.Verbs;

namespace ImageAccess.Proxy.Tests.HouseRules;

/// <summary>
/// No member of the policy document is forgotten: what its change opens is told, <c>policy validate</c> tells it, <c>docs/policy.md</c>
/// documents it, a golden case has it. Whoever adds a member adds a row here.
/// </summary>
public sealed partial class PolicyMembersTests
{
    private const string FirstAccount = "0ab70deb065a43fcacd55d48caa945d8";
    private const string SecondAccount = "7c2e0f5b1d6a4f0f9d5c3a1b8e4d2f60";

    private static readonly DateOnly Today = new(2026, 6, 1);

    /// <summary>Each member, with two documents that differ in it alone.</summary>
    private static readonly Row[] Rows =
    [
        new("PolicyDocument.DefaultOrganization", "defaultOrganization",
            """{ "organizations": [ { "name": "acme", "enabled": true }, { "name": "beta" } ] }""",
            """{ "defaultOrganization": "beta", "organizations": [ { "name": "acme", "enabled": true }, { "name": "beta" } ] }""",
            Opens: null, Summary: null, Because: "it chooses whose name stands in messages and events, and allows nothing"),
        new("PolicyDocument.Company", "company",
            """{ "company": false, "organizations": [ { "name": "acme", "enabled": true }, { "name": "beta" } ] }""",
            """{ "company": true, "organizations": [ { "name": "acme", "enabled": true }, { "name": "beta" } ] }""",
            "company: the images of every organization are allowed to everybody", "company the images of every organization are allowed to everybody"),
        new("CallersDocument.DenyAnonymous", "callers.anonymous", Callers("anonymous", "deny"), Callers("anonymous", "member"),
            "anonymous callers are no longer denied", "anonymous callers judged as members of every organization"),
        new("CallersDocument.DenyOutsiders", "callers.outsiders", Callers("outsiders", "deny"), Callers("outsiders", "member"),
            "outsiders are no longer denied", "outsiders judged as members of every organization"),
        new("CallersDocument.DenyOrganizationTokens", "callers.organizationTokens",
            Callers("organizationTokens", "deny"), Callers("organizationTokens", "member"),
            "organization access tokens are no longer denied", "organization tokens judged as members"),
        new("CallersDocument.JudgeOwners", "callers.owners", Callers("owners", "judged"), Callers("owners", "exempt"),
            "owners are exempt", "owners exempt"),
        new("ExceptionsDocument.Forbidden", "exceptions.allowed", Exceptions(""" "allowed": false, "maximumDays": 30 """),
            Exceptions(""" "allowed": true, "maximumDays": 30 """),
            "exceptions are allowed", "exceptions allowed, for 30 days at most"),
        new("ExceptionsDocument.MaximumDays", "exceptions.maximumDays", Exceptions(""" "maximumDays": 30 """), Exceptions(""" "maximumDays": 90 """),
            "exceptions may last 90 days and not 30", "exceptions allowed, for 90 days at most"),
        new("ChangesDocument.Approvals", "changes.approvals", Changes(""" "approvals": 1 """), Changes(""" "approvals": 2 """),
            Opens: null, "approvals what opens waits for a second person", Because: "it closes where it is set"),
        new("ChangesDocument.DemandsTicket", "changes.ticket", Changes(""" "ticket": false """), Changes(""" "ticket": true """),
            Opens: null, "ticket what opens needs one", Because: "it closes where it is set"),
        new("PolicyDocument.CompanyOwners", "companyOwners[].name", Company("carol", ""), Company("alice", ""),
            "company owner alice added", "company owners alice"),
        new("PolicyDocument.CompanyOwners", "companyOwners[].external", Company("carol", ""), Company("carol", """, "external": true """),
            "company owner carol (external) added", "company owners carol (external)"),
        new("NamedAccount.Account", "companyOwners[].account",
            Company("alice", $$""", "account": "{{FirstAccount}}" """), Company("alice", $$""", "account": "{{SecondAccount}}" """),
            $"alice is account {SecondAccount}", $"account {SecondAccount} is alice"),
        .. RowsOf("Administrators", "administrators", "administrator", "administrators"),
        .. RowsOf("Approvers", "approvers", "approver", "approvers"),
        .. RowsOf("Auditors", "auditors", null, "auditors"),
        .. RowsOf("OnCall", "onCall", "on call:", "on call"),
        new("OrganizationDocument.Name", "organizations[].name",
            """{ "organizations": [ { "name": "acme", "enabled": true } ] }""", """{ "organizations": [ { "name": "beta", "enabled": true } ] }""",
            "organization beta added", "beta enforces"),
        new("OrganizationDocument.Namespaces", "organizations[].namespaces", Acme(""), Acme(""" "namespaces": [ "acme", "labs" ] """),
            "organization acme: namespace labs added", "namespaces acme, labs"),
        new("OrganizationDocument.Owners", "organizations[].owners[].name", Acme(""), Acme(""" "owners": [ { "name": "alice" } ] """),
            "organization acme: owner alice added", "people 1 owner, 0 members by name"),
        new("OrganizationDocument.ExternalOwners", "organizations[].owners[].external",
            Acme(""" "owners": [ { "name": "alice" } ] """), Acme(""" "owners": [ { "name": "alice", "external": true } ] """),
            "organization acme: owner alice is external: an owner also where the member list does not name the account",
            "external alice: owners also where the member list does not name them"),
        new("OrganizationDocument.Members", "organizations[].members[].name",
            """{ "callers": { "outsiders": "deny" }, "organizations": [ { "name": "acme", "enabled": true } ] }""",
            """{ "callers": { "outsiders": "deny" }, "organizations": [ { "name": "acme", "enabled": true, "members": [ { "name": "bob" } ] } ] }""",
            "organization acme: member bob added", "people 0 owners, 1 member by name"),
        new("NamedAccount.Name", "organizations[].members[].account",
            Acme($$""" "members": [ { "name": "bob", "account": "{{FirstAccount}}" }, "carol" ] """),
            Acme($$""" "members": [ "bob", { "name": "carol", "account": "{{FirstAccount}}" } ] """),
            $"carol is account {FirstAccount}", $"account {FirstAccount} is carol"),
        new("NamedAccount.Account", "organizations[].owners[].account",
            Acme($$""" "owners": [ { "name": "alice", "account": "{{FirstAccount}}" } ] """),
            Acme($$""" "owners": [ { "name": "alice", "account": "{{SecondAccount}}" } ] """),
            $"alice is account {SecondAccount}", $"account {SecondAccount} is alice"),
        new("OrganizationDocument.FollowsDockerHub", "organizations[].follow", Acme(""), Acme(""" "follow": "docker-hub" """),
            "organization acme: follows Docker Hub's own switches, which may open", "acme follows Docker Hub's own switches, which are not known here"),
        new("OrganizationDocument.Enabled", "organizations[].enabled",
            """{ "organizations": [ { "name": "acme", "enabled": true } ] }""", """{ "organizations": [ { "name": "acme", "enabled": false } ] }""",
            "organization acme: disabled", "acme is off"),
        new("OrganizationDocument.Observe", "organizations[].mode", Acme(""" "mode": "enforce" """), Acme(""" "mode": "observe" """),
            "organization acme: observes instead of enforcing", "acme observes: nothing is refused"),
        new("OrganizationDocument.ObserveUntil", "organizations[].observeUntil",
            Acme(""" "mode": "observe", "observeUntil": "2026-06-10" """), Acme(""" "mode": "observe", "observeUntil": "2026-06-11" """),
            "organization acme: observes instead of enforcing, through 2026-06-11", "acme observes through 2026-06-11, then enforces"),
        new("OrganizationDocument.AllowOfficial", "organizations[].allow.official", Acme(""), Acme(""" "allow": { "official": true } """),
            "organization acme: official images allowed", "allows its own, official images"),
        new("OrganizationDocument.AllowVerifiedPublisher", "organizations[].allow.verifiedPublisher",
            Acme(""), Acme(""" "allow": { "verifiedPublisher": true } """),
            "organization acme: verified publisher images allowed", "allows its own, verified publisher images"),
        new("OrganizationDocument.AllowCommunity", "organizations[].allow.community", Acme(""), Acme(""" "allow": { "community": true } """),
            "organization acme: community images allowed", "allows its own, community images"),
        new("OrganizationDocument.Help", "organizations[].help", Acme(""), Acme(""" "help": "ask in #platform" """),
            Opens: null, Summary: "help ask in #platform", Because: "it is a text that follows a denial"),
        new("RegistriesDocument.Enabled", "organizations[].registries.enabled",
            Registries(""" "enabled": true, "custom": [ { "address": "quay.io" } ] """), Registries(""" "enabled": false, "custom": [ { "address": "quay.io" } ] """),
            "organization acme: registries are no longer limited", "registries not limited"),
        new("RegistryDocument.Address", "organizations[].registries.custom[].address",
            Registered(""" "address": "quay.io", "allowed": true """), Registered(""" "address": "*.ghcr.io:5000", "allowed": true """),
            "organization acme: registry *.ghcr.io:5000 allowed", "registries limited to Docker Hub, *.ghcr.io:5000"),
        new("RegistryDocument.Name", "organizations[].registries.custom[].name",
            Registered(""" "address": "quay.io" """), Registered(""" "address": "quay.io", "name": "Quay" """),
            Opens: null, Summary: null, Because: "it is what people call the registry, and allows nothing"),
        new("RegistryDocument.Allowed", "organizations[].registries.custom[].allowed",
            Registered(""" "address": "quay.io", "allowed": false """), Registered(""" "address": "quay.io", "allowed": true """),
            "organization acme: registry quay.io allowed", "registries limited to Docker Hub, quay.io"),
        new("AllowlistEntry.Namespace", "organizations[].allowlist[].repository", Approved("a/*", ""), Approved("b/*", ""),
            "organization acme: b/* approved, without expiry", "allowlist b/*"),
        new("AllowlistEntry.Repository", "organizations[].allowlist[].repository", Approved("a/b", ""), Approved("a/c", ""),
            "organization acme: a/c approved, without expiry", "allowlist a/c"),
        new("AllowlistEntry.Expires", "organizations[].allowlist[].expires",
            Approved("a/b", """, "expires": "2026-08-01" """), Approved("a/b", """, "expires": "2026-09-01" """),
            "organization acme: a/b approved for longer, through 2026-09-01", "allowlist a/b through 2026-09-01"),
        new("AllowlistEntry.Reason", "organizations[].allowlist[].reason", Approved("a/b", ""), Approved("a/b", """, "reason": "tests" """),
            Opens: null, Summary: null, Because: "it is a note of the people who keep the document, and allows nothing"),
        new("AllowlistEntry.ApprovedBy", "organizations[].allowlist[].approvedBy",
            Approved("a/b", ""), Approved("a/b", """, "approvedBy": "alice" """),
            Opens: null, Summary: null, Because: "it is a note of the people who keep the document, and allows nothing"),
    ];

    public static TheoryData<string> Members => [.. Rows.Select(row => row.Key)];

    [Fact]
    public void Each_member_of_the_document_has_a_row() =>
        Assert.Equal(MembersOf(typeof(PolicyDocument)).Order(StringComparer.Ordinal), Rows.Select(row => row.Member).Distinct().Order(StringComparer.Ordinal));

    [Fact]
    public void Each_name_that_the_compiler_accepts_has_a_row() =>
        Assert.Equal(AcceptedNames().Order(StringComparer.Ordinal), Rows.Select(row => row.Json).Distinct().Order(StringComparer.Ordinal));

    [Theory]
    [MemberData(nameof(Members))]
    public void The_two_documents_of_a_row_differ_in_its_member_alone(string member)
    {
        var row = RowOf(member);
        var (before, after) = (Values(Compile(row.Before)), Values(Compile(row.After)));
        Assert.Equal([row.Member], before.Keys.Union(after.Keys).Where(name => before.GetValueOrDefault(name) != after.GetValueOrDefault(name)));
        Assert.Contains(row.Json, PathsOf(row.After));
    }

    [Theory]
    [MemberData(nameof(Members))]
    public void What_a_change_of_it_opens_is_told(string member)
    {
        var row = RowOf(member);
        var opens = PolicyChanges.Opens(Compile(row.Before), Compile(row.After), Today);
        if (row.Opens is not null)
            Assert.Contains(row.Opens, opens);
        else
            Assert.True(row.Because is not null && opens.Count == 0, string.Join("; ", opens));
    }

    [Theory]
    [MemberData(nameof(Members))]
    public async Task The_summary_tells_it(string member)
    {
        var row = RowOf(member);
        var (before, after) = (await SummaryAsync(row.Before), await SummaryAsync(row.After));
        if (row.Summary is null)
        {
            Assert.NotNull(row.Because);
            Assert.Equal(before, after);
            return;
        }

        Assert.Contains(row.Summary, after, StringComparison.Ordinal);
        Assert.DoesNotContain(row.Summary, before, StringComparison.Ordinal);
    }

    /// <summary>The table names it, or names the object that holds it and the example shows it.</summary>
    [Fact]
    public void The_page_documents_each_name()
    {
        var page = RepositoryRoot.Read("docs/policy.md");
        var example = PathsOf(Example().Match(page).Groups["json"].Value);
        var table = TableRows().Matches(page).SelectMany(row => Code().Matches(row.Groups["cell"].Value)).Select(code => code.Groups["text"].Value).ToHashSet();
        Assert.All(AcceptedNames(), name =>
        {
            var own = name.Replace("organizations[].", "", StringComparison.Ordinal);
            var holder = own.Split('.')[0].TrimEnd('[', ']');
            Assert.True(table.Contains(own) || table.Contains(OfAnyRole().Replace(own, "roles.…")) || (own != holder && table.Contains(holder) && example.Contains(name)), $"docs/policy.md has no {name}");
        });
    }

    [Fact]
    public void A_golden_case_has_each_name()
    {
        var cases = Directory.GetFiles(RepositoryRoot.Find("tests/ImageAccess.Core.Tests/Policies/Cases"), "*.case")
            .Select(file => string.Join('\n', File.ReadLines(file).TakeWhile(line => line != "---").Where(line => !line.StartsWith('#') && line.Split(' ')[0] is not ("block" or "exception" or "break-glass" or "followed"))))
            .SelectMany(PathsOf)
            .ToHashSet();
        Assert.All(AcceptedNames(), name => Assert.Contains(name, cases));
    }

    private static string Callers(string name, string choice) =>
        $$"""{ "callers": { "{{name}}": "{{choice}}" }, "organizations": [ { "name": "acme", "enabled": true } ] }""";

    private static string Registries(string members) => Acme($$""" "registries": { {{members}} } """);

    private static string Registered(string members) => Registries($$""" "enabled": true, "custom": [ { {{members}} } ] """);

    private static string Exceptions(string members) =>
        $$"""{ "exceptions": { {{members}} }, "organizations": [ { "name": "acme", "enabled": true } ] }""";

    private static string Changes(string members) =>
        $$"""{ "changes": { {{members}} }, "organizations": [ { "name": "acme", "enabled": true, "owners": [ "alice", "bob" ] } ] }""";

    private static string Company(string name, string rest) =>
        $$"""{ "companyOwners": [ { "name": "{{name}}"{{rest}} } ], "organizations": [ { "name": "acme", "enabled": true } ] }""";

    /// <summary>What a role can be given to, each in a row.</summary>
    private static Row[] RowsOf(string member, string role, string? opens, string summary)
    {
        return
        [
            RowOf("name", """ "carol" """, """ { "name": "dan" } """, "dan", $"{summary} dan"),
            RowOf("team", """ "dan" """, """ { "team": "devops" } """, "team devops", $"{summary} team devops"),
            RowOf("external", """ { "name": "dan" } """, """ { "name": "dan", "external": true } """, "dan (external)", $"{summary} dan (external)"),
            new("NamedAccount.Account", $"organizations[].roles.{role}[].account",
                Given($$""" { "name": "dan", "account": "{{FirstAccount}}" } """), Given($$""" { "name": "dan", "account": "{{SecondAccount}}" } """),
                $"dan is account {SecondAccount}", $"account {SecondAccount} is dan"),
        ];

        Row RowOf(string name, string before, string after, string added, string told) => new(
            $"RolesDocument.{member}", $"organizations[].roles.{role}[].{name}", Given(before), Given(after),
            opens is null ? null : $"organization acme: {opens} {added} added", told, opens is null ? "an auditor reads, and opens nothing" : null);

        string Given(string holder) => Acme($$""" "roles": { "{{role}}": [ {{holder}} ] } """);
    }

    private static string Acme(string members) =>
        $$"""{ "organizations": [ { "name": "acme", "enabled": true{{(members.Length == 0 ? "" : "," + members)}} } ] }""";

    private static string Approved(string repository, string rest) => Acme($$""" "allowlist": [ { "repository": "{{repository}}"{{rest}} } ] """);

    private static Row RowOf(string member) => Rows.Single(row => row.Key == member);

    private static Policy Compile(string document)
    {
        Assert.True(PolicyCompiler.TryCompile(Encoding.UTF8.GetBytes(document), out var policy, out var problems), string.Join("; ", problems));
        return policy;
    }

    private static async Task<string> SummaryAsync(string document)
    {
        await using var output = new StringWriter();
        var policy = Compile(document);
        await PolicySummary.WriteAsync(output, "policy.json", policy, Today, json: false);
        return Spaces().Replace(output.ToString().Replace(policy.Version, "VERSION", StringComparison.Ordinal), " ");
    }

    /// <summary>The members that hold a value; those that hold a part of the document lead to its members.</summary>
    private static IEnumerable<string> MembersOf(Type part) =>
        from property in part.GetProperties(BindingFlags.Public | BindingFlags.Instance)
        from member in PartOf(property.PropertyType) is { } inner ? MembersOf(inner) : [$"{part.Name}.{property.Name}"]
        select member;

    private static Dictionary<string, string> Values(Policy policy)
    {
        var values = new Dictionary<string, string>(StringComparer.Ordinal);
        Collect(policy.Document);
        return values;

        void Collect(object part)
        {
            foreach (var property in part.GetType().GetProperties(BindingFlags.Public | BindingFlags.Instance))
            {
                var (name, value) = ($"{part.GetType().Name}.{property.Name}", property.GetValue(part));
                if (PartOf(property.PropertyType) is null)
                    values[name] = $"{values.GetValueOrDefault(name)} {(value is IEnumerable list and not string ? string.Join(',', list.Cast<object>()) : value)};";
                else if (value is IEnumerable parts)
                    parts.Cast<object>().ToList().ForEach(Collect);
                else if (value is not null)
                    Collect(value);
            }
        }
    }

    /// <summary>The type of a part of the document that a property holds, itself or in a list; null for a value.</summary>
    private static Type? PartOf(Type type)
    {
        var item = type.IsGenericType && type.IsAssignableTo(typeof(IEnumerable)) ? type.GetGenericArguments()[0] : type;
        return item.Namespace == typeof(PolicyDocument).Namespace && item.IsClass ? item : null;
    }

    /// <summary>Asked of the compiler itself, which says of an unknown member what is known beside it.</summary>
    private static List<string> AcceptedNames()
    {
        var names = AcceptedIn("", "", text => text);
        Assert.NotNull(names);
        return names;
    }

    /// <param name="path">The object's path, as a row names it.</param>
    /// <param name="place">Its path, as the compiler names it.</param>
    /// <param name="around">The document around the object's text.</param>
    /// <returns>Null where there is no object.</returns>
    private static List<string>? AcceptedIn(string path, string place, Func<string, string> around)
    {
        const string Known = "known here: ";
        PolicyCompiler.TryCompile(Encoding.UTF8.GetBytes(around("""{ "?": 0 }""")), out _, out var problems);
        if (problems.FirstOrDefault(problem => problem.Path == place + "?")?.Message is not { } message)
            return null;

        var names = new List<string>();
        foreach (var name in message[(message.IndexOf(Known, StringComparison.Ordinal) + Known.Length)..].Split(", "))
        {
            names.AddRange(
                AcceptedIn($"{path}{name}.", $"{place}{name}.", text => around($$"""{ "{{name}}": {{text}} }"""))
                ?? AcceptedIn($"{path}{name}[].", $"{place}{name}[0].", text => around($$"""{ "{{name}}": [ {{text}} ] }"""))
                ?? [path + name]);
        }

        return names;
    }

    private static HashSet<string> PathsOf(string document)
    {
        using var json = JsonDocument.Parse(document, new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true });
        return [.. Collect(json.RootElement, "")];

        static IEnumerable<string> Collect(JsonElement value, string path) => value.ValueKind switch
        {
            JsonValueKind.Object => value.EnumerateObject().SelectMany(member => Collect(member.Value, path.Length == 0 ? member.Name : $"{path}.{member.Name}")).ToList(),
            JsonValueKind.Array when value.EnumerateArray().Any(item => item.ValueKind == JsonValueKind.Object) =>
                value.EnumerateArray().SelectMany(item => Collect(item, path + "[]")).ToList(),
            _ => [path],
        };
    }

    [GeneratedRegex("```json\n(?<json>.*?)```", RegexOptions.Singleline | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Example();

    [GeneratedRegex(@"^\| (?<cell>`[^|]*) \|", RegexOptions.Multiline | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex TableRows();

    [GeneratedRegex("`(?<text>[^`]+)`", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Code();

    [GeneratedRegex(@"\Aroles\.[a-zA-Z]+(?=\[\])", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex OfAnyRole();

    [GeneratedRegex(" +", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Spaces();

    /// <param name="Member">The member of the document's records.</param>
    /// <param name="Json">Its name in the JSON.</param>
    /// <param name="Before">A document.</param>
    /// <param name="After">One that differs from it in this member.</param>
    /// <param name="Opens">What <see cref="PolicyChanges"/> says of the change; null when it opens nothing.</param>
    /// <param name="Summary">What <see cref="PolicySummary"/> says of the second document and not of the first; null when it says nothing.</param>
    /// <param name="Because">Why it opens nothing, or is not told.</param>
    private sealed record Row(string Member, string Json, string Before, string After, string? Opens, string? Summary, string? Because = null)
    {
        /// <summary>A value may be written under several names, and a name give several values.</summary>
        public string Key => $"{Member} by {Json}";
    }
}
