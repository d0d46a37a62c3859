using System.Text.Json.Nodes;

namespace ImageAccess.EndToEnd.Tests.Clients;

/// <summary>A Docker daemon of its own and the command line that belongs to it.</summary>
internal sealed class Docker : IClient
{
    private readonly Cell _cell;
    private readonly Running _daemon;

    private Docker(Cell cell, Running daemon, string socket)
    {
        _cell = cell;
        _daemon = daemon;
        Socket = socket;
    }

    /// <summary>The daemon's socket, for another generation's command line.</summary>
    public string Socket { get; }

    public string Log => _daemon.Text;

    /// <summary>Debian's docker.io: the classic image store.</summary>
    public static Task<Docker> ClassicAsync(Cell cell, Uri? mirror) =>
        StartAsync(cell, mirror, new JsonObject { ["storage-driver"] = "vfs" });

    /// <summary>The current one: the containerd image store, and builds by BuildKit.</summary>
    public static Task<Docker> CurrentAsync(Cell cell, Uri? mirror) =>
        StartAsync(cell, mirror, new JsonObject
        {
            ["storage-driver"] = "native",
            ["features"] = new JsonObject { ["containerd-snapshotter"] = true },
            ["ip6tables"] = false,
        });

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
    public Task<Outcome> BuildAsync(string tag, string dockerfile)
    {
        _cell.Write("context/file", "a file of the build context\n");
        _cell.Write("context/Dockerfile", dockerfile);
        return RunAsync("build", "--tag", tag, _cell.PathOf("context"));
    }

    /// <summary>Compose, with this file; the current generation only.</summary>
    public Task<Outcome> ComposeAsync(string file, params IReadOnlyList<string> arguments) =>
        RunAsync(["compose", "--ansi", "never", "--file", _cell.Write("compose.yaml", file), .. arguments]);

    public ValueTask DisposeAsync() => _daemon.DisposeAsync();

    private static async Task<Docker> StartAsync(Cell cell, Uri? mirror, JsonObject configuration)
    {
        var address = cell.PathOf("docker.sock");
        configuration["iptables"] = false;
        configuration["ip-masq"] = false;
        configuration["bridge"] = "none";
        configuration["data-root"] = cell.PathOf("data");
        configuration["exec-root"] = cell.PathOf("exec");
        configuration["pidfile"] = cell.PathOf("docker.pid");
        configuration["hosts"] = new JsonArray($"unix://{address}");
        if (mirror is not null)
        {
            configuration["registry-mirrors"] = new JsonArray(mirror.AbsoluteUri);
            configuration["insecure-registries"] = new JsonArray(mirror.Authority);
        }

        cell.Set("DOCKER_HOST", $"unix://{address}");
        cell.Set("DOCKER_CONFIG", cell.PathOf("client"));
        var configured = cell.Write("daemon.json", configuration.ToJsonString());
        var docker = new Docker(cell, cell.Start("dockerd", "--config-file", configured), address);
        await docker._daemon.ReadyAsync(
            async _ => File.Exists(address) && (await docker.RunAsync("version")).ExitCode == 0, TimeSpan.FromSeconds(60));
        return docker;
    }
}
