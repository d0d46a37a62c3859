using System.Diagnostics;
using System.Globalization;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Administration.Api;
using ImageAccess.Proxy.Administration.Usage;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Database.Keys;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Decisions;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Benchmarks;

/// <summary>
/// How long questions about decisions take: 30 days of them, brought in as the sink does it, and 20 readers who ask at once, as the API lets them: two have
/// their turn at a time, and who asks the same as another gets the same answer; a reader's time has the wait in it. Then a draft is judged by all, and a day (SQLite: a month) is dropped.
/// </summary>
internal static class Decisions
{
    private const int Days = 30, Repositories = 10_000, Callers = 2000, Readers = 20, AtOnce = 2, Batch = 20_000;

    private static readonly DateTimeOffset Now = new(2026, 11, 30, 12, 0, 0, TimeSpan.Zero);

    /// <param name="arguments">
    /// How many decisions; <c>--keep FOLDER</c>, where they stay and are asked again the next time, with nothing dropped; and perhaps the connection string of a
    /// database of PostgreSQL, empty or kept; without it SQLite is measured.
    /// </param>
    public static async Task<int> RunAsync(string[] arguments)
    {
        var kept = arguments is [_, "--keep", var name, ..] ? name : null;
        string[] rest = kept is null ? arguments : [arguments[0], .. arguments[3..]];
        if (rest is not [var number, ..] || rest.Length > 2 || !int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var count) || count < 1000)
        {
            await Console.Error.WriteLineAsync("decisions COUNT [--keep FOLDER] [CONNECTIONSTRING]");
            return 2;
        }

        var folder = kept is null ? Directory.CreateTempSubdirectory("imageaccess-decisions-") : Directory.CreateDirectory(kept);
        try
        {
            var database = SqlDatabase.Of(new DatabaseOptions { DataDirectory = folder.FullName, ConnectionString = rest.ElementAtOrDefault(1) });
            var (store, days) = (UsageStore.Of(database, new KeyFile(null, Path.GetTempPath())), UsageDays.At(Now, new UsageOptions()));
            Print(rest.Length == 1 ? "SQLite" : "PostgreSQL", $"{count:N0} decisions");
            if (kept is null || (await store.ListAsync(new UsageFilter(), null, 1, default)).Count == 0)
                await FillAsync(store, days, count);
            foreach (var (what, ask, different) in Questions(store))
                await MeasureAsync(what, ask, different);
            await JudgeAsync(store);
            if (kept is null)
                await DropAsync(store, days);
            return 0;
        }
        finally
        {
            if (kept is null)
                folder.Delete(recursive: true);
        }
    }

    private static async Task FillAsync(UsageStore store, UsageDays days, int count)
    {
        var (started, ours) = (Stopwatch.GetTimestamp(), Environment.CpuUsage.TotalTime);
        foreach (var batch in new Pulled(count).All().Chunk(Batch))
            await store.AddAsync(batch, null, days, default);
        ours = Environment.CpuUsage.TotalTime - ours;
        Print("brought in", $"{count / Stopwatch.GetElapsedTime(started).TotalSeconds:N0} decisions/s, {ours.TotalMicroseconds / count:F1} µs of this process's processor time for each");
    }

    /// <returns>Of each its name, how it is asked, and by how many numbers it differs.</returns>
    private static IEnumerable<(string Name, Func<int, Task> Ask, int Different)> Questions(UsageStore store)
    {
        var month = new UsageFilter(UsageDays.Of(Now.AddDays(-Days).ToUnixTimeMilliseconds()) * UsageDays.Milliseconds);
        yield return ("the newest", _ => ListAsync(new UsageFilter()), Readers);
        yield return ("the newest denials", _ => ListAsync(month with { Outcome = "deny" }), Readers);
        yield return ("the newest of a caller", number => ListAsync(month with { Caller = Pulled.Caller(number * 97) }), Readers);
        yield return ("the newest of a repository", number => ListAsync(month with { Repository = Pulled.Repository(number * 487) }), Readers);
        yield return ("the newest of a digest", number => ListAsync(month with { Digest = Pulled.Digest(number * 3, Now.ToUnixTimeMilliseconds()) }), Readers);
        yield return ("the newest of an organization", number => ListAsync(month with { Organization = $"org{number % 5}" }), 5);
        yield return ("the newest of an organization that has none", _ => ListAsync(month with { Organization = "nobody" }), Readers);
        foreach (var by in Enum.GetValues<UsageBy>())
            yield return ($"counts by {by}".ToLowerInvariant(), _ => store.CountAsync(month, by, default), 1);
        yield return ("a caller's counts by repository", number => store.CountAsync(month with { Caller = Pulled.Caller(number * 97) }, UsageBy.Repository, default), Readers);
        yield return ("a repository's counts by caller", number => store.CountAsync(month with { Repository = Pulled.Repository(number) }, UsageBy.Caller, default), Readers);
        yield return ("machines", _ => new MachineQuestion(month, Anonymous: false, FallsBack: false).AskAsync(store, default), 1);
        yield return ("denials by caller", _ => store.CountAsync(month with { Outcome = "deny" }, UsageBy.Caller, default), 1);
        yield return ("an organization's counts by repository", number => store.CountAsync(month with { Organization = $"org{number % 5}" }, UsageBy.Repository, default), 5);
        var week = month with { From = month.From + ((Days - 7) * UsageDays.Milliseconds) };
        yield return ("review: denied again", _ => UsageReview.DeniedAgainAsync(store, month, UsageReview.Denials, UsageReview.Days, default), 1);
        yield return ("review: community repositories", _ => UsageReview.CommunityAsync(store, month, default), 1);
        yield return ("review: new", _ => UsageReview.NewAsync(store, week, default), 1);
        yield return ("review: moved", _ => UsageReview.MovedAsync(store, week, 50, default), 1);
        yield return ("review: anonymous", _ => UsageReview.AnonymousAsync(store, week, default), 1);
        yield return ("incident: 50 digests", number => IncidentAsync(number), Readers);

        async Task IncidentAsync(int number)
        {
            var groups = new PullGroups();
            foreach (var rank in Enumerable.Range(number * 50, 50))
            {
                if (ImagePattern.TryParse(Pulled.Digest(rank * 7, Now.ToUnixTimeMilliseconds()), out var image, out _))
                    await store.GroupPullsAsync(image, month, groups, default);
            }
        }

        Task ListAsync(UsageFilter filter) => store.ListAsync(filter, null, 51, default);
    }

    private static async Task MeasureAsync(string name, Func<int, Task> ask, int different)
    {
        using var places = new QuestionPlaces(AtOnce, "others are answered");
        var refused = 0;
        await ask(Readers); // what it loads does not count
        var times = await Task.WhenAll(Enumerable.Range(0, Readers).Select(number => Task.Run(async () =>
        {
            var started = Stopwatch.GetTimestamp();
            try
            {
                await places.AskAsync($"{name} {number % different}", _ => AnsweredAsync(number), default);
            }
            catch (ProblemException)
            {
                Interlocked.Increment(ref refused);
            }

            return Stopwatch.GetElapsedTime(started).TotalSeconds;
        })));
        Array.Sort(times);
        Print(name, $"median {times[Readers / 2],7:F3} s   worst {times[^1],7:F3} s{(refused > 0 ? $"   {refused} told to come again" : "")}");

        async Task<bool> AnsweredAsync(int number)
        {
            await ask(number);
            return true;
        }
    }

    private static async Task JudgeAsync(UsageStore store)
    {
        var document = $$"""{ "organizations": [ {{string.Join(", ", Enumerable.Range(0, 5).Select(number => $$"""{ "name": "org{{number}}", "members": [ {{string.Join(", ", Enumerable.Range(0, Callers).Where(caller => caller % 5 == number).Select(caller => $"\"{Pulled.Caller(caller)}\""))}} ], "enabled": true, "allow": { "official": true } }"""))}} ] }""";
        var policy = PolicyOnDisk.Parse(FileReading.Found(System.Text.Encoding.UTF8.GetBytes(document))) is { Value: { } value } ? value : throw new InvalidOperationException();
        var started = Stopwatch.GetTimestamp();
        var pulls = (await UsagePulls.ReadAsync(store, Now.AddDays(-Days), Now, DraftTrials.MaximumKinds, default))!;
        var read = Stopwatch.GetElapsedTime(started).TotalSeconds;
        var effect = new DraftEffect(policy, pulls, DateOnly.FromDateTime(Now.UtcDateTime));
        Print("judging a draft", $"{Stopwatch.GetElapsedTime(started).TotalSeconds:F1} s, {read:F1} s of them reading; {pulls.Requests.Count:N0} kinds, {pulls.Beyond:N0} pulls beyond, {effect.Changes.Count:N0} changed");
    }

    private static async Task DropAsync(UsageStore store, UsageDays days)
    {
        var started = Stopwatch.GetTimestamp();
        var first = store is PostgresUsage ? UsageDays.Of(Now.AddDays(1 - Days).ToUnixTimeMilliseconds()) : days.Today + 1;
        await store.PruneAsync(days with { First = first }, default);
        Print("dropping", $"{Stopwatch.GetElapsedTime(started).TotalSeconds:F3} s");
    }

    private static void Print(string what, FormattableString result) => Console.WriteLine($"{what,-46} {result.ToString(CultureInfo.InvariantCulture)}");

    /// <summary>
    /// Decisions as they are: few repositories are pulled much, each caller has 40 that it pulls nine times of ten, a tag moves once a week, and what the community
    /// publishes is mostly denied.
    /// </summary>
    private sealed class Pulled
    {
        private readonly int _count;
        private readonly double[] _shares = new double[Repositories];
        private readonly int[][] _own;
        private readonly Random _random = new(1);

        public Pulled(int count)
        {
            _count = count;
            for (var rank = 0; rank < Repositories; rank++)
                _shares[rank] = (rank == 0 ? 0 : _shares[rank - 1]) + (1.0 / (rank + 1));
            _own = [.. Enumerable.Range(0, Callers).Select(_ => Enumerable.Range(0, 40).Select(_ => Any()).ToArray())];
        }

        public static string Caller(int number) => string.Create(CultureInfo.InvariantCulture, $"person{number % Callers}");

        public static string Repository(int rank) => string.Create(CultureInfo.InvariantCulture, $"{(rank % 3 == 0 ? "library" : $"publisher{rank % 700}")}/image{rank % Repositories}");

        /// <summary>Another one each week.</summary>
        public static string Digest(int rank, long time) => string.Create(CultureInfo.InvariantCulture, $"sha256:{rank:x56}{((time / UsageDays.Milliseconds) + rank) / 7:x8}");

        public IEnumerable<UsageEvent> All()
        {
            var first = Now.AddDays(-Days).ToUnixTimeMilliseconds();
            for (var number = 0; number < _count; number++)
            {
                var (caller, time) = (_random.Next(Callers), first + (long)((Now.ToUnixTimeMilliseconds() - first) * (number / (double)_count)));
                var rank = _random.Next(10) == 0 ? Any() : _own[caller][_random.Next(40)];
                var (type, rule) = (rank % 3) switch { 0 => ("official", "official"), 1 => ("verified-publisher", "verified-publisher"), _ => ("community", rank % 5 == 0 ? "allowlist" : "community") };
                var isDenied = rule == "community";
                yield return new UsageEvent(time, string.Create(CultureInfo.InvariantCulture, $"{number:x32}"), false)
                {
                    Organizations = string.Create(CultureInfo.InvariantCulture, $" org{caller % 5} "),
                    Caller = caller % 20 == 0 ? "anonymous" : Caller(caller),
                    Client = string.Create(CultureInfo.InvariantCulture, $"10.{caller % 8}.{caller / 250}.{caller % 250}"),
                    WayIn = caller % 4 == 0 ? "gateway" : "mirror",
                    Family = caller % 3 == 0 ? "containerd" : "docker",
                    Method = "GET",
                    Repository = Repository(rank),
                    Reference = "latest",
                    Digest = isDenied ? null : Digest(rank, time),
                    Index = !isDenied && rank % 2 == 0 ? Digest(rank + Repositories, time) : null,
                    Type = type,
                    Rule = rule,
                    Outcome = isDenied ? "deny" : "allow",
                    PolicyVersion = "0123456789ab",
                    Pulls = number % 3 == 0 ? 1 : 0,
                };
            }
        }

        private int Any()
        {
            var found = Array.BinarySearch(_shares, _random.NextDouble() * _shares[^1]);
            return Math.Min(found < 0 ? ~found : found, Repositories - 1);
        }
    }
}
