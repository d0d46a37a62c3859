using System.Text;
using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;
using ImageAccess.Core.Classification;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;

namespace ImageAccess.Core.Tests.Policies;

/// <summary>What holds under every policy: two organizations, made at random, and everybody who might ask.</summary>
public sealed class PolicyEngineProperties
{
    private static readonly DateOnly Today = new(2026, 11, 22);

    private static readonly Gen<bool> Coin = Gen.Elements(true, false);

    private static readonly Gen<string> Policies =
        from callers in Gen.Elements(
            """{}""",
            """{ "anonymous": "deny" }""",
            """{ "outsiders": "deny" }""",
            """{ "organizationTokens": "member" }""",
            """{ "anonymous": "deny", "outsiders": "deny", "organizationTokens": "member" }""")
        from acme in Organization("acme", """ "owners": [ "alice" ], "members": [ "bob", "dave" ] """)
        from beta in Organization("beta", """ "owners": [ "erin" ], "members": [ "alice", "bob", "carol" ] """)
        from second in Coin
        select $$"""{ "callers": {{callers}}, "organizations": [ {{acme}}{{(second ? ", " + beta : "")}} ] }""";

    private static readonly Gen<RepositoryName> Repositories =
        Gen.Elements("nginx", "acme/app", "beta/app", "bitnami/redis", "someuser/tool", "library/a/b").Select(Names.Repository);

    private static readonly Caller[] Members = [.. ((string[])["bob", "carol", "dave"]).Select(name => Caller.SignedIn(name, name))];

    private static readonly Caller[] Everybody =
    [
        Caller.Anonymous,
        .. Members,
        .. ((string[])["alice", "erin", "mallory", "acme"]).Select(name => Caller.SignedIn(name, name)),
        Caller.SignedIn(null, "1234", [new Membership("acme", OrganizationRole.Owner), new Membership("beta", OrganizationRole.Member)]),
    ];

    [Fact]
    public void Content_has_a_permit_for_the_repository_that_was_asked_for_and_a_denial_has_none() => ForAll((policy, repository) =>
        from caller in Everybody
        from facts in FactsOn(repository)
        let decision = PolicyEngine.Decide(policy, caller, repository, facts, Today)
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
        let now = PolicyEngine.Decide(policy, caller, repository, PublisherFacts.NotAsked, Today)
        let verified = PolicyEngine.Decide(policy, caller, repository, Known(repository, NamespaceBadge.VerifiedPublisher), Today)
        let nobody = PolicyEngine.Decide(policy, caller, repository, Known(repository, NamespaceBadge.None), Today)
        let differs = (verified.Outcome, verified.Message) != (nobody.Outcome, nobody.Message)
        select now.NeedsPublisher == differs
            && !verified.NeedsPublisher && !nobody.NeedsPublisher
            && (now.NeedsPublisher ? now.Rule == PolicyRule.Unknown : (now.Outcome, now.Message) == (nobody.Outcome, nobody.Message)));

    [Fact]
    public void What_is_not_known_is_never_allowed_where_a_record_would_deny() => ForAll((policy, repository) =>
        from caller in Everybody
        from ignorance in (PublisherFacts[])[PublisherFacts.NotAsked, PublisherFacts.Unavailable, OfAnother(repository)]
        let decision = PolicyEngine.Decide(policy, caller, repository, ignorance, Today)
        from badge in Enum.GetValues<NamespaceBadge>()
        select decision.Permit is null
            || PolicyEngine.Decide(policy, caller, repository, Known(repository, badge), Today).Permit is not null);

    [Fact]
    public void Signing_out_opens_nothing() => ForAll((policy, repository) =>
        from facts in FactsOn(repository)
        let signedOut = PolicyEngine.Decide(policy, Caller.Anonymous, repository, facts, Today)
        let outsider = PolicyEngine.Decide(policy, Caller.SignedIn("mallory", "m"), repository, facts, Today)
        from member in Members.Where(member => policy.Document.Organizations.Any(o => o.Members.Contains(member.Name)))
        let decision = PolicyEngine.Decide(policy, member, repository, facts, Today)
        select (signedOut.Permit is null && outsider.Permit is null) || decision.Permit is not null);

    [Fact]
    public void Who_is_owner_of_every_organization_has_everything() => ForAll((policy, repository) =>
        from facts in FactsOn(repository)
        let owner = Caller.SignedIn("zoe", "z", [new Membership("acme", OrganizationRole.Owner), new Membership("beta", OrganizationRole.Owner)])
        let decision = PolicyEngine.Decide(policy, owner, repository, facts, Today)
        select decision.Outcome == AccessOutcome.Allow && decision.Rule is PolicyRule.Owner or PolicyRule.Off);

    [Fact]
    public void Enforcing_opens_nothing_that_observing_did_not() => ForAll((policy, repository) =>
        from caller in Everybody
        from facts in FactsOn(repository)
        let ends = Today.AddYears(10) // by then every observeUntil has passed, and every allowlist entry has expired
        select PolicyEngine.Decide(policy, caller, repository, facts, ends).Permit is null
            || PolicyEngine.Decide(policy, caller, repository, facts, Today).Permit is not null);

    [Fact]
    public void The_fields_of_a_decision_name_the_rules_and_organizations_of_the_policy() => ForAll((policy, repository) =>
        from caller in Everybody
        from facts in FactsOn(repository)
        let decision = PolicyEngine.Decide(policy, caller, repository, facts, Today)
        select decision.Rule == PolicyRule.Off
            ? decision.Outcome == AccessOutcome.Allow
            : decision.Organizations.Count > 0 && decision.Organizations.All(name => policy.Organizations.Any(o => o.Name == name)));

    private static Gen<string> Organization(string name, string people) =>
        from enabled in Gen.Frequency((4, Gen.Constant(true)), (1, Gen.Constant(false)))
        from mode in Gen.Elements(
            "\"mode\": \"enforce\"", "\"mode\": \"enforce\"", "\"mode\": \"observe\"", "\"mode\": \"observe\", \"observeUntil\": \"2026-11-22\"")
        from official in Coin
        from verified in Coin
        from community in Coin
        from approved in Gen.Elements("", "", """{ "repository": "someuser/tool", "expires": "2026-11-22" }""", """{ "repository": "bitnami/*", "expires": "2026-12-31" }""")
        select $$"""
            {
              "name": "{{name}}", {{people}}, "enabled": {{JsonSerializer.Serialize(enabled)}}, {{mode}},
              "allow": {
                "official": {{JsonSerializer.Serialize(official)}},
                "verifiedPublisher": {{JsonSerializer.Serialize(verified)}},
                "community": {{JsonSerializer.Serialize(community)}}
              },
              "allowlist": [ {{approved}} ]
            }
            """;

    private static void ForAll(Func<Policy, RepositoryName, IEnumerable<bool>> holds)
    {
        var pairs = from json in Policies from repository in Repositories select (json, repository);
        Prop.ForAll(pairs.ToArbitrary(), pair =>
        {
            Assert.True(PolicyCompiler.TryCompile(Encoding.UTF8.GetBytes(pair.json), out var policy, out var problems), string.Join("; ", problems));
            return holds(policy, pair.repository).All(each => each);
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(2_000));
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
