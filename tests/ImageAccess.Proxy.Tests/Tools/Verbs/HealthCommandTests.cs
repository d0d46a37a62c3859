using System.Net;
using System.Net.Sockets;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Tests.Walk;

namespace ImageAccess.Proxy.Tests.Tools.Verbs;

/// <summary><c>imageaccess health</c>: one line, and an exit code that a health check understands.</summary>
public sealed class HealthCommandTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task A_proxy_that_is_ready_is_well()
    {
        await using var here = await Surroundings.StartAsync();
        Assert.Equal(new CommandLine(0, "ready\n", ""), await RunAsync(here.Admin.Authority));
        Assert.Equal(new CommandLine(0, "alive\n", ""), await RunAsync(here.Admin.Authority, "--live"));
    }

    [Fact]
    public async Task A_proxy_that_is_degraded_is_well_and_says_what_is_not()
    {
        await using var here = await Surroundings.StartAsync();
        here.Hub.Faults.Add(Face.Registry, Fault.CloseConnection());
        await here.AskAsync("GET", "/v2/library/nginx/manifests/latest", await here.PullTokenAsync("bob", "library/nginx"));
        var run = await RunAsync(here.Admin.Authority);
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.Matches("^degraded: upstream: [^\n]+\n$", run.Output);
    }

    [Fact]
    public async Task A_proxy_that_stops_is_not_ready_and_alive()
    {
        await using var here = await Surroundings.StartAsync();
        here.Proxy.Lifetime.StopApplication();
        Assert.Equal(new CommandLine(1, "stopping\n", ""), await RunAsync(here.Admin.Authority));
        Assert.Equal(new CommandLine(0, "alive\n", ""), await RunAsync(here.Admin.Authority, "--live"));
    }

    [Theory]
    [InlineData("--live")]
    [InlineData(null)]
    public async Task Where_nobody_listens_nothing_is_well(string? live)
    {
        string authority;
        using (var free = new TcpListener(IPAddress.Loopback, 0))
        {
            free.Start();
            authority = free.LocalEndpoint.ToString()!;
        }

        Assert.Equal(new CommandLine(1, $"the proxy at http://{authority} does not answer (Connection refused)\n", ""), await RunAsync(authority, live));
    }

    [Fact]
    public async Task Who_accepts_and_says_nothing_is_not_waited_for()
    {
        using var silent = new TcpListener(IPAddress.Loopback, 0);
        silent.Start();
        Assert.Equal(new CommandLine(1, $"the proxy at http://{silent.LocalEndpoint} does not answer (it took too long)\n", ""), await RunAsync(silent.LocalEndpoint.ToString()!));
    }

    [Fact]
    public async Task Another_program_is_not_well()
    {
        await using var hub = await FakeHub.StartAsync();
        Assert.Equal(new CommandLine(1, $"the proxy at http://{hub.Hub.Authority} is not this program, or not of this version\n", ""), await RunAsync(hub.Hub.Authority));
    }

    [Fact]
    public async Task A_wrong_configuration_is_none_of_both()
    {
        await File.WriteAllTextAsync(_directory["imageaccess.json"], """{ "Lisen": 1 }""");
        Assert.Equal(new CommandLine(2, "", "imageaccess: Lisen: unknown key\n"), await CommandLine.RunAsync("health", "--config", _directory["imageaccess.json"]));
    }

    private async Task<CommandLine> RunAsync(string admin, string? option = null)
    {
        await File.WriteAllTextAsync(_directory["imageaccess.json"], $$"""{ "Listen": { "Admin": "http://{{admin}}" } }""");
        return await CommandLine.RunAsync([.. new[] { "health", option, "--config", _directory["imageaccess.json"] }.OfType<string>()]);
    }
}
