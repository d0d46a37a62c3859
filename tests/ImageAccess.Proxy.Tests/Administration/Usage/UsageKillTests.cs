using System.Globalization;
using System.Runtime.Versioning;
using System.Text;
using ImageAccess.Proxy.Administration.Usage;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Database.Keys;
using ImageAccess.Proxy.Tests.Foundation.Database;
using ImageAccess.Proxy.Tests.Hosting;
using ImageAccess.Proxy.Tests.Walk;

namespace ImageAccess.Proxy.Tests.Administration.Usage;

/// <summary>A loaded program is killed at random moments: the trail's files and the database agree afterwards, event by event, and the chain holds.</summary>
[Collection(PostgresRoom.Name)]
[UnsupportedOSPlatform("windows")]
public sealed class UsageKillTests(PostgresServer postgres)
{
    private const int Clients = 4;

    /// <summary>How often it is killed; <c>tests/kills</c> has more.</summary>
    private static readonly int Kills = int.Parse(Environment.GetEnvironmentVariable("KILLS") ?? "3", CultureInfo.InvariantCulture);

    [Theory]
    [InlineData("SQLite", 1)]
    [InlineData("PostgreSQL", 2)]
    public async Task After_kills_of_a_loaded_program_the_database_has_what_the_files_have_and_has_it_once(string kind, int seed)
    {
        await using var room = await ProgramRoom.OpenAsync("direct");
        room.Hub.Users.Add("bob", "a-password");
        room.Push("library/app");
        room.Push("someuser/app");
        var address = kind == "SQLite" ? null : await postgres.CreateDatabaseAsync();
        await File.WriteAllTextAsync(room["database"], address ?? "");
        File.SetUnixFileMode(room["database"], UnixFileMode.UserRead | UnixFileMode.UserWrite);
        var settings = $$""" "Cache": { "Enabled": false }, "Database": { {{(address is null ? "" : "\"ConnectionStringFile\": \"database\"")}} } """;
        var random = new Random(seed);
        for (var kill = 0; kill < Kills; kill++)
            await LoadAndKillAsync(room, settings, random.Next(1, 500));

        var database = SqlDatabase.Of(new DatabaseOptions { DataDirectory = room["data"], ConnectionString = address });
        var store = UsageStore.Of(database, new KeyFile(null, room["data"]));
        var written = WrittenIn(room["data"]);
        Assert.InRange(written.Count, Kills, int.MaxValue);
        await using (await room.StartAsync(settings))
            await Eventually.TrueAsync(async () => (await store.ListAsync(new UsageFilter(), null, int.MaxValue, default)).Count >= written.Count);

        Assert.Equal(written, (await store.ListAsync(new UsageFilter(), null, int.MaxValue, default)).Select(one => KeyOf(one)).Order());
        Assert.Equal(written.Count, written.Distinct().Count());
        Assert.Equal(
            written.Sum(one => (long)one.Decisions), (await store.CountAsync(new UsageFilter(), UsageBy.Rule, default)).Sum(count => count.Decisions));
        await using var verify = new ImageAccessProcess(Path.GetDirectoryName(room["data"])!, ["audit", "verify"]);
        var (code, output, error) = await verify.EndAsync();
        Assert.True(code == 0, output + error);
    }

    private static async Task LoadAndKillAsync(ProgramRoom room, string settings, int answers)
    {
        await using var program = await room.StartAsync(settings);
        var tokens = new List<(string Repository, string Token)>();
        foreach (var repository in new[] { "library/app", "someuser/app" })
            tokens.Add((repository, await room.Hub.TokenForAsync("bob", $"repository:{repository}:pull")));
        var (answered, isOver) = (0, false);
        var load = Enumerable.Range(0, Clients).Select(_ => Task.Run(async () =>
        {
            while (!Volatile.Read(ref isOver))
            {
                foreach (var (repository, token) in tokens)
                {
                    try
                    {
                        using var answer = await program.AskAsync(HttpMethod.Get, $"/v2/{repository}/manifests/latest", token);
                        Interlocked.Increment(ref answered);
                    }
                    catch (HttpRequestException)
                    {
                        // It was killed.
                    }
                }
            }
        })).ToList();
        await Eventually.TrueAsync(() => Volatile.Read(ref answered) >= answers);
        program.Process.Signal("KILL");
        await program.Process.EndAsync();
        Volatile.Write(ref isOver, true);
        await Task.WhenAll(load);
    }

    /// <summary>What the files have, the last line of each process cut where it was killed.</summary>
    private static List<(long Time, string Id, bool IsClosing, string Repository, string Outcome, int Decisions)> WrittenIn(string directory)
    {
        var written = new List<(long, string, bool, string, string, int)>();
        foreach (var line in TrailFile.AllOf(Path.Combine(directory, "audit.jsonl")).SelectMany(File.ReadLines))
        {
            if (UsageEvent.TryRead(Encoding.UTF8.GetBytes(line), out var decision) == LineKind.Decision)
                written.Add(KeyOf(decision!));
        }

        return [.. written.Order()];
    }

    private static (long Time, string Id, bool IsClosing, string Repository, string Outcome, int Decisions) KeyOf(UsageEvent one) =>
        (one.Time, one.Id, one.IsClosing, one.Repository, one.Outcome, one.Decisions);
}
