using System.Diagnostics;
using ImageAccess.Proxy.Administration.Denials;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Store;
using ImageAccess.Proxy.Tests.Foundation.Database;
using ImageAccess.Proxy.Tests.Tools.Verbs;
using Microsoft.Extensions.DependencyInjection;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>Two proxies, each with a directory of its own, on one PostgreSQL.</summary>
[Collection(PostgresRoom.Name)]
public sealed class ReplicaTests(PostgresServer server)
{
    private const string Observing =
        """{ "organizations": [ { "name": "acme", "owners": [ "alice" ], "members": [ "bob" ], "enabled": true, "mode": "observe" } ] }""";

    private const string Off = """{ "organizations": [ { "name": "acme", "owners": [ "alice" ], "enabled": false } ] }""";

    [Fact]
    public async Task A_block_of_one_stops_on_the_other_what_is_kept_for_an_owner_in_observe_and_with_image_access_off()
    {
        var connection = await server.CreateDatabaseAsync();
        await using var one = await BeginAsync(connection);
        await using var two = await BeginAsync(connection);
        Assert.Equal(200, await PullAsync(two)); // and kept
        await Eventually.TrueAsync(() => IsIdle(one) && IsIdle(two));

        var started = Stopwatch.GetTimestamp();
        Assert.Equal(0, await RunAsync(one, "block", "nginx", "--reason", "CVE-1"));
        await BlockedAsync(two, 1);
        Assert.InRange(Stopwatch.GetElapsedTime(started), TimeSpan.Zero, TimeSpan.FromSeconds(20)); // long before the look in any case
        foreach (var proxy in new[] { one, two })
        {
            Assert.Equal(403, await PullAsync(proxy));
            await proxy.WritePolicyAsync(Observing);
            Assert.Equal(403, await PullAsync(proxy));
            await proxy.WritePolicyAsync(Off);
            Assert.Equal(403, await PullAsync(proxy));
        }

        Assert.Equal(0, await RunAsync(two, "unblock", "nginx", "--reason", "fixed"));
        await BlockedAsync(one, 0);
        Assert.Equal(200, await PullAsync(one));
    }

    [Fact]
    public async Task What_one_blocks_and_forgets_is_gone_from_the_disk_of_the_other()
    {
        var connection = await server.CreateDatabaseAsync();
        await using var one = await BeginAsync(connection);
        await using var two = await BeginAsync(connection);
        Assert.Equal(200, await PullAsync(two));
        Assert.NotEmpty(KeptBy(two));
        await Eventually.TrueAsync(() => IsIdle(one) && IsIdle(two));
        Assert.Equal(0, await RunAsync(one, "incident", "block", "nginx", "--reason", "CVE-1"));
        await Eventually.TrueAsync(() => KeptBy(two).Count == 0);
        Assert.Equal(403, await PullAsync(two));
    }

    [Fact]
    public async Task A_denial_of_one_is_found_on_the_other_by_its_id()
    {
        var connection = await server.CreateDatabaseAsync();
        await using var one = await BeginAsync(connection);
        await using var two = await BeginAsync(connection);
        var answer = await one.AskAsync("GET", "/v2/someuser/custom-image/manifests/latest", await one.PullTokenAsync("bob", "someuser/custom-image"), "curl/8");
        var id = answer.Header("X-ImageAccess-Decision")!;
        DenialRow? row = null;
        await Eventually.TrueAsync(async () => (row = await FindAsync(two, id)) is not null);
        Assert.Equal(("bob", "someuser/custom-image", "latest", "community", "127.0.0.1", "mirror"), (row!.Caller, row.Repository, row.Reference, row.Rule, row.Client, row.WayIn));
        Assert.Equal("image access denied: community images not allowed (ask in #platform)", row.Message);
    }

    private static async Task<Surroundings> BeginAsync(string connection)
    {
        var here = await Surroundings.StartWithDatabaseAsync(("Database:ConnectionString", connection), ("Cache:Enabled", "true"));
        await Eventually.TrueAsync(() => here.Proxy.Services.GetRequiredService<DatabaseState>().Ready.IsCompleted);
        return here;
    }

    private static List<string> KeptBy(Surroundings here) => [.. Directory.EnumerateFiles(Path.Combine(here.DataDirectory, "cache", "content"), "*", SearchOption.AllDirectories)];

    private static bool IsIdle(Surroundings here) => here.Proxy.Services.GetServices<IDatabaseWriter>().All(writer => !writer.IsWaiting);

    private static async Task<int> PullAsync(Surroundings here) =>
        (await here.AskAsync("GET", "/v2/library/nginx/manifests/latest", await here.PullTokenAsync("alice", "library/nginx"), "curl/8")).Status;

    /// <summary>The verb, with no word of the database.</summary>
    private static async Task<int> RunAsync(Surroundings here, params string[] arguments)
    {
        var file = Path.Combine(here.DataDirectory, "imageaccess.json");
        await File.WriteAllTextAsync(file, """{ "Data": { "Directory": "." } }""");
        return (await CommandLine.RunAsync([.. arguments, "--config", file])).ExitCode;
    }

    private static Task BlockedAsync(Surroundings here, int count) =>
        Eventually.TrueAsync(() => here.Proxy.Services.GetRequiredService<IPolicyStore>().Current.Blocks.Count == count);

    private static Task<DenialRow?> FindAsync(Surroundings here, string id) =>
        here.Proxy.Services.GetRequiredService<SqlDatabase>().ReadAsync(context => new DenialTable(context).FindAsync(id, default), default);
}
