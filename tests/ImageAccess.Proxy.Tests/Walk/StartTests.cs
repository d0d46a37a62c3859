using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using ImageAccess.FakeHubs;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>The program itself, as a process: what stops its start, in which words, and how it ends.</summary>
public abstract class StartTests(string transport) : WalkTests(transport), IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("imageaccess-start-");

    public void Dispose()
    {
        _directory.Delete(recursive: true);
        GC.SuppressFinalize(this);
    }

    [Theory]
    [InlineData("""{ "Lisen": { "Mirror": "x" } }""", "imageaccess: Lisen:Mirror: unknown key; did you mean Listen:Mirror?")]
    [InlineData("""{ "Listen": { "Mirorr": "x" } }""", "imageaccess: Listen:Mirorr: unknown key; did you mean Listen:Mirror?")]
    [InlineData("""{ "Anything": 1 }""", "imageaccess: Anything: unknown key")]
    [InlineData("""{ "Listen": { "Mirror": "https://x/y" } }""", "imageaccess: Listen:Mirror: 'https://x/y' is not an address to listen on, as http://127.0.0.1:5000 or http://*:5000")]
    [InlineData("""{ "Listen": { "TrustedProxies": [ "ten" ] } }""", "imageaccess: Listen:TrustedProxies: 'ten' is not a network, as 10.0.0.0/8")]
    [InlineData("""{ "Audit": { "MaximumSize": "lots" } }""", "imageaccess: Audit:MaximumSize: 'lots' is not a size, as 500MiB or 20GiB")]
    [InlineData("""{ "Upstream": { "Registry": "ftp://x" } }""", "imageaccess: Upstream:Registry: 'ftp://x/' is not an http or https address without a path, as https://registry-1.docker.io")]
    [InlineData("""{ "Upstream": { "Registry": "not an address" } }""", "imageaccess: Upstream:Registry: 'not an address' is not an http or https address without a path, as https://registry-1.docker.io")]
    [InlineData("""{ "Upstream": { "RedirectHosts": [ "*.*.example.com" ] } }""", "imageaccess: Upstream:RedirectHosts: '*.*.example.com' is not a host with at most one * label, as cdn.example.com or cdn.*.example.com:8443")]
    [InlineData("""{ "Mirror": { "Hold": "perhaps" } }""", "imageaccess: Mirror:Hold: 'perhaps' is neither true nor false")]
    [InlineData("""{ "PublicUrl": "https://x/path" }""", "imageaccess: PublicUrl: not an http or https address without a path, as https://mirror.example.com")]
    [InlineData("""{ "Policy": { "File": "missing.json" } }""", "imageaccess: Policy:File: DIRECTORY/missing.json")]
    [InlineData("""{ "Identity": { "TrustedKeys": "missing.pem" } }""", "imageaccess: Identity:TrustedKeys: DIRECTORY/missing.pem")]
    [InlineData("""{ "Upstream": { "TrustedCertificates": "missing.pem" } }""", "imageaccess: Upstream:TrustedCertificates: there is no file DIRECTORY/missing.pem")]
    [InlineData("""{ "Upstream": { "Auth": "http://auth.example.com" } }""", "imageaccess: Identity:TrustedKeys: Upstream:Auth ")]
    [InlineData("""{ "Listen": { "Gateway": "http://*:443" } }""", "imageaccess: Listen:Gateway: 'http://*:443' is not https, as https://*:443")]
    [InlineData("""{ "Listen": { "ForwardProxy": "https://*:3128" } }""", "imageaccess: Listen:ForwardProxy: 'https://*:3128' is not http, as http://*:3128")]
    [InlineData("""{ "Listen": { "Admin": "https://127.0.0.1:9000" } }""", "imageaccess: Listen:Admin: 'https://127.0.0.1:9000' is not http, as http://*:3128")]
    [InlineData("""{ "Listen": { "Gateway": "https://127.0.0.1:0" } }""", "imageaccess: Listen:Gateway: there is no certificate in DIRECTORY/data/certificates: run imageaccess certificates create")]
    [InlineData("""{ "Listen": { "ForwardProxy": "http://127.0.0.1:0" } }""", "imageaccess: Listen:ForwardProxy: there is no certificate in DIRECTORY/data/certificates: run imageaccess certificates create")]
    [InlineData("""{ "Listen": { "Mirror": "https://127.0.0.1:0" } }""", "imageaccess: Listen:Mirror: nobody knows what name its certificate is for: set PublicUrl, or bring one with Certificates:Mirror")]
    [InlineData("""{ "Egress": { "Allow": [ "https://ghcr.io" ] } }""", "imageaccess: Egress:Allow: 'https://ghcr.io' is not a host, as ghcr.io, *.example.com or registry.example.com:5000 private")]
    [InlineData("""{ "Egress": { "IdleTimeout": "long" } }""", "imageaccess: Egress:IdleTimeout: 'long' is not a duration, as 30s, 5m, 12h or 7d")]
    [InlineData("""{ "ForwardProxy": { "Users": "missing" } }""", "imageaccess: ForwardProxy:Users: DIRECTORY/missing does not exist")]
    [InlineData("""{ "Upstream": { "Addresses": "resolver" } }""", "imageaccess: Upstream:Addresses: 'resolver' is not a resolver's address, as 10.0.0.53 or [fd00::53]:5353")]
    [InlineData("""{ "Upstream": { "Addresses": { "registry-1.docker.io": [ "1.2.3.4", "x" ] } } }""", "imageaccess: Upstream:Addresses: 'x', of registry-1.docker.io, is not an address")]
    [InlineData("""{ "Upstream": { "Addresses": { "a..b": "1.2.3.4" } } }""", "imageaccess: Upstream:Addresses: 'a..b' is not a host name")]
    [InlineData("""{ "Upstream": { "Index": "index.docker.io" } }""", "imageaccess: Upstream:Index: 'index.docker.io' is not an http or https address without a path, as https://registry-1.docker.io")]
    [InlineData("""{ "Listen": """, "imageaccess: DIRECTORY/imageaccess.json: not valid JSON: ")]
    public async Task A_wrong_configuration_is_one_clear_line(string json, string line)
    {
        await WriteAsync(json);
        await using var program = Start("--config", "imageaccess.json");
        var (code, output, error) = await program.EndAsync();

        Assert.Equal(2, code);
        Assert.StartsWith(line.Replace("DIRECTORY", _directory.FullName, StringComparison.Ordinal), Lines(error)[0], StringComparison.Ordinal);
        Assert.All(Lines(error), text => Assert.StartsWith("imageaccess: ", text, StringComparison.Ordinal));
        Assert.DoesNotContain("mirror   ", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("sockets")]
    [InlineData("Direct")]
    public async Task An_unknown_transport_is_one_clear_line(string transport)
    {
        await using var program = new ImageAccessProcess(_directory.FullName, [], ("IMAGEACCESS_Listen__Transport", transport));
        var (code, _, error) = await program.EndAsync();
        Assert.Equal(2, code);
        Assert.Equal($"imageaccess: Listen:Transport: '{transport}' is neither direct nor kestrel", Assert.Single(Lines(error)));
    }

    [Fact]
    public async Task Several_wrong_keys_are_told_at_once()
    {
        await WriteAsync("""{ "Lisen": 1, "Audit": { "MaximumSize": "lots" }, "Upstream": { "Registri": "x" } }""");
        await using var program = Start();
        var (code, _, error) = await program.EndAsync();

        Assert.Equal(2, code);
        Assert.Equal(
            ["imageaccess: Audit:MaximumSize: 'lots' is not a size, as 500MiB or 20GiB", "imageaccess: Lisen: unknown key", "imageaccess: Upstream:Registri: unknown key; did you mean Upstream:Registry?"],
            Lines(error).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task An_unreadable_configuration_is_named()
    {
        await using var program = Start("--config", "nowhere.json");
        var (code, _, error) = await program.EndAsync();
        Assert.Equal(2, code);
        Assert.StartsWith($"imageaccess: {_directory.FullName}/nowhere.json: cannot be read: ", Assert.Single(Lines(error)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_bad_policy_without_a_copy_stops_the_start()
    {
        await File.WriteAllTextAsync(Path.Combine(_directory.FullName, "p.json"), """{ "organizations": [ { "name": "UPPER", "surprise": 1 } ] }""");
        await WriteAsync("""{ "Policy": { "File": "p.json" } }""");
        await using var program = Start();
        var (code, _, error) = await program.EndAsync();

        Assert.Equal(2, code);
        Assert.NotEmpty(Lines(error));
        Assert.All(Lines(error), line => Assert.StartsWith("imageaccess: ", line, StringComparison.Ordinal));
        Assert.Contains("p.json", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Mirror", "Admin")]
    [InlineData("Admin", "Mirror")]
    public async Task A_port_in_use_is_named(string listener, string other)
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        await WriteAsync($$"""{ "Listen": { "{{listener}}": "http://{{taken.LocalEndpoint}}", "{{other}}": "http://127.0.0.1:0" } }""");
        await using var program = Start();
        var (code, _, error) = await program.EndAsync();

        Assert.Equal(2, code);
        var line = Assert.Single(Lines(error));
        Assert.StartsWith($"imageaccess: Listen:{listener}: ", line, StringComparison.Ordinal);
        Assert.Contains(taken.LocalEndpoint.ToString()!, line, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_address_that_is_not_this_hosts_is_named()
    {
        await WriteAsync("""{ "Listen": { "Mirror": "http://192.0.2.1:5000" } }""");
        await using var program = Start();
        var (code, _, error) = await program.EndAsync();
        Assert.Equal(2, code);
        Assert.StartsWith("imageaccess: Listen:Mirror http://192.0.2.1:5000 or Listen:Admin http://127.0.0.1:9000: ", Assert.Single(Lines(error)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--help", 0)]
    [InlineData("--version", 0)]
    [InlineData("--nonsense", 2)]
    [InlineData("nonsense", 2)]
    [InlineData("--config", 2)]
    public async Task Usage_has_its_exit_codes(string argument, int expected)
    {
        await using var program = Start(argument);
        Assert.Equal(expected, (await program.EndAsync()).Code);
    }

    [Fact]
    public async Task Variables_that_Kubernetes_injects_are_not_read_and_others_are()
    {
        await using var program = new ImageAccessProcess(
            _directory.FullName,
            [],
            TransportVariable, ("IMAGEACCESS_SERVICE_PORT", "5000"), ("IMAGEACCESS_PORT_5000_TCP_ADDR", "10.0.0.1"), ("IMAGEACCESS_Listen__Mirror", "http://127.0.0.1:0"), ("IMAGEACCESS_Listen__Admin", "http://127.0.0.1:0"),
            ("IMAGEACCESS_PublicUrl", "https://mirror.example.com"));
        await program.WaitForLineAsync("mirror   http://127.0.0.1:");
        program.Terminate();
        Assert.Equal(0, (await program.EndAsync()).Code);

        await using var wrong = new ImageAccessProcess(_directory.FullName, [], ("IMAGEACCESS_Lisen__Mirror", "x"));
        Assert.Equal(2, (await wrong.EndAsync()).Code);
    }

    [Fact]
    public async Task It_says_where_it_listens_and_that_image_access_is_off()
    {
        await WriteAsync("""{ "Listen": { "Mirror": "http://*:0", "Admin": "http://127.0.0.1:0" } }""");
        await using var program = Start();
        await program.WaitForLineAsync("warning  ");
        program.Terminate();
        var (_, output, error) = await program.EndAsync();

        Assert.Contains("in front of https://registry-1.docker.io", output, StringComparison.Ordinal);
        Assert.Contains("policy   image access is OFF: every image is allowed until an organization in the policy file is enabled", output, StringComparison.Ordinal);
        Assert.Contains("warning  plain http beyond loopback: classic dockerd sends Docker Hub credentials to a mirror in the clear", output, StringComparison.Ordinal);
        Assert.Empty(Lines(error));
    }

    [Fact]
    public async Task It_says_which_ways_in_there_are_and_that_egress_is_open()
    {
        await WriteAsync("""{ "Listen": { "Mirror": "http://127.0.0.1:0", "Admin": "http://127.0.0.1:0", "Gateway": "https://127.0.0.1:0", "ForwardProxy": "http://127.0.0.1:0" } }""");
        await using (var certificates = Start("certificates", "create"))
            Assert.Equal(0, (await certificates.EndAsync()).Code);
        await using var program = Start();
        await program.WaitForLineAsync("warning  ");
        program.Terminate();
        var (_, output, error) = await program.EndAsync();

        Assert.Matches(@"(?m)^gateway  https://127\.0\.0\.1:\d+  under Docker Hub's own names$", output);
        Assert.Matches(@"(?m)^proxy    http://127\.0\.0\.1:\d+  for HTTPS_PROXY$", output);
        Assert.Contains("warning  other registries can be reached, and so copies of Docker Hub: Egress:Allow restricts them\n", output, StringComparison.Ordinal);
        Assert.Empty(Lines(error));
    }

    [Fact]
    public async Task SIGTERM_ends_it_with_the_audit_written()
    {
        await using var hub = await FakeHub.StartAsync();
        hub.Images.PushImage("someuser/x", "latest");
        await File.WriteAllTextAsync(Path.Combine(_directory.FullName, "policy.json"), Surroundings.Policy);
        await WriteAsync($$"""
            { "Listen": { "Mirror": "http://127.0.0.1:0", "Admin": "http://127.0.0.1:0" }, "Policy": { "File": "policy.json" },
              "Upstream": { "Registry": "{{hub.Registry}}", "Auth": "{{hub.Auth}}", "Hub": "{{hub.Hub}}" } }
            """);
        await using var program = Start();
        var line = await program.WaitForLineAsync("mirror   ");
        using var client = Surroundings.NewClient(new Uri(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1]));
        client.DefaultRequestHeaders.Add("Authorization", "Bearer " + await hub.TokenForAsync(null, "repository:someuser/x:pull"));
        for (var i = 0; i < 50; i++)
            Assert.Equal(HttpStatusCode.Forbidden, (await client.GetAsync("/v2/someuser/x/manifests/latest")).StatusCode);

        program.Terminate();
        Assert.Equal(0, (await program.EndAsync()).Code);
        var events = await File.ReadAllLinesAsync(Path.Combine(_directory.FullName, "data", "audit.jsonl"));
        Assert.Equal(50, events.Count(text => JsonSerializer.Deserialize<JsonElement>(text).TryGetProperty("outcome", out var outcome) && outcome.GetString() == "deny"));
    }

    private static string[] Lines(string text) => text.Split('\n', StringSplitOptions.RemoveEmptyEntries);

    private Task WriteAsync(string json) => File.WriteAllTextAsync(Path.Combine(_directory.FullName, "imageaccess.json"), json);

    private ImageAccessProcess Start(params string[] arguments) => new(_directory.FullName, arguments, TransportVariable);
}

public sealed class StartTests_direct() : StartTests(Direct);

public sealed class StartTests_kestrel() : StartTests(Kestrel);
