using System.Diagnostics;

namespace ImageAccess.EndToEnd.Tests.Matrix;

/// <summary>
/// Two networks and a cable between them: in one the proxy and Docker Hub, in the other the clients, for whom neither is on loopback.
/// Nothing else is in them, and both are gone with their first processes.
/// </summary>
internal sealed class TwoNetworks : IAsyncDisposable
{
    public const string Mirror = "10.71.0.1";
    public const string Gateway = "10.71.0.2";
    public const string Hub = "10.71.0.3";

    private const string First = "ip link set lo up; echo $$; exec sleep infinity";

    private const string Cable = $"""
        ip link add clients type veth peer name servers netns "$0"
        ip address add {Mirror}/24 dev clients
        ip address add {Gateway}/24 dev clients
        ip address add {Hub}/24 dev clients
        ip link set clients up
        nsenter --net=/proc/"$0"/ns/net ip address add 10.71.0.100/24 dev servers
        nsenter --net=/proc/"$0"/ns/net ip link set servers up
        """;

    private readonly List<Running> _running = [];
    private string _servers = "";

    private TwoNetworks()
    {
    }

    /// <summary>Where the network of the clients is.</summary>
    public string Clients { get; private set; } = "";

    public static async Task<TwoNetworks> CreateAsync()
    {
        var networks = new TwoNetworks();
        try
        {
            networks._servers = $"/proc/{await networks.CreateOneAsync()}/ns/net";
            var clients = await networks.CreateOneAsync();
            networks.Clients = $"/proc/{clients}/ns/net";
            (await networks.RunAsync("sh", "-euc", Cable, clients)).Succeeded();
            return networks;
        }
        catch
        {
            await networks.DisposeAsync();
            throw;
        }
    }

    /// <summary>Runs a program beside the servers, to its end.</summary>
    public Task<Outcome> RunAsync(params IReadOnlyList<string> command) =>
        Running.ToEndAsync(Enter(command), string.Join(' ', command), "", TimeSpan.FromSeconds(60));

    /// <summary>Starts a server, and waits for these words of its.</summary>
    public async Task StartAsync(string words, params IReadOnlyList<string> command)
    {
        var server = Running.Start(Enter(Running.Guarded(command)));
        _running.Add(server);
        await server.ReadyAsync(_ => Task.FromResult(server.Text.Contains(words, StringComparison.Ordinal)), TimeSpan.FromSeconds(60));
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var one in _running.AsEnumerable().Reverse()) await one.DisposeAsync();
    }

    /// <returns>Its first process.</returns>
    private async Task<string> CreateOneAsync()
    {
        var holder = Running.Start(new ProcessStartInfo("bash", Running.Guarded(["unshare", "--net", "sh", "-euc", First]).Skip(1)));
        _running.Add(holder);
        await holder.ReadyAsync(_ => Task.FromResult(holder.Text.EndsWith('\n')), TimeSpan.FromSeconds(20));
        return holder.Text.Trim();
    }

    private ProcessStartInfo Enter(IReadOnlyList<string> command) => new("nsenter", [$"--net={_servers}", .. command]);
}
