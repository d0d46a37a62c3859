using System.Diagnostics.Metrics;
using System.Text;
using System.Text.Json;
using ImageAccess.Proxy.Administration.Usage;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Database.Keys;
using ImageAccess.Proxy.Tests.Foundation.Audit;
using Microsoft.Extensions.DependencyInjection;

namespace ImageAccess.Proxy.Tests.Administration.Usage;

/// <summary>A trail in a directory, and what follows it into a database.</summary>
internal sealed class UsageRoom : IDisposable
{
    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();
    private readonly TemporaryDirectory _directory = new();

    public UsageRoom(SqlDatabase? database = null)
    {
        var meters = _services.GetRequiredService<IMeterFactory>();
        Database = database ?? SqlDatabase.Of(new DatabaseOptions { DataDirectory = _directory.Path });
        Store = UsageStore.Of(Database, new KeyFile(null, _directory.Path));
        Audit.File = Trail;
        Metrics = new UsageMetrics(meters);
        Counts = new MeterReadings(meters);
        Follower = Follow(Store);
    }

    public ManualTime Time { get; } = new();

    public UsageOptions Options { get; } = new();

    public AuditOptions Audit { get; } = new();

    public SqlDatabase Database { get; }

    public UsageStore Store { get; }

    public UsageMetrics Metrics { get; }

    public MeterReadings Counts { get; }

    public LogLines<UsageFollower> Log { get; } = new();

    public UsageFollower Follower { get; private set; }

    public string Trail => this["audit.jsonl"];

    public UsageDays Days => UsageDays.At(Time.GetUtcNow(), Options);

    public string this[string name] => _directory[name];

    /// <summary>A line of a decision as the trail writes it.</summary>
    public static string Line(
        string id,
        DateTimeOffset time,
        string caller = "bob",
        string repository = "library/nginx",
        string outcome = "allow",
        string[]? organizations = null,
        string type = "official",
        string rule = "official",
        string? pull = null,
        int? count = null,
        string? reference = "latest",
        string? digest = null,
        string? index = null,
        string wayIn = "mirror",
        string userAgent = "docker/29.0",
        string[]? memberships = null,
        long? block = null,
        string client = "192.0.2.7",
        string method = "GET")
    {
        var line = new Dictionary<string, object?>
        {
            ["id"] = id,
            ["time"] = time,
            ["caller"] = caller,
            ["organizations"] = organizations ?? ["acme"],
            ["client"] = client,
            ["wayIn"] = wayIn,
            ["userAgent"] = userAgent,
            ["method"] = method,
            ["repository"] = repository,
            ["reference"] = reference,
            ["category"] = type,
            ["rule"] = rule,
            ["outcome"] = outcome,
            ["policyVersion"] = "0123456789ab",
        };
        if (memberships is not null)
            line["memberships"] = memberships;
        if (block is not null)
            line["block"] = block;
        if (pull is not null)
            line["pull"] = pull;
        if (count is not null)
            line["count"] = count;
        if (digest is not null)
            line["digest"] = digest;
        if (index is not null)
            line["index"] = index;
        return JsonSerializer.Serialize(line);
    }

    public static string Id(int number) => number.ToString("x32", null);

    public static UsageEvent Read(string line)
    {
        Assert.Equal(LineKind.Decision, UsageEvent.TryRead(Encoding.UTF8.GetBytes(line), out var decision));
        return decision!;
    }

    /// <summary>Another process, which knows nothing.</summary>
    public UsageFollower Follow(UsageStore store) => Follower = new UsageFollower(
        Database,
        store,
        new DatabaseState(),
        Microsoft.Extensions.Options.Options.Create(Audit),
        Microsoft.Extensions.Options.Options.Create(Options),
        Metrics,
        Time,
        Log);

    public string Line(int number, string repository = "library/nginx") => Line(Id(number), Time.GetUtcNow().AddSeconds(number), repository: repository);

    public Task WriteAsync(params string[] lines) => File.AppendAllLinesAsync(Trail, lines);

    public async Task LookAsync()
    {
        Time.Advance(UsageFollower.Pause);
        await Follower.LookAsync(default);
    }

    /// <summary>The ids of what is in the database, the oldest first.</summary>
    public async Task<IReadOnlyList<string>> KeptAsync() =>
        [.. (await Store.ListAsync(new UsageFilter(), null, 100_000, default)).Select(decision => decision.Id).Reverse()];

    public async Task<long> CountedAsync(UsageFilter? filter = null) =>
        (await Store.CountAsync(filter ?? new UsageFilter(), UsageBy.Repository, default)).Sum(count => count.Decisions);

    public void Dispose()
    {
        Follower.Dispose();
        Counts.Dispose();
        _services.Dispose();
        _directory.Dispose();
    }
}
