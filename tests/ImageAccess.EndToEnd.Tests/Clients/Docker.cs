using System.Text.Json.Nodes;

namespace ImageAccess.EndToEnd.Tests.Clients;

/// <summary>A Docker daemon of its own and the command line that belongs to it.</summary>
internal sealed class Docker : IClient
{
    private readonly Cell _cell;
    private readonly Running _daemon;
    private readonly string _host;

    private Docker(Cell cell, Running daemon, string host)
    {
        _cell = cell;
        _daemon = daemon;
        _host = host;
    }

    /// <summary>A <c>daemon.json</c> that names a mirror.</summary>
    public static string DaemonOf(Uri mirror) => $$"""
        {
          "registry-mirrors": ["http://{{mirror.Authority}}"],
          "insecure-registries": ["{{mirror.Authority}}"]
        }
        """;

    /// <summary>Debian's docker.io: the classic image store.</summary>
    public static Task<Docker> ClassicAsync(Cell cell, string configuration) =>
        StartAsync(cell, configuration, ("storage-driver", "vfs"));

    /// <summary>The current one: the containerd image store, and builds by BuildKit.</summary>
    public static Task<Docker> CurrentAsync(Cell cell, string configuration) =>
        StartAsync(
            cell,
            configuration,
            ("storage-driver", "native"),
            ("features", new JsonObject { ["containerd-snapshotter"] = true }),
            ("ip6tables", false));

    /// <summary>The current one with the classic image store, as installations have that were updated.</summary>
    public static Task<Docker> CurrentWithClassicStoreAsync(Cell cell, string configuration) =>
        StartAsync(
            cell,
            configuration,
            ("storage-driver", "vfs"),
            ("features", new JsonObject { ["containerd-snapshotter"] = false }),
            ("ip6tables", false));

    public Task<Outcome> RunAsync(params IReadOnlyList<string> arguments) => _cell.RunAsync(["docker", .. arguments]);

    public Task<Outcome> PullAsync(string image) => RunAsync("pull", image);

    public async Task<string> IdentityAsync(string image) =>
        (await RunAsync("image", "inspect", "--format", "{{.Id}} {{json .RootFS.Layers}}", image)).Succeeded().Text.Trim();

    public async Task<bool> HasAsync(string image) => (await RunAsync("image", "inspect", image)).ExitCode == 0;

    public async Task RemoveAsync(string image) => (await RunAsync("image", "rm", "--force", image)).Succeeded();

    /// <summary>Signs in, at Docker Hub when no host is named, as a person does: the daemon tries the password, the client keeps it.</summary>
    public Task<Outcome> LoginAsync(string user, string password, params IReadOnlyList<string> host) =>
        _cell.RunWithInputAsync(password, ["docker", "login", "--username", user, "--password-stdin", .. host]);

    public Task<Outcome> LogoutAsync(params IReadOnlyList<string> host) => RunAsync(["logout", .. host]);

    /// <summary>Builds a Dockerfile; the context has a file <c>file</c> in it.</summary>
    public Task<Outcome> BuildAsync(string tag, string dockerfile, bool buildKit)
    {
        _cell.Write("context/file", "a file of the build context\n");
        _cell.Write("context/Dockerfile", dockerfile);
        return _cell.RunAsync("env", $"DOCKER_BUILDKIT={(buildKit ? 1 : 0)}", "docker", "build", "--tag", tag, _cell.PathOf("context"));
    }

    /// <summary>The current generation's Compose, with this file, towards this daemon of either generation.</summary>
    public Task<Outcome> ComposeAsync(Cell current, string file, params IReadOnlyList<string> arguments) =>
        current.RunAsync(["docker", "--host", _host, "compose", "--ansi", "never", "--file", current.Write("compose.yaml", file), .. arguments]);

    public ValueTask DisposeAsync() => _daemon.DisposeAsync();

    /// <summary>The person's configuration, and what lets a daemon run beside others and without a network of its own.</summary>
    private static async Task<Docker> StartAsync(Cell cell, string daemonJson, params (string Name, JsonNode Value)[] settings)
    {
        var address = cell.PathOf("docker.sock");
        var host = $"unix://{address}";
        var configuration = JsonNode.Parse(daemonJson)!.AsObject();
        foreach (var (name, value) in settings) configuration[name] = value;
        configuration["iptables"] = false;
        configuration["ip-masq"] = false;
        configuration["bridge"] = "none";
        configuration["data-root"] = cell.PathOf("data");
        configuration["exec-root"] = cell.PathOf("exec");
        configuration["pidfile"] = cell.PathOf("docker.pid");
        configuration["hosts"] = new JsonArray(host);
        cell.Set("DOCKER_HOST", host);
        cell.Set("DOCKER_CONFIG", cell.PathOf("client"));
        var configured = cell.Write("daemon.json", configuration.ToJsonString());
        var docker = new Docker(cell, cell.Start("dockerd", "--config-file", configured), host);
        await docker._daemon.ReadyAsync(
            async _ => File.Exists(address) && (await docker.RunAsync("version")).ExitCode == 0, TimeSpan.FromSeconds(60));
        return docker;
    }
}
