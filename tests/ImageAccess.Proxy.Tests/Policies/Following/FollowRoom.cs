using System.Runtime.Versioning;
using System.Text;
using System.Text.Json;
using ImageAccess.Core.Hosts;
using ImageAccess.Core.Policies;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.DockerHub;
using ImageAccess.Proxy.Policies.Following;
using ImageAccess.Proxy.Policies.Store;
using ImageAccess.Proxy.Tests.Callers.Identity;
using ImageAccess.Proxy.Tests.Policies.Store;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace ImageAccess.Proxy.Tests.Policies.Following;

/// <summary>A policy store whose acme follows Docker Hub's own switches, those of a fake hub, and a clock that a test moves.</summary>
[UnsupportedOSPlatform("windows")]
internal sealed class FollowRoom : IAsyncDisposable
{
    public const string Password = "the-password-of-an-owner";
    public const string AccessToken = "dckr_pat_of-an-owner";
    public const string Settings = "/v2/orgs/acme/settings";
    public const string Registries = "/v2/orgs/acme/settings/registry-access-management";
    public const string SignIn = "/v2/auth/token";

    /// <summary>The document's own switches, which hold until others are read: on, and verified publisher images alone.</summary>
    public const string Document = """{ "organizations": [ { "name": "acme", "follow": "docker-hub", "enabled": true, "allow": { "verifiedPublisher": true, "community": true } } ] }""";

    private readonly (string Key, string? Value)[] _settings;
    private IHost _host = null!;

    private FollowRoom(FakeHub hub, PolicyFixture fixture, (string Key, string? Value)[] settings) => (Hub, Fixture, _settings) = (hub, fixture, settings);

    public FakeHub Hub { get; }

    public PolicyFixture Fixture { get; }

    public LogLines Logs { get; } = new();

    public ManualTime Time => Fixture.Time;

    public PolicyStore Store { get; private set; } = null!;

    public FollowedStore Followed => _host.Services.GetRequiredService<FollowedStore>();

    public FollowRefresh Refresh => _host.Services.GetRequiredService<FollowRefresh>();

    public string SecretFile => Fixture["hub-secret"];

    public string Copy => Path.Combine(Fixture.Data, "followed.json");

    public FakeNamespace Acme => Hub.Namespaces.Find("acme")!;

    /// <summary>What Docker's Admin Console says.</summary>
    public (bool Enabled, bool Official, bool Verified) Switches
    {
        set => Acme.RestrictedImages = new FakeRestrictedImages(value.Enabled, value.Official, value.Verified);
    }

    /// <summary>What Docker's Admin Console says of other registries.</summary>
    public void LimitRegistries(bool enabled, params (string Address, bool Allowed)[] custom) => Acme.RegistryAccess = JsonSerializer.Serialize(new
    {
        enabled,
        standard_registries = new[] { new { id = "DockerHub", allowed = true } },
        custom_registries = custom.Select(one => new { address = one.Address, friendly_name = $"our {one.Address}", allowed = one.Allowed }),
    });

    /// <summary>Whether registries may be reached by https, as the policy in force has it: <c>yes</c>, <c>no</c>, or <c>any</c> where none are limited.</summary>
    public string Reaches(params string[] hosts) => string.Join(' ', hosts.Select(host =>
        Store.Current.AllowsRegistry(HostName.TryParse(host, out var name) ? name : throw new FormatException(host), HostAndPort.Https) switch { null => "any", true => "yes", false => "no" }));

    /// <summary>What holds, as the policy in force has it.</summary>
    public string Holds
    {
        get
        {
            var acme = Store.Current.Organizations[0];
            return new HubSwitches(acme.Enabled, acme.AllowsOfficial, acme.AllowsVerifiedPublisher).ToString();
        }
    }

    /// <summary>What follows the document's hash in the version.</summary>
    public string Mark => Store.Current.Version[Store.Current.DocumentVersion.Length..];

    public static async Task<FollowRoom> OpenAsync(string document = Document, params (string Key, string? Value)[] settings)
    {
        var fixture = new PolicyFixture();
        var hub = await FakeHub.StartAsync(options => options.Time = fixture.Time);
        hub.Users.Add("alice", Password, AccessToken);
        hub.Users.Add("bob", "bobs-password");
        hub.Users.AddOrganization("acme");
        hub.Users.AddOrganization("beta");
        hub.Namespaces.Find("acme")!.AddMember("alice", "Owner").AddMember("bob");
        hub.Namespaces.Find("beta")!.AddMember("alice", "Owner");
        var room = new FollowRoom(hub, fixture, settings) { Switches = (true, true, false) };
        await File.WriteAllTextAsync(fixture.Document, document);
        room.WriteSecret(Password);
        room.Start();
        return room;
    }

    public void WriteSecret(string secret)
    {
        File.WriteAllText(SecretFile, secret + "\n");
        File.SetUnixFileMode(SecretFile, UnixFileMode.UserRead | UnixFileMode.UserWrite);
    }

    /// <summary>Ends this process and begins another on the same data directory.</summary>
    public void Restart()
    {
        Store.End();
        _host.Dispose();
        Start();
    }

    /// <summary>Reads once, now.</summary>
    public Task<DateTimeOffset> ReadAsync() => Refresh.ReadAllAsync(CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(100));

    public Task WriteAsync(string document)
    {
        File.WriteAllText(Fixture.Document, document);
        Store.Refresh();
        return Task.CompletedTask;
    }

    /// <summary>The requests to a call of the Hub API.</summary>
    public IReadOnlyList<RecordedRequest> Asked(string part) => [.. Hub.Requests.Of(Face.Hub).Where(request => request.RawTarget == part)];

    /// <summary>The events that the trail was told since the last question, as they are written; without id and time.</summary>
    public List<string> Told()
    {
        var told = new List<string>();
        while (Fixture.Audit.Pending.TryTake(out var audit))
        {
            var line = Encoding.UTF8.GetString(AuditLine.Of(audit).Span).Trim().Replace(Store.Current.DocumentVersion, "V", StringComparison.Ordinal).Replace("\\u0027", "'", StringComparison.Ordinal);
            told.Add("{" + line[line.IndexOf("\"event\"", StringComparison.Ordinal)..]);
        }

        return told;
    }

    /// <summary>What health says: null while all is well.</summary>
    public async Task<string?> ConcernAsync()
    {
        var entry = (await _host.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync()).Entries["follow"];
        Assert.NotEqual(HealthStatus.Unhealthy, entry.Status);
        return entry.Status == HealthStatus.Degraded ? entry.Description : null;
    }

    public async ValueTask DisposeAsync()
    {
        _host.Dispose();
        await Hub.DisposeAsync();
        Fixture.Dispose();
    }

    private void Start()
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Services.AddSingleton<TimeProvider>(Time);
        builder.Services.AddLogging(logging => logging.SetMinimumLevel(LogLevel.Trace).AddProvider(Logs));
        (string Key, string? Value)[] all =
        [
            ("Upstream:Hub", Hub.Hub.AbsoluteUri), ("Data:Directory", Fixture.Data), ("Follow:Username", "alice"), ("Follow:SecretFile", SecretFile), .. _settings,
        ];
        var configuration = IdentityRoom.Configure([.. all.DistinctBy(one => one.Key).Select(one => (one.Key, _settings.FirstOrDefault(other => other.Key == one.Key) is { Key: not null } other ? other.Value! : one.Value!))]);
        builder.Services.AddDockerHub(configuration).AddFollowing(configuration);
        _host = builder.Build();
        Store = Fixture.NotStarted(
            new PolicyStoreOptions { File = Fixture.Document, DataDirectory = Fixture.Data }, Fixture.Exceptions(), Fixture.OfDatabase, Followed);
        Store.Open();
    }
}
