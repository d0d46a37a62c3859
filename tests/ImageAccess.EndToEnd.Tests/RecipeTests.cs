using System.Diagnostics;

namespace ImageAccess.EndToEnd.Tests;

/// <summary>The recipes of <c>deploy</c> as they are, each in networks of its own: who answers to whom before, under and after them.</summary>
[Collection(nameof(Surroundings))]
public sealed class RecipeTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("recipe-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task On_one_machine_everybody_but_the_proxy_comes_out_at_the_gateway() =>
        await AnswersAsync("host.sh", "deploy/egress-gateway/host.nft", """
            host nobody tcp 198.51.100.7: internet -> gateway
            host nobody udp 198.51.100.7: internet -> nobody
            host root tcp 198.51.100.7: internet -> gateway
            host root udp 198.51.100.7: internet -> nobody
            host imageaccess tcp 198.51.100.7: internet -> internet
            host imageaccess udp 198.51.100.7: internet -> internet
            container nobody tcp 198.51.100.7: internet -> gateway
            container nobody udp 198.51.100.7: internet -> nobody
            host nobody tcp [2001:db8:1::7]: internet -> gateway
            host nobody udp [2001:db8:1::7]: internet -> nobody
            host root tcp [2001:db8:1::7]: internet -> gateway
            host root udp [2001:db8:1::7]: internet -> nobody
            host imageaccess tcp [2001:db8:1::7]: internet -> internet
            host imageaccess udp [2001:db8:1::7]: internet -> internet
            container nobody tcp [2001:db8:1::7]: internet -> gateway
            container nobody udp [2001:db8:1::7]: internet -> nobody
            host nobody tcp 10.9.9.9: office -> office
            host nobody udp 10.9.9.9: office -> office
            host nobody tcp [fd09::9]: office -> office
            host nobody udp [fd09::9]: office -> office
            host nobody tcp 198.51.100.1: webserver -> webserver
            host nobody udp 198.51.100.1: webserver -> webserver
            """);

    [Fact]
    public async Task Behind_a_router_every_client_comes_out_at_the_gateway() =>
        await AnswersAsync("router.sh", "deploy/egress-gateway/router.nft", """
            client nobody tcp 198.51.100.7: internet -> gateway
            client nobody udp 198.51.100.7: internet -> nobody
            router nobody tcp 198.51.100.7: internet -> internet
            router nobody udp 198.51.100.7: internet -> internet
            client nobody tcp [2001:db8:1::7]: internet -> gateway
            client nobody udp [2001:db8:1::7]: internet -> nobody
            router nobody tcp [2001:db8:1::7]: internet -> internet
            router nobody udp [2001:db8:1::7]: internet -> internet
            client nobody tcp 10.9.9.9: office -> office
            client nobody udp 10.9.9.9: office -> office
            client nobody tcp [fd09::9]: office -> office
            client nobody udp [fd09::9]: office -> office
            client nobody tcp 192.168.7.1: webserver -> webserver
            client nobody udp 192.168.7.1: webserver -> webserver
            client older connection: alive -> dead
            """);

    [Fact]
    public async Task Beside_a_resolver_that_steers_the_router_leads_everybody_to_the_gateways_machine() =>
        await AnswersAsync("enforce.sh", "deploy/dns/enforce.nft", """
            client nobody tcp 198.51.100.7: internet -> gateway
            client nobody udp 198.51.100.7: internet -> nobody
            proxy nobody tcp 198.51.100.7: internet -> internet
            proxy nobody udp 198.51.100.7: internet -> internet
            client nobody tcp [2001:db8:1::7]: internet -> gateway
            client nobody udp [2001:db8:1::7]: internet -> nobody
            proxy nobody tcp [2001:db8:1::7]: internet -> internet
            proxy nobody udp [2001:db8:1::7]: internet -> internet
            client nobody tcp 10.9.9.9: office -> office
            client nobody udp 10.9.9.9: office -> office
            client nobody tcp [fd09::9]: office -> office
            client nobody udp [fd09::9]: office -> office
            """);

    [Theory]
    [InlineData("deploy/dns/dnsmasq.conf", true)]
    [InlineData("deploy/dns/dnsmasq.conf", false)]
    [InlineData("deploy/dns/unbound.conf", true)]
    [InlineData("deploy/dns/unbound.conf", false)]
    public async Task A_resolver_leads_every_intercepted_name_to_the_gateway(string recipe, bool hasIpv6)
    {
        var path = InRepository(recipe);
        if (!hasIpv6)
        {
            var lines = (await File.ReadAllLinesAsync(path)).Where(line => line.StartsWith('#') || !line.Contains("2001:db8::10", StringComparison.Ordinal));
            path = Path.Combine(_folder, $"ipv4-{Path.GetFileName(recipe)}");
            await File.WriteAllLinesAsync(path, lines);
        }

        string[] names = [.. await InterceptedAsync(), "something.new.docker.io"];
        var said = await RunAsync("names.sh", path, ("NAMES", $"{string.Join(' ', names)} hub.docker.com"));

        Assert.True(names.Length >= 6, string.Join(' ', names));
        var expected = names.SelectMany(name => new[]
        {
            $"{name} A: 192.0.2.10 status: NOERROR",
            $"{name} AAAA: {(hasIpv6 ? "2001:db8::10 " : "")}status: NOERROR",
            $"{name} HTTPS: status: NOERROR",
        });
        Assert.Equal(expected, said.Where(line => !line.StartsWith("hub.docker.com ", StringComparison.Ordinal)));
        Assert.Equal(3, said.Count(line => line.StartsWith("hub.docker.com ", StringComparison.Ordinal) && !line.Contains("192.0.2.10", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Systemd_accepts_the_unit()
    {
        // Its programs are where the README puts them; here they are stood in for.
        var unit = (await File.ReadAllTextAsync(InRepository("deploy/systemd/imageaccess.service")))
            .Replace("/opt/imageaccess/imageaccess", "/bin/true", StringComparison.Ordinal);
        var path = Path.Combine(_folder, "imageaccess.service");
        await File.WriteAllTextAsync(path, unit);

        var verified = await Running.ToEndAsync(
            new ProcessStartInfo("systemd-analyze", ["verify", "--man=no", path]), "systemd-analyze verify", "", TimeSpan.FromSeconds(60));

        Assert.Equal((0, ""), (verified.ExitCode, verified.Text));
        Assert.Contains("/bin/true", unit, StringComparison.Ordinal);
    }

    private static string InRepository(string path) => Path.Combine(ProxyUnderTest.Repository, path);

    private async Task AnswersAsync(string network, string recipe, string expected)
    {
        var said = await RunAsync(network, InRepository(recipe));
        var (after, undone) = (said.IndexOf("after"), said.IndexOf("undone"));
        Assert.True(said[0] == "before" && after > 0 && undone > after, string.Join('\n', said));

        var changes = said[1..after].Zip(said[(after + 1)..undone], (before, then) => $"{before} -> {then.Split(' ')[^1]}");
        Assert.Equal(expected.ReplaceLineEndings("\n"), string.Join('\n', changes));
        Assert.Equal(2, said.Count - undone - 1);
        Assert.Equal(said[1..3], said[(undone + 1)..]);
    }

    /// <summary>Runs a script in mount, network and process namespaces of its own, which end with it.</summary>
    private async Task<List<string>> RunAsync(string script, string recipe, params (string Name, string Value)[] environment)
    {
        var start = new ProcessStartInfo("unshare", [
            "--mount", "--propagation", "private", "--net", "--pid", "--fork", "--kill-child",
            "bash", InRepository($"tests/ImageAccess.EndToEnd.Tests/Networks/{script}")]);
        foreach (var (name, value) in environment.Append(("RECIPE", recipe)).Append(("WORK", _folder))) start.Environment[name] = value;
        var outcome = await Running.ToEndAsync(start, script, "", TimeSpan.FromSeconds(90));
        return [.. outcome.Succeeded().Text.Split('\n', StringSplitOptions.RemoveEmptyEntries)];
    }

    /// <summary>The names as the program itself hands them out.</summary>
    private async Task<IReadOnlyList<string>> InterceptedAsync()
    {
        var authority = Path.Combine(_folder, "ca.crt");
        using (var certificates = new FakeHubs.CertificateAuthority()) await certificates.WriteToAsync(authority);
        var files = await GeneratedFiles.WriteAsync(
            Path.Combine(_folder, "tree"), null, "docker", "--mode", "gateway", "--address", "192.0.2.10", "--ca", authority);
        return [.. files.Read("/etc/imageaccess/hosts").Split('\n')[0].Split(' ').Skip(1).TakeWhile(word => word != "#")];
    }
}
