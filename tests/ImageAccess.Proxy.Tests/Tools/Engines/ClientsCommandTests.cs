using System.Diagnostics;
using System.Runtime.CompilerServices;
using ImageAccess.Proxy.Tests.Tools.Verbs;
using ImageAccess.Proxy.Tools.Engines;
using ImageAccess.Proxy.Tools.Verbs;
using Microsoft.Extensions.Configuration;

namespace ImageAccess.Proxy.Tests.Tools.Engines;

/// <summary>Golden/ has what is printed for each client and way in, to the letter; bad input is refused and named.</summary>
public sealed class ClientsCommandTests : IDisposable
{
    private static readonly string Here = Folder();

    private static readonly Dictionary<string, string[]> Ways = new()
    {
        ["mirror"] = ["--mode", "mirror", "--config", Fixture("plain.json")],
        ["mirror-https"] = ["--mode", "mirror", "--config", Fixture("tls.json")],
        ["gateway"] = ["--mode", "gateway", "--config", Fixture("tls.json"), "--address", "192.0.2.10", "--address", "2001:db8::10"],
        ["forward-proxy"] = ["--mode", "forward-proxy", "--config", Fixture("tls.json"), "--address", "proxy.example.com"],
        ["forward-proxy-user"] = ["--mode", "forward-proxy", "--config", Fixture("tls.json"), "--proxy-user", "al ice"],
    };

    private readonly string _folder = Directory.CreateTempSubdirectory("clients-").FullName;

    public static TheoryData<string, string> Printed()
    {
        var all = new TheoryData<string, string>();
        foreach (var client in new[] { "docker", "containerd", "buildkit", "podman", "kubernetes", "ci" })
        {
            foreach (var way in Ways.Keys)
                all.Add(client, way);
        }

        return all;
    }

    public static TheoryData<string[], string> Refused => new()
    {
        { ["docker", "--mode", "gateway", "--address", "proxy.example.com"], "--address: 'proxy.example.com' is not an IP address, which the gateway needs: Docker Hub's names are to lead to it" },
        { ["docker", "--mode", "gateway", "--address", "127.1"], "--address: '127.1' is not an IP address, which the gateway needs: Docker Hub's names are to lead to it" },
        { ["docker", "--mode", "gateway", "--address", "0.0.0.0"], "--address: '0.0.0.0' is not an IP address, which the gateway needs: Docker Hub's names are to lead to it" },
        { ["docker", "--mode", "gateway", "--address", "192.0.2.1", "--address", "192.0.2.2"], "--address: the gateway has one address of IPv4 and one of IPv6 at most" },
        { ["docker", "--mode", "mirror", "--address", "a.example.com", "--address", "b.example.com"], "--address: given twice only for the gateway, of IPv4 and of IPv6" },
        { ["docker", "--mode", "mirror", "--address", "mirror.example.com:5000"], "--address: 'mirror.example.com:5000' is neither a host name nor an IP address; the port is the configuration's" },
        { ["docker", "--mode", "mirror", "--address", "a\"; rm -rf /"], "--address: 'a\"; rm -rf /' is neither a host name nor an IP address; the port is the configuration's" },
        { ["docker", "--mode", "mirror", "--address", "a.example.com", "--config", Fixture("plain.json")], "--address: PublicUrl says already how clients reach the mirror, http://mirror.example.com:5000" },
        { ["docker", "--mode", "mirror", "--address", "a.example.com", "--proxy-user", "alice"], "--proxy-user goes with --mode forward-proxy" },
        { ["docker", "--mode", "forward-proxy", "--proxy-user", "alice:secret", "--config", Fixture("tls.json")], "--proxy-user: a name, without a password: write that into the file, where PASSWORD stands" },
        { ["docker", "--mode", "gateway", "--address", "192.0.2.1", "--config", Fixture("no-authority.json")], $"{Fixture("elsewhere/certificates/ca.crt")} is not there, and clients must trust it: `imageaccess certificates create` makes it; or name another with --ca" },
        { ["docker", "--mode", "gateway", "--address", "192.0.2.1", "--ca", Fixture("absent.crt")], $"--ca: {Fixture("absent.crt")} is not there" },
        { ["docker", "--mode", "gateway", "--address", "192.0.2.1", "--ca", Fixture("plain.json")], $"{Fixture("plain.json")} has no certificate in it" },
    };

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [MemberData(nameof(Printed))]
    public async Task What_is_printed_is_what_the_golden_file_has(string client, string way)
    {
        var run = await CommandLine.RunAsync(["clients", client, .. Ways[way]]);

        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.Equal(await File.ReadAllTextAsync(Path.Combine(Here, "Golden", $"{client}-{way}.txt")), run.Output);
    }

    [Theory]
    [MemberData(nameof(Printed))]
    public async Task Every_file_ends_in_the_line_that_undoes_it_and_the_undo_script_has_them_all(string client, string way)
    {
        var run = await CommandLine.RunAsync(["clients", client, .. Ways[way], "--json", "--write", _folder]);

        var files = run.Json.GetProperty("files").EnumerateArray().ToList();
        var script = await File.ReadAllTextAsync(Path.Combine(_folder, "undo"));
        var last = 0;
        Assert.NotEmpty(files);
        Assert.All(files, file =>
        {
            var (path, content, undo) = (file.GetProperty("path").GetString()!, file.GetProperty("content").GetString()!, file.GetProperty("undo").GetString()!);
            Assert.Equal($"rm {path}", undo);
            Assert.Equal(content, File.ReadAllText(Path.Combine(_folder, path.TrimStart('/'))));
            Assert.True(path.EndsWith(".json", StringComparison.Ordinal) || content.EndsWith($"\n# undo: {undo}\n", StringComparison.Ordinal), path);
            var at = script.IndexOf($"then {undo} ", StringComparison.Ordinal);
            Assert.True(at > last, path);
            last = at;
        });
        Assert.Equal(files.Count + 1, Directory.GetFiles(_folder, "*", SearchOption.AllDirectories).Length);
        Assert.True(OperatingSystem.IsWindows() || File.GetUnixFileMode(Path.Combine(_folder, "undo")).HasFlag(UnixFileMode.UserExecute));
    }

    [Theory]
    [InlineData("docker")]
    [InlineData("containerd")]
    [InlineData("buildkit")]
    [InlineData("podman")]
    [InlineData("kubernetes")]
    [InlineData("ci")]
    public async Task Without_an_address_it_prints_for_this_machine_and_says_so(string client)
    {
        var authority = Fixture("data/certificates/ca.crt");
        var mirror = await CommandLine.RunAsync("clients", client, "--mode", "mirror", "--json");
        var gateway = await CommandLine.RunAsync("clients", client, "--mode", "gateway", "--ca", authority, "--json");
        var forwardProxy = await CommandLine.RunAsync("clients", client, "--mode", "forward-proxy", "--ca", authority, "--json");

        AssertFor(mirror, "127.0.0.1:5000", "Listen:Mirror is http://127.0.0.1:5000, which does not say how others reach it. For them name --address HOST, or set PublicUrl, and let Listen:Mirror listen where they come to");
        AssertFor(gateway, "127.0.0.1", "Listen:Gateway is https://*:443, which does not say how others reach it. For them name --address HOST. The proxy on that machine needs Upstream:Addresses");
        AssertFor(forwardProxy, "http://127.0.0.1:3128", "Listen:ForwardProxy is http://*:3128, which does not say how others reach it. For them name --address HOST, or set PublicUrl");

        static void AssertFor(CommandLine run, string address, string note)
        {
            Assert.Equal((0, ""), (run.ExitCode, run.Error));
            Assert.Equal($"This is for clients on the proxy's own machine: {note}", run.Json.GetProperty("notes")[0].GetString());
            Assert.Contains(address, run.Output, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("http://127.0.0.1:5005", "http://127.0.0.1:5005")]
    [InlineData("http://*:81", "http://127.0.0.1:81")]
    [InlineData("http://[::1]:5000", "http://[::1]:5000")]
    [InlineData("http://[::]:5000", "http://[::1]:5000")]
    public async Task This_machine_is_where_the_configuration_listens(string listen, string address)
    {
        var file = Path.Combine(_folder, "imageaccess.json");
        await File.WriteAllTextAsync(file, $$"""{ "Listen": { "Mirror": "{{listen}}" } }""");
        var run = await CommandLine.RunAsync("clients", "docker", "--mode", "mirror", "--config", file);
        Assert.Equal(0, run.ExitCode);
        Assert.Contains($"\"{address}\"", run.Output, StringComparison.Ordinal);
        Assert.Contains("This is for clients on the proxy's own machine", run.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("http://10.20.30.40:5000", true)]
    [InlineData("http://mirror.corp.example", true)]
    [InlineData("http://[fd00::5]:8080", true)]
    [InlineData("https://10.20.30.40:5000", false)]
    [InlineData("http://127.0.0.1:5000", false)]
    [InlineData("http://localhost:5000", false)]
    public void A_plain_mirror_beyond_loopback_is_not_recommended_to_dockerd(string address, bool isTold)
    {
        var setup = KnownEngines.All.Single(engine => engine.Name == "docker").Mirror(new MirrorWay(new Uri(address), null));

        Assert.Equal(isTold, setup.Notes.Any(note => note.Contains("BuildKit", StringComparison.Ordinal) && note.Contains("https", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task What_is_written_is_told_and_written_once()
    {
        string[] arguments = ["clients", "docker", .. Ways["mirror"], "--write", _folder];

        var first = await CommandLine.RunAsync(arguments);
        var second = await CommandLine.RunAsync(arguments);

        Assert.StartsWith($"wrote {_folder}/etc/docker/daemon.json\nwrote {_folder}/undo\n\n=== then run ===\nsystemctl restart docker\n", first.Output, StringComparison.Ordinal);
        Assert.StartsWith("\n=== then run ===\n", second.Output, StringComparison.Ordinal);
        Assert.Equal(0, second.ExitCode);
    }

    [Fact]
    public async Task A_file_with_other_content_is_named_and_nothing_is_written()
    {
        var present = Path.Combine(_folder, "etc/containerd/certs.d/registry.hub.docker.com/hosts.toml");
        Directory.CreateDirectory(Path.GetDirectoryName(present)!);
        await File.WriteAllTextAsync(present, "somebody's own\n");

        var run = await CommandLine.RunAsync(["clients", "containerd", .. Ways["mirror"], "--write", _folder]);

        Assert.Equal((2, $"imageaccess: {present} is there with other content; nothing was written\n"), (run.ExitCode, run.Error));
        Assert.Equal([present], Directory.GetFiles(_folder, "*", SearchOption.AllDirectories));
        Assert.Equal("somebody's own\n", await File.ReadAllTextAsync(present));
    }

    [Fact]
    public async Task A_directory_that_cannot_be_written_is_named()
    {
        var file = Path.Combine(_folder, "file");
        await File.WriteAllTextAsync(file, "");

        var run = await CommandLine.RunAsync(["clients", "docker", .. Ways["mirror"], "--write", file]);

        Assert.Equal(2, run.ExitCode);
        Assert.StartsWith("imageaccess: --write: ", run.Error, StringComparison.Ordinal);
        Assert.Contains(file, run.Error, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Refused))]
    public async Task Bad_input_is_refused_and_named(string[] arguments, string says)
    {
        var run = await CommandLine.RunAsync(["clients", .. arguments]);

        Assert.Equal((2, "", $"imageaccess: {says}\n"), (run.ExitCode, run.Output, run.Error));
    }

    [Theory]
    [InlineData("rkt", "--mode", "mirror")]
    [InlineData("docker", "--mode", "sideways")]
    [InlineData("docker")]
    public async Task An_unknown_client_or_way_is_wrong_usage(params string[] arguments)
    {
        var run = await CommandLine.StartAsync(["clients", .. arguments]);

        Assert.Equal(2, run.ExitCode);
        Assert.NotEqual("", run.Error);
    }

    [Fact]
    public async Task Of_a_file_with_a_private_key_the_certificate_alone_is_taken()
    {
        var both = Path.Combine(_folder, "both.pem");
        await File.WriteAllTextAsync(both, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n" + await File.ReadAllTextAsync(Fixture("data/certificates/ca.crt")));

        var run = await CommandLine.RunAsync("clients", "docker", "--mode", "gateway", "--address", "192.0.2.1", "--ca", both);

        Assert.Equal(0, run.ExitCode);
        Assert.Contains("-----BEGIN CERTIFICATE-----", run.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("PRIVATE", run.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_that_is_too_large_for_certificates_is_not_read()
    {
        var large = Path.Combine(_folder, "large.pem");
        await File.WriteAllTextAsync(large, new string('#', 300_000));

        var run = await CommandLine.RunAsync("clients", "docker", "--mode", "gateway", "--address", "192.0.2.1", "--ca", large);

        Assert.Equal((2, $"imageaccess: {large} is larger than 262144 bytes\n"), (run.ExitCode, run.Error));
    }

    [Theory]
    [InlineData("Listen:Mirror", "http://192.0.2.7:5000", "mirror", "http://192.0.2.7:5000/")]
    [InlineData("Listen:Mirror", "http://[2001:db8::7]:5000", "mirror", "http://[2001:db8::7]:5000/")]
    [InlineData("Listen:ForwardProxy", "http://192.0.2.7:8080", "forward-proxy", "http://192.0.2.7:8080/")]
    public void A_listener_on_an_address_of_its_own_says_how_it_is_reached(string key, string listener, string mode, string expected)
    {
        var way = Reading((key, listener)).Read(mode);

        Assert.Equal(new Uri(expected), way is MirrorWay mirror ? mirror.Url : ((ForwardProxyWay)way).Proxy);
    }

    [Fact]
    public void The_ports_are_the_configurations()
    {
        Assert.Equal(8443, ((GatewayWay)(Reading(("Listen:Gateway", "https://*:8443")) with { Addresses = ["192.0.2.7"] }).Read("gateway")).Port);
        Assert.Equal("http://p.example.com:8080", ((ForwardProxyWay)(Reading(("Listen:ForwardProxy", "http://*:8080")) with { Addresses = ["p.example.com"] }).Read("forward-proxy")).Address);
        Assert.Equal("https://m.example.com:5443", ((MirrorWay)(Reading(("Listen:Mirror", "https://*:5443")) with { Addresses = ["m.example.com"] }).Read("mirror")).Address);
    }

    [Theory]
    [InlineData("https://mirror.example.com/prefix")]
    [InlineData("https://user:secret@mirror.example.com")]
    [InlineData("ftp://mirror.example.com")]
    [InlineData("mirror.example.com")]
    public void A_public_address_that_no_client_takes_is_refused(string text)
    {
        var refused = Assert.Throws<MisuseException>(() => Reading(("PublicUrl", text)).Read("mirror"));

        Assert.StartsWith($"PublicUrl: '{text}' is not an address that clients take", Assert.Single(refused.Problems), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_scripts_of_jobs_are_read_by_a_shell()
    {
        foreach (var way in Ways)
        {
            var tree = Path.Combine(_folder, way.Key);
            await CommandLine.RunAsync(["clients", "ci", .. way.Value, "--write", tree]);
            foreach (var script in new[] { "ci/imageaccess/env.sh", "undo" })
            {
                using var shell = Process.Start(new ProcessStartInfo("sh", ["-n", Path.Combine(tree, script)]) { RedirectStandardError = true, UseShellExecute = false })!;
                Assert.Equal("", await shell.StandardError.ReadToEndAsync());
            }
        }
    }

    private static string Folder([CallerFilePath] string file = "") => Path.GetDirectoryName(file)!;

    private static string Fixture(string name) => Path.Combine(Here, "Fixtures", name);

    private static WayInReader Reading(params (string Key, string Value)[] settings) => new(
        new ConfigurationBuilder().AddInMemoryCollection(settings.Select(pair => KeyValuePair.Create(pair.Key, (string?)pair.Value))).Build(),
        [],
        Fixture("data/certificates/ca.crt"),
        null);
}
