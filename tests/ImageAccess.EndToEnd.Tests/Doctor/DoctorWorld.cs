using ImageAccess.FakeHubs;

namespace ImageAccess.EndToEnd.Tests.Doctor;

/// <summary>
/// A client's network with a Docker Hub under its own names, over IPv4 and IPv6, and a proxy before it that is set up as it would be
/// in front of the real one. What a client can reach is for the test to say.
/// </summary>
internal sealed class DoctorWorld : IAsyncDisposable
{
    public const string Hub = "198.51.100.10";
    public const string Hub6 = "2001:db8::10";
    public const string Mirror = "http://127.0.0.1:5000";

    /// <summary>Community, in the policy and on the hub.</summary>
    public const string Denied = "someuser/custom-image";

    private readonly ClientNetwork _network;

    private DoctorWorld(ClientNetwork network) => _network = network;

    /// <summary>Docker Hub's names lead to the hub, directly.</summary>
    public static IReadOnlyList<string> HostsOfHub { get; } =
    [
        "127.0.0.1 localhost", $"{Hub} {string.Join(' ', DockerHubNames.All)}", $"{Hub6} {string.Join(' ', DockerHubNames.All)}",
    ];

    /// <param name="listen">Listeners of the proxy besides the mirror and the admin: members of <c>Listen</c>, as JSON, each with a comma behind it.</param>
    public static async Task<DoctorWorld> StartAsync(string listen = "")
    {
        var world = new DoctorWorld(await ClientNetwork.CreateAsync());
        try
        {
            await world.StartHubAsync();
            await world.StartProxyAsync(listen);
            return world;
        }
        catch
        {
            await world.DisposeAsync();
            throw;
        }
    }

    /// <summary>Writes a configuration file of the client.</summary>
    public Task WriteAsync(string path, string text) => _network.WriteAsync(path, text);

    /// <summary>A file becomes root's alone.</summary>
    public async Task CloseToOthersAsync(string path) => (await _network.ArrangeAsync("chmod", "600", path)).Succeeded();

    /// <summary>What a client, and not the proxy, finds in its hosts file.</summary>
    public Task WriteClientHostsAsync(params IReadOnlyList<string> lines) => _network.WriteClientHostsAsync(string.Join('\n', lines) + "\n");

    /// <summary>New connections to the hub are the proxy's alone: those of others vanish, as at a firewall.</summary>
    /// <param name="family"><c>ip</c> or <c>ip6</c>.</param>
    /// <param name="address">The hub's.</param>
    public async Task CloseAsync(string family, string address)
    {
        var rules = $$"""
            table inet closed_{{family}} {
              chain output {
                type filter hook output priority 0;
                {{family}} daddr {{address}} meta skuid != {{ClientNetwork.Proxy}} tcp flags & (syn | ack) == syn drop
                {{family}} daddr {{address}} meta skuid != {{ClientNetwork.Proxy}} meta l4proto udp drop
              }
            }
            """;
        await _network.WriteAsync("/mnt/rules", rules);
        (await _network.ArrangeAsync("nft", "--file", "/mnt/rules")).Succeeded();
    }

    /// <summary>The doctor, as a client's ordinary user.</summary>
    public Task<Outcome> ExamineAsync(params IReadOnlyList<string> arguments) =>
        _network.RunAsync(["dotnet", "/mnt/program/imageaccess.dll", "doctor", "--denied", Denied, .. arguments]);

    /// <summary>What a person types into a shell, as a client's ordinary user.</summary>
    public Task<Outcome> TypeAsync(string command) => _network.RunAsync("sh", "-c", command);

    public ValueTask DisposeAsync() => _network.DisposeAsync();

    private async Task StartHubAsync()
    {
        await _network.WriteAsync("/etc/hosts", string.Join('\n', HostsOfHub) + "\n");
        await _network.StartAsRootAsync(
            "\"tls\"", "dotnet", "/mnt/hub/ImageAccess.FakeHub.dll", "--json", "--ca", "/mnt/ca.crt", "--tls", $"{Hub}:443", "--tls", $"[{Hub6}]:443", "--tls-name", "ghcr.io");
        (await _network.ArrangeAsync("cp", "/mnt/ca.crt", "/etc/ssl/certs/ca-certificates.crt")).Succeeded();
    }

    /// <summary>With every upstream as it is by default.</summary>
    private async Task StartProxyAsync(string listen)
    {
        await _network.WriteAsync("/mnt/proxy/policy.json", Surroundings.Policy);
        await _network.WriteAsync("/mnt/proxy/imageaccess.json", $$"""
            {
              "Listen": { {{listen}} "Mirror": "{{Mirror}}", "Admin": "http://127.0.0.1:9000" },
              "Upstream": { "TrustedCertificates": "/mnt/ca.crt" },
              "Policy": { "File": "policy.json" }
            }
            """);
        if (listen.Length > 0)
            (await _network.ArrangeAsync("dotnet", "/mnt/program/imageaccess.dll", "certificates", "create", "--config", "/mnt/proxy/imageaccess.json")).Succeeded();
        (await _network.ArrangeAsync("chown", "-R", $"{ClientNetwork.Proxy}:{ClientNetwork.Proxy}", "/mnt/proxy")).Succeeded();
        await _network.StartAsync(ClientNetwork.Proxy, "image access is ON", "dotnet", "/mnt/program/imageaccess.dll", "--config", "/mnt/proxy/imageaccess.json");
    }
}
