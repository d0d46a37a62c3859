using System.Globalization;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Connections.Certificates;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Hosting;
using ImageAccess.Proxy.Policies.Store;
using ImageAccess.Proxy.Tests.Policies.Store;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>A fake hub with a few accounts and images, the whole proxy in front of it, and clients that speak over real sockets.</summary>
public sealed class Surroundings : IAsyncDisposable
{
    /// <summary>acme enforces: official images alone, and its own. alice owns it, bob is a member, carol is nobody there.</summary>
    public const string Policy =
        """
        {
          "organizations": [ {
            "name": "acme", "owners": [ "alice" ], "members": [ "bob" ], "enabled": true,
            "allow": { "official": true }, "help": "ask in #platform"
          } ]
        }
        """;

    /// <summary>How long a test waits for what must come, on however slow a machine.</summary>
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private readonly string _directory;
    private bool _hasDatabase;
    private (TimeProvider Time, (string Key, string Value)[] Settings) _start;

    private Surroundings(FakeHub hub, string directory)
    {
        Hub = hub;
        _directory = directory;
    }

    public FakeHub Hub { get; }

    public WebApplication Proxy { get; private set; } = null!;

    public Uri Mirror { get; private set; } = null!;

    public Uri Admin { get; private set; } = null!;

    /// <summary>The gateway and the forward proxy, where the settings have them.</summary>
    public IReadOnlyList<Uri> Further { get; private set; } = [];

    /// <summary>The CA that clients of those have to trust.</summary>
    public string AuthorityFile { get; private set; } = "";

    public HttpClient Client { get; private set; } = null!;

    public LogLines Log { get; } = new();

    /// <summary>What a test registers over the rooms' own services; in force from the next start.</summary>
    public Action<IServiceCollection>? Services { get; set; }

    /// <summary>The proxy's data directory.</summary>
    public string DataDirectory => _directory;

    public string AuditFile => Path.Combine(_directory, "audit.jsonl");

    public string PolicyFile => Path.Combine(_directory, "policy.json");

    public static Task<Surroundings> StartAsync(
        string policy = Policy, Action<FakeHubOptions>? hub = null, params (string Key, string Value)[] settings) =>
        StartAsync(policy, hub, TimeProvider.System, settings);

    /// <param name="policy">The policy document.</param>
    /// <param name="hub">Settings of the fake hub.</param>
    /// <param name="time">The proxy's clock.</param>
    /// <param name="settings">Configuration over what the fixture sets itself; <c>CDNPORT</c> stands for the port of the CDN.</param>
    public static Task<Surroundings> StartAsync(
        string policy, Action<FakeHubOptions>? hub, TimeProvider time, params (string Key, string Value)[] settings) =>
        StartAsync(policy, hub, time, hasDatabase: false, settings);

    /// <summary>
    /// The same with what looks after the database. Elsewhere nobody does, as while it cannot be reached: what others test does not depend on
    /// it, and its timers would come at a moment of their own.
    /// </summary>
    public static Task<Surroundings> StartWithDatabaseAsync(params (string Key, string Value)[] settings) =>
        StartAsync(Policy, null, TimeProvider.System, hasDatabase: true, settings);

    private static async Task<Surroundings> StartAsync(
        string policy, Action<FakeHubOptions>? hub, TimeProvider time, bool hasDatabase, (string Key, string Value)[] settings)
    {
        var directory = Directory.CreateTempSubdirectory("imageaccess-").FullName;
        var surroundings = new Surroundings(await FakeHub.StartAsync(hub), directory) { _hasDatabase = hasDatabase };
        surroundings.Populate();
        await File.WriteAllTextAsync(surroundings.PolicyFile, policy);
        await surroundings.StartProxyAsync(time, settings);
        return surroundings;
    }

    /// <summary>A token as the token service gives it: for a user name, or null for nobody, with these scopes.</summary>
    public Task<string> TokenAsync(string? username, params string[] scopes) => Hub.TokenForAsync(username, scopes);

    public Task<string> PullTokenAsync(string? username, string repository) => TokenAsync(username, $"repository:{repository}:pull");

    /// <summary>Sends bytes as they are and reads the whole answer; the connection is closed behind it.</summary>
    public async Task<RawAnswer> SendRawAsync(string request) => RawAnswer.Parse(await ExchangeAsync(request));

    /// <summary>Everything that comes back for these bytes until the proxy closes; it may close before it has read them all.</summary>
    public async Task<string> ExchangeAsync(string request)
    {
        using var limit = new CancellationTokenSource(Limit);
        using var socket = new TcpClient();
        await socket.ConnectAsync(Mirror.Host, Mirror.Port, limit.Token);
        var stream = socket.GetStream();
        using var answer = new MemoryStream();
        try
        {
            await stream.WriteAsync(Encoding.Latin1.GetBytes(request), limit.Token);
        }
        catch (IOException)
        {
            // It has answered and closed.
        }

        try
        {
            await stream.CopyToAsync(answer, limit.Token);
        }
        catch (IOException)
        {
            // A reset: bytes of the request were left unread, or the answer broke off.
        }

        return Encoding.Latin1.GetString(answer.ToArray());
    }

    /// <summary>A client of its own connections, to the proxy or around it.</summary>
    public static HttpClient NewClient(Uri address) =>
        new(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false, UseCookies = false }) { BaseAddress = address };

    /// <summary>Waits until the face has been asked.</summary>
    public async Task AskedAsync(Face face)
    {
        using var limit = new CancellationTokenSource(Limit);
        await Hub.Requests.WaitForAsync(request => request.Face == face, limit.Token);
    }

    /// <summary>The audit's events once there are so many of them.</summary>
    public async Task<IReadOnlyList<JsonElement>> AuditAsync(int count)
    {
        using var limit = new CancellationTokenSource(Limit);
        while (true)
        {
            var lines = await ReadAuditAsync(limit.Token);
            if (lines.Length >= count)
                return [.. lines.Select(line => JsonSerializer.Deserialize<JsonElement>(line))];
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, limit.Token);
        }
    }

    /// <summary>One request of the registry API, with the User-Agent of a client.</summary>
    public Task<RawAnswer> AskAsync(string method, string target, string? token = null, string? userAgent = null) => SendRawAsync(
        $"{method} {target} HTTP/1.1\r\nHost: {Mirror.Authority}\r\nConnection: close\r\n"
        + (token is null ? "" : $"Authorization: Bearer {token}\r\n")
        + (userAgent is null ? "" : $"User-Agent: {userAgent}\r\n")
        + "\r\n");

    /// <summary>Writes the policy document, and waits until it is in force.</summary>
    public async Task WritePolicyAsync(string document)
    {
        await File.WriteAllTextAsync(PolicyFile, document);
        var version = PolicyFixture.VersionOf(document);
        await Eventually.TrueAsync(() => Proxy.Services.GetRequiredService<IPolicyStore>().Current.Version == version);
    }

    /// <summary>Another proxy after this one: on the same data directory, with the same clock and settings and these.</summary>
    public async Task RestartAsync(params (string Key, string Value)[] settings)
    {
        await StopProxyAsync();
        await StartProxyAsync(_start.Time, [.. _start.Settings, .. settings]);
    }

    /// <summary>The same, and something happens while none runs.</summary>
    public async Task RestartAsync(Action between)
    {
        await StopProxyAsync();
        between();
        await StartProxyAsync(_start.Time, _start.Settings);
    }

    public async ValueTask DisposeAsync()
    {
        await StopProxyAsync();
        await Hub.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    private async Task StopProxyAsync()
    {
        Client.Dispose();
        await Proxy.StopAsync();
        await Proxy.DisposeAsync();
    }

    /// <summary>Without the trail's own checkpoints.</summary>
    private async Task<string[]> ReadAuditAsync(CancellationToken cancel)
    {
        if (!File.Exists(AuditFile))
            return [];
        using var stream = new FileStream(AuditFile, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        using var reader = new StreamReader(stream);
        var text = await reader.ReadToEndAsync(cancel);
        return
        [
            .. text[..(text.LastIndexOf('\n') + 1)].Split('\n', StringSplitOptions.RemoveEmptyEntries)
                .Where(line => !line.Contains("\"event\":\"checkpoint\"", StringComparison.Ordinal)),
        ];
    }

    private void Populate()
    {
        Hub.Users.Add("alice", "alices-password", "dckr_pat_alice");
        Hub.Users.Add("bob", "bobs-password", "dckr_pat_bob");
        Hub.Users.Add("carol", "carols-password", "dckr_pat_carol");
        Hub.Users.AddOrganization("acme", "", "dckr_oat_acme");
        Hub.Namespaces.Find("acme")!.AddMember("alice", "Owner").AddMember("bob");
        Hub.Namespaces.Add("bitnami", "verified_publisher");
        Hub.Namespaces.Add("someuser", "", NamespaceKind.User);
        foreach (var repository in new[] { "library/nginx", "bitnami/redis", "acme/app", "someuser/custom-image" })
            Hub.Images.PushImage(repository, "latest", [Encoding.ASCII.GetBytes($"a layer of {repository}")]);
        Hub.Images.PushImage("acme/secret", "latest", ["a secret layer"u8.ToArray()]);
        Hub.Images.MakePrivate("acme/secret", "alice", "bob");
    }

    private async Task StartProxyAsync(TimeProvider time, (string Key, string Value)[] settings)
    {
        _start = (time, settings);
        var configuration = new Dictionary<string, string?>
        {
            ["Listen:Mirror"] = "http://127.0.0.1:0",
            ["Listen:Admin"] = "http://127.0.0.1:0",
            ["Upstream:Registry"] = Hub.Registry.AbsoluteUri,
            ["Upstream:Auth"] = Hub.Auth.AbsoluteUri,
            ["Upstream:Hub"] = Hub.Hub.AbsoluteUri,
            ["Upstream:Index"] = Hub.Index.AbsoluteUri,
            ["Upstream:RedirectHosts:0"] = Hub.Cdn.Authority,
            ["Data:Directory"] = _directory,
            ["Cache:Enabled"] = "false", // what each test asks of upstream is counted
            ["Upstream:Probe"] = "false",
        };
        foreach (var (key, value) in settings)
            configuration[key] = value.Replace("CDNPORT", Hub.Cdn.Port.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal);

        if (configuration.ContainsKey("Listen:Gateway") || configuration.ContainsKey("Listen:ForwardProxy"))
            AuthorityFile = EnsureAuthority(configuration);
        Proxy = ProxyHost.Build(
            new ConfigurationBuilder().AddInMemoryCollection(configuration).Build(),
            builder =>
            {
                builder.Services.AddSingleton(time);
                if (!_hasDatabase)
                    builder.Services.Remove(builder.Services.Single(service => service.ImplementationType == typeof(DatabaseUpkeep)));
                Services?.Invoke(builder.Services);
                builder.Logging.ClearProviders().AddProvider(Log).SetMinimumLevel(LogLevel.Trace);
            });
        await Proxy.StartAsync();
        var addresses = Proxy.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.ToList();
        (Mirror, Admin, Further) = (new Uri(addresses[0]), new Uri(addresses[1]), [.. addresses.Skip(2).Select(address => new Uri(address))]);
        Client = NewClient(Mirror);
        Hub.Requests.Clear();
    }

    private static string EnsureAuthority(Dictionary<string, string?> configuration)
    {
        var plan = new CertificatePlan(CertificatesOptions.Of(new ConfigurationBuilder().AddInMemoryCollection(configuration).Build()));
        new CertificateIssue(plan, TimeProvider.System).EnsureAuthority();
        return plan.Authority.Files.CertificatePath;
    }
}

/// <summary>An answer as it came over the wire, each byte a sign of its text.</summary>
public sealed record RawAnswer(int Status, string Phrase, IReadOnlyDictionary<string, string> Headers, string Body)
{
    public static RawAnswer Parse(string text)
    {
        var end = text.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        var head = (end < 0 ? text : text[..end]).Split("\r\n");
        var line = head[0].Split(' ', 3);
        var headers = head.Skip(1).Select(header => header.Split(": ", 2)).GroupBy(header => header[0], header => header[1], StringComparer.OrdinalIgnoreCase)
            .ToDictionary(header => header.Key, header => string.Join(", ", header), StringComparer.OrdinalIgnoreCase);
        var body = end < 0 ? "" : text[(end + 4)..];
        if (headers.TryGetValue("Content-Length", out var length))
            body = body[..Math.Min(body.Length, int.Parse(length, CultureInfo.InvariantCulture))];
        return new RawAnswer(int.Parse(line[1], CultureInfo.InvariantCulture), line.Length > 2 ? line[2] : "", headers, body);
    }

    public string? Header(string name) => Headers.GetValueOrDefault(name);

    /// <summary>The first error's code; null where the body is no error list.</summary>
    public string? Code => Error("code");

    /// <summary>The first error's message; null where the body is no error list.</summary>
    public string? Message => Error("message");

    private string? Error(string member) =>
        Body.StartsWith('{') && JsonSerializer.Deserialize<JsonElement>(Encoding.Latin1.GetBytes(Body)).TryGetProperty("errors", out var errors) ? errors[0].GetProperty(member).GetString() : null;
}

/// <summary>One <see cref="Surroundings"/> for all tests of a class whose requests do not disturb each other.</summary>
public class SharedSurroundings : IAsyncLifetime
{
    protected virtual (string Key, string Value)[] Settings => [];

    public Surroundings Here { get; private set; } = null!;

    public async Task InitializeAsync() => Here = await Surroundings.StartAsync(settings: Settings);

    public async Task DisposeAsync() => await Here.DisposeAsync();
}

/// <summary>The same on Kestrel's own transport.</summary>
public sealed class KestrelSurroundings : SharedSurroundings
{
    protected override (string Key, string Value)[] Settings => [("Listen:Transport", "kestrel")];
}
