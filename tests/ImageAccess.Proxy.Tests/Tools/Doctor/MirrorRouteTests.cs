using ImageAccess.Proxy.Tests.Walk;
using ImageAccess.Proxy.Tools.Doctor;
using ImageAccess.Proxy.Tools.Engines;

namespace ImageAccess.Proxy.Tests.Tools.Doctor;

/// <summary>Mirrors: this very program, with a policy and without, and others.</summary>
public sealed class MirrorRouteTests : IDisposable
{
    private readonly ExaminedMachine _machine = new();

    public void Dispose() => _machine.Dispose();

    [Fact]
    public async Task This_proxy_enforces()
    {
        await using var proxy = await Surroundings.StartAsync();
        var address = proxy.Mirror.GetLeftPart(UriPartial.Authority);
        _machine.With("/etc/docker/daemon.json", $$"""{"registry-mirrors":["{{address}}"]}""")
            .With("/etc/containers/registries.conf", $"""
                [[registry]]
                prefix = "docker.io"
                location = "{proxy.Mirror.Authority}"
                insecure = true
                """);

        var report = await _machine.ExamineAsync();

        Assert.Equal("denied: image access denied: community images not allowed (ask in #platform) (403); from /etc/docker/daemon.json", report.Row("mirror", address).Outcome.Detail);
        var podman = report.Row("mirror", $"https://{proxy.Mirror.Authority}");
        Assert.Equal("denied: image access denied: community images not allowed (ask in #platform) (403); from /etc/containers/registries.conf", podman.Outcome.Detail);
        Assert.Equal(
            "/etc/docker/daemon.json: registry-mirrors always falls back to Docker Hub when no mirror serves; push, manifest inspect and buildx imagetools always go there; closed egress holds it",
            report.Row("fallback", "docker").Outcome.Detail);
        Assert.Equal("/etc/containers/registries.conf: location replaces Docker Hub: nothing falls back", report.Row("fallback", "podman").Outcome.Detail);
        Assert.All(report.Findings.Where(finding => finding.Route.Kind is "mirror" or "fallback"), finding => Assert.Equal(RouteVerdict.Enforced, finding.Verdict));
    }

    [Fact]
    public async Task This_proxy_with_image_access_off_is_open()
    {
        await using var proxy = await Surroundings.StartAsync(policy: """{ "organizations": [] }""");
        _machine.Mirrors = [Parse(proxy.Mirror.AbsoluteUri)];

        var report = await _machine.ExamineAsync();

        var row = report.Row("mirror", proxy.Mirror.GetLeftPart(UriPartial.Authority));
        Assert.Equal(RouteVerdict.Open, row.Verdict);
        await report.AssertShownAsync();
        Assert.Equal($"the proxy hands it out: is image access on, and is {ExaminedMachine.Denied} denied?; from --mirror", row.Outcome.Detail);
    }

    [Fact]
    public async Task Credentials_in_a_mirrors_address_are_not_sent_and_not_shown()
    {
        await using var proxy = await Surroundings.StartAsync();
        _machine.Mirrors = [Parse($"http://canary-user:canary-password@{proxy.Mirror.Authority}")];

        var report = await _machine.ExamineAsync();

        Assert.False(report.HasOpenRoute);
        Assert.DoesNotContain("canary", await report.TextAsync(), StringComparison.Ordinal);
        Assert.DoesNotContain("canary", proxy.Log.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("http://m.example:5000", false, "http://m.example:5000/v2/", "http://m.example:5000/v2/someuser/x/manifests/latest")]
    [InlineData("m.example/prefix/", false, "https://m.example/prefix/v2/", "https://m.example/prefix/v2/someuser/x/manifests/latest")]
    [InlineData("https://m.example/own/v2", false, "https://m.example/own/v2/", "https://m.example/own/v2/someuser/x/manifests/latest")]
    [InlineData("https://m.example/own", true, "https://m.example/own/", "https://m.example/own/someuser/x/manifests/latest")]
    public void An_address_leads_to_the_api(string text, bool isWholePath, string ping, string manifest)
    {
        Assert.True(MirrorAddress.TryParseUrl(text, isWholePath, out var mirror));
        Assert.Equal((ping, manifest), (mirror.Registry.Ping.AbsoluteUri, mirror.Registry.ManifestOf(Core.Oci.RepositoryName.TryParse("someuser/x", out var name) ? name : null!).AbsoluteUri));
    }

    private static MirrorAddress Parse(string text) => MirrorAddress.TryParseUrl(text, isWholePath: false, out var mirror) ? mirror : throw new FormatException(text);
}
