using System.Globalization;
using System.Text.RegularExpressions;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Tests.Policies.Store;

public sealed class PolicyChangesTests
{
    private static readonly DateOnly Today = new(2026, 6, 1);

    /// <summary>The members of one organization before and after, and what the change opens.</summary>
    public static TheoryData<string, string, string> Organizations => new()
    {
        { "", "", "" },
        { "", "enabled: false", "image access is off; organization acme: disabled" },
        { "enabled: false", "", "" },
        { "enabled: false", "allow: { community: true }", "" },
        { "", "mode: 'observe'", "organization acme: observes instead of enforcing" },
        { "mode: 'observe'", "", "" },
        { "", "mode: 'observe', observeUntil: '2026-06-01'", "organization acme: observes instead of enforcing, through 2026-06-01" },
        { "", "mode: 'observe', observeUntil: '2026-05-31'", "" },
        { "mode: 'observe', observeUntil: '2026-05-31'", "mode: 'observe'", "organization acme: observes instead of enforcing" },
        {
            "mode: 'observe', observeUntil: '2026-06-10'", "mode: 'observe', observeUntil: '2026-06-11'",
            "organization acme: observes instead of enforcing, through 2026-06-11"
        },
        { "mode: 'observe', observeUntil: '2026-06-11'", "mode: 'observe', observeUntil: '2026-06-10'", "" },
        { "", "allow: { official: true }", "organization acme: official images allowed" },
        { "", "allow: { verifiedPublisher: true }", "organization acme: verified publisher images allowed" },
        { "", "allow: { community: true }", "organization acme: community images allowed" },
        { "allow: { official: true, community: true }", "allow: { official: true }", "" },
        { "", "allowlist: [ { repository: 'a/b' } ]", "organization acme: a/b approved, without expiry" },
        { "", "allowlist: [ { repository: 'a/*' } ]", "organization acme: a/* approved, without expiry" },
        { "", "allowlist: [ { repository: 'a/b', expires: '2026-06-01' } ]", "organization acme: a/b approved, through 2026-06-01" },
        { "", "allowlist: [ { repository: 'a/b', expires: '2026-05-31' } ]", "" },
        { "allowlist: [ { repository: 'a/b' } ]", "", "" },
        { "allowlist: [ { repository: 'a/b' } ]", "allowlist: [ { repository: 'a/b', expires: '2026-07-01' } ]", "" },
        {
            "allowlist: [ { repository: 'a/b', expires: '2026-07-01' } ]", "allowlist: [ { repository: 'a/b' } ]",
            "organization acme: a/b approved for longer, without expiry"
        },
        {
            "allowlist: [ { repository: 'a/b', expires: '2026-07-01' } ]", "allowlist: [ { repository: 'a/b', expires: '2026-07-02' } ]",
            "organization acme: a/b approved for longer, through 2026-07-02"
        },
        {
            "allowlist: [ { repository: 'a/b', expires: '2026-05-31' } ]", "allowlist: [ { repository: 'a/b', expires: '2026-07-02' } ]",
            "organization acme: a/b approved, through 2026-07-02"
        },
        { "allowlist: [ { repository: 'a/*' } ]", "allowlist: [ { repository: 'a/b' } ]", "" },
        { "allowlist: [ { repository: 'a/b' } ]", "allowlist: [ { repository: 'a/*' } ]", "organization acme: a/* approved, without expiry" },
        { "", "namespaces: [ 'acme', 'labs' ]", "organization acme: namespace labs added" },
        {
            "namespaces: [ 'acme', 'labs' ]", "namespaces: [ 'acme' ]",
            "organization access tokens of labs are no longer known as such"
        },
        { "", "owners: [ 'alice' ]", "organization acme: owner alice added" },
        { "members: [ 'alice' ]", "owners: [ 'alice' ]", "organization acme: owner alice added" },
        { "owners: [ 'alice' ]", "members: [ 'alice' ]", "" },
        { "owners: [ 'alice' ]", "", "" },
        {
            "owners: [ 'alice' ]", "owners: [ { name: 'alice', external: true } ]",
            "organization acme: owner alice is external: an owner also where the member list does not name the account"
        },
        {
            "", "owners: [ { name: 'alice', external: true } ]",
            "organization acme: owner alice added; organization acme: owner alice is external: an owner also where the member list does not name the account"
        },
        { "owners: [ { name: 'alice', external: true } ]", "owners: [ 'alice' ]", "" },
        { "owners: [ { name: 'alice', external: true } ]", "owners: [ { name: 'alice', external: false } ]", "" },
        { "owners: [ { name: 'alice', external: true } ]", "", "" },
        { "", "members: [ 'bob' ]", "" },
        { "", "enabled: true, registries: { enabled: true, custom: [ { address: 'ghcr.io', allowed: true } ] }", "" },
        {
            "", "enabled: true, registries: { enabled: true, custom: [ { address: 'ghcr.io', allowed: true }, { address: 'r.example.com:5000', allowed: true }, { address: 's.example.com:22' }, { address: 't.example.com:443', allowed: true } ] }",
            "organization acme: registry r.example.com:5000 allowed"
        },
        {
            "registries: { enabled: true, custom: [ { address: 'ghcr.io', allowed: true } ] }", "",
            "organization acme: registries are no longer limited"
        },
        {
            "registries: { enabled: true, custom: [ { address: 'ghcr.io', allowed: true } ] }", "registries: { enabled: true, custom: [ { address: 'GHCR.io', allowed: true }, { address: 'quay.io' } ] }",
            ""
        },
        {
            "registries: { enabled: true, custom: [ { address: 'ghcr.io', allowed: true }, { address: 'quay.io' } ] }", "registries: { enabled: true, custom: [ { address: 'ghcr.io', allowed: true }, { address: 'quay.io', allowed: true } ] }",
            "organization acme: registry quay.io allowed"
        },
        {
            "registries: { enabled: true, custom: [ { address: 'ghcr.io', allowed: true }, { address: 'quay.io' } ] }", "registries: { enabled: true, custom: [ { address: 'ghcr.io', allowed: true } ] }",
            ""
        },
        {
            "registries: { enabled: true, custom: [ { address: '*.example.com', allowed: true }, { address: 'evil.example.com' } ] }", "registries: { enabled: true, custom: [ { address: '*.example.com', allowed: true } ] }",
            "organization acme: registry evil.example.com no longer refused"
        },
        {
            "registries: { enabled: true, custom: [ { address: '*.example.com', allowed: true }, { address: 'evil.example.com' } ] }", "registries: { enabled: true, custom: [ { address: '*.example.com', allowed: true }, { address: 'evil.example.com', allowed: true } ] }",
            "organization acme: registry evil.example.com allowed"
        },
        {
            "registries: { enabled: true, custom: [ { address: '*.example.com', allowed: true } ] }", "registries: { enabled: true, custom: [ { address: '*.example.com', allowed: true }, { address: 'evil.example.com' } ] }",
            ""
        },
        { "", "roles: { administrators: [ 'dan', { team: 'devops' } ] }", "organization acme: administrator dan added; organization acme: administrator team devops added" },
        { "", "roles: { approvers: [ 'dan' ], onCall: [ { team: 'night' } ] }", "organization acme: approver dan added; organization acme: on call: team night added" },
        { "", "roles: { auditors: [ 'dan', { team: 'audit' } ] }", "" },
        { "roles: { administrators: [ 'dan' ] }", "roles: { approvers: [ 'dan' ] }", "organization acme: approver dan added" },
        { "roles: { administrators: [ 'dan' ] }", "", "" },
        { "roles: { administrators: [ 'dan' ] }", "roles: { administrators: [ { name: 'dan', external: true } ] }", "organization acme: administrator dan (external) added" },
        { "roles: { administrators: [ { name: 'dan', external: true } ] }", "roles: { administrators: [ 'dan' ] }", "" },
        { "", "help: 'ask'", "" },
    };

    /// <summary>Whole documents.</summary>
    public static TheoryData<string, string, string> Documents => new()
    {
        { "callers: { anonymous: 'deny' }, @acme", "@acme", "anonymous callers are no longer denied" },
        { "callers: { outsiders: 'deny' }, @acme", "@acme", "outsiders are no longer denied" },
        { "@acme", "callers: { organizationTokens: 'member' }, @acme", "organization access tokens are no longer denied" },
        { "@acme", "callers: { anonymous: 'deny', outsiders: 'deny' }, @acme", "" },
        { "callers: { owners: 'judged' }, @acme", "@acme", "owners are exempt" },
        { "callers: { owners: 'judged' }, @acme", "callers: { owners: 'exempt' }, @acme", "owners are exempt" },
        { "@acme", "callers: { owners: 'judged' }, @acme", "" },
        { "callers: { owners: 'exempt' }, @acme", "@acme", "" },
        {
            "callers: { owners: 'judged' }, @acme", "callers: { owners: 'judged' }, organizations: [ { name: 'acme', enabled: true, owners: [ 'alice' ] } ]",
            "organization acme: owner alice added"
        },
        {
            "callers: { outsiders: 'deny' }, @acme", "callers: { outsiders: 'deny' }, organizations: [ { name: 'acme', enabled: true, members: [ 'bob' ] } ]",
            "organization acme: member bob added"
        },
        { "@acme", "organizations: []", "image access is off; organization acme removed; organization access tokens of acme are no longer known as such" },
        { "@acme", "@both", "organization beta added" },
        { "@both", "@acme", "the owners of acme are company owners; organization beta removed; organization access tokens of beta are no longer known as such" },
        { "organizations: []", "@both", "" },
        {
            "@both", "organizations: [ { name: 'acme', enabled: true, members: [ 'bob' ] }, { name: 'beta' } ]",
            "organization acme: member bob added"
        },
        {
            "organizations: [ { name: 'acme', enabled: true, members: [ 'bob' ] }, { name: 'beta' } ]", "@both",
            "organization acme: bob removed: perhaps only the rules of other organizations apply"
        },
        {
            "@both", "organizations: [ { name: 'acme', enabled: true }, { name: 'beta', owners: [ 'eve' ], namespaces: [ 'beta', 'evil' ] } ]",
            "organization beta: namespace evil added; organization beta: owner eve added"
        },
        { "@both", "company: true, @both", "company: the images of every organization are allowed to everybody" },
        { "@acme", "company: true, @acme", "company: the images of every organization are allowed to everybody" }, // the next organization is told as one
        { "company: true, @both", "@both", "" },
        { "company: true, @both", "company: true, @both", "" },
        { "company: true, organizations: []", "company: true, @both", "" },
        { "company: true, @acme", "company: true, @both", "organization beta added" },
        {
            "company: true, @both", "company: true, organizations: [ { name: 'acme', enabled: true }, { name: 'beta', namespaces: [ 'beta', 'labs' ] } ]",
            "organization beta: namespace labs added"
        },
        { "@acme", "exceptions: { allowed: false }, @acme", "" },
        { "exceptions: { allowed: false }, @acme", "@acme", "exceptions are allowed" },
        { "exceptions: { allowed: false, maximumDays: 30 }, @acme", "exceptions: { maximumDays: 10 }, @acme", "exceptions are allowed" },
        { "exceptions: { allowed: false, maximumDays: 30 }, @acme", "exceptions: { allowed: false }, @acme", "" },
        { "@acme", "exceptions: { maximumDays: 30 }, @acme", "" },
        { "exceptions: { maximumDays: 30 }, @acme", "exceptions: { maximumDays: 29 }, @acme", "" },
        { "exceptions: { maximumDays: 30 }, @acme", "exceptions: { maximumDays: 31 }, @acme", "exceptions may last 31 days and not 30" },
        { "exceptions: { maximumDays: 30 }, @acme", "@acme", "exceptions may last any number of days and not 30" },
        { "@acme", "changes: { ticket: true }, @acme", "" },
        { "changes: { ticket: true }, @acme", "@acme", "changes that open need no ticket" },
        { "changes: { approvals: 2 }, @two", "@two", "changes that open need one person and not two" },
        { "@two", "changes: { approvals: 2 }, @two", "" },
        { "@acme", "companyOwners: [ 'zoe' ], @acme", "company owner zoe added" },
        { "companyOwners: [ 'zoe' ], @acme", "companyOwners: [ { name: 'zoe', external: true } ], @acme", "company owner zoe (external) added" },
        { "companyOwners: [ { name: 'zoe', external: true } ], @acme", "companyOwners: [ 'zoe' ], @acme", "" },
        { "companyOwners: [ 'zoe' ], @acme", "@acme", "the owners of acme are company owners" },
        { "companyOwners: [ 'zoe' ], @both", "@both", "" },
        { "@acme", "companyOwners: [ 'zoe' ], @both", "company owner zoe added; organization beta added" },
        { "organizations: []", "companyOwners: [ 'zoe' ], @both", "" }, // the first document of an installation
        // Also while image access is off: whoever may change the policy decides what it will be.
        { "changes: { approvals: 2 }, @off", "@off", "changes that open need one person and not two" },
        {
            "@off", "organizations: [ { name: 'acme', owners: [ 'alice', 'bob' ], roles: { administrators: [ 'dan' ] } } ]",
            "organization acme: administrator dan added"
        },
        {
            "@off", "organizations: [ { name: 'acme', owners: [ 'alice', 'bob', { name: 'mallory', external: true } ] } ]",
            "organization acme: owner mallory added; organization acme: owner mallory is external: an owner also where the member list does not name the account"
        },
        { "@off", "organizations: [ { name: 'acme', owners: [ 'bob' ] } ]", "" },
        { "@off", "organizations: [ { name: 'acme', owners: [ 'alice', { name: 'bob', account: '0123456789abcdef0123456789abcdef' } ] } ]", "bob is account 0123456789abcdef0123456789abcdef" },
        { "@off", "companyOwners: [ 'alice' ], organizations: [ { name: 'acme', owners: [ 'alice', 'bob' ] }, { name: 'beta', owners: [ 'mallory' ] } ]", "company owner alice added; organization beta: owner mallory added" },
        { "@acme", "organizations: [ { name: 'acme', enabled: true }, { name: 'beta', roles: { approvers: [ 'dan' ] } } ]", "organization beta: approver dan added; organization beta added" },
        { "defaultOrganization: 'acme', @both", "defaultOrganization: 'beta', @both", "" },
    };

    [Theory]
    [MemberData(nameof(Organizations))]
    public void What_a_change_of_one_organization_opens(string before, string after, string opens) =>
        AssertOpens(Single(before), Single(after), opens);

    [Theory]
    [MemberData(nameof(Documents))]
    public void What_a_change_of_the_document_opens(string before, string after, string opens) => AssertOpens(before, after, opens);

    private static void AssertOpens(string before, string after, string opens) =>
        Assert.Equal(opens, string.Join("; ", PolicyChanges.Opens(Compile(before), Compile(after), Today)));

    private static string Single(string members)
    {
        var enabled = members.Contains("enabled", StringComparison.Ordinal) ? "" : ", enabled: true";
        var more = members.Length > 0 ? ", " + members : "";
        return string.Create(CultureInfo.InvariantCulture, $"organizations: [ {{ name: 'acme'{enabled}{more} }} ]");
    }

    /// <summary>The table is written with bare names and single quotes to be readable.</summary>
    private static Policy Compile(string text)
    {
        var json = text
            .Replace("@acme", "organizations: [ { name: 'acme', enabled: true } ]", StringComparison.Ordinal)
            .Replace("@two", "organizations: [ { name: 'acme', enabled: true, owners: [ 'alice', 'bob' ] } ]", StringComparison.Ordinal)
            .Replace("@off", "organizations: [ { name: 'acme', owners: [ 'alice', 'bob' ] } ]", StringComparison.Ordinal)
            .Replace("@both", "organizations: [ { name: 'acme', enabled: true }, { name: 'beta' } ]", StringComparison.Ordinal)
            .Replace('\'', '"');
        return PolicyFixture.Compile("{" + Regex.Replace(json, "(?<name>[a-zA-Z]+): ", "\"${name}\": ", RegexOptions.NonBacktracking) + "}");
    }
}
