using System.Net;
using System.Text;
using System.Text.Json;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Tools.Doctor;
using ImageAccess.Proxy.Tools.Engines;

namespace ImageAccess.Proxy.Tests.Tools.Doctor;

/// <summary>What is made of forward proxies: that refuse, that tunnel, that intercept.</summary>
public sealed class ProxyRouteTests : IDisposable
{
    private static readonly string[] Hosts =
    [
        "registry-1.docker.io", "index.docker.io", "registry.hub.docker.com", "docker.io", "auth.docker.io", "production.cloudflare.docker.com",
        "production.cloudfront.docker.com", "docker-images-prod.6aa30f8b08e16409b46e0173d6de2f56.r2.cloudflarestorage.com", "mirror.gcr.io", "192.0.2.7",
        "registry-1.docker.io.", "registry-1.docker.io:8443", "registry-1.docker.io:80",
    ];

    private readonly ExaminedMachine _machine = new();

    public ProxyRouteTests() => _machine.Given["registry-1.docker.io"] = [IPAddress.Parse("192.0.2.7")];

    public void Dispose() => _machine.Dispose();

    [Fact]
    public async Task One_that_refuses_enforces_and_every_spelling_is_tried()
    {
        await using var proxy = new ConnectServer(host => $"403 registry access to {host} is not allowed");
        _machine.WithVariable("HTTPS_PROXY", proxy.Address);

        var report = await _machine.ExamineAsync();

        foreach (var host in Hosts)
            Assert.Equal(RouteVerdict.Enforced, report.Row($"proxy {proxy.Authority}", host).Verdict);
        Assert.Equal(
            "the proxy refuses CONNECT registry-1.docker.io.:443: 403 registry access to registry-1.docker.io.:443 is not allowed",
            report.Row($"proxy {proxy.Authority}", "registry-1.docker.io.").Outcome.Detail);
        Assert.Superset(
            new HashSet<string> { "registry-1.docker.io:443", "192.0.2.7:443", "registry-1.docker.io.:443", "registry-1.docker.io:8443", "registry-1.docker.io:80", "mirror.gcr.io:443" },
            proxy.Heads.Select(head => head.Split(' ')[1]).ToHashSet());
        Assert.False(report.HasOpenRoute);
    }

    [Fact]
    public async Task One_that_tunnels_is_open()
    {
        await using var hub = await FakeHub.StartAsync(options => options.TlsEndPoint = new IPEndPoint(IPAddress.Loopback, 0));
        hub.Images.PushImage(ExaminedMachine.Denied, "latest");
        await using var proxy = new ConnectServer(host => host.EndsWith(":80", StringComparison.Ordinal) ? new IPEndPoint(IPAddress.Loopback, hub.Registry.Port) : hub.TlsEndPoint!);
        _machine.WithVariable("https_proxy", proxy.Address).With("/etc/docker/daemon.json", """{"registry-mirrors":["http://127.0.0.1:1"]}""");

        var report = await _machine.ExamineAsync();

        foreach (var host in Hosts.Where(host => host.Contains("docker.io", StringComparison.Ordinal) || host.StartsWith("192", StringComparison.Ordinal)))
            Assert.Equal(RouteVerdict.Open, report.Row($"proxy {proxy.Authority}", host).Verdict);
        Assert.Contains("Docker Hub hands out", report.Row($"proxy {proxy.Authority}", "192.0.2.7").Outcome.Detail, StringComparison.Ordinal);
        Assert.Contains("--connect-to ::192.0.2.7:443 ", report.Row($"proxy {proxy.Authority}", "192.0.2.7").Outcome.Command, StringComparison.Ordinal);
        Assert.Contains("--proxy \"$https_proxy\"", report.Row($"proxy {proxy.Authority}", "docker.io").Outcome.Command, StringComparison.Ordinal);
        Assert.Equal(RouteVerdict.NotReachable, report.Row($"proxy {proxy.Authority}", "production.cloudflare.docker.com").Verdict); // its certificate is not trusted here
        Assert.EndsWith($"which is open: proxy {proxy.Authority}, registry-1.docker.io", report.Row("fallback", "docker").Outcome.Detail, StringComparison.Ordinal);

        var asked = proxy.Heads.Count;
        await report.AssertShownAsync(("https_proxy", proxy.Address));
        var again = proxy.Heads.Skip(asked).Select(head => head.Split(' ')[1]).ToHashSet();
        Assert.Superset(new HashSet<string> { "192.0.2.7:443", "registry-1.docker.io.:443", "registry-1.docker.io:8443", "registry-1.docker.io:80" }, again);
    }

    [Fact]
    public async Task One_that_intercepts_and_denies_enforces()
    {
        await using var inside = await TlsServer.StartAsync(TlsServer.AnswerAsGatewayAsync);
        await using var proxy = new ConnectServer(host => host.Contains("docker.io", StringComparison.Ordinal) ? inside.EndPoint : "403 registry access is not allowed");
        _machine.WithVariable("HTTPS_PROXY", proxy.Address);

        var report = await _machine.ExamineAsync();

        Assert.Equal("denied: image access denied: community images not allowed (403)", report.Row($"proxy {proxy.Authority}", "registry-1.docker.io").Outcome.Detail);
        Assert.Equal("denied: image access denied: community images not allowed (403)", report.Row($"proxy {proxy.Authority}", "auth.docker.io").Outcome.Detail);
        Assert.False(report.HasOpenRoute);
    }

    [Fact]
    public async Task A_copy_of_Docker_Hub_is_a_way()
    {
        await using var copy = await TlsServer.StartAsync(http =>
        {
            http.Response.Headers["Docker-Distribution-Api-Version"] = "registry/2.0";
            return Task.CompletedTask;
        });
        await using var proxy = new ConnectServer(host => host == "mirror.gcr.io:443" ? copy.EndPoint : "403 no");
        _machine.WithVariable("HTTPS_PROXY", proxy.Address);

        var report = await _machine.ExamineAsync();

        Assert.Equal(["mirror.gcr.io"], report.Findings.Where(finding => finding.Verdict == RouteVerdict.Open).Select(finding => finding.Route.Host));
    }

    [Fact]
    public async Task User_and_password_go_to_the_proxy_and_are_shown_nowhere()
    {
        await using var hub = await FakeHub.StartAsync(options => options.TlsEndPoint = new IPEndPoint(IPAddress.Loopback, 0));
        await using var proxy = new ConnectServer(_ => hub.TlsEndPoint!);
        Assert.True(ProxyAddress.TryParse($"http://canary-user:canary%3Apassword@{proxy.Authority}", "--proxy", out var address));
        _machine.Proxies = [address];

        var report = await _machine.ExamineAsync();

        var expected = $"Proxy-Authorization: Basic {Convert.ToBase64String(Encoding.UTF8.GetBytes("canary-user:canary:password"))}\r\n";
        Assert.All(proxy.Heads, head => Assert.Contains(expected, head, StringComparison.Ordinal));
        Assert.True(report.HasOpenRoute);
        Assert.DoesNotContain("canary", await report.TextAsync() + JsonSerializer.Serialize(report.Facts), StringComparison.Ordinal);
        Assert.All(hub.Requests.All, request => Assert.DoesNotContain("canary", request.ToString(), StringComparison.Ordinal));
        Assert.Contains($"--proxy {proxy.Address} --proxy-user \"$PROXY_USER\"", report.Row($"proxy {proxy.Authority}", "registry-1.docker.io").Outcome.Command, StringComparison.Ordinal);
        await report.AssertShownAsync(("PROXY_USER", "canary-user:canary:password"));
        Assert.All(proxy.Heads, head => Assert.Contains(expected, head, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("407 Proxy Authentication Required", "the proxy wants a user and a password: 407 Proxy Authentication Required")]
    [InlineData("504 Gateway Timeout", "the proxy does not open CONNECT docker.io:443: 504 Gateway Timeout")]
    public async Task One_that_does_not_open_is_not_reachable(string status, string shown)
    {
        await using var proxy = new ConnectServer(_ => status);
        _machine.WithVariable("HTTPS_PROXY", proxy.Address);

        var row = (await _machine.ExamineAsync()).Row($"proxy {proxy.Authority}", "docker.io");

        Assert.Equal((RouteVerdict.NotReachable, shown), (row.Verdict, row.Outcome.Detail));
    }

    [Theory]
    [InlineData("socks5://127.0.0.1:1080")]
    [InlineData("not an address")]
    public async Task What_is_no_such_proxy_is_noted(string text)
    {
        _machine.WithVariable("HTTPS_PROXY", text);

        Assert.Equal(["HTTPS_PROXY is no http or https address; it was not tried"], (await _machine.ExamineAsync()).Notes);
    }
}
