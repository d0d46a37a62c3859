namespace ImageAccess.EndToEnd.Tests.Clients;

/// <summary>A containerd of its own, asked by <c>ctr</c>; its <c>hosts.toml</c> names the mirror before Docker Hub.</summary>
internal sealed class Containerd : IClient
{
    private readonly Cell _cell;
    private readonly Running _daemon;
    private readonly string _socket;

    private Containerd(Cell cell, Running daemon, string socket)
    {
        _cell = cell;
        _daemon = daemon;
        _socket = socket;
    }

    /// <summary>A <c>hosts.toml</c> that names a mirror before Docker Hub.</summary>
    public static string HostsOf(Uri mirror) => $"""
        server = "https://registry-1.docker.io"
        [host."http://{mirror.Authority}"]
        capabilities = ["pull", "resolve"]

        """;

    /// <summary>Of containerd 2: layers are pulled in pieces, several at once.</summary>
    public const string InParts = """
        [plugins."io.containerd.transfer.v1.local"]
        max_concurrent_downloads = 4
        concurrent_layer_fetch_buffer = 1048576
        """;

    /// <param name="transfer">How it pulls; nothing for as it does by default.</param>
    public static async Task<Containerd> StartAsync(Cell cell, string hosts, string transfer = "")
    {
        var address = cell.PathOf("containerd.sock");
        cell.Write("hosts/docker.io/hosts.toml", hosts);
        var configuration = cell.Write("containerd.toml", $"""
            version = 2
            root = "{cell.PathOf("root")}"
            state = "{cell.PathOf("state")}"
            disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"]
            [grpc]
            address = "{address}"
            [ttrpc]
            address = "{address}.ttrpc"
            {transfer}
            [[plugins."io.containerd.transfer.v1.local".unpack_config]]
            platform = "linux/amd64"
            snapshotter = "native"

            """);
        var containerd = new Containerd(cell, cell.Start("containerd", "--config", configuration), address);
        await containerd._daemon.ReadyAsync(
            async _ => File.Exists(address) && (await containerd.RunAsync("version")).ExitCode == 0, TimeSpan.FromSeconds(60));
        return containerd;
    }

    public Task<Outcome> RunAsync(params IReadOnlyList<string> arguments) => _cell.RunAsync(["ctr", "--address", _socket, .. arguments]);

    public Task<Outcome> PullAsync(string image)
    {
        var direct = !Image.Full(image).StartsWith("docker.io/", StringComparison.Ordinal);
        string[] from = direct ? ["--plain-http"] : ["--hosts-dir", _cell.PathOf("hosts")];
        return RunAsync(["images", "pull", "--snapshotter", "native", .. from, Image.Full(image)]);
    }

    public Task<Outcome> PushAsync(string image, string destination, string credentials) => RunAsync(
        "images", "push", "--hosts-dir", _cell.PathOf("hosts"), "--user", credentials, Image.Full(destination), Image.Full(image));

    /// <summary>A pull from Docker Hub itself, with a profile's environment.</summary>
    public Task<Outcome> RunByProfileAsync(string profile, string image) => _cell.RunAsync(
        "sh", "-euc", $". {profile}; ctr --address {_socket} images pull --snapshotter native {Image.Full(image)}");

    public async Task<string> IdentityAsync(string image) =>
        (await RunAsync("images", "list", $"name=={Image.Full(image)}")).Succeeded().Text
        .Split('\n')[1].Split(' ', StringSplitOptions.RemoveEmptyEntries)[2];

    public async Task<bool> HasAsync(string image) =>
        (await RunAsync("images", "list", "--quiet")).Succeeded().Text.Split('\n').Contains(Image.Full(image));

    public async Task RemoveAsync(string image) => (await RunAsync("images", "remove", "--sync", Image.Full(image))).Succeeded();

    public ValueTask DisposeAsync() => _daemon.DisposeAsync();
}
