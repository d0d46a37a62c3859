using System.Security.Cryptography;
using System.Text;
using FsCheck;
using FsCheck.Fluent;
using ImageAccess.Core.Policies;

namespace ImageAccess.Core.Tests.Policies;

public sealed class PolicyCompilerTests
{
    [Fact]
    public void Reads_every_member()
    {
        var document = Compiled("""
            {
              // who is named in messages
              "defaultOrganization": "beta",
              "company": true,
              "callers": { "anonymous": "deny", "outsiders": "deny", "organizationTokens": "member", "owners": "judged" },
              "exceptions": { "allowed": false, "maximumDays": 90 },
              "changes": { "approvals": 2, "ticket": true },
              "companyOwners": [ "Zoe", { "name": "yuri", "external": true } ],
              "organizations": [ {
                  "name": "acme",
                  "namespaces": [ "acme", "acme-labs" ],
                  "owners": [ "alice", { "name": "Carol", "external": true }, { "name": "erin", "external": false } ],
                  "members": [ "Bob" ],
                  "roles": {
                    "administrators": [ "Dan", { "team": "DevOps" } ],
                    "approvers": [ { "name": "alice", "external": true } ],
                    "auditors": [ { "team": "audit_2" } ],
                    "onCall": [ "dan", "bob" ],
                  },
                  "follow": "docker-hub",
                  "enabled": true,
                  "mode": "observe",
                  "observeUntil": "2027-01-31",
                  "allow": { "official": true, "verifiedPublisher": true, "community": true },
                  "allowlist": [
                    { "repository": "testcontainers/ryuk", "reason": "integration tests", "approvedBy": "alice", "expires": "2027-06-30" },
                    { "repository": "bitnami/*" },
                    { "repository": "nginx" },
                  ],
                  "help": "ask in #platform", /* a channel */
                  "registries": { "enabled": true, "custom": [ { "address": "ghcr.io", "name": "GitHub", "allowed": true }, { "address": "*.Example.com:5000" } ] }
                },
                { "name": "beta" },
              ],
            }
            """).Document;

        Assert.Equal("beta", document.DefaultOrganization);
        Assert.True(document.Company);
        Assert.Equal(new CallersDocument { DenyAnonymous = true, DenyOutsiders = true, DenyOrganizationTokens = false, JudgeOwners = true }, document.Callers);
        Assert.Equal(new ExceptionsDocument { Forbidden = true, MaximumDays = 90 }, document.Exceptions);
        Assert.Equal(new ChangesDocument { Approvals = 2, DemandsTicket = true }, document.Changes);
        Assert.Equal(["zoe", "yuri (external)"], document.CompanyOwners.Select(owner => owner.ToString()));
        var acme = document.Organizations[0];
        Assert.True(acme.FollowsDockerHub);
        Assert.Equal(
            [
                ("dan", Roles.Administrator), ("team devops", Roles.Administrator), ("alice (external)", Roles.Approver), ("team audit_2", Roles.Auditor),
                ("dan", Roles.OnCall), ("bob", Roles.OnCall),
            ],
            acme.Roles.Holders().Select(held => (held.Holder.ToString(), held.Role)));
        Assert.Equal(("acme", true, true, new DateOnly(2027, 1, 31)), (acme.Name, acme.Enabled, acme.Observe, acme.ObserveUntil));
        Assert.Equal(["acme", "acme-labs"], acme.Namespaces);
        Assert.Equal(["alice", "carol", "erin"], acme.Owners);
        Assert.Equal(["carol"], acme.ExternalOwners);
        Assert.Equal(["bob"], acme.Members);
        Assert.Equal((true, true, true), (acme.AllowOfficial, acme.AllowVerifiedPublisher, acme.AllowCommunity));
        Assert.Equal("ask in #platform", acme.Help);
        Assert.True(acme.Registries.Enabled);
        Assert.Equal([new RegistryDocument("ghcr.io", "GitHub", Allowed: true), new RegistryDocument("*.Example.com:5000", null, Allowed: false)], acme.Registries.Custom);
        Assert.Equal(
            [
                new AllowlistEntry("testcontainers", Names.Repository("testcontainers/ryuk"), new DateOnly(2027, 6, 30))
                {
                    Reason = "integration tests",
                    ApprovedBy = "alice",
                },
                new AllowlistEntry("bitnami", null, null),
                new AllowlistEntry("library", Names.Repository("library/nginx"), null),
            ],
            acme.Allowlist);
        Assert.Equal(["testcontainers/ryuk", "bitnami/*", "library/nginx"], acme.Allowlist.Select(entry => entry.ToString()));
    }

    [Fact]
    public void What_is_left_out_has_the_strict_default()
    {
        var policy = Compiled("""{ "organizations": [ { "name": "acme" }, { "name": "beta" } ] }""");

        Assert.Null(policy.Document.DefaultOrganization);
        Assert.False(policy.Document.Company);
        Assert.Equal(
            new CallersDocument { DenyAnonymous = false, DenyOutsiders = false, DenyOrganizationTokens = true, JudgeOwners = false }, policy.Document.Callers);
        Assert.Equal(new ExceptionsDocument { Forbidden = false, MaximumDays = null }, policy.Document.Exceptions);
        Assert.Equal(new ChangesDocument { Approvals = 1, DemandsTicket = false }, policy.Document.Changes);
        Assert.Equal([], policy.Document.CompanyOwners);
        var acme = policy.Document.Organizations[0];
        Assert.Equal((false, false, null), (acme.Enabled, acme.Observe, acme.ObserveUntil));
        Assert.Equal((false, false, false), (acme.AllowOfficial, acme.AllowVerifiedPublisher, acme.AllowCommunity));
        Assert.Equal([], acme.Namespaces);
        Assert.Equal([], acme.Owners);
        Assert.Equal([], acme.ExternalOwners);
        Assert.Equal([], acme.Members);
        Assert.Equal([], acme.Roles.Holders());
        Assert.Equal([], acme.Allowlist);
        Assert.Null(acme.Help);
        Assert.False(acme.Registries.Enabled);
        Assert.Equal([], acme.Registries.Custom);
        Assert.Null(policy.AllowsRegistry(Core.Hosts.HostName.Parse("ghcr.io"), 443));

        Assert.Equal("acme", policy.DefaultOrganization?.Name);
        Assert.Equal(["acme"], policy.Organizations[0].Namespaces);
        Assert.False(policy.IsEnabled);
    }

    [Theory]
    [InlineData("""{ "organizations": [] }""")]
    [InlineData("""{ "callers": {} }""")]
    [InlineData("// nothing yet\n{ \"organizations\": [] }\n")]
    public void A_document_without_organizations_is_off(string json)
    {
        var policy = Compiled(json);
        Assert.False(policy.IsEnabled);
        Assert.Null(policy.DefaultOrganization);
        Assert.Empty(policy.Organizations);
    }

    [Fact]
    public void The_snapshot_says_what_is_in_force()
    {
        var policy = Compiled("""
            {
              "defaultOrganization": "beta",
              "organizations": [
                { "name": "acme", "namespaces": [ "acmelabs" ], "mode": "observe", "help": "ask" },
                { "name": "beta", "enabled": true, "mode": "observe", "observeUntil": "2027-01-31", "allow": { "official": true } },
                { "name": "gamma", "enabled": true, "allow": { "verifiedPublisher": true } },
                { "name": "delta", "enabled": true, "mode": "observe", "allow": { "community": true } }
              ]
            }
            """);
        var last = new DateOnly(2027, 1, 31);

        Assert.True(policy.IsEnabled);
        Assert.Equal("beta", policy.DefaultOrganization?.Name);
        Assert.Equal(["off", "observe", "enforce", "observe"], policy.Organizations.Select(o => o.Mode(last)));
        Assert.Equal(["off", "enforce", "enforce", "observe"], policy.Organizations.Select(o => o.Mode(last.AddDays(1))));
        Assert.Equal([false, true, true, true], policy.Organizations.Select(o => o.Enabled));
        Assert.Equal([false, true, false, false], policy.Organizations.Select(o => o.AllowsOfficial));
        Assert.Equal([false, false, true, false], policy.Organizations.Select(o => o.AllowsVerifiedPublisher));
        Assert.Equal([false, false, false, true], policy.Organizations.Select(o => o.AllowsCommunity));
        Assert.Equal(["ask", null, null, null], policy.Organizations.Select(o => o.Help));
        Assert.Equal(["acmelabs"], policy.Organizations[0].Namespaces);
        Assert.Equal(["beta"], policy.Organizations[1].Namespaces);
    }

    [Fact]
    public void The_version_names_the_bytes()
    {
        var bytes = """{ "organizations": [ ] }"""u8.ToArray();
        Assert.True(PolicyCompiler.TryCompile(bytes, out var policy, out _));
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(bytes))[..12], policy.Version);
        Assert.NotEqual(policy.Version, Compiled("""{ "organizations": [] }""").Version);
        Assert.Equal("none", Policy.Off.Version);
    }

    [Fact]
    public void A_byte_order_mark_is_no_fault()
    {
        Assert.True(PolicyCompiler.TryCompile((byte[])[0xEF, 0xBB, 0xBF, .. """{ "organizations": [] }"""u8], out _, out var problems));
        Assert.Empty(problems);
    }

    /// <summary>A document that cannot be read at all has one problem, and its place.</summary>
    [Theory]
    [InlineData("", "line 1, column 1: not valid JSON: the document is empty; an object { … } is expected")]
    [InlineData("  ", "line 1, column 3: not valid JSON: the document is empty; an object { … } is expected")]
    [InlineData("// only a comment", "line 1, column 18: not valid JSON: the document is empty; an object { … } is expected")]
    [InlineData("{", "line 1, column 2: not valid JSON: the document ends here; a closing } or ] is expected")]
    [InlineData("{} {}", "line 1, column 4: not valid JSON: the document is complete before this; nothing more is expected")]
    [InlineData("{ organizations: [] }", "line 1, column 3: not valid JSON: a name in double quotes is expected")]
    [InlineData("{ \"organizations\" [] }", "line 1, column 19: not valid JSON: a colon is expected between a name and its value")]
    [InlineData("{ \"héèp\": \"ü\" \"x\": 1 }", "line 1, column 15: not valid JSON: a comma is expected, or a closing } or ]")] // characters, not bytes
    [InlineData("{ \"organizations\": [ }", "line 1, column 22: not valid JSON: a value is expected: a text in double quotes, true, false, a list [ … ] or an object { … }")]
    [InlineData("{ \"organizations\": [] ]", "line 1, column 23: not valid JSON: another bracket is open here; its own closing } or ] is expected")]
    [InlineData("{ \"organizations\": yes }", "line 1, column 20: not valid JSON: a value is expected: a text in double quotes, true, false, a list [ … ] or an object { … }")]
    [InlineData("{ \"defaultOrganization\": \"acme\n\" }", "line 1, column 31: not valid JSON: a text ends on its own line; a closing \" is expected before this")]
    [InlineData("{ \"defaultOrganization\": \"acme", "line 1, column 31: not valid JSON: the document ends here; a closing \" is expected")]
    [InlineData("{ \"defaultOrganization\": \"a\\cme\" }", "line 1, column 29: not valid JSON: after \\ one of \" \\ / b f n r t u is expected")]
    [InlineData("{ /* not closed", "line 1, column 3: not valid JSON: a comment that begins with /* is expected to end with */")]
    [InlineData("{\n  \"callers\": {\n    'anonymous': 1\n} }", "line 3, column 5: not valid JSON: a name in double quotes is expected")]
    [InlineData("{ \"organizations\": [ { \"name\": \"acme\" \"enabled\": true } ] }", "line 1, column 39: not valid JSON: a comma is expected, or a closing } or ]")]
    [InlineData("{ \"organizations\": [[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]] }", "line 1, column 35: not valid JSON: this is nested too deep; nothing here needs so many brackets")] // deeper than 16
    [InlineData("{}", "is empty: to switch image access off on purpose, write { \"organizations\": [] }")]
    [InlineData(" { // nothing yet\n } ", "is empty: to switch image access off on purpose, write { \"organizations\": [] }")]
    [InlineData("[]", "must be an object")]
    [InlineData("null", "must be an object")]
    [InlineData("\"acme\"", "must be an object")]
    public void What_cannot_be_read_has_one_problem(string json, string problem) => Assert.Equal([problem], Problems(json));

    [Fact]
    public void Bytes_that_are_no_text_have_one_problem()
    {
        Assert.Equal(["not valid UTF-8"], Problems([.. "{ \"defaultOrganization\": \""u8, 0xFF, .. "\" }"u8]));
        Assert.Equal(["not valid UTF-8"], Problems([.. "{} // "u8, 0xC3]));
        Assert.Equal(["not valid UTF-8"], Problems([.. "{} // "u8, 0xED, 0xA0, 0x80])); // half of a surrogate pair
    }

    /// <summary>The place and the text of every problem; organization members are written as they stand in acme's object.</summary>
    [Theory]
    [InlineData("""{ "organisations": [] }""", "organisations: unknown member; known here: defaultOrganization, company, callers, exceptions, changes, companyOwners, organizations")]
    [InlineData("""{ "Organizations": [] }""", "Organizations: unknown member; known here: defaultOrganization, company, callers, exceptions, changes, companyOwners, organizations")]
    [InlineData("""{ "company": "acme" }""", "company: must be true or false")]
    [InlineData("""{ "exceptions": true }""", "exceptions: must be an object")]
    [InlineData("""{ "exceptions": { "allow": true } }""", "exceptions.allow: unknown member; known here: allowed, maximumDays")]
    [InlineData("""{ "exceptions": { "allowed": "no" } }""", "exceptions.allowed: must be true or false")]
    [InlineData("""{ "exceptions": { "maximumDays": 0 } }""", "exceptions.maximumDays: must be a number from 1 to 3650")]
    [InlineData("""{ "exceptions": { "maximumDays": -1 } }""", "exceptions.maximumDays: must be a number from 1 to 3650")]
    [InlineData("""{ "exceptions": { "maximumDays": 3651 } }""", "exceptions.maximumDays: must be a number from 1 to 3650")]
    [InlineData("""{ "exceptions": { "maximumDays": 1e300 } }""", "exceptions.maximumDays: must be a number from 1 to 3650")]
    [InlineData("""{ "exceptions": { "maximumDays": 1.5 } }""", "exceptions.maximumDays: must be a number from 1 to 3650")]
    [InlineData("""{ "exceptions": { "maximumDays": "90" } }""", "exceptions.maximumDays: must be a number from 1 to 3650")]
    [InlineData("""{ "exceptions": { "maximumDays": null } }""", "exceptions.maximumDays: must be a number from 1 to 3650")]
    [InlineData("""{ "changes": 2 }""", "changes: must be an object")]
    [InlineData("""{ "changes": { "approval": 2 } }""", "changes.approval: unknown member; known here: approvals, ticket")]
    [InlineData("""{ "changes": { "approvals": 0 } }""", "changes.approvals: must be a number from 1 to 2")]
    [InlineData("""{ "changes": { "approvals": 3 } }""", "changes.approvals: must be a number from 1 to 2")]
    [InlineData("""{ "changes": { "approvals": "2" } }""", "changes.approvals: must be a number from 1 to 2")]
    [InlineData("""{ "changes": { "approvals": true } }""", "changes.approvals: must be a number from 1 to 2")]
    [InlineData("""{ "changes": { "ticket": "OPS-1" } }""", "changes.ticket: must be true or false")]
    [InlineData("""{ "companyOwners": "alice" }""", "companyOwners: must be a list")]
    [InlineData("""{ "companyOwners": [ { "team": "owners" } ] }""", "companyOwners[0].team: unknown member; known here: name, account, external", "companyOwners[0]: needs the user's name")]
    [InlineData("""{ "company": null }""", "company: must be true or false")]
    [InlineData("""{ "company": [ "acme", "beta" ] }""", "company: must be true or false")]
    [InlineData("""{ "company": true, "company": false }""", "company: comes twice")]
    [InlineData("""{ "organizations": [ { "name": "acme", "company": true } ] }""", "organizations[0].company: unknown member; known here: name, namespaces, owners, members, roles, follow, enabled, mode, observeUntil, allow, allowlist, help, registries")]
    [InlineData("""{ "callers": {}, "callers": {} }""", "callers: comes twice")]
    [InlineData("""{ "callers": [] }""", "callers: must be an object")]
    [InlineData("""{ "callers": { "anonymous": "allow" } }""", "callers.anonymous: must be \"member\" or \"deny\"")]
    [InlineData("""{ "callers": { "outsiders": true } }""", "callers.outsiders: must be \"member\" or \"deny\"")]
    [InlineData("""{ "callers": { "organizationTokens": null } }""", "callers.organizationTokens: must be \"deny\" or \"member\"")]
    [InlineData("""{ "callers": { "anonymous": "Deny" } }""", "callers.anonymous: must be \"member\" or \"deny\"")]
    [InlineData("""{ "callers": { "robots": "deny" } }""", "callers.robots: unknown member; known here: anonymous, outsiders, organizationTokens, owners")]
    [InlineData("""{ "callers": { "owners": "member" } }""", "callers.owners: must be \"exempt\" or \"judged\"")]
    [InlineData("""{ "callers": { "owners": [ "alice" ] } }""", "callers.owners: must be \"exempt\" or \"judged\"")]
    [InlineData("""{ "callers": { "owners": "Judged" } }""", "callers.owners: must be \"exempt\" or \"judged\"")]
    [InlineData("""{ "organizations": [ { "name": "acme", "owners": "judged" } ] }""", "organizations[0].owners: must be a list")]
    [InlineData("""{ "organizations": {} }""", "organizations: must be a list")]
    [InlineData("""{ "organizations": [ "acme" ] }""", "organizations[0]: must be an object")]
    [InlineData("""{ "organizations": [ {} ] }""", "organizations[0]: an organization needs a name")]
    [InlineData("""{ "organizations": [ { "name": 5 } ] }""", "organizations[0].name: must be a text")]
    [InlineData("""{ "organizations": [ { "name": "" } ] }""", "organizations[0].name: must have 1 to 255 characters")]
    [InlineData("""{ "organizations": [ { "name": "Acme" } ] }""", "organizations[0].name: not a Docker Hub namespace: lower-case letters and digits, with - _ between them")]
    [InlineData("""{ "organizations": [ { "name": "acme/app" } ] }""", "organizations[0].name: not a Docker Hub namespace: lower-case letters and digits, with - _ between them")]
    [InlineData("""{ "organizations": [ { "name": "library" } ] }""", "organizations[0].name: library is the namespace of the official images and belongs to no organization")]
    [InlineData("""{ "defaultOrganization": "beta", "organizations": [ { "name": "acme" } ] }""", "defaultOrganization: no organization is named beta")]
    [InlineData("""{ "defaultOrganization": "acmelabs", "organizations": [ { "name": "acme", "namespaces": [ "acmelabs" ] } ] }""", "defaultOrganization: no organization is named acmelabs")]
    [InlineData("""{ "callers": { "\ud800": "deny" } }""", "callers: the name of a member is not a text")]
    [InlineData("""{ "\udc00": "deny" }""", "the name of a member is not a text")]
    [InlineData("""{ "defaultOrganization": [] }""", "defaultOrganization: must be a text")]
    public void A_problem_has_its_place(string json, params string[] problems) => Assert.Equal(problems, Problems(json));

    [Theory]
    [InlineData("\"colour\": 1", "colour: unknown member; known here: name, namespaces, owners, members, roles, follow, enabled, mode, observeUntil, allow, allowlist, help, registries")]
    [InlineData("\"enabled\": true, \"enabled\": false", "enabled: comes twice")]
    [InlineData("\"enabled\": \"true\"", "enabled: must be true or false")]
    [InlineData("\"enabled\": 1", "enabled: must be true or false")]
    [InlineData("\"enabled\": null", "enabled: must be true or false")]
    [InlineData("\"mode\": \"off\"", "mode: must be \"enforce\" or \"observe\"")]
    [InlineData("\"mode\": false", "mode: must be \"enforce\" or \"observe\"")]
    [InlineData("\"observeUntil\": \"2027-6-30\"", "observeUntil: must be a day, as \"2027-06-30\"")]
    [InlineData("\"observeUntil\": \"2027-02-29\"", "observeUntil: must be a day, as \"2027-06-30\"")]
    [InlineData("\"observeUntil\": \"2027-06-30T00:00:00Z\"", "observeUntil: must be a day, as \"2027-06-30\"")]
    [InlineData("\"observeUntil\": 20270630", "observeUntil: must be a day, as \"2027-06-30\"")]
    [InlineData("\"namespaces\": \"acme\"", "namespaces: must be a list")]
    [InlineData("\"namespaces\": [ 1 ]", "namespaces[0]: must be a text")]
    [InlineData("\"namespaces\": [ \"acme\", \"library\" ]", "namespaces[1]: library is the namespace of the official images and belongs to no organization")]
    [InlineData("\"namespaces\": [ \"acme/*\" ]", "namespaces[0]: not a Docker Hub namespace: lower-case letters and digits, with - _ between them")]
    [InlineData("\"owners\": \"alice\"", "owners: must be a list")]
    [InlineData("\"owners\": [ \"\" ]", "owners[0]: must have 1 to 255 characters")]
    [InlineData("\"members\": [ \"bob\", null ]", "members[1]: must be a text")]
    [InlineData("\"owners\": [ { \"name\": \"alice\", \"external\": \"yes\" } ]", "owners[0].external: must be true or false")]
    [InlineData("\"owners\": [ { \"name\": \"alice\", \"external\": null } ]", "owners[0].external: must be true or false")]
    [InlineData("\"owners\": [ { \"name\": \"alice\", \"External\": true } ]", "owners[0].External: unknown member; known here: name, account, external")]
    [InlineData("\"owners\": [ { \"external\": true } ]", "owners[0]: needs the user's name")]
    [InlineData("\"members\": [ { \"name\": \"bob\", \"external\": true } ]", "members[0].external: unknown member; known here: name, account")]
    [InlineData("\"roles\": [ \"alice\" ]", "roles: must be an object")]
    [InlineData("\"roles\": { \"admins\": [] }", "roles.admins: unknown member; known here: administrators, approvers, auditors, onCall")]
    [InlineData("\"roles\": { \"approvers\": \"alice\" }", "roles.approvers: must be a list")]
    [InlineData("\"roles\": { \"approvers\": [ 7 ] }", "roles.approvers[0]: must be a text")]
    [InlineData("\"roles\": { \"onCall\": [ {} ] }", "roles.onCall[0]: needs the user's name")]
    [InlineData("\"roles\": { \"auditors\": [ { \"team\": 7 } ] }", "roles.auditors[0].team: must be a text")]
    [InlineData("\"roles\": { \"auditors\": [ { \"team\": \"\" } ] }", "roles.auditors[0].team: must have 1 to 64 characters")]
    [InlineData("\"roles\": { \"auditors\": [ { \"team\": \"dev\\u0007ops\" } ] }", "roles.auditors[0].team: not a team of Docker Hub: lower-case letters, digits, - and _")]
    [InlineData("\"roles\": { \"auditors\": [ { \"team\": \"dev\\u202eops\" } ] }", "roles.auditors[0].team: not a team of Docker Hub: lower-case letters, digits, - and _")]
    [InlineData("\"roles\": { \"auditors\": [ { \"team\": \"acme/devops\" } ] }", "roles.auditors[0].team: not a team of Docker Hub: lower-case letters, digits, - and _")]
    [InlineData("\"roles\": { \"auditors\": [ { \"team\": \"devops\", \"name\": \"alice\" } ] }", "roles.auditors[0].name: unknown member; known here: team")]
    [InlineData("\"roles\": { \"auditors\": [ { \"team\": \"devops\", \"team\": \"ops\" } ] }", "roles.auditors[0].team: comes twice")]
    [InlineData("\"allow\": true", "allow: must be an object")]
    [InlineData("\"allow\": { \"official\": \"yes\" }", "allow.official: must be true or false")]
    [InlineData("\"allow\": { \"verified\": true }", "allow.verified: unknown member; known here: official, verifiedPublisher, community")]
    [InlineData("\"allow\": { \"community\": true, \"community\": true }", "allow.community: comes twice")]
    [InlineData("\"allowlist\": [ \"testcontainers/ryuk\" ]", "allowlist[0]: must be an object")]
    [InlineData("\"allowlist\": [ {} ]", "allowlist[0]: an allowlist entry needs a repository")]
    [InlineData("\"allowlist\": [ { \"repository\": \"*\" } ]", "allowlist[0].repository: not a repository, as testcontainers/ryuk or testcontainers/*")]
    [InlineData("\"allowlist\": [ { \"repository\": \"*/*\" } ]", "allowlist[0].repository: not a repository, as testcontainers/ryuk or testcontainers/*")]
    [InlineData("\"allowlist\": [ { \"repository\": \"a/b/*\" } ]", "allowlist[0].repository: not a repository, as testcontainers/ryuk or testcontainers/*")]
    [InlineData("\"allowlist\": [ { \"repository\": \"a/b*\" } ]", "allowlist[0].repository: not a repository, as testcontainers/ryuk or testcontainers/*")]
    [InlineData("\"allowlist\": [ { \"repository\": \"a/b:latest\" } ]", "allowlist[0].repository: not a repository, as testcontainers/ryuk or testcontainers/*")]
    [InlineData("\"allowlist\": [ { \"repository\": \"docker.io/a/B\" } ]", "allowlist[0].repository: not a repository, as testcontainers/ryuk or testcontainers/*")]
    [InlineData("\"allowlist\": [ { \"repository\": 7 } ]", "allowlist[0].repository: must be a text")]
    [InlineData("\"allowlist\": [ { \"repository\": \"a/b\", \"expires\": \"soon\" } ]", "allowlist[0].expires: must be a day, as \"2027-06-30\"")]
    [InlineData("\"allowlist\": [ { \"repository\": \"a/b\", \"reason\": 1 } ]", "allowlist[0].reason: must be a text")]
    [InlineData("\"allowlist\": [ { \"repository\": \"a/b\", \"approvedBy\": \"\" } ]", "allowlist[0].approvedBy: must have 1 to 200 characters")]
    [InlineData("\"allowlist\": [ { \"repository\": \"a/b\", \"until\": \"2027-06-30\" } ]", "allowlist[0].until: unknown member; known here: repository, reason, approvedBy, expires")]
    [InlineData("\"help\": \"\"", "help: must have 1 to 200 characters")]
    [InlineData("\"registries\": { \"custom\": [ { \"name\": \"x\" } ] }", "registries.custom[0]: a registry needs an address")]
    [InlineData("\"registries\": { \"custom\": [ { \"address\": \"https://ghcr.io\" } ] }", "registries.custom[0].address: not a registry, as ghcr.io, *.example.com or registry.example.com:5000")]
    [InlineData("\"registries\": { \"custom\": [ { \"address\": \"*\" } ] }", "registries.custom[0].address: not a registry, as ghcr.io, *.example.com or registry.example.com:5000")]
    [InlineData("\"registries\": { \"custom\": [ { \"address\": \"10.0.0.1\" } ] }", "registries.custom[0].address: not a registry, as ghcr.io, *.example.com or registry.example.com:5000")]
    [InlineData("\"registries\": { \"custom\": [ { \"address\": \"a.b\" }, { \"address\": \"A.B\" } ] }", "registries.custom: the registry a.b comes twice")]
    [InlineData("\"help\": [ \"ask\" ]", "help: must be a text")]
    [InlineData("\"help\": \"\\ud800\"", "help: must be a text")] // half of a surrogate pair
    [InlineData("\"observeUntil\": \"\\ud800\"", "observeUntil: must be a day, as \"2027-06-30\"")]
    [InlineData("\"mode\": \"\\ud800\"", "mode: must be \"enforce\" or \"observe\"")]
    public void A_problem_of_an_organization_has_its_place(string members, string problem) => Assert.Equal(
        [$"organizations[0].{problem}"], Problems($$"""{ "organizations": [ { "name": "acme", {{members}} } ] }"""));

    /// <summary>A demand that too few could ever satisfy would close the policy for good.</summary>
    [Theory]
    [InlineData("", "0")]
    [InlineData(""" "owners": [ "alice" ] """, "1")]
    [InlineData(""" "owners": [ "alice" ], "members": [ "bob" ] """, "1")]
    [InlineData(""" "owners": [ "alice" ], "roles": { "administrators": [ "Alice" ], "approvers": [ { "name": "alice", "external": true } ] } """, "1")]
    [InlineData(""" "owners": [ "alice" ], "roles": { "auditors": [ "bob", { "team": "owners" } ], "onCall": [ "carol", { "team": "devops" } ] } """, "1")]
    public void Two_persons_are_not_demanded_where_fewer_may_approve(string people, string count) => Assert.Equal(
        [
            $"changes.approvals: 2 persons are needed, and acme names {count} who may approve: name others in its owners, in roles.administrators or "
            + "roles.approvers, or a team there, as { \"team\": \"owners\" }",
        ],
        Problems($$"""{ "changes": { "approvals": 2 }, "organizations": [ { "name": "acme"{{(people.Length == 0 ? "" : ",")}} {{people}} } ] }"""));

    [Theory]
    [InlineData(""" "owners": [ "alice", "bob" ] """, "[]")]
    [InlineData(""" "owners": [ "alice" ], "roles": { "approvers": [ "bob" ] } """, "[]")]
    [InlineData(""" "owners": [ "alice" ] """, """[ "bob" ]""")]
    [InlineData(""" "roles": { "administrators": [ { "team": "owners" } ] } """, "[]")]
    [InlineData(""" "roles": { "approvers": [ { "team": "owners" } ] } """, "[]")]
    public void Two_persons_are_demanded_where_two_may_approve(string people, string company) =>
        Assert.Empty(Problems($$"""{ "changes": { "approvals": 2 }, "companyOwners": {{company}}, "organizations": [ { "name": "acme", {{people}} } ] }"""));

    [Theory]
    [InlineData("bob@example.com")]
    [InlineData("Bob Smith")]
    [InlineData("müller")]
    [InlineData("bob.smith")]
    [InlineData("acme/bob")]
    [InlineData("-bob")]
    public void What_is_no_user_name_is_refused_and_named(string name)
    {
        const string Rule = "is not a Docker Hub user name: lower-case letters, digits, - and _; an e-mail address or a person's name is none";
        Assert.Equal(
            [$"organizations[0].owners[0]: '{name}' {Rule}", $"organizations[0].members[1].name: '{name}' {Rule}"],
            Problems($$"""{ "organizations": [ { "name": "acme", "owners": [ "{{name}}" ], "members": [ "bob", { "name": "{{name}}" } ] } ] }"""));
    }

    [Theory]
    [InlineData("bob")]
    [InlineData("BOB")]
    [InlineData("b")]
    [InlineData("bob_")]
    [InlineData("old-name_7")]
    public void What_was_ever_a_user_name_is_one(string name) =>
        Assert.Empty(Problems($$"""{ "organizations": [ { "name": "acme", "owners": [ "{{name}}" ] } ] }"""));

    [Theory]
    [InlineData("acme.io")]
    [InlineData("acme_")]
    [InlineData("acme@example.com")]
    [InlineData("a b")]
    public void What_is_no_namespace_is_refused_wherever_one_stands(string name)
    {
        const string Rule = "not a Docker Hub namespace: lower-case letters and digits, with - _ between them";
        Assert.Equal(
            [
                $"organizations[0].name: {Rule}", $"organizations[0].namespaces[0]: {Rule}",
                "organizations[0].allowlist[0].repository: not a repository, as testcontainers/ryuk or testcontainers/*",
                "organizations[0].allowlist[1].repository: not a repository, as testcontainers/ryuk or testcontainers/*",
                $"defaultOrganization: {Rule}",
            ],
            Problems($$"""
                { "defaultOrganization": "{{name}}", "organizations": [ { "name": "{{name}}", "namespaces": [ "{{name}}" ],
                  "allowlist": [ { "repository": "{{name}}/*" }, { "repository": "{{name}}/x" } ] } ] }
                """));
    }

    [Theory]
    [InlineData("0ab70deb065a43fcacd55d48caa945d")]
    [InlineData("alice")]
    [InlineData("{0ab70deb-065a-43fc-acd5-5d48caa945d8}")]
    [InlineData("")]
    public void What_is_no_account_is_refused(string account) => Assert.Equal(
        ["organizations[0].owners[0].account: must be Docker Hub's id of the account: 32 hexadecimal digits, as the log and the audit trail show it"],
        Problems($$"""{ "organizations": [ { "name": "acme", "owners": [ { "name": "alice", "account": "{{account}}" } ] } ] }"""));

    [Fact]
    public void A_name_has_one_account_in_the_whole_document_and_an_account_needs_a_name()
    {
        const string One = "0ab70deb065a43fcacd55d48caa945d8", Other = "7c2e0f5b1d6a4f0f9d5c3a1b8e4d2f60";
        var problems = Problems($$"""
            { "organizations": [
                { "name": "acme", "owners": [ { "name": "alice", "account": "{{One}}" }, { "account": "{{One}}" } ] },
                { "name": "beta", "members": [ { "name": "Alice", "account": "{{Other}}" }, { "name": "alice", "account": "{{One}}" } ] } ] }
            """);
        Assert.Equal(
            [
                "organizations[0].owners[1]: needs the user's name",
                "organizations[1].members[0].account: alice has another account at organizations[0].owners[0].account",
            ],
            problems);
    }

    [Theory]
    [InlineData("""{ "name": "acme" }, { "name": "beta" }, { "name": "acme" }""", "organizations[2]: the organization acme comes twice")]
    [InlineData("""{ "name": "acme", "namespaces": [ "x" ] }, { "name": "acme", "namespaces": [ "x" ] }""", "organizations[1]: the organization acme comes twice")]
    [InlineData("""{ "name": "acme", "namespaces": [ "x" ] }, { "name": "beta", "namespaces": [ "y", "x" ] }""", "organizations[1]: the namespace x belongs to organizations[0] as well")]
    [InlineData("""{ "name": "acme" }, { "name": "beta", "namespaces": [ "acme" ] }""", "organizations[1]: the namespace acme belongs to organizations[0] as well")]
    [InlineData("""{ "name": "acme", "namespaces": [ "beta" ] }, { "name": "beta", "namespaces": [ "y" ] }""", "organizations[1]: the namespace beta belongs to organizations[0] as well")]
    public void A_name_belongs_to_one_organization(string organizations, string problem) =>
        Assert.Equal([problem], Problems($$"""{ "organizations": [ {{organizations}} ] }"""));

    [Fact]
    public void An_organization_may_repeat_its_own_names() =>
        Assert.Empty(Problems("""{ "organizations": [ { "name": "acme", "namespaces": [ "acme", "x", "x" ], "owners": [ "a", "a" ] } ] }"""));

    [Fact]
    public void Texts_have_a_length()
    {
        const string Entry = """{ "organizations": [ { "name": "acme", "help": "HELP", "owners": [ "OWNER" ], "allowlist": [ { "repository": "a/b", "reason": "REASON", "approvedBy": "APPROVER" } ] } ] }""";

        Assert.Empty(Problems(Filled(200, 255, 1000, 200)));
        Assert.Equal(
            [
                "organizations[0].owners[0]: must have 1 to 255 characters",
                "organizations[0].allowlist[0].reason: must have 1 to 1000 characters",
                "organizations[0].allowlist[0].approvedBy: must have 1 to 200 characters",
                "organizations[0].help: must have 1 to 200 characters",
            ],
            Problems(Filled(201, 256, 1001, 201)));

        static string Filled(int help, int owner, int reason, int approver) => Entry
            .Replace("HELP", new string('h', help), StringComparison.Ordinal)
            .Replace("OWNER", new string('o', owner), StringComparison.Ordinal)
            .Replace("REASON", new string('r', reason), StringComparison.Ordinal)
            .Replace("APPROVER", new string('a', approver), StringComparison.Ordinal);
    }

    [Fact]
    public void Every_problem_is_reported_at_once()
    {
        var problems = Problems("""
            {
              "colour": "blue",
              "defaultOrganization": "nobody",
              "callers": { "anonymous": 1, "outsiders": "x" },
              "organizations": [
                { "namespaces": [ "Acme" ], "enabled": 1, "allow": { "official": 0 }, "allowlist": [ { "expires": "x" }, 5 ] },
                7
              ]
            }
            """);

        Assert.Equal(
            [
                "allow.official",
                "allowlist[0]",
                "allowlist[0].expires",
                "allowlist[1]",
                "callers.anonymous",
                "callers.outsiders",
                "colour",
                "defaultOrganization",
                "enabled",
                "namespaces[0]",
                "organizations[0]",
                "organizations[1]",
            ],
            problems.Select(problem => problem.Split(": ")[0].Replace("organizations[0].", "", StringComparison.Ordinal)).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void No_bytes_make_the_compiler_throw()
    {
        const string Document = """{"defaultOrganization":"acme","callers":{"anonymous":"deny"},"organizations":[{"name":"acme","namespaces":["a"],"observeUntil":"2027-01-31","allow":{"official":true},"allowlist":[{"repository":"a/*","expires":"2027-01-31"}],"help":"x"}]}""";
        var pieces = Gen.Elements(
            "\\ud800", "\\u0000", "\"", "{", "}", "[", "]", ",", ":", "null", "true", "1e999", "-", "//", "/*", "\n", "\\", "name", "*", "/");
        var spoiled =
            from piece in pieces
            from position in Gen.Choose(0, Document.Length)
            from cut in Gen.Choose(0, 3)
            select Encoding.UTF8.GetBytes(Document[..position] + piece + Document[Math.Min(Document.Length, position + cut)..]);
        var anything = ArbMap.Default.GeneratorFor<byte[]>();

        Prop.ForAll(Gen.OneOf(spoiled, anything).ToArbitrary(), bytes =>
        {
            var compiled = PolicyCompiler.TryCompile(bytes, out var policy, out var problems);
            return compiled == (policy is not null) && compiled == (problems.Count == 0);
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(5_000));
    }

    private static Policy Compiled(string json)
    {
        Assert.Empty(Problems(json));
        Assert.True(PolicyCompiler.TryCompile(Encoding.UTF8.GetBytes(json), out var policy, out _));
        return policy;
    }

    private static List<string> Problems(string json) => Problems(Encoding.UTF8.GetBytes(json));

    private static List<string> Problems(byte[] utf8)
    {
        var compiled = PolicyCompiler.TryCompile(utf8, out var policy, out var problems);
        Assert.Equal(compiled, policy is not null);
        Assert.Equal(compiled, problems.Count == 0);
        return [.. problems.Select(problem => problem.ToString())];
    }
}
