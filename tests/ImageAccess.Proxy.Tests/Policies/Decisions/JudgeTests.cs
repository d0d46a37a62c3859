using System.Text;
using ImageAccess.Core.Classification;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Policies.Catalog;
using ImageAccess.Proxy.Policies.Decisions;
using ImageAccess.Proxy.Tests.HouseRules;
using ImageAccess.Proxy.Tests.Policies.Catalog;

namespace ImageAccess.Proxy.Tests.Policies.Decisions;

/// <summary>When a judge asks the catalog, and when it waits for the answer.</summary>
public sealed class JudgeTests : IAsyncLifetime
{
    private const string Enforcing = """{ "organizations": [ { "name": "acme", "enabled": true, "allow": { "official": true, "verifiedPublisher": true } } ] }""";
    private const string Observing = """{ "organizations": [ { "name": "acme", "enabled": true, "mode": "observe" } ] }""";
    private const string Open = """{ "organizations": [ { "name": "acme", "enabled": true, "allow": { "verifiedPublisher": true, "community": true } } ] }""";
    private const string Closed = """{ "callers": { "anonymous": "deny" }, "organizations": [ { "name": "acme", "enabled": true } ] }""";

    private CatalogSurroundings _here = null!;
    private CatalogRoom _room = null!;

    public async Task InitializeAsync()
    {
        _here = await CatalogSurroundings.StartAsync();
        _room = _here.Build();
    }

    public async Task DisposeAsync()
    {
        await _room.DisposeAsync();
        await _here.DisposeAsync();
    }

    [Theory]
    [InlineData(Enforcing, "bitnami/redis", "allow verified-publisher", 1)]
    [InlineData(Enforcing, "someuser/x", "deny community", 1)]
    [InlineData(Enforcing, "library/nginx", "allow official", 0)]
    [InlineData(Enforcing, "acme/app", "allow organization", 0)]
    [InlineData(Open, "bitnami/redis", "allow community", 0)]
    [InlineData(Closed, "bitnami/redis", "deny sign-in", 0)]
    public async Task A_request_asks_the_catalog_only_when_a_rule_needs_it(string policy, string repository, string decision, int asked)
    {
        var judgement = await JudgeBy(policy).DecideAsync(Name(repository), CancellationToken.None);

        Assert.Equal(decision, Words(judgement.Decision));
        Assert.Null(judgement.Later);
        Assert.Equal(asked, _here.Asked);
    }

    [Fact]
    public async Task A_request_that_is_only_observed_does_not_wait()
    {
        var judgement = await JudgeBy(Observing).DecideAsync(Name("bitnami/redis"), CancellationToken.None);

        Assert.Equal("observe unknown", Words(judgement.Decision));
        Assert.Equal("observe verified-publisher", Words(await judgement.Later!));
        Assert.Equal("image access denied: verified publisher images not allowed", await judgement.WarningAsync());

        var again = await JudgeBy(Observing).DecideAsync(Name("bitnami/redis"), CancellationToken.None);
        Assert.Equal("observe verified-publisher", Words(again.Decision));
        Assert.Null(again.Later);
    }

    [Theory]
    [InlineData(Enforcing, "bitnami/redis", "allow verified-publisher", "verified-publisher", 1)]
    [InlineData(Enforcing, "library/nginx", "allow official", "official", 0)]
    [InlineData(Enforcing, "acme/app", "allow organization", "organization", 0)]
    [InlineData(Open, "bitnami/redis", "allow verified-publisher", "verified-publisher", 1)]
    [InlineData(Closed, "bitnami/redis", "deny sign-in", "verified-publisher", 1)]
    [InlineData(Closed, "library/nginx", "deny sign-in", "official", 0)]
    [InlineData(Observing, "bitnami/redis", "observe verified-publisher", "verified-publisher", 1)]
    public async Task An_explanation_has_the_category_even_when_no_rule_needs_it(
        string policy, string repository, string decision, string category, int asked)
    {
        var explanation = await JudgeBy(policy).ExplainAsync(Name(repository), CancellationToken.None);

        Assert.Equal((decision, category), (Words(explanation.Decision), explanation.Classification.Category.ToWireName()));
        Assert.Equal(asked, _here.Asked);
    }

    /// <summary>An administrator may check more namespaces in a minute than a client may cause questions.</summary>
    [Theory]
    [InlineData(true, "unknown")]
    [InlineData(false, "community")]
    public async Task The_payer_says_whose_allowance_is_used_up(bool isClient, string rule)
    {
        var judge = JudgeBy(Enforcing, isClient ? CatalogPayer.Client(Caller.SignedIn("carol", "id of carol"), null) : CatalogPayer.Namespace);
        for (var i = 0; i < QuestionAllowance.OfUser; i++)
            await judge.ExplainAsync(Name($"name{i}/app"), CancellationToken.None);

        Assert.Equal(rule, (await judge.ExplainAsync(Name("another/app"), CancellationToken.None)).Decision.Rule);
    }

    [Theory]
    [InlineData(Enforcing, "deny unknown", "allow verified-publisher", "deny community")]
    [InlineData(Observing, "observe unknown", "observe verified-publisher", "observe community")]
    [InlineData(Open, "allow community", null, null)]
    [InlineData(Closed, "deny sign-in", null, null)]
    public void A_forecast_has_both_answers_when_the_publisher_matters(string policy, string decision, string? ifVerified, string? ifCommunity)
    {
        var forecast = ViewOf(policy).Foresee(Name("bitnami/redis"), PublisherFacts.NotAsked);

        Assert.Equal(decision, Words(forecast.Decision));
        Assert.Equal(ifVerified, forecast.IfVerified is { } verified ? Words(verified) : null);
        Assert.Equal(ifCommunity, forecast.IfCommunity is { } community ? Words(community) : null);
    }

    [Theory]
    [InlineData(NamespaceBadge.VerifiedPublisher, "allow verified-publisher")]
    [InlineData(NamespaceBadge.None, "deny community")]
    public void A_forecast_has_one_answer_when_the_publisher_is_known(NamespaceBadge badge, string decision)
    {
        var known = PublisherFacts.Known(new NamespaceRecord("bitnami", badge, "file", DateTimeOffset.UnixEpoch));

        var forecast = ViewOf(Enforcing).Foresee(Name("bitnami/redis"), known);

        Assert.Equal((decision, null, null), (Words(forecast.Decision), forecast.IfVerified, forecast.IfCommunity));
    }

    /// <summary>So that a request, a check, a replay and the console can never judge in different ways.</summary>
    [Fact]
    public void One_place_asks_the_policy_engine()
    {
        var source = RepositoryRoot.Find("src");
        var askers = Directory.GetFiles(source, "*.cs", SearchOption.AllDirectories)
            .Where(file => File.ReadAllText(file).Contains("PolicyEngine.Decide(", StringComparison.Ordinal))
            .Select(file => Path.GetRelativePath(source, file));
        Assert.Equal(["ImageAccess.Proxy/Policies/Decisions/PolicyView.cs"], askers);
    }

    private Judge JudgeBy(string policy, CatalogPayer? payer = null) =>
        new(ViewOf(policy), _room.Catalog, payer ?? CatalogPayer.Client(Caller.Anonymous, null));

    private static PolicyView ViewOf(string document)
    {
        Assert.True(PolicyCompiler.TryCompile(Encoding.UTF8.GetBytes(document), out var policy, out _));
        return new PolicyView(policy, Caller.Anonymous, new DateOnly(2026, 6, 1));
    }

    private static RepositoryName Name(string text) => RepositoryName.TryParse(text, out var name) ? name : throw new FormatException(text);

    private static string Words(AccessDecision decision) => $"{decision.Outcome.ToWireName()} {decision.Rule}";
}
