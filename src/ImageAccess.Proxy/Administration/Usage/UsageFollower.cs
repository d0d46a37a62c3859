using System.Globalization;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Administration.Usage;

/// <summary>
/// Reads the files of the audit trail as they grow and brings the decisions into the database. The files are the queue: what waits for a database that is
/// away waits in them, over a kill too, as long as the trail itself is kept. No request knows of it: while there are very many, it takes its time.
/// </summary>
internal sealed class UsageFollower(
    SqlDatabase database,
    UsageStore store,
    DatabaseState state,
    IOptions<AuditOptions> audit,
    IOptions<UsageOptions> options,
    UsageMetrics metrics,
    TimeProvider time,
    ILogger<UsageFollower> logger) : BackgroundService
{
    /// <summary>How long lines gather in the trail's file.</summary>
    public static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    /// <summary>How often everything is looked at where the file does not grow: the database may be another one now.</summary>
    public static readonly TimeSpan Period = TimeSpan.FromSeconds(30);

    public static readonly TimeSpan Upkeep = TimeSpan.FromHours(1);

    /// <summary>
    /// The growth of the trail, in bytes a second, above which requests need the machine more: then it takes a batch for each <see cref="FastPause"/>. It is
    /// somewhat more than the lines of a batch have.
    /// </summary>
    public const long FastGrowth = 2_000_000;

    public static readonly TimeSpan FastPause = TimeSpan.FromSeconds(5);

    /// <summary>Over how long the growth is measured at least: no longer than a batch takes.</summary>
    private static readonly TimeSpan GrowthWindow = TimeSpan.FromMilliseconds(200);

    /// <summary>How far the files are read that are there, and how long they are.</summary>
    private readonly Dictionary<string, TrailPart> _parts = [];

    private readonly HashSet<string> _unreadable = [];
    private (long Length, DateTime Written) _seen = (-1, default);
    private readonly TrailGrowth _growth = new(time);
    private bool _yields;
    private long? _looked;
    private long? _pruned;
    private volatile string? _failure;
    private volatile bool _hasRead;
    private TaskCompletionSource<bool> _next = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Why decisions wait, and how much of the trail waits; null while all is well.</summary>
    public string? Concern => _failure is { } failure
        ? string.Create(CultureInfo.InvariantCulture, $"{failure}. Decisions wait in the audit files ({metrics.Waiting} bytes) and come later; none is lost as long as the files are kept")
        : null;

    /// <summary>Whether all that the trail has at this moment is in the database: it tells when the next look is over.</summary>
    public Task<bool> HasTakenInAsync() => _hasRead ? Volatile.Read(ref _next).Task : Task.FromResult(false);

    private string Trail => audit.Value.FilePath;

    /// <summary>Brings in what is new, and removes what is kept no longer.</summary>
    public async Task LookAsync(CancellationToken cancellationToken)
    {
        var file = new FileInfo(Trail);
        var now = file.Exists ? (file.Length, file.LastWriteTimeUtc) : default;
        _growth.Look(now.Length);
        if (IsDue(now))
        {
            await FollowAsync(cancellationToken);
            (_seen, _looked) = (now, time.GetTimestamp());
        }

        if (_pruned is not { } pruned || time.GetElapsedTime(pruned) >= Upkeep)
        {
            await store.PruneAsync(UsageDays.At(time.GetUtcNow(), options.Value), cancellationToken);
            _pruned = time.GetTimestamp();
        }

        if (_failure is not null)
            logger.WrittenAgain();
        _failure = null;
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await state.Ready.WaitAsync(stoppingToken);
        while (true)
        {
            var look = Interlocked.Exchange(ref _next, new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously));
            try
            {
                await LookAsync(stoppingToken);
                _hasRead = true;
                look.SetResult(_unreadable.Count == 0 && !_yields);
            }
            catch (Exception) when (stoppingToken.IsCancellationRequested)
            {
                return; // whatever the stop broke off is no failure
            }
            catch (Exception exception)
            {
                Fail(exception);
                look.SetResult(false);
            }

            await Task.Delay(Pause, time, stoppingToken);
        }
    }

    private bool IsDue((long Length, DateTime Written) now)
    {
        if (_looked is not { } looked)
            return true;
        var elapsed = time.GetElapsedTime(looked);
        return _yields ? !MustYield || elapsed >= FastPause : now != _seen || elapsed >= Period;
    }

    private async Task FollowAsync(CancellationToken cancellationToken)
    {
        var files = await ListAsync(cancellationToken);
        var positions = await store.ReadPositionsAsync([.. files.Select(file => file.Identity)], cancellationToken);
        _yields = false;
        foreach (var (path, identity) in files)
        {
            var part = _parts[identity];
            part.Place = positions.GetValueOrDefault(identity);
            if (part.IsWaiting && !_yields)
                await FollowAsync(path, identity, part, cancellationToken);
        }

        metrics.Waiting = Waiting;
    }

    private long Waiting => _parts.Values.Sum(part => part.Waiting);

    /// <summary>Not where so much waits that the trail could lose it.</summary>
    private bool MustYield => _growth.IsFast && metrics.Waiting < audit.Value.MaximumSize / 2;

    /// <summary>The files that there are, the oldest first.</summary>
    private async Task<IReadOnlyList<(string Path, string Identity)>> ListAsync(CancellationToken cancellationToken)
    {
        var files = new List<(string Path, string Identity)>();
        foreach (var path in TrailFile.AllOf(Trail))
        {
            await TryAsync(
                path,
                file =>
                {
                    if (file.Identity is not { } identity || files.Exists(other => other.Identity == identity))
                        return Task.CompletedTask;
                    files.Add((path, identity));
                    var part = _parts.TryGetValue(identity, out var known) ? known : _parts[identity] = new TrailPart();
                    (part.Length, part.IsPacked) = (file.Length, file.IsPacked);
                    return Task.CompletedTask;
                },
                cancellationToken);
        }

        foreach (var gone in _parts.Keys.Except(files.Select(file => file.Identity)).ToList())
        {
            if (_parts.Remove(gone, out var part) && part.Waiting > 0)
            {
                metrics.Missed(part.Waiting);
                logger.Missed(part.Waiting);
            }
        }

        return files;
    }

    /// <summary>To the end of the file as it is now. It may have another name meanwhile: then the next look finds it.</summary>
    private Task FollowAsync(string path, string identity, TrailPart part, CancellationToken cancellationToken) => TryAsync(
        path,
        async file =>
        {
            if (file.Identity != identity)
                return;
            var length = file.Length;
            var lines = await file.LinesFromAsync(part.Place, cancellationToken);
            while (await UsageBatch.ReadAsync(lines, cancellationToken) is { Lines: > 0 } batch)
            {
                var added = await store.AddAsync(batch.Decisions, new TrailPosition(identity, batch.Place), UsageDays.At(time.GetUtcNow(), options.Value), cancellationToken);
                part.Place = batch.Place;
                metrics.Waiting = Waiting;
                metrics.Written(batch, added);
                if (added.Old + added.Future is > 0 and var skipped)
                    logger.OutOfTime(skipped);
                if (new FileInfo(Trail) is { Exists: true } now)
                    _growth.Look(now.Length); // this may take long
                if (_yields = batch.Decisions.Count == UsageBatch.MaximumDecisions && MustYield)
                    return;
            }

            part.End = (lines.Place, length);
        },
        cancellationToken);

    /// <summary>One that cannot be read holds up no other.</summary>
    private async Task TryAsync(string path, Func<TrailFile, Task> act, CancellationToken cancellationToken)
    {
        try
        {
            await using var file = await TrailFile.OpenAsync(path, cancellationToken);
            await act(file);
            _unreadable.Remove(path);
        }
        catch (FileNotFoundException)
        {
            // It was renamed or removed meanwhile.
        }
        catch (Exception exception) when (exception is UnauthorizedAccessException or InvalidDataException or IOException)
        {
            if (_unreadable.Add(path))
                logger.Unreadable(path, PrintableText.Of(exception.Message));
        }
    }

    private void Fail(Exception exception)
    {
        metrics.Failed();
        var cause = store.Explain(exception);
        var failure = $"{store.Name} {cause}";
        if (_failure != failure)
            logger.NotWritten(store.Name, cause);
        metrics.Waiting = Waiting;
        _failure = failure;
        _looked = null;
        if (database.Exists)
            state.Wake(); // what it lacks may be made
    }

    /// <summary>How fast the trail grows, measured over at least <see cref="GrowthWindow"/>.</summary>
    private sealed class TrailGrowth(TimeProvider time)
    {
        private (long Length, long At)? _seen;

        public bool IsFast { get; private set; }

        public void Look(long length)
        {
            var now = time.GetTimestamp();
            if (_seen is { } seen)
            {
                if (time.GetElapsedTime(seen.At, now) is var elapsed && elapsed < GrowthWindow)
                    return;
                if (length >= seen.Length) // a file that has begun anew tells nothing
                    IsFast = length - seen.Length > FastGrowth * elapsed.TotalSeconds;
            }

            _seen = (length, now);
        }
    }

    private sealed class TrailPart
    {
        /// <summary>On the disk.</summary>
        public long Length { get; set; }

        public bool IsPacked { get; set; }

        public long Place { get; set; }

        /// <summary>Up to which place it was read last, and how long it was then; a torn line at its end stays.</summary>
        public (long Place, long Length)? End { get; set; }

        public bool IsWaiting => End != (Place, Length);

        /// <summary>Of a packed file its length stands for what it holds.</summary>
        public long Waiting => !IsWaiting ? 0 : IsPacked ? Length : Math.Max(0, Length - Place);
    }
}
