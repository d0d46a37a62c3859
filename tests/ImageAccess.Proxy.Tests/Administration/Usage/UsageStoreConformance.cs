using System.Runtime.Versioning;
using ImageAccess.Proxy.Administration.Usage;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Database.Keys;
using ImageAccess.Proxy.Tests.Foundation.Database;
using ImageAccess.Proxy.Tests.Policies.Store;
using Microsoft.Data.Sqlite;

namespace ImageAccess.Proxy.Tests.Administration.Usage;

/// <summary>What holds for both databases.</summary>
public abstract class UsageStoreConformance : IAsyncLifetime
{
    private static readonly DateTimeOffset Noon = new(2026, 6, 1, 12, 0, 0, TimeSpan.Zero);

    private static readonly UsageScope[] Scopes = [UsageScope.Everything, new() { Whole = ["acme"] }, new() { AsMember = ["globex", "acme"], Person = "bob" }, new()];

    private const string ToSecond = """
        DELETE FROM "UsageSums" WHERE "Kind" = 3; DROP TABLE IF EXISTS "UsageDigests"; DROP INDEX IF EXISTS "UsageEvents_Organizations"; DROP INDEX "UsageCounts_Denied"; DROP INDEX "UsageCounts_Community";
        DROP TABLE IF EXISTS "UsageTags"; DROP TABLE IF EXISTS "UsageMachines"; DROP TABLE IF EXISTS "UsageReports";
        """;

    private const string ToFirst = $"""
        {ToSecond}
        DROP TABLE "UsageSums"; DROP INDEX "UsageCounts_Caller"; DROP INDEX "UsageCounts_Repository"; DROP TABLE IF EXISTS "UsageForgotten";
        """;

    private const string ToFirstOfDecisions = $"""
        {ToFirst}
        DROP INDEX IF EXISTS "UsageEvents_Caller"; DROP INDEX IF EXISTS "UsageEvents_Repository"; DROP INDEX IF EXISTS "UsageEvents_Digest"; DROP INDEX IF EXISTS "UsageEvents_Index";
        ALTER TABLE "UsageEvents" DROP COLUMN "Memberships"; ALTER TABLE "UsageEvents" DROP COLUMN "Block";
        """;

    internal UsageRoom Room { get; private set; } = null!;

    public async Task InitializeAsync() => Room = new UsageRoom(await OpenAsync());

    public Task DisposeAsync()
    {
        Room.Dispose();
        return Task.CompletedTask;
    }

    internal abstract Task<SqlDatabase?> OpenAsync();

    /// <summary>What makes of the tables those of an earlier version.</summary>
    protected static string Undo(int version, bool hasDecisions) => version == 2 ? ToSecond : hasDecisions ? ToFirstOfDecisions : ToFirst;

    /// <summary>Sets the version of the tables.</summary>
    internal abstract Task SetVersionAsync(int version);

    /// <summary>Makes the tables again as an earlier version of this program had them.</summary>
    internal abstract Task MakeVersionAsync(int version);

    /// <summary>Changes what is not of days.</summary>
    internal abstract Task ExecuteAsync(string sql);

    /// <summary>What decisions are looked up by, in each of their tables.</summary>
    internal abstract Task<IReadOnlyList<string>> IndexesAsync();

    /// <summary>Everything is gone, as with another database in the place of this one.</summary>
    internal abstract Task EmptyAsync();

    [Fact]
    public async Task What_comes_twice_is_there_once_and_counted_once()
    {
        UsageEvent[] batch = [Event(1), Event(2), Event(2), Event(2) with { IsClosing = true, Decisions = 40, Pulls = 10 }];
        Assert.Equal(new UsageAdded(3, 0, 0), await AddAsync(batch));
        Assert.Equal(new UsageAdded(0, 0, 0), await AddAsync(batch));
        Assert.Equal(new UsageAdded(1, 0, 0), await AddAsync(Event(3), Event(1)));

        Assert.Equal([UsageRoom.Id(1), UsageRoom.Id(2), UsageRoom.Id(2), UsageRoom.Id(3)], await Room.KeptAsync());
        Assert.Equal([new UsageCount("library/nginx", 43, 13)], await Room.Store.CountAsync(new UsageFilter(), UsageBy.Repository, default));
        Assert.Equal(batch[3], (await Room.Store.ListAsync(new UsageFilter(), null, 2, default))[1]);
    }

    [Fact]
    public async Task A_position_is_kept_with_its_batch()
    {
        Assert.Empty(await Room.Store.ReadPositionsAsync(["f1", "f2"], default));
        await Room.Store.AddAsync([Event(1)], new TrailPosition("f1", 100), Room.Days, default);
        await Room.Store.AddAsync([], new TrailPosition("f1", 200), Room.Days, default);
        Assert.Equal(new KeyValuePair<string, long>("f1", 200), Assert.Single(await Room.Store.ReadPositionsAsync(["f1", "f2"], default)));
    }

    [Fact]
    public async Task Days_that_are_kept_no_longer_go_and_their_counts_stay()
    {
        Room.Options.Keep = TimeSpan.FromDays(40);
        Room.Options.KeepCounts = TimeSpan.FromDays(100);
        Assert.Equal(new UsageAdded(2, 0, 0), await AddAsync(Event(1), Event(2, Noon.AddDays(1))));
        Room.Time.Advance(TimeSpan.FromDays(80));
        Assert.Equal(new UsageAdded(1, 0, 0), await AddAsync(Event(3, Noon.AddDays(80))));
        while (await Room.Store.PruneAsync(Room.Days, default))
        {
            // It goes by pieces.
        }

        Assert.Equal([UsageRoom.Id(3)], await Room.KeptAsync());
        Assert.Equal(3, await Room.CountedAsync());

        Assert.Equal(new UsageAdded(0, 2, 0), await AddAsync(Event(1), Event(2, Noon.AddDays(1))));
        Room.Time.Advance(TimeSpan.FromDays(-80)); // the clock was wrong, or is now
        Assert.Equal(new UsageAdded(0, 1, 1), await AddAsync(Event(1), Event(3, Noon.AddDays(80))));
        Assert.Equal(3, await Room.CountedAsync());

        Room.Time.Advance(TimeSpan.FromDays(80 + 101));
        await Room.Store.PruneAsync(Room.Days, default);
        Assert.Equal(0, await Room.CountedAsync());
    }

    [Fact]
    public async Task A_clock_that_is_wrong_for_a_moment_does_not_cost_everything()
    {
        await AddAsync([.. Enumerable.Range(0, 75).Select(day => Event(day, Noon.AddDays(-day)))]);
        Room.Time.Advance(TimeSpan.FromDays(20_000));
        Assert.True(await Room.Store.PruneAsync(Room.Days, default));
        Assert.InRange((await Room.KeptAsync()).Count, 40, 74);
    }

    [Fact]
    public async Task An_event_of_1970_or_of_next_week_is_not_taken_and_told()
    {
        Assert.Equal(
            new UsageAdded(2, 2, 2),
            await AddAsync(Event(1, DateTimeOffset.UnixEpoch), Event(2, DateTimeOffset.MinValue), Event(3), Event(4, Noon.AddDays(1)), Event(5, Noon.AddDays(2)), Event(6, DateTimeOffset.MaxValue)));
        Assert.Equal([UsageRoom.Id(3), UsageRoom.Id(4)], await Room.KeptAsync());
    }

    [Fact]
    public async Task The_longest_names_find_room()
    {
        var longest = Event(1) with
        {
            Caller = new string('用', UsageEvent.MaximumCaller),
            Organizations = " " + new string('o', UsageEvent.MaximumOrganizations - 2) + " ",
            Repository = new string('r', 255),
            Type = new string('t', 64),
            Rule = new string('u', 64),
            WayIn = new string('w', 64),
            Family = "go-containerregistry",
        };
        Assert.Equal(new UsageAdded(1, 0, 0), await AddAsync(longest));
        Assert.Equal([longest], await Room.Store.ListAsync(new UsageFilter { Caller = longest.Caller }, null, 10, default));
    }

    [Fact]
    public async Task Tables_of_a_newer_program_are_left_alone()
    {
        await AddAsync(Event(1));
        await SetVersionAsync(4);
        var failure = await Assert.ThrowsAsync<DatabaseException>(() => AddAsync(Event(2)));
        Assert.Equal("has decisions in tables of a newer version of imageaccess (4, this one knows 3): start that version", failure.Message);
        await Assert.ThrowsAsync<DatabaseException>(() => Room.Store.PruneAsync(Room.Days, default));
        await SetVersionAsync(3);
        Assert.Equal([UsageRoom.Id(1)], await Room.KeptAsync());
    }

    [Theory]
    [InlineData(1, new string[0])]
    [InlineData(2, new[] { "UsageEvents_Caller", "UsageEvents_Digest", "UsageEvents_Index", "UsageEvents_Repository" })]
    public async Task Tables_of_an_earlier_version_are_brought_up_to_date_with_what_is_in_them(int version, string[] indexes)
    {
        var events = Enumerable.Range(1, 300).Select(number => Event(number, Noon.AddDays(-number % 60))).ToArray();
        await AddAsync(events);
        var (listed, counted) = (await Room.Store.ListAsync(new UsageFilter { Caller = "bob" }, null, 1000, default), await CountsAsync());
        await MakeVersionAsync(version);
        Assert.Equal(indexes, await IndexesAsync());

        await Room.Store.PruneAsync(Room.Days, default); // as a program does that begins
        Assert.Equal(["UsageEvents_Caller", "UsageEvents_Digest", "UsageEvents_Index", "UsageEvents_Organizations", "UsageEvents_Repository"], await IndexesAsync());
        Assert.Equal(
            version == 1 ? listed.Select(one => one with { Memberships = null }) : listed, await Room.Store.ListAsync(new UsageFilter { Caller = "bob" }, null, 1000, default));
        Assert.Equal(version == 1, await UsagePulls.ReadAsync(Room.Store, Noon.AddDays(-61), Room.Time.GetUtcNow(), 1000, default) is null); // what tokens said was not kept once
        Assert.Equal(counted, await CountsAsync());
        Assert.Equal(new UsageAdded(1, 0, 0), await AddAsync([Event(301), .. events])); // what was there is known

        await MakeVersionAsync(version);
        await Room.Store.ListAsync(new UsageFilter(), null, 1, default); // a question alone harms nothing
        Assert.Equal(301, await Room.CountedAsync());
        Assert.Equal(new UsageAdded(1, 0, 0), await AddAsync(Event(302)));

        async Task<List<UsageCount>> CountsAsync()
        {
            var counts = new List<UsageCount>();
            foreach (var by in Enum.GetValues<UsageBy>())
                counts.AddRange((await Room.Store.CountAsync(new UsageFilter(), by, default)).OrderBy(count => count.Value, StringComparer.Ordinal));
            return counts;
        }
    }

    [Fact]
    public async Task The_newest_of_an_organization_come_in_order_whoever_else_judged_them()
    {
        await AddAsync([.. Enumerable.Range(1, 400).Select(number => Event(number, Noon.AddMinutes(-number)) with
        {
            Organizations = (number % 4) switch { 0 => " acme ", 1 => " acme beta ", 2 => " acme gamma ", _ => " beta " },
            Outcome = number % 5 == 0 ? "deny" : "allow",
        })]);
        var filter = new UsageFilter { Organization = "acme" };
        Assert.Equal(Enumerable.Range(1, 400).Where(number => number % 4 != 3).Take(50).Select(UsageRoom.Id), (await Room.Store.ListAsync(filter, null, 50, default)).Select(one => one.Id));
        Assert.Equal(
            Enumerable.Range(1, 400).Where(number => number % 4 != 3 && number % 5 == 0).Select(UsageRoom.Id),
            (await Room.Store.ListAsync(filter with { Outcome = "deny" }, null, 500, default)).Select(one => one.Id));
        Assert.Empty(await Room.Store.ListAsync(new UsageFilter { Organization = "acm" }, null, 50, default));
    }

    [Fact]
    public async Task The_newest_of_an_organization_are_found_among_more_sets_of_organizations_than_are_asked_about_one_by_one()
    {
        await AddAsync([.. Enumerable.Range(1, 300).Select(number => Event(number, Noon.AddMinutes(-number)) with { Organizations = $" acme org{number % 150} " })]);
        Assert.Equal(Enumerable.Range(1, 300).Select(UsageRoom.Id), (await Room.Store.ListAsync(new UsageFilter { Organization = "acme" }, null, 500, default)).Select(one => one.Id));
    }

    [Fact]
    public async Task Counts_of_digests_go_with_the_decisions()
    {
        await AddAsync([.. Enumerable.Range(0, 40).Select(day => Event(day, Noon.AddDays(-day)) with { Digest = "sha256:" + new string('a', 64) })]);
        Room.Options.Keep = TimeSpan.FromDays(2);
        Room.Time.Advance(TimeSpan.FromDays(400));
        while (await Room.Store.PruneAsync(Room.Days, default))
        {
        }

        Assert.Empty(await Room.Store.CountAsync(new UsageFilter(), UsageBy.Digest, default));
        Assert.NotEmpty(await Room.Store.CountAsync(new UsageFilter(), UsageBy.Repository, default));
    }

    [Fact]
    public async Task A_database_that_is_empty_all_at_once_is_filled_again_from_the_trail()
    {
        await Room.WriteAsync(Room.Line(1), Room.Line(2));
        await Room.LookAsync();
        await EmptyAsync();
        Assert.Empty(await Room.KeptAsync());
        Room.Time.Advance(UsageFollower.Period);
        await Room.LookAsync();
        Assert.Equal([UsageRoom.Id(1), UsageRoom.Id(2)], await Room.KeptAsync());
        Assert.Equal(2, await Room.CountedAsync());
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Whatever_fails_before_or_after_a_batch_each_decision_comes_once(int seed)
    {
        var random = new Random(seed);
        var lines = Enumerable.Range(1, 5000).Select(number => Room.Line(number)).ToList();
        await Room.WriteAsync([.. lines.Take(3000)]);
        Room.Follow(new FailingStore(Room.Store, random));
        var failures = 0;
        for (var look = 0; look < 40 || Room.Metrics.Waiting > 0; look++)
        {
            if (look == 10)
                await Room.WriteAsync([.. lines.Skip(3000)]);
            if (random.Next(4) == 0)
                Room.Follow(new FailingStore(Room.Store, random)); // after a kill
            try
            {
                await Room.LookAsync();
                Room.Time.Advance(UsageFollower.Period);
            }
            catch (DatabaseException)
            {
                failures++;
            }
        }

        Room.Follow(Room.Store);
        await Room.LookAsync();
        Assert.NotEqual(0, failures);
        Assert.Equal(Enumerable.Range(1, 5000).Select(UsageRoom.Id), await Room.KeptAsync());
        Assert.Equal(5000, await Room.CountedAsync());
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Every_count_is_that_of_a_plain_reading_of_the_trail(int seed)
    {
        var random = new Random(seed);
        string Of(params string[] words) => words[random.Next(words.Length)];
        var lines = Enumerable.Range(1, 3000).Select(number => UsageRoom.Line(
            UsageRoom.Id(number),
            Noon.AddSeconds(-random.Next(170 * 86_400)),
            Of("alice", "bob", "名前", "o'hara", "%"),
            Of("library/nginx", "library/redis", "someone/tool", "bitnami/kafka"),
            Of("allow", "deny", "observe"),
            random.Next(4) switch { 0 => [], 1 => ["acme"], 2 => ["beta", "acme"], _ => ["acme_2"] },
            Of("official", "community"),
            Of("official", "community", "allowlist"),
            random.Next(2) == 0 ? "1" : null,
            random.Next(9) == 0 ? random.Next(1, 50) : null,
            Of("latest", "sha256:" + new string('a', 64)))).ToList();
        await Room.WriteAsync([.. lines]);
        await Room.LookAsync();
        var plain = lines.ConvertAll(UsageRoom.Read);

        foreach (var (filter, matches) in new (UsageFilter, Func<UsageEvent, bool>)[]
                 {
                     (new UsageFilter(), _ => true),
                     (new UsageFilter { Organization = "acme" }, one => one.Organizations.Contains(" acme ", StringComparison.Ordinal)),
                     (new UsageFilter { Organization = "acme_2", Outcome = "deny" }, one => one is { Organizations: " acme_2 ", Outcome: "deny" }),
                     (new UsageFilter { Caller = "%", Type = "community" }, one => one is { Caller: "%", Type: "community" }),
                     (new UsageFilter { Caller = "o'hara", Repository = "someone/tool", Rule = "allowlist" }, one => one is { Caller: "o'hara", Repository: "someone/tool", Rule: "allowlist" }),
                     (new UsageFilter(DayOf(Noon.AddDays(-60)), DayOf(Noon.AddDays(-10))), one => one.Time >= DayOf(Noon.AddDays(-60)) && one.Time < DayOf(Noon.AddDays(-10))),
                     (new UsageFilter(Noon.AddDays(-60).ToUnixTimeMilliseconds()) { Reference = "latest" }, one => one.Time >= Noon.AddDays(-60).ToUnixTimeMilliseconds() && one.Reference == "latest"),
                 })
        {
            var found = plain.FindAll(one => matches(one));
            foreach (var by in Enum.GetValues<UsageBy>())
            {
                var asked = (by == UsageBy.Digest ? found.FindAll(one => one.Digest is not null) : found)
                    .GroupBy(one => ValueOf(one, by), (value, some) => new UsageCount(value, some.Sum(one => (long)one.Decisions), some.Sum(one => (long)one.Pulls)));
                Assert.Equal(asked.OrderBy(count => count.Value, StringComparer.Ordinal), (await Room.Store.CountAsync(filter, by, default)).OrderBy(count => count.Value, StringComparer.Ordinal));
            }

            var listed = new List<UsageEvent>();
            while (await Room.Store.ListAsync(filter, listed.Count == 0 ? null : UsageKey.Of(listed[^1]), 400, default) is { Count: > 0 } page)
                listed.AddRange(page);
            Assert.Equal(found.OrderByDescending(one => one.Time).ThenByDescending(one => one.Id, StringComparer.Ordinal), listed);
        }
    }

    /// <summary>Each question of a review is answered as somebody answers it who reads line by line.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Each_finding_of_a_review_is_that_of_a_plain_reading_of_the_trail(int seed)
    {
        var random = new Random(seed);
        string Of(params string[] words) => words[random.Next(words.Length)];
        var lines = Enumerable.Range(1, 2500).Select(number => UsageRoom.Line(
            UsageRoom.Id(number),
            Noon.AddSeconds(-random.Next(70 * 86_400)),
            Of("alice", "bob", "名前", "o'hara", "%", "anonymous"),
            number % 50 == 0 ? $"new/image{random.Next(40)}" : Of("library/nginx", "someone/tool", "bitnami/kafka", "x/y"),
            Of("allow", "deny", "deny", "observe"),
            random.Next(4) switch { 0 => [], 1 => ["acme"], 2 => ["beta", "acme"], _ => ["acme_2"] },
            Of("official", "community"),
            "community",
            random.Next(2) == 0 ? "1" : null,
            random.Next(9) == 0 ? random.Next(1, 50) : null,
            Of("latest", "1.27", $"sha256:{new string('a', 64)}"),
            random.Next(5) == 0 ? null : $"sha256:{new string(Of("a", "b")[0], 64)}",
            random.Next(6) == 0 ? $"sha256:{new string('c', 64)}" : null,
            client: Of("192.0.2.7", "192.0.2.200", "192.0.3.1", "::ffff:192.0.3.9", "2001:db8::1", "2001:db8::2:3", "2001:db8:0:1::1", "no address"))).ToList();
        await Room.WriteAsync([.. lines]);
        await Room.LookAsync();
        var all = lines.ConvertAll(UsageRoom.Read);
        foreach (var (name, person) in new[] { ((string?)null, (string?)null), ("acme", null), ("acme", "bob"), ("nobody", null) })
        {
            var scope = person is null ? UsageScope.Everything : new UsageScope { AsMember = [name!], Person = person };
            var filter = new UsageFilter(DayOf(Noon.AddDays(-40)), DayOf(Noon.AddDays(-3))) { Organization = name, Scope = scope };
            var seen = all.FindAll(one => (name is null || one.Organizations.Contains($" {name} ", StringComparison.Ordinal)) && (person is null || one.Caller == person));
            var within = seen.FindAll(one => one.Time >= filter.From && one.Time < filter.Until).OrderBy(one => one.Time).ThenBy(one => one.Id, StringComparer.Ordinal).ToList();

            Assert.Equal(
                within.Where(one => one.Outcome == "deny").GroupBy(one => (one.Caller, one.Repository))
                    .Select(group => (group.Key.Caller, group.Key.Repository, group.Sum(one => (long)one.Decisions), group.Select(one => one.Day).Distinct().Count(), UsageDays.DateOf(group.Min(one => one.Day)), UsageDays.DateOf(group.Max(one => one.Day))))
                    .Where(one => one.Item3 >= 20 && one.Item4 >= 3).Order(),
                (await UsageReview.DeniedAgainAsync(Room.Store, filter, 20, 3, default)).Items.Select(one => (one.Caller, one.Repository, one.Denials, one.Days, one.First, one.Last)).Order());
            Assert.Equal(
                within.Where(one => one.Type == "community" && one.Outcome != "deny").GroupBy(one => one.Repository)
                    .Select(group => (group.Key, group.Select(one => one.Caller).Where(one => one != "anonymous").Distinct().Count(), group.Sum(one => (long)one.Decisions), group.Sum(one => (long)one.Pulls), UsageDays.DateOf(group.Max(one => one.Day)))).Order(),
                (await UsageReview.CommunityAsync(Room.Store, filter, default)).Items.Select(one => (one.Repository, one.People, one.Decisions, one.Pulls, one.Last)).Order());
            Assert.Equal(
                within.GroupBy(one => one.Repository).Where(group => !seen.Exists(one => one.Repository == group.Key && one.Time < filter.From))
                    .Select(group => (group.Key, UsageDays.DateOf(group.Min(one => one.Day)), group.Sum(one => (long)one.Decisions), group.Sum(one => (long)one.Pulls))).Order(),
                (await UsageReview.NewAsync(Room.Store, filter, default)).Items.Select(one => (one.Repository, one.First, one.Decisions, one.Pulls)).Order());
            Assert.Equal(
                within.Select(one => (Range: RangeOf(one.Client!), one)).GroupBy(one => one.Range, one => one.one)
                    .Select(group => (group.Key, group.Sum(one => (long)one.Decisions), group.Where(one => one.Caller == "anonymous").Sum(one => (long)one.Decisions))).Where(one => one.Item3 > 0).Order(),
                (await UsageReview.AnonymousAsync(Room.Store, filter, default)).Items.Select(one => (one.Range, one.Decisions, one.Anonymous)).Order());

            var moves = new List<string>();
            foreach (var tag in within.Where(one => one.Outcome != "deny" && one.Digest is not null && !one.Reference!.Contains(':', StringComparison.Ordinal)).GroupBy(one => (one.Repository, one.Reference)))
            {
                var digests = tag.Select(one => (one.Time, Digest: one.Index ?? one.Digest!)).ToList();
                var changes = Enumerable.Range(1, digests.Count - 1).Where(at => digests[at].Digest != digests[at - 1].Digest).Reverse().ToList();
                if (changes.Count > 0)
                    moves.Add($"{tag.Key} {changes.Count}: {string.Join(", ", changes.Take(UsageReview.MaximumMoves).Select(at => $"{digests[at].Time} {digests[at - 1].Digest[7]}{digests[at].Digest[7]}"))}");
            }

            var moved = await UsageReview.MovedAsync(Room.Store, filter, 1000, default);
            Assert.Equal(moves.Order(StringComparer.Ordinal), moved.Items.Select(tag =>
                $"{(tag.Repository, tag.Tag)} {tag.Found}: {string.Join(", ", tag.Moves.Select(move => $"{(long)(move.When - DateTime.UnixEpoch).TotalMilliseconds} {move.From[7]}{move.To[7]}"))}").Order(StringComparer.Ordinal));
            Assert.Equal(moves.Count, moved.Found);
        }

        static string RangeOf(string client) => client switch
        {
            "192.0.2.7" or "192.0.2.200" => "192.0.2.0/24",
            "192.0.3.1" or "::ffff:192.0.3.9" => "192.0.3.0/24",
            "2001:db8::1" or "2001:db8::2:3" => "2001:db8::/64",
            "2001:db8:0:1::1" => "2001:db8:0:1::/64",
            _ => client,
        };
    }

    /// <summary>What is grouped in the database and judged once for each kind comes to what judging each line by itself comes to.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task A_draft_is_judged_by_the_database_as_by_each_line(int seed)
    {
        var random = new Random(seed);
        T Of<T>(params T[] values) => values[random.Next(values.Length)];
        var type = new Dictionary<string, string> { ["library/nginx"] = "official", ["someone/tool"] = "community", ["someone/other"] = "community", ["bitnami/kafka"] = "verified-publisher", ["un/known"] = "unknown", ["acme/app"] = "organization" };
        var lines = Enumerable.Range(1, 500).Select(number =>
        {
            var repository = Of([.. type.Keys]);
            var rule = Of("community", "official", "exception", "block");
            return UsageRoom.Line(
                UsageRoom.Id(number), Noon.AddSeconds(-random.Next(35 * 86_400)), Of("alice", "bob", "eve", "anonymous"), repository, Of("allow", "deny", "observe"), ["acme"], type[repository], rule,
                random.Next(3) == 0 ? UsageRoom.Id(0) : null, random.Next(9) == 0 ? random.Next(1, 50) : null, Of("latest", null),
                memberships: Of<string[]?>(null, null, ["member of acme"], ["owner of beta", "absent from acme"]), block: rule == "block" ? random.Next(3) : null, method: Of("GET", "HEAD", "PUT"));
        }).ToList();
        await Room.WriteAsync([.. lines]);
        await Room.LookAsync();
        var (since, now) = (Noon.AddDays(-30), Room.Time.GetUtcNow());
        var files = await Proxy.Policies.Decisions.AuditPulls.ReadAsync(Room.Trail, since, TextWriter.Null, default);
        var kept = (await UsagePulls.ReadAsync(Room.Store, since, now, int.MaxValue, default))!;
        Assert.Equal(files.Requests.OrderBy(one => one.ToString(), StringComparer.Ordinal), kept.Requests.OrderBy(one => one.ToString(), StringComparer.Ordinal));
        Assert.Equal((files.First, files.Last, 0), (kept.First, kept.Last, kept.Beyond));

        foreach (var draft in new[]
                 {
                     """{ "organizations": [ { "name": "acme", "members": [ "bob" ], "enabled": true, "allow": { "official": true } } ] }""",
                     """{ "callers": { "anonymous": "member" }, "organizations": [ { "name": "acme", "owners": [ "alice" ], "enabled": true, "allow": { "community": true } }, { "name": "beta", "enabled": true, "mode": "observe" } ] }""",
                 })
        {
            var policy = PolicyFixture.Compile(draft);
            var today = DateOnly.FromDateTime(now.UtcDateTime);
            var effect = new Proxy.Policies.Decisions.DraftEffect(policy, kept, today);
            var plain = new Dictionary<string, long>();
            var number = 0;
            foreach (var line in lines.Where(line => UsageRoom.Read(line).Time >= since.ToUnixTimeMilliseconds()))
            {
                // The file has this line, and one by which its publisher is known; that one is no pull.
                var read = UsageRoom.Read(line);
                await File.WriteAllLinesAsync(Room["one.jsonl"], [line, UsageRoom.Line("badge", now, repository: read.Repository, type: type[read.Repository], pull: "another")]);
                var single = await Proxy.Policies.Decisions.AuditPulls.ReadAsync(Room["one.jsonl"], null, TextWriter.Null, default);
                foreach (var change in new Proxy.Policies.Decisions.DraftEffect(policy, single, today).Changes)
                    plain[$"{change with { Requests = 0 }}"] = plain.GetValueOrDefault($"{change with { Requests = 0 }}") + change.Requests;
                number += (int)single.Requests.Values.Sum();
            }

            Assert.Equal(number, effect.Requests);
            Assert.NotEmpty(plain);
            Assert.Equal(
                plain.OrderBy(one => one.Key, StringComparer.Ordinal),
                effect.Changes.GroupBy(change => $"{change with { Requests = 0 }}").Select(group => KeyValuePair.Create(group.Key, group.Sum(change => change.Requests))).OrderBy(one => one.Key, StringComparer.Ordinal));
        }
    }

    private static string ValueOf(UsageEvent one, UsageBy by) => by switch
    {
        UsageBy.Repository => one.Repository,
        UsageBy.Digest => one.Digest!,
        UsageBy.Caller => one.Caller,
        UsageBy.Type => one.Type,
        UsageBy.Rule => one.Rule,
        UsageBy.Client => one.Family,
        UsageBy.Outcome => one.Outcome,
        _ => DateTimeOffset.FromUnixTimeMilliseconds(one.Time).ToString("yyyy-MM-dd", null),
    };

    [Fact]
    public async Task Who_is_forgotten_has_no_name_and_the_counts_of_all_such_are_together()
    {
        await AddAsync(
            Event(1), Event(2), Event(3, Noon.AddDays(-1)), Event(4) with { Caller = "carol" }, Event(5) with { Caller = "bobby" }, Event(6) with { Caller = "carol", Repository = "library/alpine" });
        var sofar = new List<UsageForgotten>();
        Assert.Equal(new UsageForgotten(3, 2), await Room.Store.ForgetAsync("bob", Noon.AddHours(1), sofar.Add, default));
        Assert.Equal(2, sofar.Count);
        Assert.Equal(new UsageForgotten(2, 1), await Room.Store.ForgetAsync("carol", Noon.AddHours(1), _ => { }, default));
        Assert.Equal(new UsageForgotten(0, 0), await Room.Store.ForgetAsync("bob", Noon.AddHours(1), _ => { }, default));

        Assert.Equal(
            [new UsageCount("(forgotten)", 5, 5), new UsageCount("bobby", 1, 1)],
            (await Room.Store.CountAsync(new UsageFilter(), UsageBy.Caller, default)).OrderBy(count => count.Value, StringComparer.Ordinal));
        Assert.Equal(
            [new UsageCount("library/alpine", 1, 1), new UsageCount("library/nginx", 5, 5)],
            (await Room.Store.CountAsync(new UsageFilter(), UsageBy.Repository, default)).OrderBy(count => count.Value, StringComparer.Ordinal));
        var kept = await Room.Store.ListAsync(new UsageFilter(), null, 10, default);
        Assert.Equal(["(forgotten)|", "bobby|192.0.2.7"], kept.Select(one => $"{one.Caller}|{one.Client}").Distinct().Order(StringComparer.Ordinal));
        Assert.Empty(await Room.Store.ListAsync(new UsageFilter { Caller = "bob" }, null, 10, default));
    }

    [Fact]
    public async Task A_trail_that_is_read_again_does_not_bring_a_forgotten_name_back()
    {
        var first = Room.Line(1);
        await Room.WriteAsync(first, Room.Line(2));
        await Room.LookAsync();
        await Room.Store.ForgetAsync("bob", Room.Time.GetUtcNow().AddSeconds(10), _ => { }, default);
        await Room.WriteAsync(Room.Line(3), Room.Line(100));
        await Room.LookAsync();
        await File.WriteAllLinesAsync(Room["former.jsonl"], [first, Room.Line(4), UsageRoom.Line(UsageRoom.Id(5), Room.Time.GetUtcNow(), caller: "carol")]);
        var imported = await UsageImport.ReadAsync(Room["former.jsonl"], Room.Store, () => Room.Days, (_, _, _) => { }, default);

        Assert.Equal((2L, 1L), (imported.Added, imported.Known));
        Assert.Equal(
            [new UsageCount("(forgotten)", 4, 4), new UsageCount("bob", 1, 1), new UsageCount("carol", 1, 1)],
            (await Room.Store.CountAsync(new UsageFilter(), UsageBy.Caller, default)).OrderBy(count => count.Value, StringComparer.Ordinal));
        Assert.Equal([UsageRoom.Id(100)], (await Room.Store.ListAsync(new UsageFilter { Caller = "bob" }, null, 10, default)).Select(one => one.Id));
    }

    [Fact]
    public async Task With_another_key_nothing_is_added_that_might_bring_a_name_back()
    {
        await Room.Store.ForgetAsync("bob", Noon.AddHours(1), _ => { }, default);
        await File.WriteAllTextAsync(Room["other.key"], Convert.ToBase64String(new byte[KeyFile.Size]));
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(Room["other.key"], UnixFileMode.UserRead | UnixFileMode.UserWrite);
        var other = UsageStore.Of(Room.Database, new KeyFile(Room["other.key"], ""));

        var failure = await Assert.ThrowsAsync<DatabaseException>(() => other.AddAsync([Event(1)], null, Room.Days, default));

        Assert.Equal($"has callers that were forgotten under another key than {Room["other.key"]}: put that key back, or name it with Data:KeyFile", failure.Message);
        Assert.Empty(await Room.KeptAsync());
        await AddAsync(Event(1));
        Assert.Equal("(forgotten)", Assert.Single(await Room.Store.ListAsync(new UsageFilter(), null, 10, default)).Caller);
    }

    [Fact]
    public async Task Once_nothing_of_the_time_is_kept_the_hash_goes_too()
    {
        Room.Options.Keep = TimeSpan.FromDays(2);
        await Room.Store.ForgetAsync("bob", Room.Time.GetUtcNow(), _ => { }, default);
        Room.Time.Advance(TimeSpan.FromDays(4));
        await Room.Store.PruneAsync(Room.Days, default);
        await AddAsync(Event(1, Room.Time.GetUtcNow()));
        var other = UsageStore.Of(Room.Database, new KeyFile(Room["missing.key"], ""));
        await other.AddAsync([Event(2, Room.Time.GetUtcNow())], null, Room.Days, default); // no key is needed, as nobody is forgotten
        Assert.Equal(2, (await Room.Store.ListAsync(new UsageFilter { Caller = "bob" }, null, 10, default)).Count);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Machines_are_those_of_a_plain_reading_also_after_an_upgrade_a_forgotten_caller_and_a_day_that_is_gone(int seed)
    {
        var random = new Random(seed);
        T Of<T>(params T[] values) => values[random.Next(values.Length)];
        Room.Options.Keep = TimeSpan.FromDays(50);
        var events = Enumerable.Range(1, 1200).Select(number => Event(number, Noon.AddMilliseconds(-random.NextInt64(45L * 86_400_000))) with
        {
            Caller = Of("bob", "carol", "anonymous", "anonymous"),
            Client = Of(null, "", "192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2", new string('x', 100)),
            Family = Of("docker", "containerd", "other"),
            WayIn = Of("mirror", "gateway", "forward-proxy"),
            Organizations = Of(" ", " acme ", " acme globex ", " globex ", " acme2 "),
            Decisions = random.Next(1, 9),
            Pulls = random.Next(0, 3),
        }).ToList();
        foreach (var batch in events.Concat(events.Take(300)).Chunk(250))
            await AddAsync(batch);
        await CompareAsync();

        await MakeVersionAsync(2);
        await CompareAsync();
        await AddAsync([.. events.Take(100)]);
        await CompareAsync();

        await Room.Store.ForgetAsync("carol", Noon.AddDays(1), _ => { }, default);
        events = events.ConvertAll(one => one.Caller == "carol" ? one with { Caller = "(forgotten)", Client = null } : one);
        await CompareAsync();

        await LoseAprilAsync(events);
        await CompareAsync();

        async Task CompareAsync()
        {
            foreach (var scope in Scopes)
            {
                var filter = new UsageFilter(DayOf(Noon.AddDays(-random.Next(60)))) { Organization = Of(null, "acme"), WayIn = Of(null, null, "mirror"), Family = Of(null, null, "docker"), Scope = scope };
                var (anonymous, machines) = (random.Next(3) == 0, new List<string>());
                foreach (var group in events.Where(one => one.Client is { Length: > 0 } && one.Time >= filter.From && Sees(scope, one) && (filter.Organization is null || one.Organizations.Contains(" acme ", StringComparison.Ordinal))
                             && (filter.WayIn ?? one.WayIn) == one.WayIn && (filter.Family ?? one.Family) == one.Family).GroupBy(one => (one.Client, one.Family)))
                {
                    var (all, unknown) = (group.Sum(one => one.Decisions), group.Where(one => one.Caller == "anonymous").Sum(one => one.Decisions));
                    if (!anonymous || all == unknown)
                        machines.Add($"{group.Key.Client![..Math.Min(64, group.Key.Client!.Length)]} {group.Key.Family} {string.Join(',', group.Select(one => one.WayIn).Distinct().Order(StringComparer.Ordinal))} {all} {group.Sum(one => one.Pulls)} {unknown} {group.Min(one => one.Time)} {group.Max(one => one.Time)} "
                            + string.Join(',', group.Where(one => one.Caller != "anonymous").GroupBy(one => one.Caller).OrderByDescending(one => one.Sum(of => of.Decisions)).ThenBy(one => one.Key, StringComparer.Ordinal).Select(one => one.Key)));
                }

                var found = (await new MachineQuestion(filter, anonymous, FallsBack: false).AskAsync(Room.Store, default)).ToList();
                Assert.Equal(
                    machines.Order(StringComparer.Ordinal),
                    found.Select(one => $"{one.Address} {one.ClientFamily} {string.Join(',', one.WaysIn)} {one.Decisions} {one.Pulls} {one.Anonymous} {Milliseconds(one.First)} {Milliseconds(one.Last)} {string.Join(',', one.Names)}").Order(StringComparer.Ordinal));
                Assert.Equal(found.OrderByDescending(one => one.Last).ThenBy(one => one.Address, StringComparer.Ordinal).ThenBy(one => one.ClientFamily, StringComparer.Ordinal), found);
            }
        }

        static long Milliseconds(DateTime? time) => new DateTimeOffset(time!.Value).ToUnixTimeMilliseconds();
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Tags_that_moved_are_those_of_a_plain_reading_also_after_an_upgrade_and_a_day_that_is_gone(int seed)
    {
        var random = new Random(seed);
        T Of<T>(params T[] values) => values[random.Next(values.Length)];
        Room.Options.Keep = TimeSpan.FromDays(50);
        var events = Enumerable.Range(1, 900).Select(number => Event(number, Noon.AddMilliseconds(-random.NextInt64(45L * 86_400_000))) with
        {
            Caller = Of("bob", "carol"),
            Organizations = Of(" ", " acme ", " acme globex ", " globex ", " acme2 "),
            Repository = Of("acme/a", "acme/b"),
            Reference = Of(null, "latest", "1.2", "1.3", $"sha256:{new string('a', 64)}"),
            Digest = Of(null, "sha256:1", "sha256:2"),
            Index = Of(null, null, "sha256:3"),
            Outcome = Of("allow", "allow", "observe", "deny"),
        }).ToList();
        foreach (var batch in events.Concat(events.Take(300)).Chunk(250))
            await AddAsync(batch);
        await CompareAsync();

        await MakeVersionAsync(2);
        await CompareAsync();
        await LoseAprilAsync(events);
        await CompareAsync();

        async Task CompareAsync()
        {
            foreach (var scope in Scopes)
            {
                foreach (var days in new[] { 60, 8, 2 })
                {
                    var filter = new UsageFilter(DayOf(Noon.AddDays(-days))) { Organization = Of(null, "acme"), Scope = scope };
                    var moved = new List<string>();
                    foreach (var tag in events.Where(one => one.Time >= filter.From && one is { Outcome: not "deny", Digest: not null, Reference: not null } && !one.Reference.Contains(':', StringComparison.Ordinal)
                                     && Sees(scope, one) && (filter.Organization is null || IsOf(one, "acme"))).GroupBy(one => (one.Repository, one.Reference)))
                    {
                        var digests = tag.OrderBy(one => one.Time).ThenBy(one => one.Id, StringComparer.Ordinal).Select(one => one.Index ?? one.Digest).ToList();
                        if (digests.Zip(digests.Skip(1)).Count(pair => pair.First != pair.Second) is > 0 and var moves)
                            moved.Add($"{tag.Key.Repository}:{tag.Key.Reference} {moves}");
                    }

                    var found = await UsageReview.MovedAsync(Room.Store, filter, 10, default);
                    Assert.Equal(moved.Order(StringComparer.Ordinal), found.Items.Select(one => $"{one.Repository}:{one.Tag} {one.Found}").Order(StringComparer.Ordinal));
                }
            }
        }
    }

    [Fact]
    public async Task The_newest_report_of_each_machine_is_kept_so_many_of_an_address_and_of_an_organization_and_for_a_time()
    {
        Assert.Empty(await Room.Store.ListReportsAsync(default));
        await ReportAsync("acme", "192.0.2.1", "m1", 5, open: 1);
        await ReportAsync("acme", "192.0.2.1", "m1", 6, open: 0);
        await ReportAsync("globex", "192.0.2.1", "m1", 1, open: 2);
        Assert.Equal(["acme 192.0.2.1 m1 6 0", "globex 192.0.2.1 m1 1 2"], await HeadsAsync());
        var filled = await Room.Store.FillReportsAsync([.. await Room.Store.ListReportsAsync(default), new MachineReport("acme", "192.0.2.9", "gone", 1, 0, false, "")], default);
        Assert.Equal(["facts of acme 6", "facts of globex 1"], filled.Select(report => report.Facts));

        for (var number = 0; number < UsageStore.MaximumReportsOfAddress + 3; number++)
            await ReportAsync("acme", "192.0.2.2", $"n{number:00}", 10 + number, open: 0);
        Assert.Equal(
            Enumerable.Range(3, UsageStore.MaximumReportsOfAddress).Reverse().Select(number => $"n{number:00}"),
            (await Room.Store.ListReportsAsync(default)).Where(report => report.Address == "192.0.2.2").Select(report => report.Name));

        await ExecuteAsync(
            $"""
            INSERT INTO "UsageReports" ("Organization", "Address", "Name", "Time", "Open", "FallsBack", "Facts")
            WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {UsageStore.MaximumReports}) SELECT 'acme', 'a' || n, 'm', {Milliseconds(1000)} + n, 0, 0, '' FROM s;
            """);
        await ReportAsync("acme", "192.0.2.3", "newest", 5000, open: 0);
        var all = await Room.Store.ListReportsAsync(default);
        Assert.Equal(UsageStore.MaximumReports, all.Count(report => report.Organization == "acme"));
        Assert.Equal(("newest", "m1"), (all[0].Name, all[^1].Name)); // and that of the other organization is still there
        Assert.DoesNotContain(all, report => report.Address is "192.0.2.1" or "192.0.2.2" && report.Organization == "acme");

        Room.Time.Advance(Room.Options.Keep + TimeSpan.FromDays(10));
        await Room.Store.PruneAsync(Room.Days, default);
        Assert.Empty(await Room.Store.ListReportsAsync(default));

        long Milliseconds(int minute) => Noon.AddMinutes(minute).ToUnixTimeMilliseconds();
        Task ReportAsync(string organization, string address, string name, int minute, int open) =>
            Room.Store.AddReportAsync(new MachineReport(organization, address, name, Milliseconds(minute), open, open > 0, $"facts of {organization} {minute}"), default);
        async Task<List<string>> HeadsAsync() => (await Room.Store.ListReportsAsync(default)).ConvertAll(report =>
            $"{report.Organization} {report.Address} {report.Name} {(report.Time - Milliseconds(0)) / 60_000} {report.Open}");
    }

    private static long DayOf(DateTimeOffset time) => UsageDays.Of(time.ToUnixTimeMilliseconds()) * UsageDays.Milliseconds;

    /// <summary>May goes on: what is gone of a history goes from its plain list too.</summary>
    private async Task LoseAprilAsync(List<UsageEvent> events)
    {
        Room.Time.Advance(TimeSpan.FromDays(40));
        while (await Room.Store.PruneAsync(Room.Days, default))
        {
            // It goes by pieces.
        }

        var kept = (await Room.KeptAsync()).ToHashSet();
        Assert.InRange(kept.Count, 1, events.Count - 1);
        events.RemoveAll(one => !kept.Contains(one.Id));
    }

    private static bool Sees(UsageScope scope, UsageEvent one) =>
        scope.IsEverything || scope.Whole.Any(name => IsOf(one, name)) || (one.Caller == scope.Person && scope.AsMember.Any(name => IsOf(one, name)));

    private static bool IsOf(UsageEvent one, string organization) => one.Organizations.Contains($" {organization} ", StringComparison.Ordinal);

    private static UsageEvent Event(int number, DateTimeOffset? time = null) =>
        UsageRoom.Read(UsageRoom.Line(UsageRoom.Id(number), time ?? Noon.AddSeconds(number)));

    private Task<UsageAdded> AddAsync(params UsageEvent[] decisions) => Room.Store.AddAsync(decisions, null, Room.Days, default);

    /// <summary>Fails before a batch, after it, or not at all.</summary>
    private sealed class FailingStore(UsageStore store, Random random) : UsageStore
    {
        public override string Name => store.Name;

        public override Task<IReadOnlyDictionary<string, long>> ReadPositionsAsync(IReadOnlyCollection<string> files, CancellationToken cancellationToken) =>
            store.ReadPositionsAsync(files, cancellationToken);

        public override async Task<UsageAdded> AddAsync(
            IReadOnlyList<UsageEvent> decisions, TrailPosition? position, UsageDays days, CancellationToken cancellationToken)
        {
            if (random.Next(3) == 0)
                throw new DatabaseException("failed before");
            var added = await store.AddAsync(decisions, random.Next(3) == 0 ? null : position, days, cancellationToken); // SQLite: killed between the two
            return random.Next(3) == 0 ? throw new DatabaseException("failed after") : added;
        }

        public override Task<UsageForgotten> ForgetAsync(string caller, DateTimeOffset now, Action<UsageForgotten> progress, CancellationToken cancellationToken) =>
            store.ForgetAsync(caller, now, progress, cancellationToken);

        public override Task<bool> PruneAsync(UsageDays days, CancellationToken cancellationToken) => store.PruneAsync(days, cancellationToken);

        public override Task<IReadOnlyList<UsageEvent>> ListAsync(UsageFilter filter, UsageKey? before, int count, CancellationToken cancellationToken) =>
            store.ListAsync(filter, before, count, cancellationToken);

        public override string Explain(Exception exception) => store.Explain(exception);

        protected override Task VisitAsync(UsageFilter filter, bool ofCounts, Func<System.Data.Common.DbConnection, string, Task> ask, CancellationToken cancellationToken) =>
            throw new NotSupportedException("It is asked nothing.");

        protected override Task ChangeAsync(Func<System.Data.Common.DbConnection, System.Data.Common.DbTransaction, Task> change, CancellationToken cancellationToken) =>
            throw new NotSupportedException("Nobody reports to it.");

        protected override Task<T> AskReportsAsync<T>(Func<System.Data.Common.DbConnection, Task<T>> ask, T nothing, CancellationToken cancellationToken) =>
            throw new NotSupportedException("It is asked nothing.");
    }
}

[UnsupportedOSPlatform("windows")]
public sealed class SqliteUsageTests : UsageStoreConformance
{
    internal override Task<SqlDatabase?> OpenAsync() => Task.FromResult<SqlDatabase?>(null);

    internal override async Task SetVersionAsync(int version)
    {
        foreach (var file in Directory.EnumerateFiles(Room["usage"], "*.db"))
            await ExecuteAsync(file, $"PRAGMA user_version = {version};");
    }

    internal override async Task MakeVersionAsync(int version)
    {
        foreach (var file in Directory.EnumerateFiles(Room["usage"], "*.db"))
            await ExecuteAsync(file, $"{Undo(version, hasDecisions: Path.GetFileName(file) != "counts.db")} PRAGMA user_version = {version};");
    }

    internal override Task ExecuteAsync(string sql) => ExecuteAsync(Room["usage/counts.db"], sql);

    internal override async Task<IReadOnlyList<string>> IndexesAsync()
    {
        var indexes = new List<string[]>();
        foreach (var file in Directory.EnumerateFiles(Room["usage"], "????-??.db"))
            indexes.Add((await ReadAsync(file, "SELECT group_concat(name) FROM (SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'UsageEvents' AND sql IS NOT NULL ORDER BY name);")).Split(',', StringSplitOptions.RemoveEmptyEntries));
        Assert.NotEmpty(indexes);
        Assert.All(indexes, one => Assert.Equal(indexes[0], one));
        return indexes[0];
    }

    internal override Task EmptyAsync()
    {
        Directory.Delete(Room["usage"], recursive: true);
        return Task.CompletedTask;
    }

    [Fact]
    public async Task A_month_whose_file_is_lost_is_read_again_and_the_files_are_their_owners_alone()
    {
        await Room.WriteAsync(Room.Line(1), Room.Line(2));
        await Room.LookAsync();
        Assert.Equal(["2026-06.db", "counts.db"], Directory.EnumerateFiles(Room["usage"]).Select(Path.GetFileName).Order());
        Assert.All(Directory.EnumerateFiles(Room["usage"]), file => Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file)));

        File.Delete(Room["usage/2026-06.db"]);
        Room.Time.Advance(UsageFollower.Period);
        await Room.LookAsync();
        Assert.Equal(2, (await Room.KeptAsync()).Count);
        Assert.Equal(2, await Room.CountedAsync());
    }

    [Theory]
    [InlineData("2026-06.db")]
    [InlineData("counts.db")]
    public async Task A_damaged_file_is_moved_away_and_filled_again(string name)
    {
        await Room.WriteAsync(Room.Line(1), Room.Line(2));
        await Room.LookAsync();
        await File.WriteAllTextAsync(Room[$"usage/{name}"], new string('x', 8192));
        await Room.WriteAsync(Room.Line(3));
        var failure = await Assert.ThrowsAsync<DatabaseException>(Room.LookAsync);
        Assert.Equal($"had a damaged file, which is {name}.damaged now; its decisions are taken from the audit files again, as far as they reach", Room.Store.Explain(failure));
        Room.Time.Advance(UsageFollower.Period);
        await Room.LookAsync();
        Assert.Equal([UsageRoom.Id(1), UsageRoom.Id(2), UsageRoom.Id(3)], await Room.KeptAsync());
        Assert.Equal(3, await Room.CountedAsync());
    }

    private static async Task ExecuteAsync(string file, string sql)
    {
        await using var connection = new SqliteConnection($"Data Source={file};Pooling=False");
        await connection.OpenAsync();
        await using var command = connection.CreateCommand();
        command.CommandText = sql;
        await command.ExecuteNonQueryAsync();
    }

    private static async Task<string> ReadAsync(string file, string sql)
    {
        await using var connection = new SqliteConnection($"Data Source={file};Pooling=False");
        await connection.OpenAsync();
        await using var command = connection.CreateCommand();
        command.CommandText = sql;
        return await command.ExecuteScalarAsync() as string ?? "";
    }
}

[Collection(PostgresRoom.Name)]
public sealed class PostgresUsageTests(PostgresServer server) : UsageStoreConformance
{
    private string _database = "";

    internal override async Task<SqlDatabase?> OpenAsync()
    {
        var connection = await server.CreateDatabaseAsync();
        _database = new Npgsql.NpgsqlConnectionStringBuilder(connection).Database!;
        return PostgresServer.Open(connection);
    }

    internal override Task SetVersionAsync(int version) => server.ExecuteAsync(_database, $"""UPDATE "UsageState" SET "Value" = {version} WHERE "Name" = 'version'""");

    internal override Task MakeVersionAsync(int version) =>
        server.ExecuteAsync(_database, $"""{Undo(version, hasDecisions: true)} UPDATE "UsageState" SET "Value" = {version} WHERE "Name" = 'version';""");

    internal override Task ExecuteAsync(string sql) => server.ExecuteAsync(_database, sql);

    internal override async Task<IReadOnlyList<string>> IndexesAsync()
    {
        await using var connection = new Npgsql.NpgsqlConnection(server.ConnectionString(_database));
        await connection.OpenAsync();
        await using var command = new Npgsql.NpgsqlCommand(
            """
            SELECT coalesce(array_agg(i.relname::text ORDER BY i.relname), '{}') FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
            WHERE x.indrelid = '"UsageEvents"'::regclass AND NOT x.indisprimary AND x.indisvalid
            """,
            connection);
        return (string[])(await command.ExecuteScalarAsync())!;
    }

    internal override Task EmptyAsync() => server.ExecuteAsync(_database, "DROP SCHEMA public CASCADE; CREATE SCHEMA public");

    [Fact]
    public async Task Connections_that_are_killed_at_any_moment_lose_and_double_nothing()
    {
        await Room.WriteAsync([.. Enumerable.Range(1, 10_000).Select(number => Room.Line(number))]);
        var (kills, failures, random) = (0, 0, new Random(1));
        var killing = Task.Run(async () =>
        {
            for (; kills < 60; kills++)
            {
                await server.ExecuteAsync("postgres", $"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{_database}'");
                await Task.Delay(random.Next(12));
            }
        });
        while (!killing.IsCompleted || Room.Metrics.Waiting > 0 || failures == 0)
        {
            try
            {
                await Room.LookAsync();
                Room.Follow(Room.Store);
                if (killing.IsCompleted)
                    break;
                await EmptyAsync(); // and from the beginning
            }
            catch (Exception exception) when (exception is Npgsql.NpgsqlException or ObjectDisposedException or IOException or InvalidOperationException)
            {
                failures++;
                Assert.NotEqual("", Room.Store.Explain(exception));
            }
        }

        await killing;
        Room.Follow(Room.Store);
        await Eventually.TrueAsync(async () =>
        {
            try
            {
                await Room.LookAsync();
                return true;
            }
            catch (Npgsql.NpgsqlException)
            {
                return false; // the last one that was killed was kept for later
            }
        });
        Assert.NotEqual(0, failures);
        Assert.Equal(10_000, (await Room.KeptAsync()).Count);
        Assert.Equal(10_000, await Room.CountedAsync());
    }

    [Fact]
    public async Task A_partition_that_somebody_dropped_or_detached_holds_up_nothing()
    {
        await Room.WriteAsync(Room.Line(1));
        await Room.LookAsync();
        await server.ExecuteAsync(_database, """ALTER TABLE "UsageEvents" DETACH PARTITION "UsageEvents_20260601" """);
        await Room.WriteAsync(Room.Line(2));
        await Room.LookAsync();
        Assert.Equal(2, (await Room.KeptAsync()).Count);

        await server.ExecuteAsync(_database, """DROP TABLE "UsageEvents_20260601" """);
        await Room.WriteAsync(Room.Line(3));
        await Room.LookAsync();
        Assert.Equal([UsageRoom.Id(3)], await Room.KeptAsync());
    }

    [Fact]
    public async Task Replicas_that_write_at_once_count_everything_once()
    {
        using var other = new UsageRoom(Room.Database);
        await Room.WriteAsync([.. Enumerable.Range(1, 3000).Select(number => Room.Line(number))]);
        await other.WriteAsync([.. Enumerable.Range(3001, 3000).Select(number => Room.Line(number))]);
        await Task.WhenAll(Task.Run(Room.LookAsync), Task.Run(other.LookAsync));
        Assert.Equal(6000, (await Room.KeptAsync()).Count);
        Assert.Equal(6000, await Room.CountedAsync());
    }
}
