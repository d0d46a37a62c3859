using System.Text.Json;

namespace ImageAccess.EndToEnd.Tests.Doctor;

/// <summary>The doctor in networks that are open, closed, and closed by half.</summary>
public sealed class DoctorTests : IAsyncLifetime
{
    private static readonly string[] Registries = ["registry-1.docker.io", "index.docker.io", "registry.hub.docker.com", "docker.io"];

    private static readonly string[] Content =
        ["production.cloudflare.docker.com", "production.cloudfront.docker.com", "docker-images-prod.6aa30f8b08e16409b46e0173d6de2f56.r2.cloudflarestorage.com"];

    private DoctorWorld _world = null!;

    public async Task InitializeAsync()
    {
        _world = await DoctorWorld.StartAsync();
        await _world.WriteAsync("/etc/docker/daemon.json", $$"""{ "registry-mirrors": ["{{DoctorWorld.Mirror}}"] }""");
    }

    public async Task DisposeAsync() => await _world.DisposeAsync();

    [Fact]
    public async Task In_an_open_network_every_direct_way_is_found_and_each_is_shown_by_its_command()
    {
        var rows = await ExamineAsync(1);

        foreach (var host in (IEnumerable<string>)[.. Registries, "auth.docker.io", .. Content])
        {
            AssertRow(rows, "open", "direct IPv4", host);
            AssertRow(rows, "open", "direct IPv6", host);
            AssertRow(rows, "not reachable", "QUIC IPv4", host);
            AssertRow(rows, "not reachable", "QUIC IPv6", host);
        }

        AssertRow(rows, "not reachable", "direct IPv4", "mirror.gcr.io");
        AssertRow(rows, "enforced", "mirror", DoctorWorld.Mirror);
        AssertRow(rows, "open", "fallback", "docker");
        await AssertShownAsync(rows);
    }

    [Fact]
    public async Task In_a_closed_network_none_is_found()
    {
        await _world.CloseAsync("ip", DoctorWorld.Hub);
        await _world.CloseAsync("ip6", DoctorWorld.Hub6);

        var rows = await ExamineAsync(0, "--resolve", $"registry-1.docker.io={DoctorWorld.Hub},{DoctorWorld.Hub6}");

        Assert.Equal(["mirror", "fallback"], rows.Where(row => row.Verdict == "enforced").Select(row => row.Way));
        Assert.All(rows.Where(row => row.Verdict != "enforced"), row => Assert.Equal("not reachable", row.Verdict));
        AssertRow(rows, "not reachable", "given IPv4", "registry-1.docker.io");
        AssertRow(rows, "not reachable", "given IPv6", "registry-1.docker.io");
    }

    [Fact]
    public async Task A_firewall_that_forgets_IPv6_is_told()
    {
        await _world.CloseAsync("ip", DoctorWorld.Hub);

        var rows = await ExamineAsync(1);

        Assert.All(rows.Where(row => row.Way == "direct IPv4"), row => Assert.Equal("not reachable", row.Verdict));
        Assert.Equal([.. Registries, "auth.docker.io", .. Content], rows.Where(row => row is { Verdict: "open", Way: "direct IPv6" }).Select(row => row.Host));
        AssertRow(rows, "open", "fallback", "docker");
        await AssertShownAsync(rows);
    }

    [Fact]
    public async Task Where_the_names_lead_nowhere_the_real_addresses_still_do()
    {
        await _world.WriteClientHostsAsync("127.0.0.1 localhost", "127.0.0.9 registry-1.docker.io index.docker.io auth.docker.io");

        var rows = await ExamineAsync(1, "--resolve", $"registry-1.docker.io={DoctorWorld.Hub}", "--resolve", $"auth.docker.io={DoctorWorld.Hub}");

        AssertRow(rows, "not reachable", "direct IPv4", "registry-1.docker.io");
        Assert.Equal(
            [("given IPv4", "registry-1.docker.io"), ("given IPv4", "auth.docker.io")],
            rows.Where(row => row.Verdict == "open").Select(row => (row.Way, row.Host)));
        AssertRow(rows, "enforced", "fallback", "docker");
        await AssertShownAsync(rows);
    }

    [Fact]
    public async Task Another_registry_that_is_reached_is_a_note_and_no_open_way()
    {
        await _world.WriteClientHostsAsync("127.0.0.1 localhost", $"{DoctorWorld.Hub} ghcr.io");

        var examined = await _world.ExamineAsync();

        Assert.Equal(0, examined.ExitCode);
        examined.Saying("note: other registries can be reached, and so copies of Docker Hub: Egress:Allow restricts them\n(ghcr.io directly)\n");
    }

    [Fact]
    public async Task A_file_that_is_not_for_this_user_is_noted()
    {
        await _world.CloseToOthersAsync("/etc/docker/daemon.json");

        (await _world.ExamineAsync()).Saying("note: /etc/docker/daemon.json may not be read by this user: what it says was not looked at\n");
    }

    [Fact]
    public async Task The_page_shows_what_the_program_prints()
    {
        await _world.CloseAsync("ip", DoctorWorld.Hub);
        var page = await File.ReadAllTextAsync(Path.Combine(ProxyUnderTest.Repository, "docs", "doctor.md"));
        var parts = page.Split($"```console\n$ imageaccess doctor --denied {DoctorWorld.Denied}\n")[1].Split("```")[0].Split("…\n");

        var printed = (await _world.ExamineAsync()).Text;

        Assert.StartsWith(parts[0], printed, StringComparison.Ordinal);
        Assert.EndsWith(parts[^1], printed, StringComparison.Ordinal);
        Assert.All(parts, part => Assert.Contains(part, printed, StringComparison.Ordinal));
    }

    /// <summary>The names lead to the gateway, the environment names the forward proxy, and nothing else leads out.</summary>
    [Fact]
    public async Task Behind_a_gateway_and_a_forward_proxy_every_way_that_leads_anywhere_is_enforced()
    {
        await using var world = await DoctorWorld.StartAsync("\"Gateway\": \"https://127.0.0.2:443\", \"ForwardProxy\": \"http://127.0.0.1:3128\",");
        await world.CloseAsync("ip", DoctorWorld.Hub);
        await world.CloseAsync("ip6", DoctorWorld.Hub6);
        await world.WriteClientHostsAsync("127.0.0.1 localhost", $"127.0.0.2 {string.Join(' ', Registries)} auth.docker.io {Content[0]}");

        var examined = await world.TypeAsync(
            $"HTTPS_PROXY=http://127.0.0.1:3128 dotnet /mnt/program/imageaccess.dll doctor --json --denied {DoctorWorld.Denied} --resolve registry-1.docker.io={DoctorWorld.Hub}");

        Assert.True(examined.ExitCode == 0, examined.ToString());
        var rows = Read(examined);
        foreach (var host in (IEnumerable<string>)[.. Registries, "auth.docker.io"])
            AssertRow(rows, "enforced", "direct IPv4", host);
        foreach (var host in (IEnumerable<string>)[.. Registries, "auth.docker.io", .. Content, "mirror.gcr.io", "registry-1.docker.io.", "registry-1.docker.io:8443", DoctorWorld.Hub])
            AssertRow(rows, "enforced", "proxy 127.0.0.1:3128", host);
        AssertRow(rows, "not reachable", "given IPv4", "registry-1.docker.io");
        Assert.DoesNotContain(rows, row => row.Verdict == "open");
    }

    private static void AssertRow(IReadOnlyList<Row> rows, string verdict, string way, string host)
    {
        var row = Assert.Single(rows, row => row.Way == way && row.Host == host);
        Assert.True(row.Verdict == verdict, $"expected {verdict}: {row}");
    }

    private async Task<IReadOnlyList<Row>> ExamineAsync(int exitCode, params string[] arguments)
    {
        var examined = await _world.ExamineAsync(["--json", .. arguments]);
        Assert.True(exitCode == examined.ExitCode, examined.ToString());
        return Read(examined);
    }

    private static IReadOnlyList<Row> Read(Outcome examined) => JsonSerializer.Deserialize<Report>(examined.Text, JsonSerializerOptions.Web)!.Ways;

    /// <summary>What stands below an open way works for the person who types it.</summary>
    private async Task AssertShownAsync(IReadOnlyList<Row> rows)
    {
        var commands = rows.Where(row => row.Verdict == "open").Select(row => row.Command!).Distinct().ToList();
        Assert.NotEmpty(commands);
        foreach (var command in commands)
            (await _world.TypeAsync(command)).Succeeded();
    }

    private sealed record Report(IReadOnlyList<Row> Ways);

    private sealed record Row(string Verdict, string Way, string Host, string Detail, string? Command);
}
