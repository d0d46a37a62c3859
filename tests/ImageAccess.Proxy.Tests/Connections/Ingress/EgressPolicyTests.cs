using System.Text.Json;
using ImageAccess.Core.Hosts;
using ImageAccess.Proxy.Connections.Ingress.Egress;
using ImageAccess.Proxy.Tests.Callers.Members;
using ImageAccess.Proxy.Tests.Policies.Store;
using ImageAccess.Proxy.Tests.Walk;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Tests.Connections.Ingress;

/// <summary>Which hosts are intercepted, tunnelled or refused, and why.</summary>
public sealed class EgressPolicyTests
{
    [Theory]
    [InlineData("registry-1.docker.io", 443, "Intercept", "")]
    [InlineData("auth.docker.io", 443, "Intercept", "")]
    [InlineData("registry.hub.docker.com", 443, "Intercept", "")]
    [InlineData("registry-1.docker.io", 8443, "Refuse", "docker-hub")]
    [InlineData("auth.docker.io", 80, "Refuse", "docker-hub")]
    [InlineData("www.docker.io", 443, "Refuse", "docker-hub")]
    [InlineData("a.b.c.docker.io", 8443, "Refuse", "docker-hub")]
    [InlineData("production.cloudfront.docker.com", 443, "Refuse", "docker-hub")]
    [InlineData("hub.docker.com", 443, "Tunnel", "")]
    [InlineData("login.docker.com", 443, "Tunnel", "")]
    [InlineData("ghcr.io", 443, "Tunnel", "")]
    [InlineData("ghcr.io", 444, "Refuse", "not-allowed")]
    [InlineData("ghcr.io", 22, "Refuse", "not-allowed")]
    [InlineData("mirror.gcr.io", 443, "Refuse", "hub-copy")]
    [InlineData("x.mirror.aliyuncs.com", 443, "Refuse", "hub-copy")]
    public void By_default_every_host_on_443_is_tunnelled_except_Docker_Hub_and_its_copies(string host, int port, string verdict, string reason) =>
        AssertVerdict(Policy(), host, port, verdict, reason);

    [Theory]
    [InlineData("ghcr.io", 443, "Tunnel", "")]
    [InlineData("quay.io", 443, "Refuse", "not-allowed")]
    [InlineData("sub.ghcr.io", 443, "Refuse", "not-allowed")]
    [InlineData("a.example.com", 443, "Tunnel", "")]
    [InlineData("a.b.example.com", 443, "Tunnel", "")]
    [InlineData("example.com", 443, "Refuse", "not-allowed")]
    [InlineData("notexample.com", 443, "Refuse", "not-allowed")]
    [InlineData("denied.example.com", 443, "Refuse", "denied")]
    [InlineData("registry.corp", 5000, "TunnelToPrivate", "")]
    [InlineData("registry.corp", 443, "Refuse", "not-allowed")]
    [InlineData("registry-1.docker.io", 443, "Intercept", "")]
    [InlineData("www.docker.io", 443, "Refuse", "docker-hub")]
    [InlineData("mirror.gcr.io", 443, "Refuse", "hub-copy")]
    public void A_list_restricts_it_and_opens_nothing_of_Docker_Hub(string host, int port, string verdict, string reason) => AssertVerdict(
        Policy(allow: ["ghcr.io", "*.example.com", "registry.corp:5000 private", "*.docker.io", "www.docker.io", "mirror.gcr.io"], deny: ["denied.example.com"]),
        host, port, verdict, reason);

    [Theory]
    [InlineData("ghcr.io", 443)]
    [InlineData("ghcr.io", 8443)]
    [InlineData("a.example.com", 443)]
    public void What_is_denied_wins_on_every_port(string host, int port) => AssertVerdict(
        Policy(allow: ["*", "ghcr.io:8443 private", "a.example.com"], deny: ["ghcr.io", "*.example.com"]), host, port, "Refuse", "denied");

    [Fact]
    public void A_denied_port_is_that_port_alone()
    {
        var policy = Policy(allow: ["*", "ghcr.io:8443"], deny: ["ghcr.io:8443"]);
        AssertVerdict(policy, "ghcr.io", 8443, "Refuse", "denied");
        AssertVerdict(policy, "ghcr.io", 443, "Tunnel", "");
    }

    [Fact]
    public void Copies_are_an_option()
    {
        AssertVerdict(Policy(copies: true), "mirror.gcr.io", 443, "Tunnel", "");
        AssertVerdict(Policy(copies: true, deny: ["mirror.gcr.io"]), "mirror.gcr.io", 443, "Refuse", "denied");
    }

    [Theory]
    [InlineData("", true)]
    [InlineData("*", true)]
    [InlineData("ghcr.io", false)]
    [InlineData("*.example.com", false)]
    public void It_is_open_until_hosts_are_named(string allow, bool open) => Assert.Equal(open, Policy(allow: allow.Length == 0 ? [] : [allow]).IsOpen);

    [Theory]
    [InlineData("ghcr.io")]
    [InlineData("GHCR.io.")]
    [InlineData("ghcr.io:8443")]
    [InlineData("*.example.com:5000")]
    [InlineData("*")]
    [InlineData("registry.corp private")]
    public void What_is_written_is_read(string rule) => Assert.True(EgressRule.TryParse(rule, out _));

    [Theory]
    [InlineData("")]
    [InlineData("https://ghcr.io")]
    [InlineData("ghcr.io/owner")]
    [InlineData("ghcr.io:")]
    [InlineData("ghcr.io:0")]
    [InlineData("ghcr.io:65536")]
    [InlineData("*.*.example.com")]
    [InlineData("a.*.example.com")]
    [InlineData("*example.com")]
    [InlineData("10.0.0.1")]
    [InlineData("* private")]
    [InlineData("*.example.com private")]
    [InlineData("registry.corp public")]
    [InlineData("registry.corp private private")]
    public void What_is_no_host_is_told(string rule)
    {
        var options = new EgressOptions();
        options.Allow.Add(rule);
        var failure = Assert.Single(new EgressOptionsValidator().Validate(null, options).Failures!);
        Assert.Equal($"Egress:Allow: '{rule}' is not a host, as ghcr.io, *.example.com or registry.example.com:5000 private", failure);
    }

    [Fact]
    public void A_denied_host_is_private_to_nobody()
    {
        var options = new EgressOptions();
        options.Deny.Add("registry.corp private");
        Assert.Equal(
            ["Egress:Deny: 'registry.corp private' is not a host, as ghcr.io, *.example.com or registry.example.com:5000"],
            new EgressOptionsValidator().Validate(null, options).Failures!);
    }

    /// <summary>In /readyz, until registries are named.</summary>
    [Theory]
    [InlineData("*", "other registries can be reached, and so copies of Docker Hub: Egress:Allow restricts them")]
    [InlineData("ghcr.io", null)]
    public async Task An_open_egress_is_told(string allow, string? told)
    {
        await using var room = await IngressRoom.StartAsync(settings: ("Egress:Allow:0", allow));
        using var client = Surroundings.NewClient(room.World.Admin);
        var ready = JsonSerializer.Deserialize<JsonElement>(await client.GetStringAsync("/readyz"));
        Assert.Equal(told, ready.TryGetProperty("egress", out var egress) ? egress.GetString() : null);
        Assert.Equal("ready", ready.GetProperty("status").GetString());
    }

    /// <summary>Every organization that limits registries must allow one; what the configuration refuses stays refused.</summary>
    [Theory]
    [InlineData("ghcr.io", 443, "Tunnel", "")]
    [InlineData("quay.io", 443, "Refuse", "registry")] // acme alone
    [InlineData("gitlab.com", 443, "Refuse", "registry")] // globex alone
    [InlineData("unnamed.example.com", 443, "Refuse", "registry")]
    [InlineData("r.example.org", 5000, "Tunnel", "")] // by its port
    [InlineData("r.example.org", 443, "Refuse", "registry")]
    [InlineData("denied.example.org", 443, "Refuse", "denied")]
    [InlineData("production.cloudfront.docker.com", 443, "Refuse", "docker-hub")]
    [InlineData("mirror.gcr.io", 443, "Refuse", "hub-copy")]
    [InlineData("registry-1.docker.io", 443, "Intercept", "")]
    [InlineData("registry-1.docker.io", 5000, "Refuse", "docker-hub")]
    public void What_organizations_limit_counts_beside_the_configuration(string host, int port, string verdict, string reason)
    {
        const string Common = """{ "address": "ghcr.io", "allowed": true }, { "address": "*.example.org:5000", "allowed": true }, { "address": "denied.example.org", "allowed": true }, { "address": "mirror.gcr.io", "allowed": true }, { "address": "*.docker.com", "allowed": true }, { "address": "registry-1.docker.io:5000", "allowed": true }""";
        var policy = Policy(deny: ["denied.example.org"], document: $$"""
            { "organizations": [
              { "name": "acme", "registries": { "enabled": true, "custom": [ {{Common}}, { "address": "quay.io", "allowed": true } ] } },
              { "name": "globex", "registries": { "enabled": true, "custom": [ {{Common}}, { "address": "quay.io", "allowed": false }, { "address": "gitlab.com", "allowed": true } ] } },
              { "name": "umbrella", "registries": { "enabled": false } } ] }
            """);
        AssertVerdict(policy, host, port, verdict, reason);
    }

    /// <summary>The entry that names a host most closely decides, wherever it stands; of two for the same host the one that refuses it.</summary>
    [Theory]
    [InlineData("a.example.com", 443, "Tunnel")]
    [InlineData("evil.example.com", 443, "Refuse")] // allowed is what is around it
    [InlineData("EVIL.Example.com", 443, "Refuse")]
    [InlineData("evil.example.com.", 443, "Refuse")]
    [InlineData("evil.example.com", 5000, "Refuse")]
    [InlineData("a.b.example.com", 443, "Refuse")]
    [InlineData("good.b.example.com", 443, "Tunnel")]
    [InlineData("deep.good.b.example.com", 443, "Refuse")]
    [InlineData("quay.io", 443, "Refuse")]
    [InlineData("xn--nxasmq6b.example.com", 443, "Tunnel")]
    public void What_is_refused_within_what_is_allowed_stays_refused(string host, int port, string verdict) => AssertVerdict(
        Policy(document: """
            { "organizations": [ { "name": "acme", "registries": { "enabled": true, "custom": [
              { "address": "*.example.com", "allowed": true }, { "address": "Evil.Example.com", "allowed": false }, { "address": "good.b.example.com", "allowed": true },
              { "address": "*.b.example.com", "allowed": false }, { "address": "quay.io:443", "allowed": true }, { "address": "quay.io" } ] } } ] }
            """),
        host, port, verdict, verdict == "Tunnel" ? "" : "registry");

    [Theory]
    [InlineData("ghcr.io", "Refuse", "not-allowed")] // the configuration names those that may
    [InlineData("inside.example.com", "TunnelToPrivate", "")]
    [InlineData("quay.io", "Refuse", "registry")]
    public void Where_the_configuration_names_registries_both_must_allow_one(string host, string verdict, string reason) => AssertVerdict(
        Policy(
            allow: ["quay.io", "inside.example.com private"],
            document: """{ "organizations": [ { "name": "acme", "registries": { "enabled": true, "custom": [ { "address": "ghcr.io", "allowed": true }, { "address": "inside.example.com", "allowed": true } ] } } ] }"""),
        host, 443, verdict, reason);

    [Fact]
    public async Task A_tunnel_leads_where_the_policy_says()
    {
        const string Limited = """{ "organizations": [ { "name": "acme", "registries": { "enabled": true, "custom": [ { "address": "ADDRESS", "allowed": true } ] } } ] }""";
        await using var room = await IngressRoom.StartAsync(policy: Limited.Replace("ADDRESS", "ghcr.io", StringComparison.Ordinal));
        var target = $"{IngressRoom.EchoHost}:{room.Echo.Port}";
        Assert.StartsWith("HTTP/1.1 403 ", (await room.ConnectAsync(target)).Head, StringComparison.Ordinal);
        await room.World.WritePolicyAsync(Limited.Replace("ADDRESS", target, StringComparison.Ordinal));
        var (head, stream) = await room.ConnectAsync(target);
        await stream.DisposeAsync();
        Assert.StartsWith("HTTP/1.1 200 ", head, StringComparison.Ordinal);
    }

    /// <summary>Whoever writes the policy opens nothing inside the network.</summary>
    [Fact]
    public async Task A_registry_of_the_policy_leads_to_public_addresses_alone()
    {
        await using var room = await IngressRoom.StartAsync(
            policy: """{ "organizations": [ { "name": "acme", "registries": { "enabled": true, "custom": [ { "address": "inside.example.org", "allowed": true } ] } } ] }""",
            settings: ("Upstream:Addresses:inside.example.org", "127.0.0.1"));
        Assert.StartsWith("HTTP/1.1 403 ", (await room.ConnectAsync("inside.example.org:443")).Head, StringComparison.Ordinal);
        var refusal = Assert.Single(await room.World.AuditAsync(1));
        Assert.Equal(("inside.example.org", "private-address"), (refusal.GetProperty("host").GetString(), refusal.GetProperty("reason").GetString()));
    }

    private static EgressPolicy Policy(string[]? allow = null, string[]? deny = null, bool copies = false, string document = """{ "organizations": [] }""")
    {
        var options = new EgressOptions { HubCopies = copies };
        foreach (var rule in allow ?? [])
            options.Allow.Add(rule);
        foreach (var rule in deny ?? [])
            options.Deny.Add(rule);
        return new EgressPolicy(Options.Create(options), new SettablePolicy { Current = PolicyFixture.Compile(document) });
    }

    private static void AssertVerdict(EgressPolicy policy, string host, int port, string verdict, string reason)
    {
        var decided = policy.Decide(HostName.Parse(host), port);
        Assert.Equal((verdict, reason), (decided.Verdict.ToString(), decided.Reason));
    }
}
