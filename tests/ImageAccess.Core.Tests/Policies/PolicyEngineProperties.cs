using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;
using ImageAccess.Core.Classification;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;

namespace ImageAccess.Core.Tests.Policies;

/// <summary>What holds under every policy: two organizations, made at random, and everybody who might ask.</summary>
public sealed class PolicyEngineProperties
{
    private static readonly DateTimeOffset Now = new(2026, 11, 22, 12, 0, 0, TimeSpan.Zero);

    private static readonly Gen<bool> Coin = Gen.Elements(true, false);

    private static readonly Gen<string> Policies =
        from callers in Gen.Elements(
            """{}""",
            """{ "anonymous": "deny" }""",
            """{ "outsiders": "deny" }""",
            """{ "organizationTokens": "member" }""",
            """{ "anonymous": "deny", "outsiders": "deny", "organizationTokens": "member" }""",
            """{ "owners": "judged" }""",
            """{ "outsiders": "deny", "owners": "judged" }""")
        from external in Coin
        from acme in Organization("acme", $$""" "owners": [ { "name": "alice", "external": {{JsonSerializer.Serialize(external)}} } ], "members": [ "bob", "dave" ] """)
        from beta in Organization("beta", """ "owners": [ "erin" ], "members": [ "alice", "bob", "carol" ] """)
        from second in Coin
        from company in Coin
        from rights in Gen.Elements(
            "",
            """ "companyOwners": [ "dave", "mallory" ],""",
            """ "changes": { "approvals": 2, "ticket": true }, "companyOwners": [ "carol", { "name": "yuri", "external": true } ],""")
        select $$"""{ "company": {{JsonSerializer.Serialize(company)}}, "callers": {{callers}},{{rights}} "organizations": [ {{acme}}{{(second ? ", " + beta : "")}} ] }""";

    private static readonly Gen<RepositoryName> Repositories =
        Gen.Elements("nginx", "acme/app", "beta/app", "bitnami/redis", "someuser/tool", "library/a/b").Select(Names.Repository);

    private static readonly Caller[] Members = [.. ((string[])["bob", "carol", "dave"]).Select(name => Caller.SignedIn(name, name))];

    /// <summary>That both member lists were read, and do not name the caller.</summary>
    private static readonly Membership[] Absent = [new("acme", OrganizationRole.None), new("beta", OrganizationRole.None)];

    /// <summary>Of one organization at least, by its own list or by another.</summary>
    private static readonly Caller[] Owners =
    [
        .. ((string[])["alice", "erin"]).Select(name => Caller.SignedIn(name, name)),
        Caller.SignedIn("alice", "alice", Absent),
        Caller.SignedIn(null, "1234", [new Membership("acme", OrganizationRole.Owner), new Membership("beta", OrganizationRole.Member)]),
    ];

    private static readonly Caller MemberOfAll =
        Caller.SignedIn("yuri", "y", [new Membership("acme", OrganizationRole.Member), new Membership("beta", OrganizationRole.Member)]);

    private static readonly Caller[] Everybody =
    [
        Caller.Anonymous,
        .. Members,
        .. Owners,
        .. ((string[])["mallory", "acme"]).Select(name => Caller.SignedIn(name, name)),
        MemberOfAll,
    ];

    [Fact]
    public void Content_has_a_permit_for_the_repository_that_was_asked_for_and_a_denial_has_none() => ForAll((policy, repository) =>
        from caller in Everybody
        from facts in FactsOn(repository)
        let decision = PolicyEngine.Decide(policy, caller, repository, facts, Now)
        select decision.Outcome switch
        {
            AccessOutcome.Allow => repository.Equals(decision.Permit?.Repository) && decision.Message is null && !decision.NeedsPublisher,
            AccessOutcome.Observe => repository.Equals(decision.Permit?.Repository) && decision.Message is not null,
            _ => decision.Permit is null && decision.Message is not null,
        });

    /// <summary>Nobody waits for a publisher on whom nothing depends, and nobody decides without one on whom something does.</summary>
    [Fact]
    public void A_decision_waits_for_the_publisher_exactly_when_it_matters() => ForAll((policy, repository) =>
        from caller in Everybody
        let now = PolicyEngine.Decide(policy, caller, repository, PublisherFacts.NotAsked, Now)
        let verified = PolicyEngine.Decide(policy, caller, repository, Known(repository, NamespaceBadge.VerifiedPublisher), Now)
        let nobody = PolicyEngine.Decide(policy, caller, repository, Known(repository, NamespaceBadge.None), Now)
        let differs = (verified.Outcome, verified.Message) != (nobody.Outcome, nobody.Message)
        select now.NeedsPublisher == differs
            && !verified.NeedsPublisher && !nobody.NeedsPublisher
            && (now.NeedsPublisher ? now.Rule == PolicyRule.Unknown : (now.Outcome, now.Message) == (nobody.Outcome, nobody.Message)));

    [Fact]
    public void What_is_not_known_is_never_allowed_where_a_record_would_deny() => ForAll((policy, repository) =>
        from caller in Everybody
        from ignorance in (PublisherFacts[])[PublisherFacts.NotAsked, PublisherFacts.Unavailable, OfAnother(repository)]
        let decision = PolicyEngine.Decide(policy, caller, repository, ignorance, Now)
        from badge in Enum.GetValues<NamespaceBadge>()
        select decision.Permit is null
            || PolicyEngine.Decide(policy, caller, repository, Known(repository, badge), Now).Permit is not null);

    [Fact]
    public void Signing_out_opens_nothing() => ForAll((policy, repository) =>
        from facts in FactsOn(repository)
        let signedOut = PolicyEngine.Decide(policy, Caller.Anonymous, repository, facts, Now)
        let outsider = PolicyEngine.Decide(policy, Caller.SignedIn("mallory", "m"), repository, facts, Now)
        from member in Members.Concat(Owners).Where(member => member.Name is null || policy.Document.Organizations.Any(o => o.Members.Concat(o.Owners).Contains(member.Name)))
        let decision = PolicyEngine.Decide(policy, member, repository, facts, Now)
        select (signedOut.Permit is null && outsider.Permit is null) || decision.Permit is not null);

    [Fact]
    public void Signing_out_opens_nothing_that_a_plain_member_of_every_organization_may_not_have() => ForAll((policy, repository) =>
        from caller in (Caller[])[Caller.Anonymous, Caller.SignedIn("mallory", "m"), Caller.SignedIn("mallory", "m", [new Membership("gamma", OrganizationRole.Owner)])]
        from facts in FactsOn(repository)
        select PolicyEngine.Decide(policy, caller, repository, facts, Now).Permit is null
            || PolicyEngine.Decide(policy, MemberOfAll, repository, facts, Now).Permit is not null);

    /// <summary>Nobody loses anything by it, and nothing changes for an image that is not theirs.</summary>
    [Fact]
    public void A_company_opens_its_own_images_and_nothing_else() => ForAllDocuments((json, repository) =>
    {
        var (apart, company) = (Compile(json, document => document["company"] = false), Compile(json, document => document["company"] = true));
        return
            from caller in Everybody
            from facts in FactsOn(repository)
            let before = PolicyEngine.Decide(apart, caller, repository, facts, Now)
            let after = PolicyEngine.Decide(company, caller, repository, facts, Now)
            select company.Organizations.Any(o => o.Namespaces.Contains(repository.Namespace))
                ? before.Permit is null || after.Permit is not null
                : (before.Outcome, before.Rule, before.Message, before.NeedsPublisher) == (after.Outcome, after.Rule, after.Message, after.NeedsPublisher);
    });

    [Fact]
    public void Who_is_owner_of_every_organization_has_everything_or_is_judged_as_a_member_of_each() => ForAll((policy, repository) =>
        from facts in FactsOn(repository)
        let owner = Caller.SignedIn("zoe", "z", [new Membership("acme", OrganizationRole.Owner), new Membership("beta", OrganizationRole.Owner)])
        let decision = PolicyEngine.Decide(policy, owner, repository, facts, Now)
        let member = PolicyEngine.Decide(policy, MemberOfAll, repository, facts, Now)
        select policy.Document.Callers.JudgeOwners
            ? (decision.Outcome, decision.Rule, decision.Message, decision.NeedsPublisher) == (member.Outcome, member.Rule, member.Message, member.NeedsPublisher)
            : decision.Outcome == AccessOutcome.Allow && decision.Rule is PolicyRule.Owner or PolicyRule.Off);

    /// <summary>Whom a member list does not name is allowed no more than before, and acme's owner is judged as if the policy called her a member.</summary>
    [Fact]
    public void Leaving_the_member_list_opens_nothing_and_an_owner_who_is_not_external_is_a_member() => ForAllDocuments((json, repository) =>
    {
        var policy = Compile(json);
        var isExternal = policy.Document.Organizations[0].ExternalOwners.Count > 0;
        var demoted = Compile(json, document =>
        {
            var acme = document["organizations"]![0]!;
            (acme["owners"], acme["members"]) = (new JsonArray(), new JsonArray("alice", "bob", "dave"));
        });
        return
            from caller in Everybody.Where(caller => !caller.IsAnonymous)
            from facts in FactsOn(repository)
            let before = PolicyEngine.Decide(policy, caller, repository, facts, Now)
            let after = PolicyEngine.Decide(policy, caller.With(Absent), repository, facts, Now)
            let asMember = PolicyEngine.Decide(demoted, caller, repository, facts, Now)
            let expected = caller.Name == "alice" && !isExternal ? asMember : before
            select (after.Permit is null || before.Permit is not null)
                && (caller.Name == "erin" || (expected.Outcome, expected.Rule, expected.Message) == (after.Outcome, after.Rule, after.Message));
    });

    [Fact]
    public void Judging_owners_opens_nothing_and_changes_nothing_for_anybody_else() => ForAllDocuments((json, repository) =>
    {
        var (exempt, judged) = (Compile(json, document => document["callers"]!["owners"] = "exempt"), Compile(json, document => document["callers"]!["owners"] = "judged"));
        return
            from caller in Everybody
            from facts in FactsOn(repository)
            let before = PolicyEngine.Decide(exempt, caller, repository, facts, Now)
            let after = PolicyEngine.Decide(judged, caller, repository, facts, Now)
            select after.Rule != PolicyRule.Owner && (Owners.Contains(caller)
                ? after.Permit is null || before.Permit is not null
                : (before.Outcome, before.Rule, before.Message) == (after.Outcome, after.Rule, after.Message));
    });

    /// <summary>And nobody loses anything: a role is about the policy, not about images.</summary>
    [Fact]
    public void A_role_changes_no_decision_and_nobody_who_is_unknown_has_one() => ForAllDocuments((json, repository) =>
    {
        var (with, without) = (Compile(json), Compile(json, document =>
        {
            document["companyOwners"] = new JsonArray();
            document["changes"] = new JsonObject();
            foreach (var organization in document["organizations"]!.AsArray())
                organization!["roles"] = new JsonObject();
        }));
        return
            from caller in Everybody
            from facts in FactsOn(repository)
            let before = PolicyEngine.Decide(without, caller, repository, facts, Now)
            let after = PolicyEngine.Decide(with, caller, repository, facts, Now)
            from organization in (string?[])["acme", "beta", "gamma", null]
            select (before.Outcome, before.Rule, before.Message, before.NeedsPublisher) == (after.Outcome, after.Rule, after.Message, after.NeedsPublisher)
                && with.RolesOf(Caller.Anonymous, organization) == Roles.None
                && with.RolesOf(caller.WithNameSuspended(), organization) == with.RolesOf(Caller.SignedIn(null, "s", caller.Memberships), organization);
    });

    [Fact]
    public void What_is_blocked_nobody_has_and_a_block_changes_nothing_else() => ForAll((policy, repository) =>
        from caller in Everybody
        from facts in FactsOn(repository)
        let blocked = PolicyEngine.Decide(policy.With(BlockOf(repository.Value)), caller, repository, facts, Now)
        let beside = PolicyEngine.Decide(policy.With(BlockOf("another/image")), caller, repository, facts, Now)
        let before = PolicyEngine.Decide(policy, caller, repository, facts, Now)
        select blocked is { Outcome: AccessOutcome.Deny, Rule: PolicyRule.Block, Permit: null, NeedsPublisher: false }
            && (beside.Outcome, beside.Rule, beside.Message) == (before.Outcome, before.Rule, before.Message));

    [Fact]
    public void Enforcing_opens_nothing_that_observing_did_not() => ForAll((policy, repository) =>
        from caller in Everybody
        from facts in FactsOn(repository)
        let ends = Now.AddYears(10) // by then every observeUntil has passed, and every allowlist entry has expired
        select PolicyEngine.Decide(policy, caller, repository, facts, ends).Permit is null
            || PolicyEngine.Decide(policy, caller, repository, facts, Now).Permit is not null);

    [Fact]
    public void Only_a_denial_by_an_organization_names_the_day_on_which_an_approval_ended() => ForAll((policy, repository) =>
        from caller in Everybody
        from facts in FactsOn(repository)
        from day in new[] { Now, Now.AddYears(10) }
        let decision = PolicyEngine.Decide(policy, caller, repository, facts, day)
        select decision.ApprovalEnded is not { } ended || (ended < DateOnly.FromDateTime(day.UtcDateTime) && decision.Message is not null
            && decision.Rule is not (PolicyRule.SignIn or PolicyRule.Outsider or PolicyRule.OrganizationToken)));

    [Fact]
    public void The_fields_of_a_decision_name_the_rules_and_organizations_of_the_policy() => ForAll((policy, repository) =>
        from caller in Everybody
        from facts in FactsOn(repository)
        let decision = PolicyEngine.Decide(policy, caller, repository, facts, Now)
        select decision.Rule == PolicyRule.Off
            ? decision.Outcome == AccessOutcome.Allow
            : decision.Organizations.Count > 0 && decision.Organizations.All(name => policy.Organizations.Any(o => o.Name == name)));

    [Fact]
    public void Signing_out_opens_nothing_with_exceptions_blocks_and_emergencies_either() => ForAllGranted((policy, pull, _) =>
        from blocks in (Blocks[])[Blocks.None, BlockOf("bitnami/redis:1"), BlockOf("someuser/*")]
        from emergencies in (BreakGlass[][])[[], [Emergency("acme", null)], [Emergency("beta", "bitnami/redis"), Emergency("acme", "someuser/tool")]]
        let blocked = policy.With(blocks).With(emergencies)
        from facts in FactsOn(pull.Repository)
        from caller in (Caller[])[Caller.Anonymous, Caller.SignedIn("mallory", "m")]
        let signedOut = PolicyEngine.Decide(blocked, caller, pull, facts, Now)
        from member in Members.Append(MemberOfAll).Where(member => member == MemberOfAll || policy.Document.Organizations.Any(o => o.Members.Contains(member.Name!)))
        let decision = PolicyEngine.Decide(blocked, member, pull, facts, Now)
        select signedOut.Permit is null || (decision.Permit is { } permit && IsNoNarrower(permit, signedOut.Permit)));

    [Fact]
    public void An_emergency_closes_nothing_and_opens_nothing_that_is_blocked() => ForAllGranted((policy, pull, _) =>
        from emergency in (BreakGlass[])[Emergency("acme", null), Emergency("acme", "someuser/tool"), Emergency("beta", "bitnami/redis")]
        from facts in FactsOn(pull.Repository)
        from caller in Everybody
        let blocked = policy.With(BlockOf(pull.Repository.Value)).With([emergency])
        let before = PolicyEngine.Decide(policy, caller, pull, facts, Now)
        let during = PolicyEngine.Decide(policy.With([emergency]), caller, pull, facts, Now)
        let after = PolicyEngine.Decide(policy.With([emergency]), caller, pull, facts, emergency.Until)
        let alone = PolicyEngine.Decide(policy, caller, pull, facts, emergency.Until)
        select (before.Permit is null || during.Permit is not null)
            && (after.Outcome, after.Rule, after.Message) == (alone.Outcome, alone.Rule, alone.Message)
            && PolicyEngine.Decide(blocked, caller, pull, facts, Now).Rule == PolicyRule.Block);

    [Fact]
    public void Ending_an_exception_opens_nothing() => ForAllGranted((policy, pull, _) =>
        from ended in policy.Exceptions.All
        let fewer = policy.With(new Exceptions([.. policy.Exceptions.All.Where(exception => exception != ended)], 2))
        from caller in Everybody
        from facts in FactsOn(pull.Repository)
        let after = PolicyEngine.Decide(fewer, caller, pull, facts, Now)
        let before = PolicyEngine.Decide(policy, caller, pull, facts, Now)
        select after.Permit is null || before.NeedsPublisher || (before.Permit is { } permit && IsNoNarrower(permit, after.Permit)));

    [Fact]
    public void An_exception_narrows_nothing_that_was_allowed_without_it() => ForAllGranted((policy, pull, _) =>
        from caller in Everybody
        from facts in FactsOn(pull.Repository)
        let without = PolicyEngine.Decide(policy.With(Exceptions.None), caller, pull, facts, Now)
        let with = PolicyEngine.Decide(policy, caller, pull, facts, Now)
        select without.Permit is { IsLimited: false } or null
            && (without.Permit is null || with.Permit is { IsLimited: false })
            && with.Permit is null == with.Outcome is AccessOutcome.Deny
            && (with.Rule == PolicyRule.Exception) == (with.Exceptions.Count > 0));

    [Fact]
    public void An_exception_opens_nothing_to_who_writes_nor_where_the_document_forbids_it() => ForAllGranted((policy, pull, json) =>
        from caller in Everybody
        from facts in FactsOn(pull.Repository)
        let without = PolicyEngine.Decide(policy.With(Exceptions.None), caller, pull, facts, Now)
        let written = PolicyEngine.Decide(policy, caller, pull with { IsPull = false }, facts, Now)
        let forbidden = PolicyEngine.Decide(Compile(json, Forbid).With(policy.Exceptions), caller, pull, facts, Now)
        from other in (AccessDecision[])[written, forbidden]
        select (without.Outcome, without.Rule, without.Message, without.NeedsPublisher) == (other.Outcome, other.Rule, other.Message, other.NeedsPublisher)
            && other.Permit is null or { IsLimited: false });

    /// <summary>Nobody waits for a publisher on whom nothing depends, the limits of a permit neither.</summary>
    [Fact]
    public void With_exceptions_a_decision_waits_for_the_publisher_where_it_matters() => ForAllGranted((policy, pull, _) =>
        from caller in Everybody
        let now = PolicyEngine.Decide(policy, caller, pull, PublisherFacts.NotAsked, Now)
        let verified = PolicyEngine.Decide(policy, caller, pull, Known(pull.Repository, NamespaceBadge.VerifiedPublisher), Now)
        let nobody = PolicyEngine.Decide(policy, caller, pull, Known(pull.Repository, NamespaceBadge.None), Now)
        let differs = (verified.Outcome, verified.Permit?.IsLimited) != (nobody.Outcome, nobody.Permit?.IsLimited)
        select (now.NeedsPublisher || !differs) && !verified.NeedsPublisher && !nobody.NeedsPublisher);

    private static BreakGlass Emergency(string organization, string? repository) =>
        new(1, organization, repository is null ? null : Names.Repository(repository), "a test", "eve", Now.AddMinutes(-1), Now.AddHours(1));

    private static Gen<string> Organization(string name, string people) =>
        from enabled in Gen.Frequency((4, Gen.Constant(true)), (1, Gen.Constant(false)))
        from mode in Gen.Elements(
            "\"mode\": \"enforce\"", "\"mode\": \"enforce\"", "\"mode\": \"observe\"", "\"mode\": \"observe\", \"observeUntil\": \"2026-11-22\"")
        from official in Coin
        from verified in Coin
        from community in Coin
        from roles in Gen.Elements(
            "{}", """{ "administrators": [ "bob", "mallory", { "team": "devops" } ] }""", """{ "approvers": [ "carol", "acme" ], "auditors": [ "dave" ], "onCall": [ "bob" ] }""")
        from approved in Gen.Elements("", "", """{ "repository": "someuser/tool", "expires": "2026-11-22" }""", """{ "repository": "bitnami/*", "expires": "2026-12-31" }""")
        select $$"""
            {
              "name": "{{name}}", {{people}}, "roles": {{roles}}, "enabled": {{JsonSerializer.Serialize(enabled)}}, {{mode}},
              "allow": {
                "official": {{JsonSerializer.Serialize(official)}},
                "verifiedPublisher": {{JsonSerializer.Serialize(verified)}},
                "community": {{JsonSerializer.Serialize(community)}}
              },
              "allowlist": [ {{approved}} ]
            }
            """;

    private static void ForAll(Func<Policy, RepositoryName, IEnumerable<bool>> holds) =>
        ForAllDocuments((json, repository) => holds(Compile(json), repository));

    private static void ForAllDocuments(Func<string, RepositoryName, IEnumerable<bool>> holds)
    {
        var pairs = from json in Policies from repository in Repositories select (json, repository);
        Prop.ForAll(pairs.ToArbitrary(), pair => holds(pair.json, pair.repository).All(each => each)).Check(Config.QuickThrowOnFailure.WithMaxTest(500));
    }

    /// <summary>Two exceptions at random, and a pull: of the repository, a tag or a digest.</summary>
    private static void ForAllGranted(Func<Policy, Asked, string, IEnumerable<bool>> holds)
    {
        var tag = Tag.TryParse("1", out var parsed) ? parsed : throw new InvalidOperationException();
        var digest = Digest.TryParse(Names.Sha256, out var read) ? read : throw new InvalidOperationException();
        var parts = Gen.Elements("/*", "", ":1", ":1", ":2", $"@{Names.Sha256}", $"@{Names.Sha512}");
        var granted =
            from organization in Gen.Elements("acme", "beta")
            from repository in Gen.Elements("bitnami/redis", "someuser/tool", "library/nginx", "acme/app")
            from part in parts
            from follow in Coin
            from until in Gen.Elements<DateTimeOffset?>(null, Now, Now.AddSeconds(1))
            let text = part == "/*" ? repository[..repository.IndexOf('/', StringComparison.Ordinal)] + part : repository + part
            let isTag = part.StartsWith(':')
            select (organization, text, follow: follow && isTag, approved: isTag ? digest : null, until);
        var pulls =
            from repository in Gen.Elements("bitnami/redis", "someuser/tool", "nginx", "acme/app").Select(Names.Repository)
            from kind in Gen.Elements(0, 1, 2)
            select new Asked(repository, kind == 1 ? tag : null, kind == 2 ? digest : null) { IsPull = true };
        var all =
            from json in Policies
            from first in granted
            from second in granted
            from pull in pulls
            select (policy: Compile(json).With(new Exceptions([Exception(1, first), Exception(2, second)], 1)), pull, json);
        Prop.ForAll(all.ToArbitrary(), drawn => holds(drawn.policy, drawn.pull, drawn.json).All(each => each)).Check(Config.QuickThrowOnFailure.WithMaxTest(500));

        static GrantedException Exception(long id, (string Organization, string Text, bool Follow, Digest? Approved, DateTimeOffset? Until) of)
        {
            Assert.True(GrantedException.TryParsePattern(of.Text, out var pattern, out var problem), problem);
            return new GrantedException(id, of.Organization, pattern, of.Approved, of.Follow, "a test", null, "alice", Now.AddDays(-1), of.Until);
        }
    }

    /// <summary>Whether each limit of the one is a limit of the other too, and has what that has.</summary>
    private static bool IsNoNarrower(Permit permit, Permit other) => permit.Limits.All(limit =>
        other.Limits.FirstOrDefault(known => known.Organization == limit.Organization) is { } wider && wider.Exceptions.All(limit.Exceptions.Contains));

    private static void Forbid(JsonNode document) => document["exceptions"] = new JsonObject { ["allowed"] = false };

    private static Policy Compile(string json, Action<JsonNode>? change = null)
    {
        var document = JsonNode.Parse(json)!;
        change?.Invoke(document);
        Assert.True(PolicyCompiler.TryCompile(Encoding.UTF8.GetBytes(document.ToJsonString()), out var policy, out var problems), string.Join("; ", problems));
        return policy;
    }

    private static Blocks BlockOf(string image)
    {
        Assert.True(ImagePattern.TryParse(image, out var pattern, out _));
        return new Blocks([new Block(1, pattern, "a test", "alice", DateTimeOffset.UnixEpoch)]);
    }

    private static PublisherFacts[] FactsOn(RepositoryName repository) =>
    [
        PublisherFacts.NotAsked,
        PublisherFacts.Unavailable,
        OfAnother(repository),
        .. Enum.GetValues<NamespaceBadge>().Select(badge => Known(repository, badge)),
    ];

    private static PublisherFacts Known(RepositoryName repository, NamespaceBadge badge) =>
        PublisherFacts.Known(new NamespaceRecord(repository.Namespace, badge, "hub", DateTimeOffset.UnixEpoch));

    private static PublisherFacts OfAnother(RepositoryName repository) =>
        PublisherFacts.Known(new NamespaceRecord(repository.Namespace + "x", NamespaceBadge.VerifiedPublisher, "hub", DateTimeOffset.UnixEpoch));
}
