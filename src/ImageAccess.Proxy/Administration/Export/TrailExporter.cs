using System.Globalization;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Administration.Export;

/// <summary>
/// Reads the files of the audit trail as they grow, and sends what they have to one receiver. The files are the queue. How far the receiver has them for
/// sure stands in a file of its own, which is written after each batch: what was sent and not noted comes again, and nothing is left out.
/// </summary>
internal sealed class TrailExporter(ITrailReceiver receiver, string trail, string positionFile, ExportMetrics metrics, TimeProvider time, ILogger logger)
{
    public static readonly TimeSpan FirstRetry = TimeSpan.FromSeconds(1);

    public static readonly TimeSpan LongestRetry = TimeSpan.FromMinutes(5);

    /// <summary>How long a receiver may fail before that is a concern.</summary>
    public static readonly TimeSpan Tolerance = TimeSpan.FromMinutes(15);

    /// <summary>How long what a receiver will never have is a concern.</summary>
    public static readonly TimeSpan Remembered = TimeSpan.FromDays(1);

    /// <summary>How often the files are listed where the trail does not grow.</summary>
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(30);

    private readonly Outage _outage = new();
    private readonly HashSet<string> _damaged = [];
    private ExportPosition? _position;
    private ExportPosition? _written;
    private (long Length, DateTime Written) _seen = (-1, default);
    private long? _looked;
    private long _gapEnd;
    private int _maximum = ExportBatch.MaximumEvents;

    /// <summary>What does not work as it should; null while all is well.</summary>
    public string? Concern => _outage.Concern(receiver.Section, time.GetUtcNow());

    /// <summary>How long to wait before the next look. What has failed is tried ever more rarely, and not by all replicas at one moment.</summary>
    public TimeSpan Wait => _outage.Failures == 0 ? receiver.Pause : Longest(_outage.After, Backoff(_outage.Failures) * (0.5 + (Random.Shared.NextDouble() / 2)));

    /// <summary>Sends all that is new, until the receiver refuses.</summary>
    public async Task LookAsync(CancellationToken cancellationToken)
    {
        var file = new FileInfo(trail);
        var now = file.Exists ? (file.Length, file.LastWriteTimeUtc) : default;
        if (now == _seen && _outage.Failures == 0 && _looked is { } looked && time.GetElapsedTime(looked) < Period)
            return;
        var answer = await TryAsync(cancellationToken);
        (_seen, _looked) = (now, time.GetTimestamp());
        if (answer.Cause is { } cause)
        {
            metrics.Failed(receiver.Name);
            if (_outage.Fail(time.GetUtcNow(), cause, answer.After))
                logger.NotSent(receiver.Section, cause);
        }
        else if (_outage.End())
        {
            logger.SentAgain(receiver.Section);
        }
    }

    /// <summary>Whatever goes wrong is told as a failure.</summary>
    private async Task<ExportAnswer> TryAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await SendAllAsync(cancellationToken);
        }
        catch (Exception) when (cancellationToken.IsCancellationRequested)
        {
            throw;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return new ExportAnswer($"does not get what the audit files have: {PrintableText.Of(exception.Message)}");
        }
        catch (Exception exception)
        {
            return new ExportAnswer($"failed: {exception.GetType().Name}"); // the text of an unknown exception may have anything in it
        }
    }

    private async Task<ExportAnswer> SendAllAsync(CancellationToken cancellationToken)
    {
        Load();
        var unreadable = new List<(string Path, string Cause)>();
        var files = await TrailFiles.OpenAllAsync(trail, (path, exception) => Note(path, exception, unreadable), cancellationToken);
        try
        {
            var order = TrailFile.AllOf(trail).ToList();
            var known = files.FindIndex(file => file.File.Identity is { } identity && identity == _position!.File);
            var begin = known < 0 ? -1 : order.IndexOf(files[known].Path);
            var barrier = unreadable.Where(file => order.IndexOf(file.Path) > begin).Select(file => ((string Path, string Cause)?)file).FirstOrDefault();
            for (var i = Math.Max(0, known); i < files.Count; i++)
            {
                ShowWaiting(files, i);
                if (barrier is { } closed && order.IndexOf(files[i].Path) > order.IndexOf(closed.Path))
                    break; // events keep their order
                if (await SendAsync(files[i].Path, files[i].File, cancellationToken) is { Cause: not null } refusal)
                    return refusal;
                ShowWaiting(files, i);
            }

            return barrier is null ? ExportAnswer.Taken : new ExportAnswer($"does not get the audit file {barrier.Value.Path}: {barrier.Value.Cause}");
        }
        finally
        {
            await TrailFiles.CloseAsync(files);
        }
    }

    private void Load()
    {
        if (_position is null)
        {
            _position = _written = ExportPosition.Read(positionFile, out var flaw);
            if (flaw is not null)
                logger.NoPosition(positionFile, flaw);
        }

        if (_position != _written)
            Write();
    }

    private void Write()
    {
        _position!.Write(positionFile);
        _written = _position;
    }

    /// <summary>One that is damaged stays so; any other may be readable again.</summary>
    private void Note(string path, Exception exception, List<(string Path, string Cause)> unreadable)
    {
        if (exception is InvalidDataException)
            Damaged(path, exception);
        else
            unreadable.Add((path, PrintableText.Of(exception.Message)));
    }

    private void Damaged(string path, Exception exception)
    {
        if (_damaged.Add(path))
            logger.Damaged(path, PrintableText.Of(exception.Message), receiver.Section);
    }

    private async Task<ExportAnswer> SendAsync(string path, TrailFile file, CancellationToken cancellationToken)
    {
        if (file.Identity is not { } identity)
            return ExportAnswer.Taken;
        try
        {
            return await SendAsync(file, identity, cancellationToken);
        }
        catch (InvalidDataException exception)
        {
            Damaged(path, exception);
            return ExportAnswer.Taken;
        }
    }

    /// <summary>To the end of the file as it is now.</summary>
    private async Task<ExportAnswer> SendAsync(TrailFile file, string identity, CancellationToken cancellationToken)
    {
        var lines = await OpenAsync();
        while (await ExportBatch.ReadAsync(lines, _position!.Sequence, _maximum, cancellationToken) is { Lines: > 0 } batch)
        {
            NoteGap(batch);
            var answer = batch.Events.Count == 0 ? ExportAnswer.Taken : await receiver.SendAsync(batch.Events, cancellationToken);
            if (answer is { IsTooLarge: true } && batch.Events.Count > 1)
            {
                _maximum = batch.Events.Count / 2;
                lines = await OpenAsync();
                continue;
            }

            if (answer.Cause is not null)
                return answer;
            _maximum = Math.Min(ExportBatch.MaximumEvents, _maximum * 2);
            _position = new ExportPosition(identity, batch.Place, batch.Sequence);
            metrics.Sent(receiver.Name, batch, answer.Rejected);
            NoteRejected(answer.Rejected);
            Write();
        }

        return ExportAnswer.Taken;

        Task<TrailLines> OpenAsync() => file.LinesFromAsync(_position!.File == identity ? _position.Place : 0, cancellationToken);
    }

    /// <summary>Once for each, however often the batch after it is tried.</summary>
    private void NoteGap(ExportBatch batch)
    {
        if (batch.GapEnd <= _gapEnd)
            return;
        _gapEnd = batch.GapEnd;
        metrics.Missed(receiver.Name, batch.Missing);
        _outage.Missed(time.GetUtcNow(), batch.Missing);
        logger.Missed(batch.Missing, batch.GapEnd - 1, receiver.Section);
    }

    private void NoteRejected(long events)
    {
        if (events == 0)
            return;
        _outage.Missed(time.GetUtcNow(), events);
        logger.Rejected(receiver.Section, events);
    }

    /// <summary>From the file that is being sent; of a packed one its length stands for what it holds.</summary>
    private void ShowWaiting(List<(string Path, TrailFile File)> files, int current)
    {
        var waiting = 0L;
        for (var i = current; i < files.Count; i++)
        {
            var file = files[i].File;
            waiting += file.Identity == _position!.File && !file.IsPacked ? Math.Max(0, file.Length - _position.Place) : file.Length;
        }

        metrics.Waiting(receiver.Name, waiting);
    }

    internal static TimeSpan Backoff(int failures)
    {
        var wait = FirstRetry * Math.Pow(2, Math.Clamp(failures - 1, 0, 20));
        return wait < LongestRetry ? wait : LongestRetry;
    }

    private static TimeSpan Longest(TimeSpan one, TimeSpan other) => one > other ? one : other;

    /// <summary>How it goes with the receiver; health asks from elsewhere.</summary>
    private sealed class Outage
    {
        private readonly Lock _gate = new();
        private DateTimeOffset _since;
        private DateTimeOffset _missedAt;
        private string _cause = "";
        private long _missed;

        /// <summary>Looks that failed since one did not.</summary>
        public int Failures { get; private set; }

        public TimeSpan After { get; private set; }

        /// <returns>Whether it is the first.</returns>
        public bool Fail(DateTimeOffset now, string cause, TimeSpan? after)
        {
            lock (_gate)
            {
                (_cause, _since, After) = (cause, Failures == 0 ? now : _since, after ?? TimeSpan.Zero);
                return ++Failures == 1;
            }
        }

        /// <returns>Whether there was one.</returns>
        public bool End()
        {
            lock (_gate)
            {
                var had = Failures > 0;
                Failures = 0;
                return had;
            }
        }

        public void Missed(DateTimeOffset now, long events)
        {
            lock (_gate)
                (_missed, _missedAt) = ((now - _missedAt < Remembered ? _missed : 0) + events, now);
        }

        public string? Concern(string name, DateTimeOffset now)
        {
            lock (_gate)
            {
                var fails = Failures > 0 && now - _since >= Tolerance ? $"{name} {_cause}; events wait for it in the audit files" : null;
                var lost = _missed > 0 && now - _missedAt < Remembered
                    ? string.Create(CultureInfo.InvariantCulture, $"{name} will not have {_missed} lines of the audit trail: it has refused them, or they were gone before")
                    : null;
                return (fails, lost) is ({ } first, { } second) ? $"{first}; {second}" : fails ?? lost;
            }
        }
    }
}
