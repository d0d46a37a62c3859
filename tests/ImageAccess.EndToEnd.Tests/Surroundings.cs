using System.Net;
using ImageAccess.EndToEnd.Tests.Clients;
using ImageAccess.FakeHubs;

namespace ImageAccess.EndToEnd.Tests;

/// <summary>
/// The world of a run: a real registry, a Docker Hub in front of it that also answers under Docker Hub's own names, two proxies
/// that differ in <c>Mirror:Hold</c> alone, and the clients, each in its own cell. One for the tests of a collection, which run one by one.
/// </summary>
public sealed class Surroundings : IAsyncLifetime
{
    public const string Denied = "image access denied: community images not allowed (ask in #platform)";

    private const string TestingSuite = "imageaccess/debian-testing";

    internal const string Policy = """
        {
          "defaultOrganization": "acme",
          "organizations": [ {
            "name": "acme",
            "owners": [ "alice" ],
            "members": [ "bob" ],
            "enabled": true,
            "allow": { "official": true, "verifiedPublisher": true, "community": false },
            "help": "ask in #platform"
          } ]
        }
        """;

    private static int _worlds;

    /// <summary>Worlds of one run have addresses of their own.</summary>
    private readonly int _blocks = 64 * Interlocked.Increment(ref _worlds);

    private readonly Dictionary<string, IClient> _clients = new(StringComparer.Ordinal);
    private readonly List<ProxyUnderTest> _others = [];
    private ProxyUnderTest? _intercepting;
    private ProxyUnderTest? _caching;
    private string _folder = "";

    private IPAddress DockerHub => OwnAddress(_blocks);

    internal FakeHub Hub { get; private set; } = null!;

    /// <summary>Docker Hub's clock, which a test may move: to the proxy it looks as if its own clock were wrong.</summary>
    internal ShiftedTime HubTime { get; } = new();

    internal DockerRegistryProcess Registry { get; private set; } = null!;

    /// <summary>The proxy as it is by default: denials hold the clients.</summary>
    internal ProxyUnderTest Proxy { get; private set; } = null!;

    /// <summary>The same with <c>Mirror:Hold</c> off.</summary>
    internal ProxyUnderTest Yielding { get; private set; } = null!;

    /// <summary>The root of Debian's testing suite.</summary>
    internal static string TestingRoot => Path.Combine(Environment.GetEnvironmentVariable("XDG_CACHE_HOME") ?? "/var/cache", TestingSuite);

    public async Task InitializeAsync()
    {
        _folder = Directory.CreateTempSubdirectory("e2e-").FullName;
        Registry = await DockerRegistryProcess.StartAsync();
        Hub = await FakeHub.StartAsync(options =>
        {
            options.RegistryBackend = Registry.Address;
            options.TlsEndPoint = new IPEndPoint(DockerHub, 443);
            options.Time = HubTime;
        });
        await Hub.PushAsync("library/hello", "latest", new ImageBuilder().AddFile("hello.txt", "hello\n").BuildIndex("amd64", "arm64"));
        await Hub.PushAsync("library/other", "latest", new ImageBuilder().AddFile("other.txt", "other\n").WithDockerMediaTypes().Build());
        await Hub.PushAsync("bitnami/redis", "latest", new ImageBuilder().AddFile("redis.conf", "port 6379\n").Build());
        await Hub.PushAsync("acme/app", "latest", new ImageBuilder().AddFile("app", "the company's own\n").WithDockerMediaTypes().Build());
        await Hub.PushAsync("someuser/custom-image", "latest", new ImageBuilder().AddFile("custom.txt", "somebody's\n").Build());
        await Hub.PushAsync("someuser/expired", "latest", new ImageBuilder().AddFile("expired.txt", "approved once\n").Build());
        await Hub.PushAsync("acme/secret", "latest", new ImageBuilder().AddFile("secret.txt", "for members\n").Build());
        Hub.Images.MakePrivate("acme/secret");
        Hub.Namespaces.Add("bitnami", "verified_publisher");
        Hub.Users.AddOrganization("acme", badge: "", Canaries.OrganizationToken);
        Hub.Users.Add("alice", Canaries.PasswordOf("alice"), Canaries.TokenOf("alice"));
        Hub.Users.Add("bob", Canaries.PasswordOf("bob"), Canaries.TokenOf("bob"));
        Hub.Users.Add("carol", Canaries.PasswordOf("carol"), Canaries.TokenOf("carol"));
        Hub.Users.Add("someuser", "a-stranger");
        Hub.Namespaces.Find("acme")!.AddMember("alice", "Owner").AddMember("bob");

        await File.WriteAllTextAsync(Path.Combine(_folder, "hosts"), $"""
            127.0.0.1 localhost mirror.test
            {DockerHub} {string.Join(' ', DockerHubNames.All)}

            """);
        await Hub.CertificateAuthority!.WriteToAsync(Path.Combine(_folder, "trust.crt"));
        Proxy = await ProxyUnderTest.StartAsync(Path.Combine(_folder, "proxy"), Hub, Policy, new ProxySetup());
        Yielding = await ProxyUnderTest.StartAsync(Path.Combine(_folder, "yielding"), Hub, Policy, new ProxySetup { Hold = false });
    }

    public async Task DisposeAsync()
    {
        foreach (var client in _clients.Values) await client.DisposeAsync();
        foreach (var proxy in (ProxyUnderTest?[])[Proxy, Yielding, _intercepting, .. _others])
        {
            if (proxy is not null) await proxy.DisposeAsync();
        }

        if (Hub is not null) await Hub.DisposeAsync();
        if (Registry is not null) await Registry.DisposeAsync();
        if (_folder.Length > 0) Directory.Delete(_folder, recursive: true);
    }

    /// <summary>A client whose mirror is this proxy. Started once, kept for the run.</summary>
    internal Task<IClient> ClientAsync(string name, ProxyUnderTest mirror)
    {
        var way = mirror == Proxy ? "proxy" : mirror == Yielding ? "yielding" : $"other{_others.IndexOf(mirror)}";
        return ClientAsync(name, $"{name} {way}", Setup.Mirror(mirror.Mirror));
    }

    /// <summary>A client whose mirror nobody answers for.</summary>
    internal Task<IClient> ClientOfNoMirrorAsync(string name) => ClientAsync(name, $"{name} none", Setup.Mirror(new Uri($"http://127.0.0.1:{Ports.Free()}")));

    /// <summary>A proxy that keeps what it has handed out, as one does by default: what the other tests count is asked each time. Started once.</summary>
    internal async Task<ProxyUnderTest> CachingAsync()
    {
        if (_caching is null)
            _others.Add(_caching = await ProxyUnderTest.StartAsync(Path.Combine(_folder, "caching"), Hub, Policy, new ProxySetup { Keeps = true }));
        return _caching;
    }

    /// <summary>The proxy that answers under Docker Hub's own names. Started once, kept for the run.</summary>
    internal async Task<ProxyUnderTest> InterceptingAsync()
    {
        if (_intercepting is null)
        {
            var ways = new Intercepting(OwnAddress(_blocks + 32), new Uri($"http://{OwnAddress(_blocks + 32)}:3128"));
            _intercepting = await ProxyUnderTest.StartAsync(Path.Combine(_folder, "intercepting"), Hub, Policy, new ProxySetup { Intercepting = ways });
            await File.WriteAllTextAsync(Path.Combine(_folder, "hosts.gateway"), $"127.0.0.1 localhost\n{ways.Gateway} {string.Join(' ', DockerHubNames.Intercepted)}\n");
            await File.WriteAllTextAsync(Path.Combine(_folder, "hosts.none"), "127.0.0.1 localhost\n");
        }

        return _intercepting;
    }

    /// <summary>A client that knows of no mirror: its names lead to the gateway, or its connections through the forward proxy.</summary>
    internal async Task<IClient> InterceptedClientAsync(string name, string way)
    {
        var proxy = await InterceptingAsync();
        var environment = new Dictionary<string, string> { ["TRUST"] = proxy.AuthorityFile };
        if (way == "gateway")
        {
            environment["HOSTS"] = Path.Combine(_folder, "hosts.gateway");
        }
        else
        {
            environment["HOSTS"] = Path.Combine(_folder, "hosts.none");
            environment["HTTPS_PROXY"] = proxy.Intercepting!.ForwardProxy.AbsoluteUri;
        }

        return await ClientAsync(name, $"{name} {way}", new Setup(
            "server = \"https://registry-1.docker.io\"\n", "unqualified-search-registries = [\"docker.io\"]\n", "{}")
        { Environment = environment });
    }

    /// <summary>A client as <c>imageaccess clients</c> sets it up for a mirror with this address.</summary>
    internal async Task<IClient> DeployedClientAsync(string name, string authority)
    {
        var (client, path) = name.Split(' ')[0] switch
        {
            "dockerd" => ("docker", "/etc/docker/daemon.json"),
            "containerd" => ("containerd", "/etc/containerd/certs.d/docker.io/hosts.toml"),
            _ => ("podman", "/etc/containers/registries.conf.d/imageaccess.conf"),
        };
        var text = (await GeneratedAsync($"{client}-{authority.Split(':')[1]}", $"http://{authority}", client, "--mode", "mirror")).Read(path);
        return await ClientAsync(name, $"{name} at {authority.Split(':')[1]}", new Setup(text, text, text));
    }

    /// <summary>What <c>imageaccess clients</c> writes, in a folder of that name.</summary>
    internal Task<GeneratedFiles> GeneratedAsync(string name, string? publicUrl, params IReadOnlyList<string> arguments) =>
        GeneratedFiles.WriteAsync(Path.Combine(_folder, "generated", name), publicUrl, arguments);

    internal async Task<Docker> DockerAsync(string name, ProxyUnderTest mirror) => (Docker)await ClientAsync(name, mirror);

    internal async Task<Podman> PodmanAsync(string name, ProxyUnderTest mirror) => (Podman)await ClientAsync(name, mirror);

    internal async Task<Skopeo> SkopeoAsync(ProxyUnderTest mirror) => (Skopeo)await ClientAsync("skopeo 1.9", mirror);

    /// <summary>A place to run programs of Debian's testing suite in.</summary>
    internal Cell CurrentCell(string name) => new(_folder, name, TestingRoot);

    /// <summary>A place to run this machine's programs in.</summary>
    internal Cell OwnCell(string name) => new(_folder, name, root: null);

    /// <summary>A further proxy with a policy of its own.</summary>
    internal async Task<ProxyUnderTest> ProxyAsync(string name, string policy, ProxySetup? setup = null)
    {
        var proxy = await ProxyUnderTest.StartAsync(Path.Combine(_folder, name), Hub, policy, setup ?? new ProxySetup());
        _others.Add(proxy);
        return proxy;
    }

    /// <summary>What the hub has handed out of a repository since its record was cleared: manifests, configurations, layers.</summary>
    internal IReadOnlyList<RecordedRequest> HandedOut(string repository) =>
        [.. Hub.Requests.All.Where(request => request.Status is >= 200 and < 400
            && (request.Path.StartsWith($"/v2/{repository}/manifests/", StringComparison.Ordinal)
                || request.Path.StartsWith($"/v2/{repository}/blobs/", StringComparison.Ordinal)))];

    /// <summary>The digest that a tag has in the registry behind it all, or none.</summary>
    internal async Task<string?> DigestAsync(string repository, string tag)
    {
        using var client = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Head, new Uri(Registry.Address, $"/v2/{repository}/manifests/{tag}"));
        request.Headers.TryAddWithoutValidation(
            "Accept", $"{BuiltImage.OciManifest}, {BuiltImage.OciIndex}, {BuiltImage.DockerManifest}, {BuiltImage.DockerList}");
        using var answer = await client.SendAsync(request);
        return answer.StatusCode == HttpStatusCode.OK ? answer.Headers.GetValues("Docker-Content-Digest").Single() : null;
    }

    /// <summary>A loopback address of this run's own, so that runs side by side do not meet on port 443.</summary>
    internal static IPAddress OwnAddress(int block) =>
        new([127, (byte)(block + (Environment.ProcessId >> 16)), (byte)(Environment.ProcessId >> 8), (byte)Environment.ProcessId]);

    private async Task<IClient> ClientAsync(string name, string key, Setup setup)
    {
        if (!_clients.TryGetValue(key, out var client)) _clients[key] = client = await StartAsync(name, key.Replace(' ', '-'), setup);
        return client;
    }

    private Task<IClient> StartAsync(string name, string cell, Setup setup)
    {
        Cell Here() => With(OwnCell(cell));
        Cell Current() => With(CurrentCell(cell));
        return name switch
        {
            "dockerd 20.10" => As(Docker.ClassicAsync(Here(), setup.Daemon)),
            "dockerd 28" => As(Docker.CurrentAsync(Current(), setup.Daemon)),
            "containerd 1.6" => As(Containerd.StartAsync(Here(), setup.Hosts)),
            "containerd 2" => As(Containerd.StartAsync(Current(), setup.Hosts)),
            "containerd 2 in parts" => As(Containerd.StartAsync(Current(), setup.Hosts, Containerd.InParts)),
            "podman 4" => Task.FromResult<IClient>(Podman.Of(Here(), setup.Registries)),
            "podman 5" => Task.FromResult<IClient>(Podman.Of(Current(), setup.Registries)),
            "buildah 1.28" => Task.FromResult<IClient>(Podman.Buildah(Here(), setup.Registries)),
            "buildah 1.43" => Task.FromResult<IClient>(Podman.Buildah(Current(), setup.Registries)),
            "skopeo 1.9" => Task.FromResult<IClient>(Skopeo.Of(Here(), setup.Registries)),
            "skopeo 1.22" => Task.FromResult<IClient>(Skopeo.Of(Current(), setup.Registries)),
            _ => throw new ArgumentOutOfRangeException(nameof(name), name, "no such client"),
        };

        Cell With(Cell home)
        {
            foreach (var (variable, value) in setup.Environment)
                home.Set(variable, value);
            return home;
        }

        static async Task<IClient> As<T>(Task<T> starting)
            where T : IClient => await starting;
    }

    /// <summary>How a client is told of the proxy: the file that each family reads.</summary>
    private sealed record Setup(string Hosts, string Registries, string Daemon)
    {
        public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();

        /// <summary>As people name a mirror before Docker Hub.</summary>
        public static Setup Mirror(Uri mirror) => new(Containerd.HostsOf(mirror), Clients.Registries.Of(mirror), Docker.DaemonOf(mirror));
    }
}

[CollectionDefinition(nameof(Surroundings))]
public sealed class SurroundingsOfAll : ICollectionFixture<Surroundings>;

/// <summary>The same world once more, for what goes wrong: most of the time of such a test is waiting, in which the others go on.</summary>
[CollectionDefinition(nameof(SurroundingsOfFaults))]
public sealed class SurroundingsOfFaults : ICollectionFixture<Surroundings>;

/// <summary>And once more for what people decide while others pull: these tests wait too, for times to be over.</summary>
[CollectionDefinition(nameof(SurroundingsOfDecisions))]
public sealed class SurroundingsOfDecisions : ICollectionFixture<Surroundings>;

/// <summary>Secrets that must be found nowhere after they were used.</summary>
internal static class Canaries
{
    public const string OrganizationToken = "dckr_oat_canary-of-the-organization";

    public static string PasswordOf(string user) => $"canary-password-of-{user}";

    public static string TokenOf(string user) => $"dckr_pat_canary-of-{user}";
}

/// <summary>The system's clock, moved for a while.</summary>
internal sealed class ShiftedTime : TimeProvider
{
    private long _shift;

    /// <summary>Moves it until the result is disposed of.</summary>
    public IDisposable Shift(TimeSpan by)
    {
        Volatile.Write(ref _shift, by.Ticks);
        return new Back(this);
    }

    public override DateTimeOffset GetUtcNow() => System.GetUtcNow().AddTicks(Volatile.Read(ref _shift));

    private sealed class Back(ShiftedTime time) : IDisposable
    {
        public void Dispose() => Volatile.Write(ref time._shift, 0);
    }
}
