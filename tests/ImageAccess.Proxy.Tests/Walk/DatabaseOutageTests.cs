using System.Diagnostics;
using System.Text.Json.Nodes;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Store;
using ImageAccess.Proxy.Tests.Foundation.Database;
using ImageAccess.Proxy.Tests.Policies.Store;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>Whatever is wrong with the database, pulls go on by the policy in force; it says what to do, and is well again by itself.</summary>
public sealed class DatabaseOutageTests
{
    private const string Changed =
        """{ "organizations": [ { "name": "acme", "owners": [ "alice" ], "members": [ "bob" ], "enabled": true, "allow": { "official": true, "community": true } } ] }""";

    [Fact]
    public async Task With_a_file_that_is_no_database_it_serves_and_mends_itself_when_the_file_is_gone()
    {
        await using var here = await Surroundings.StartWithDatabaseAsync();
        await WrittenAsync(here, 1);
        var file = Path.Combine(here.DataDirectory, "imageaccess.db");
        await here.RestartAsync(() => File.WriteAllText(file, new string('x', 5000)));

        Assert.Equal(
            $"{file} is no database of SQLite: put a backup in its place with imageaccess database restore FILE, or move it away to begin anew. "
            + "The policy in force stays, and what has to be written waits",
            await ConcernAsync(here));
        await AssertDecidesAsync(here, community: false);
        await here.WritePolicyAsync(Changed);
        await AssertDecidesAsync(here, community: true);

        File.Delete(file);
        await Eventually.TrueAsync(() => State(here).Concern is null);
        Assert.Null(await ConcernAsync(here));
        Assert.Equal([PolicyFixture.VersionOf(Changed)], await WrittenAsync(here, 1)); // the history before it went with the file
    }

    [Fact]
    public async Task A_file_that_is_locked_for_ten_seconds_holds_up_no_pull()
    {
        await using var here = await Surroundings.StartWithDatabaseAsync();
        await WrittenAsync(here, 1);
        await using (var other = new SqliteConnection($"Data Source={Path.Combine(here.DataDirectory, "imageaccess.db")};Pooling=false"))
        {
            await other.OpenAsync();
            await using var locking = other.CreateCommand();
            locking.CommandText = "BEGIN EXCLUSIVE";
            await locking.ExecuteNonQueryAsync();
            await here.WritePolicyAsync(Changed);
            await AssertDecidesAsync(here, community: true);
            await Eventually.TrueAsync(() => State(here).Concern is not null); // after the time that SQLite waits
            await AssertDecidesAsync(here, community: true);
            Assert.Contains(" is locked by another process: end that process, or wait until it has finished", await ConcernAsync(here), StringComparison.Ordinal);
        }

        Assert.Equal([PolicyFixture.VersionOf(Surroundings.Policy), PolicyFixture.VersionOf(Changed)], await WrittenAsync(here, 2));
        await Eventually.TrueAsync(() => State(here).Concern is null);
    }

    /// <summary>Its disk alone: the database is a link to a small one.</summary>
    [Fact]
    public async Task A_full_disk_holds_up_no_pull_and_it_is_well_again_when_there_is_room()
    {
        using var directory = new TemporaryDirectory();
        await RunAsync("mount", "-t", "tmpfs", "-o", "size=2m,mode=0700", "tmpfs", directory.Path);
        try
        {
            await using var here = await Surroundings.StartWithDatabaseAsync();
            await WrittenAsync(here, 1);
            var file = Path.Combine(here.DataDirectory, "imageaccess.db");
            await here.RestartAsync(() =>
            {
                File.Move(file, directory["imageaccess.db"]);
                File.CreateSymbolicLink(file, directory["imageaccess.db"]);
            });
            await WrittenAsync(here, 1);

            using var enough = new CancellationTokenSource();
            var pulls = Task.Run(() => PullAsync(here, enough.Token));
            await FillAsync(directory["filler"]);
            await here.WritePolicyAsync(Changed);
            await AssertDecidesAsync(here, community: true);
            await BlockAsync(here, "someuser/*");
            await AssertDecidesAsync(here, community: false);
            await Eventually.TrueAsync(() => State(here).Concern is not null);
            Assert.Matches("^.*imageaccess.db cannot .*The policy in force stays, and what has to be written waits$", await ConcernAsync(here));

            File.Delete(directory["filler"]);
            Assert.Equal([PolicyFixture.VersionOf(Surroundings.Policy), PolicyFixture.VersionOf(Changed)], await WrittenAsync(here, 2));
            await Eventually.TrueAsync(() => State(here).Concern is null);
            Assert.Null(await ConcernAsync(here));
            await enough.CancelAsync();
            Assert.True(await pulls > 0);
        }
        finally
        {
            await RunAsync("umount", directory.Path);
        }
    }

    [Fact]
    public async Task A_newer_database_stops_the_start()
    {
        await using var here = await Surroundings.StartWithDatabaseAsync();
        await WrittenAsync(here, 1);
        await here.RestartAsync(() => { });
        await here.Proxy.Services.GetRequiredService<SqlDatabase>().WriteAsync(
            context => context.Database.ExecuteSqlRawAsync("""INSERT INTO "__EFMigrationsHistory" VALUES ('20990101000000_Later', '99.0.0')"""),
            default);
        var refusal = await Assert.ThrowsAnyAsync<OptionsValidationException>(() => here.RestartAsync(() => { }));
        Assert.EndsWith(
            "belongs to a newer version of imageaccess (20990101000000_Later): start that version, or restore a backup that is as old as this one",
            Assert.Single(refusal.Failures), StringComparison.Ordinal);
    }

    [Fact]
    public async Task PostgreSQL_stops_and_starts_under_pulls_and_no_pull_fails()
    {
        var server = new PostgresServer();
        await server.InitializeAsync();
        try
        {
            var connection = await server.CreateDatabaseAsync();
            await using var here = await Surroundings.StartWithDatabaseAsync(settings: [("Database:ConnectionString", connection)]);
            await WrittenAsync(here, 1);

            using var enough = new CancellationTokenSource();
            var pulls = Task.Run(() => PullAsync(here, enough.Token));
            await server.StopAsync();
            await here.WritePolicyAsync(Changed);
            await Eventually.TrueAsync(() => State(here).Concern is not null);
            var concern = await ConcernAsync(here);
            Assert.StartsWith("PostgreSQL at 127.0.0.1:", concern, StringComparison.Ordinal);
            Assert.EndsWith("The policy in force stays, and what has to be written waits", concern, StringComparison.Ordinal);
            await AssertDecidesAsync(here, community: true);
            await BlockAsync(here, "someuser/*");
            await AssertDecidesAsync(here, community: false);

            await here.RestartAsync(() => { }); // a start without the database serves as well
            Assert.NotNull(await ConcernAsync(here));
            await AssertDecidesAsync(here, community: false);

            await server.StartAsync();
            Assert.Equal([PolicyFixture.VersionOf(Surroundings.Policy), PolicyFixture.VersionOf(Changed)], await WrittenAsync(here, 2));
            await Eventually.TrueAsync(() => State(here).Concern is null);
            Assert.Null(await ConcernAsync(here));
            var database = here.Proxy.Services.GetRequiredService<SqlDatabase>();
            Assert.Equal(["someuser/*"], await database.ReadAsync(context => context.Blocks.Select(block => block.Image).ToListAsync(), default));
            Assert.All(await database.ReadAsync(context => context.Denials.ToListAsync(), default), denial => Assert.Equal("block", denial.Rule));
            await enough.CancelAsync();
            Assert.True(await pulls > 0);

            Assert.DoesNotContain(PostgresServer.Password, here.Log.ToString(), StringComparison.Ordinal);
            Assert.DoesNotContain("s3cret", here.Log.ToString(), StringComparison.Ordinal);
            Assert.All(FilesThere.TextsOf(here.DataDirectory), text => Assert.DoesNotContain("s3cret", text, StringComparison.Ordinal));
        }
        finally
        {
            await server.DisposeAsync();
            server.Dispose();
        }
    }

    /// <summary>Pulls by many clients at once, without a pause; the proxy may be exchanged meanwhile, and its own restart is the only failure.</summary>
    private static async Task<int> PullAsync(Surroundings here, CancellationToken enough)
    {
        var token = await here.PullTokenAsync("bob", "library/nginx");
        return (await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => Task.Run(() => PullAsync(here, token, enough))))).Sum();
    }

    private static async Task<int> PullAsync(Surroundings here, string token, CancellationToken enough)
    {
        for (var pulls = 0; ; pulls++)
        {
            if (enough.IsCancellationRequested)
                return pulls;
            try
            {
                Assert.Equal(200, (await here.AskAsync("GET", "/v2/library/nginx/manifests/latest", token)).Status);
            }
            catch (Exception exception) when (exception is System.Net.Sockets.SocketException or IndexOutOfRangeException or IOException)
            {
                await Task.Yield(); // between the two proxies
            }
        }
    }

    private static async Task AssertDecidesAsync(Surroundings here, bool community)
    {
        Assert.Equal(200, (await here.AskAsync("GET", "/v2/library/nginx/manifests/latest", await here.PullTokenAsync("bob", "library/nginx"))).Status);
        Assert.Equal(
            community ? 200 : 403,
            (await here.AskAsync("GET", "/v2/someuser/custom-image/manifests/latest", await here.PullTokenAsync("bob", "someuser/custom-image"))).Status);
    }

    /// <summary>Until there is room for nothing.</summary>
    private static async Task FillAsync(string path)
    {
        await using var file = new FileStream(path, FileMode.Append);
        try
        {
            while (true)
            {
                await file.WriteAsync(new byte[4096]);
                await file.FlushAsync();
            }
        }
        catch (IOException)
        {
            // It is full.
        }
    }

    private static async Task RunAsync(params string[] command)
    {
        using var process = Process.Start(command[0], command[1..]);
        await process.WaitForExitAsync();
        Assert.Equal(0, process.ExitCode);
    }

    /// <summary>As the verb does, which knows of no database.</summary>
    private static async Task BlockAsync(Surroundings here, string image)
    {
        Assert.True(ImagePattern.TryParse(image, out var pattern, out _));
        await new BlocksOnDisk(new PolicyStoreOptions { DataDirectory = here.DataDirectory })
            .ChangeAsync(before => before.Add(pattern, "CVE-1", "alice", TimeProvider.System.GetUtcNow()), default);
        await Eventually.TrueAsync(() => here.Proxy.Services.GetRequiredService<IPolicyStore>().Current.Blocks.Count > 0);
    }

    private static DatabaseState State(Surroundings here) => here.Proxy.Services.GetRequiredService<DatabaseState>();

    /// <summary>What <c>/readyz</c> says of the database; it stays ready in any case.</summary>
    private static async Task<string?> ConcernAsync(Surroundings here)
    {
        using var admin = Surroundings.NewClient(here.Admin);
        var answer = await admin.GetAsync("/readyz");
        Assert.Equal(System.Net.HttpStatusCode.OK, answer.StatusCode);
        return JsonNode.Parse(await answer.Content.ReadAsStringAsync())!["degraded"]!["database"]?.GetValue<string>();
    }

    /// <summary>The versions in the history, once there are so many.</summary>
    private static async Task<IReadOnlyList<string>> WrittenAsync(Surroundings here, int count)
    {
        var database = here.Proxy.Services.GetRequiredService<SqlDatabase>();
        IReadOnlyList<string> versions = [];
        await Eventually.TrueAsync(() => !here.Proxy.Services.GetRequiredService<PolicyHistory>().IsWaiting);
        await using var context = database.CreateContext();
        versions = [.. (await new PolicyVersions(context).ListAsync(100, default)).Select(row => row.Version).Reverse()];
        Assert.Equal(count, versions.Count);
        return versions;
    }
}
