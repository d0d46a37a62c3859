using System.Globalization;
using System.Text.Json;
using ImageAccess.EndToEnd.Tests.Doctor;
using ImageAccess.FakeHubs;

namespace ImageAccess.EndToEnd.Tests.Matrix;

/// <summary>
/// A Docker Hub under its own names, a proxy with every way in, and clients in another network. A mirror's clients reach Docker Hub as well
/// as the proxy; for those of the gateway and of the forward proxy there is the proxy alone.
/// </summary>
public sealed class MatrixWorld : IAsyncLifetime
{
    /// <summary>As the page writes every denied repository.</summary>
    public const string Denied = "someuser/custom-image";

    private const string MirrorAddress = "https://proxy.test:5000";
    private const string PlainMirrorAddress = "http://proxy.test:5080";
    private const string ForwardProxyAddress = $"http://{TwoNetworks.Mirror}:3128";
    private const int DeniedRepositories = 800;

    private TwoNetworks _networks = null!;
    private string _folder = "";
    private int _used;

    public async Task InitializeAsync()
    {
        _folder = Directory.CreateTempSubdirectory("matrix-").FullName;
        _networks = await TwoNetworks.CreateAsync();
        await StartHubAsync();
        await StartProxyAsync("proxy", $$"""
            "Mirror": "https://{{TwoNetworks.Mirror}}:5000", "Gateway": "https://{{TwoNetworks.Gateway}}:443", "ForwardProxy": "{{ForwardProxyAddress}}", "Admin": "http://127.0.0.1:9000", "Console": "off"
            """, MirrorAddress);
        await StartProxyAsync("plain", $$"""
            "Mirror": "http://{{TwoNetworks.Mirror}}:5080", "Admin": "http://127.0.0.1:9001", "Console": "off"
            """, PlainMirrorAddress);
        await WriteAsync("hosts.mirror", $"127.0.0.1 localhost\n{TwoNetworks.Mirror} proxy.test\n{TwoNetworks.Hub} {string.Join(' ', DockerHubNames.All)}\n");
        await WriteAsync("hosts.gateway", $"127.0.0.1 localhost\n{TwoNetworks.Gateway} {string.Join(' ', DockerHubNames.Intercepted)}\n");
        await WriteAsync("hosts.forward", $"127.0.0.1 localhost\n{TwoNetworks.Mirror} proxy.test\n");
        await WriteLayoutAsync(Path.Combine(_folder, "layout"));
    }

    public async Task DisposeAsync()
    {
        if (_networks is not null) await _networks.DisposeAsync();
        if (_folder.Length > 0) Directory.Delete(_folder, recursive: true);
    }

    /// <summary>A denied repository that nobody has asked for, and its digest.</summary>
    internal (string Repository, string Digest) NextDenied()
    {
        if (_used == DeniedRepositories) throw new InvalidOperationException("more rows than repositories that are denied");
        var repository = Repository(_used++);
        return (repository, Image(repository).Digest);
    }

    /// <summary>What Docker Hub has been asked so far, in the order of the answers.</summary>
    internal async Task<IReadOnlyList<HubRequest>> RequestsAsync()
    {
        await using var file = new FileStream(Path.Combine(_folder, "requests"), FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        using var reader = new StreamReader(file);
        var lines = (await reader.ReadToEndAsync()).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        return [.. lines.Select(line => JsonSerializer.Deserialize<HubRequest>(line, JsonSerializerOptions.Web)!)];
    }

    /// <summary>A cell of this client, set up for a way in, and its <c>daemon.json</c>.</summary>
    internal async Task<(Cell Cell, string Daemon)> CellAsync(ClientKind client, Ways way)
    {
        var cell = new Cell(_folder, $"{client.Name} {way}".Replace(' ', '-').Replace(",", "", StringComparison.Ordinal), client.IsCurrent ? Surroundings.TestingRoot : null);
        cell.Join(_networks.Clients);
        cell.Set("HOSTS", Path.Combine(_folder, way switch { Ways.Gateway => "hosts.gateway", Ways.ForwardProxy => "hosts.forward", _ => "hosts.mirror" }));
        cell.Set("TRUST", Ways.BothMirrors.HasFlag(way) ? Path.Combine(_folder, "trust.crt") : Authority);
        if (way == Ways.ForwardProxy) cell.Set("HTTPS_PROXY", ForwardProxyAddress);
        cell.Set("CTR_HOSTS", Ways.BothMirrors.HasFlag(way) ? "--hosts-dir /etc/containerd/certs.d" : "");

        var tree = cell.PathOf("tree");
        if (way == Ways.Mirror && client.Engine is { } engine)
            await GeneratedFiles.WriteAsync(tree, client.IsPlain ? PlainMirrorAddress : MirrorAddress, engine, "--mode", "mirror", "--ca", Authority);
        if (way == Ways.Before) await WriteBeforeAsync(tree);
        await WriteContainersAsync(cell, tree);
        cell.LayOver(tree);
        await TrustAsync(cell, Path.Combine(tree, "usr/local/share/ca-certificates/imageaccess.crt"));
        var daemon = Path.Combine(tree, "etc/docker/daemon.json");
        return (cell, File.Exists(daemon) ? await File.ReadAllTextAsync(daemon) : "{}");
    }

    private string Authority => Path.Combine(_folder, "proxy", "data", "certificates", "ca.crt");

    private static string Repository(int number) => string.Create(CultureInfo.InvariantCulture, $"someuser/image-{number:000}");

    /// <summary>As <c>hub.json</c> has it.</summary>
    private static BuiltImage Image(string repository) =>
        new ImageBuilder().Command("/bin/sh").Label("org.opencontainers.image.title", repository).AddFile("custom.txt", "somebody's\n").Build();

    /// <summary>What <c>update-ca-certificates</c> does.</summary>
    private async Task TrustAsync(Cell cell, string authority)
    {
        if (File.Exists(authority))
            cell.Set("TRUST", await WriteAsync(cell.PathOf("trust.crt"), await File.ReadAllTextAsync(Path.Combine(_folder, "trust.crt")) + await File.ReadAllTextAsync(authority)));
    }

    private async Task StartHubAsync()
    {
        var images = Enumerable.Range(0, DeniedRepositories).Select(number => new { repository = Repository(number), tags = new[] { "first", "latest" }, files = new Dictionary<string, string> { ["custom.txt"] = "somebody's\n" } })
            .Append(new { repository = "library/hello", tags = new[] { "latest" }, files = new Dictionary<string, string> { ["hello.txt"] = "hello\n" } });
        await WriteAsync("hub.json", JsonSerializer.Serialize(new
        {
            users = new[]
            {
                new { name = "alice", password = Canaries.PasswordOf("alice"), accessTokens = new[] { Canaries.TokenOf("alice") } },
                new { name = "bob", password = Canaries.PasswordOf("bob"), accessTokens = new[] { Canaries.TokenOf("bob") } },
                new { name = "someuser", password = "a-stranger", accessTokens = Array.Empty<string>() },
            },
            organizations = new[] { new { name = "acme", members = new Dictionary<string, string> { ["alice"] = "Owner", ["bob"] = "Member" } } },
            images,
        }));
        await _networks.StartAsync(
            "\"tls\"",
            "dotnet", Path.Combine(ClientNetwork.OutputOf("tests/ImageAccess.FakeHub"), "ImageAccess.FakeHub.dll"),
            "--data", Path.Combine(_folder, "hub.json"), "--record", Path.Combine(_folder, "requests"), "--port", "7001",
            "--tls", $"{TwoNetworks.Hub}:443", "--ca", Path.Combine(_folder, "trust.crt"), "--json");
    }

    private async Task StartProxyAsync(string name, string listen, string publicUrl)
    {
        await WriteAsync($"{name}/policy.json", Surroundings.Policy);
        var configuration = await WriteAsync($"{name}/imageaccess.json", $$"""
            {
              "Listen": { {{listen}} },
              "PublicUrl": "{{publicUrl}}",
              "ConsoleUrl": "https://images.example.com",
              "Upstream": {
                "Registry": "http://127.0.0.1:7001",
                "Auth": "http://127.0.0.1:7002",
                "Hub": "http://127.0.0.1:7003",
                "Index": "http://127.0.0.1:7005",
                "RedirectHosts": [ "127.0.0.1:7004" ]
              },
              "Policy": { "File": "policy.json" },
              "Data": { "Directory": "data" }
            }
            """);
        if (publicUrl.StartsWith("https:", StringComparison.Ordinal))
            (await _networks.RunAsync("dotnet", ProxyUnderTest.Assembly(), "certificates", "create", "--config", configuration)).Succeeded();
        await _networks.StartAsync("image access is ON", "dotnet", ProxyUnderTest.Assembly(), "--config", configuration);
    }

    /// <summary>A mirror that is asked before Docker Hub, as the manuals of containerd and of podman have it.</summary>
    private async Task WriteBeforeAsync(string tree)
    {
        await WriteAsync($"{tree}/etc/containerd/certs.d/docker.io/hosts.toml", $"""
            server = "https://registry-1.docker.io"
            [host."{MirrorAddress}"]
            capabilities = ["pull", "resolve"]
            ca = "/etc/containers/certs.d/proxy.test:5000/ca.crt"

            """);
        await WriteAsync($"{tree}/etc/containers/registries.conf.d/imageaccess.conf", """
            unqualified-search-registries = ["docker.io"]
            [[registry]]
            prefix = "docker.io"
            location = "docker.io"
            [[registry.mirror]]
            location = "proxy.test:5000"

            """);
        await WriteAsync($"{tree}/etc/containers/certs.d/proxy.test:5000/ca.crt", await File.ReadAllTextAsync(Authority));
    }

    /// <summary>What podman, buildah, skopeo and ch-image need in a cell, whatever leads them to Docker Hub.</summary>
    private async Task WriteContainersAsync(Cell cell, string tree)
    {
        await WriteAsync($"{tree}/etc/containers/policy.json", """{ "default": [ { "type": "insecureAcceptAnything" } ] }""");
        cell.Set("CONTAINERS_STORAGE_CONF", await WriteAsync(cell.PathOf("storage.conf"), $"""
            [storage]
            driver = "vfs"
            graphroot = "{cell.PathOf("root")}"
            runroot = "{cell.PathOf("state")}"

            """));
        cell.Set("CONTAINERS_CONF", await WriteAsync(cell.PathOf("containers.conf"), $"""
            [engine]
            cgroup_manager = "cgroupfs"
            events_logger = "none"
            tmp_dir = "{cell.PathOf("engine")}"

            """));
        cell.Set("USER", "root");
        cell.Set("CH_IMAGE_CACHE", "disabled");
        cell.Set("PODMAN_IGNORE_CGROUPSV1_WARNING", "1");
        cell.Set("BUILDAH_ISOLATION", "chroot");
        cell.Set("REGISTRY_AUTH_FILE", await WriteAsync(cell.PathOf("auth.json"), "{}"));
    }

    /// <summary>An image to be pushed, as an OCI layout.</summary>
    private async Task WriteLayoutAsync(string folder)
    {
        var image = Image("pushed");
        await WriteAsync($"{folder}/oci-layout", """{"imageLayoutVersion":"1.0.0"}""");
        await WriteAsync($"{folder}/index.json", JsonSerializer.Serialize(new
        {
            schemaVersion = 2,
            manifests = new[] { new { mediaType = image.MediaType, digest = image.Digest, size = image.Manifest.Length } },
        }));
        var blobs = Directory.CreateDirectory(Path.Combine(folder, "blobs", "sha256")).FullName;
        foreach (var blob in image.Blobs.Append(image.Manifest))
            await File.WriteAllBytesAsync(Path.Combine(blobs, FakeRegistry.DigestOf(blob.Span)["sha256:".Length..]), blob);
    }

    private async Task<string> WriteAsync(string file, string text)
    {
        var path = Path.Combine(_folder, file);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        await File.WriteAllTextAsync(path, text);
        return path;
    }
}

/// <summary>A line of Docker Hub's record.</summary>
internal sealed record HubRequest(string Face, string Method, string Host, string Target, bool ViaDockerHubNames, string? UserAgent, int Status)
{
    /// <summary>
    /// It is for the repository itself: a manifest, a list, a blob, an upload. A question about who owns its namespace, or for a token, is
    /// not; nor is one for the digest that a held client was given, which no content has.
    /// </summary>
    public bool IsFor(string repository) => Face is "Registry" or "Index" && Target.StartsWith($"/v2/{repository}/", StringComparison.Ordinal) && !Target.Contains(NoContent, StringComparison.Ordinal);

    private static readonly string NoContent = new('0', 48);

    public override string ToString() => $"{Face} {Method} {Host} {Target} {UserAgent} -> {Status}";
}

[CollectionDefinition(nameof(MatrixWorld))]
public sealed class MatrixWorldOfAll : ICollectionFixture<MatrixWorld>;
