using ImageAccess.Core.Policies;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Callers.Identity;
using ImageAccess.Proxy.Callers.Members;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.DockerHub;
using ImageAccess.Proxy.Policies.Store;
using ImageAccess.Proxy.Tests.Callers.Identity;
using ImageAccess.Proxy.Tests.Policies.Store;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace ImageAccess.Proxy.Tests.Callers.Members;

/// <summary>The member lists as the host composes them, in front of a fake hub, with a clock that a test moves.</summary>
internal sealed class DirectoryRoom : IAsyncDisposable
{
    public const string Secret = "dckr_pat_the-directorys-own";

    public static readonly DateTimeOffset Start = new ManualTime().GetUtcNow();

    private readonly TemporaryDirectory _directory = new();
    private readonly (string Key, string Value)[] _settings;
    private readonly SettablePolicy _policies = new() { Current = PolicyWith("\"alice\"") };
    private IHost _host;

    private DirectoryRoom(FakeHub hub, ManualTime time, (string Key, string Value)[] settings)
    {
        Hub = hub;
        Time = time;
        _settings = settings;
        _host = Build();
    }

    public FakeHub Hub { get; }

    public ManualTime Time { get; }

    public LogLines Logs { get; } = new();

    /// <summary>The policy in force: alice owns acme, and bob is a member, by its own lists.</summary>
    public Policy Policy
    {
        get => _policies.Current;
        set => _policies.Current = value;
    }

    public string KeptFile => _directory["members.json"];

    public string AccountsFile => _directory["accounts.json"];

    public MembershipDirectory Directory => _host.Services.GetRequiredService<MembershipDirectory>();

    public RoleBook Roles => _host.Services.GetRequiredService<RoleBook>();

    public RoleSources RoleSources => _host.Services.GetRequiredService<RoleSources>();

    public MembershipRefresh Refresh => _host.Services.GetRequiredService<MembershipRefresh>();

    public FakeNamespace Acme => Hub.Namespaces.Find("acme")!;

    /// <summary>acme: alice owns it, ed edits, bob is a member, ivan is invited. alice, bob and carol have accounts.</summary>
    public static async Task<DirectoryRoom> OpenAsync(params (string Key, string Value)[] settings)
    {
        var time = new ManualTime();
        var hub = await FakeHub.StartAsync(options => options.Time = time);
        foreach (var name in new[] { "alice", "bob", "carol", "ed", "ivan" })
            hub.Users.Add(name, $"{name}s-password");
        hub.Users.AddOrganization("acme", "", Secret).AccessTokens.Add("dckr_oat_acme");
        hub.Namespaces.Find("acme")!.AddMember("alice", "Owner").AddMember("ed", "Editor").AddMember("bob").AddMember("ivan", "Invitee");
        return new DirectoryRoom(hub, time, settings);
    }

    /// <summary>Starts the host, whose background work begins.</summary>
    public Task StartAsync() => _host.StartAsync();

    /// <summary>Ends this process and begins another on the same data directory.</summary>
    public async Task RestartAsync()
    {
        await _host.StopAsync();
        _host.Dispose();
        _host = Build();
        await _host.StartAsync();
    }

    /// <summary>Reads every list once, now.</summary>
    public Task<Timing> ReadAsync() => Refresh.ReadAllAsync(CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(100));

    /// <summary>The caller as a token of this account names him, and what the lists add.</summary>
    public Caller Describe(string username, string? id = null) => Directory.Describe(CallerOf(username, id), Policy);

    /// <summary>The next name that went to another account, as the audit trail was told; null when there is none.</summary>
    internal AccountEvent? NextChange() =>
        _host.Services.GetRequiredService<PendingEvents>().TryTake(out var change) ? Assert.IsType<AccountEvent>(change) : null;

    /// <summary>What the lists say the account is to acme.</summary>
    public OrganizationRole RoleOf(string username, string? id = null) => Describe(username, id).Memberships
        .Where(membership => membership.Organization == "acme")
        .Select(membership => membership.Role)
        .DefaultIfEmpty(OrganizationRole.None)
        .Max();

    /// <summary>A policy whose owners are these, as JSON, and whose member is bob.</summary>
    public static Policy PolicyWith(string owners, string help = "ask") =>
        PolicyFixture.Compile($$"""{ "organizations": [ { "name": "acme", "owners": [ {{owners}} ], "members": [ "bob" ], "help": "{{help}}" } ] }""");

    public static Caller CallerOf(string username, string? id = null) =>
        Caller.SignedIn(username, id ?? Guid.ParseExact(new FakeMember(username, "Member").Id, "N").ToString("D"));

    /// <summary>What health says of the lists: null while all is well.</summary>
    public async Task<string?> ConcernAsync()
    {
        var report = await _host.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync();
        var entry = report.Entries["members"];
        Assert.NotEqual(HealthStatus.Unhealthy, entry.Status);
        return entry.Status == HealthStatus.Degraded ? entry.Description : null;
    }

    /// <summary>The requests to a call of the Hub API.</summary>
    public IReadOnlyList<RecordedRequest> Asked(string part) => [.. Hub.Requests.Of(Face.Hub).Where(request => request.RawTarget.Contains(part, StringComparison.Ordinal))];

    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync();
        _host.Dispose();
        await Hub.DisposeAsync();
        _directory.Dispose();
    }

    private IHost Build()
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Services.AddSingleton<TimeProvider>(Time);
        builder.Services.AddLogging(logging => logging.SetMinimumLevel(LogLevel.Trace).AddProvider(Logs));
        builder.Services.AddSingleton<IPolicyStore>(_policies);
        builder.Services.AddMetrics();
        builder.Services.AddSingleton(new PendingEvents(PendingEvents.DefaultCapacity, Time)); // nobody writes them: they can be looked at
        builder.Services.AddSingleton<AuditMetrics>();
        builder.Services.AddSingleton<AuditTrail>();
        var configuration = IdentityRoom.Configure(
        [
            ("Upstream:Auth", Hub.Auth.AbsoluteUri),
            ("Upstream:Hub", Hub.Hub.AbsoluteUri),
            ("Data:Directory", _directory.Path),
            ("Identity:Directory:Organization", "acme"),
            ("Identity:Directory:Username", "acme"),
            ("Identity:Directory:Secret", Secret),
            .. _settings,
        ]);
        builder.Services.AddDockerHub(configuration).AddIdentity(configuration).AddRoles();
        return builder.Build();
    }
}
