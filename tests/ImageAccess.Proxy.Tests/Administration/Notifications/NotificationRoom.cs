using ImageAccess.Proxy.Administration.Notifications;
using ImageAccess.Proxy.Callers.Members;
using ImageAccess.Proxy.Foundation.Configuration;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.DockerHub;
using ImageAccess.Proxy.Tests.Foundation.Audit;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;

namespace ImageAccess.Proxy.Tests.Administration.Notifications;

/// <summary>The room over a database of its own, with receivers of this machine under names of the internet.</summary>
internal sealed class NotificationRoom : IDisposable
{
    public const string Inside = "hooks.example.com", Metadata = "metadata.example.com";

    private readonly List<ServiceProvider> _built = [];

    private NotificationRoom(SqlDatabase database, TemporaryDirectory directory) => (Database, Directory) = (database, directory);

    public AuditFixture Audit { get; } = new();

    public ManualTime Time => Audit.Time;

    public TemporaryDirectory Directory { get; }

    public SqlDatabase Database { get; }

    public DatabaseState State { get; } = new();

    public LogLines Log { get; } = new();

    /// <summary>What the configuration says, beside where names lead.</summary>
    public Dictionary<string, string?> Settings { get; } = [];

    public static async Task<NotificationRoom> OpenAsync(SqlDatabase? other = null)
    {
        var directory = new TemporaryDirectory();
        var database = other ?? new SqliteDatabase(directory["imageaccess.db"]);
        await database.MigrateAsync(default);
        await File.WriteAllTextAsync(directory["secret"], WebhookServer.Secret);
        await File.WriteAllTextAsync(directory["user"], MailServer.User);
        await File.WriteAllTextAsync(directory["password"], MailServer.Password);
        return new NotificationRoom(database, directory);
    }

    public NotificationRoom WithWebhook(WebhookServer server, string host = Inside, bool isPrivate = true, int number = 0)
    {
        var key = $"Notifications:Webhooks:{number}";
        Settings[$"{key}:Address"] = server.Address(host);
        Settings[$"{key}:SecretFile"] = Directory["secret"];
        Settings[$"{key}:Private"] = isPrivate ? "true" : "false";
        return this;
    }

    public NotificationRoom WithMail(MailServer server, string tls = "starttls")
    {
        File.WriteAllText(Directory["ca.pem"], server.Pem);
        Settings["Upstream:TrustedCertificates"] = Directory["ca.pem"];
        Settings["Notifications:Mail:Server"] = MailServer.Host;
        Settings["Notifications:Mail:Port"] = server.Port.ToString(System.Globalization.CultureInfo.InvariantCulture);
        Settings["Notifications:Mail:Tls"] = tls;
        Settings["Notifications:Mail:From"] = "proxy@example.com";
        Settings["Notifications:Mail:To:0"] = "security@example.com";
        Settings["Notifications:Mail:To:1"] = "platform@example.com";
        Settings["Notifications:Mail:UsernameFile"] = Directory["user"];
        Settings["Notifications:Mail:PasswordFile"] = Directory["password"];
        return this;
    }

    /// <summary>A process: what is in memory is its own.</summary>
    public NotificationProcess Start(string? data = null)
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?>
        {
            [$"Upstream:Addresses:{Inside}"] = "127.0.0.1",
            [$"Upstream:Addresses:{MailServer.Host}"] = "127.0.0.1",
            [$"Upstream:Addresses:{Metadata}"] = "169.254.169.254",
            ["Data:Directory"] = data ?? Directory.Path,
        }).AddInMemoryCollection(Settings).Build();
        var services = new ServiceCollection().AddSingleton<TimeProvider>(Time).AddLogging(logging => logging.ClearProviders().AddProvider(Log).SetMinimumLevel(LogLevel.Trace));
        services.AddSingleton(Database).AddSingleton(State).AddSingleton(Audit.Trail);
        services.AddSingleton<ImageAccess.Proxy.Policies.Store.IPolicyStore>(Policies);
        services.Configure<ConsoleOptions>(options => options.Url = new Uri("https://images.example.com/console/"));
        services.AddDockerHub(configuration).AddNotifications(configuration);
        services.AddSingleton(new RequesterAddresses(() => Members));
        services.AddHealthChecks().AddCheck("cache", () => Cache);
        var provider = services.BuildServiceProvider();
        _built.Add(provider);
        return new NotificationProcess(provider, Database);
    }

    /// <summary>The policy in force; off where a test sets none.</summary>
    public FixedPolicy Policies { get; } = new();

    /// <summary>The member lists; none where a test gives none.</summary>
    public MemberBook Members { get; set; } = MemberBook.Empty;

    /// <summary>A part that a test degrades.</summary>
    public HealthCheckResult Cache { get; set; } = HealthCheckResult.Healthy();

    public Task<List<OutboxRow>> RowsAsync() => Database.ReadAsync(context => context.Outbox.AsNoTracking().OrderBy(row => row.Number).ToListAsync(), default);

    public void Dispose()
    {
        foreach (var provider in _built)
            provider.Dispose();
        Audit.Dispose();
        Directory.Dispose();
    }
}

internal sealed class NotificationProcess(ServiceProvider provider, SqlDatabase database)
{
    public NoticeQueue Queue { get; } = provider.GetRequiredService<NoticeQueue>();

    public OutboxSender Sender { get; } = provider.GetRequiredService<OutboxSender>();

    public DueLooks Looks { get; } = provider.GetServices<Microsoft.Extensions.Hosting.IHostedService>().OfType<DueLooks>().Single();

    public DegradedLook Degraded { get; } = provider.GetServices<Microsoft.Extensions.Hosting.IHostedService>().OfType<DegradedLook>().Single();

    public IReadOnlyList<IReceiver> Receivers { get; } = provider.GetRequiredService<Receivers>().All;

    /// <summary>Brings what waits in memory into the outbox.</summary>
    public Task WriteAsync() => Queue.WriteAsync(database, default);

    /// <summary>Tells all receivers what is due, each until it refuses.</summary>
    public async Task SendAsync()
    {
        foreach (var receiver in Receivers)
        {
            while (await Sender.SendNextAsync(receiver, default))
            {
                // There may be more.
            }
        }
    }

    public async Task TellAsync()
    {
        await WriteAsync();
        await SendAsync();
    }

    public async Task<string?> ConcernAsync() => (await Sender.CheckHealthAsync(new HealthCheckContext())).Description;
}

/// <summary>A policy that a test sets.</summary>
internal sealed class FixedPolicy : ImageAccess.Proxy.Policies.Store.IPolicyStore
{
    public ImageAccess.Core.Policies.Policy Current { get; set; } = ImageAccess.Core.Policies.Policy.Off;

    public ImageAccess.Proxy.Policies.Store.PolicyState? State => new(Current, default, null);

    public void WhenChanged(Action<ImageAccess.Core.Policies.Policy> act)
    {
        // It changes when a test says so.
    }
}
