using System.Buffers;
using System.Threading.Channels;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Content.Cache;

/// <summary>
/// Keeps links and tags over a restart: each change is a line, appended in the background; the file is written anew at the start,
/// when it holds far more lines than count, and after anything that went wrong.
/// </summary>
internal sealed class IndexJournal(CacheDirectory directory, LinkIndex links, TimeProvider time, ILogger logger)
{
    public static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(10);

    private const int MaximumPending = 50_000;
    private const int BatchSize = 64 * 1024;

    /// <summary>Lines that no longer count, beside one for each that does.</summary>
    private const int Surplus = 10_000;

    private readonly Channel<JournalLine> _pending = Channel.CreateBounded<JournalLine>(new BoundedChannelOptions(MaximumPending) { SingleReader = true });
    private readonly ArrayBufferWriter<byte> _batch = new(2 * BatchSize);
    private long _lines;
    private volatile bool _mustRewrite = true;

    /// <summary>Why links and tags may be unknown after a restart; null while all is well.</summary>
    public string? Concern { get; private set; }

    private string FilePath => directory.IndexPath;

    /// <summary>Brings back what was known. What cannot be read is learnt anew.</summary>
    /// <param name="directory">Where the journal is.</param>
    /// <param name="unreadable">How many lines there are that nobody wrote here.</param>
    public static IEnumerable<JournalLine> Read(CacheDirectory directory, Action unreadable)
    {
        if (!File.Exists(directory.IndexPath))
            yield break;

        var names = new Dictionary<string, RepositoryName>();
        var buffer = new byte[BatchSize];
        var (filled, skipping) = (0, false);
        using var file = new FileStream(directory.IndexPath, OwnerFile.Options(FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete));
        while (file.Read(buffer, filled, buffer.Length - filled) is var read and > 0)
        {
            filled += read;
            var start = 0;
            while (buffer.AsSpan(start, filled - start).IndexOf((byte)'\n') is var length and >= 0)
            {
                if (!skipping && JournalLine.Read(buffer.AsSpan(start, length), names) is { } line)
                    yield return line;
                else
                    unreadable();
                start += length + 1;
                skipping = false;
            }

            buffer.AsSpan(start, filled - start).CopyTo(buffer);
            filled -= start;
            if (filled > JournalLine.MaximumLength)
                (filled, skipping) = (0, true);
        }

        if (filled > 0 || skipping)
            unreadable(); // torn by a crash
    }

    public void Load(Func<JournalLine, bool> counts)
    {
        var unreadable = 0;
        try
        {
            links.Apply(Read(directory, () => unreadable++).Where(counts), time.GetUtcNow());
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            logger.JournalUnusable(FilePath, exception.Message);
        }

        if (unreadable > 0)
            logger.LinesUnreadable(FilePath, unreadable);
    }

    /// <summary>Never waits: what finds no room is in the file when that is written anew.</summary>
    public void Add(JournalLine line)
    {
        if (!_mustRewrite && !_pending.Writer.TryWrite(line))
            _mustRewrite = true;
    }

    /// <summary>No more lines: what is pending is written, then <see cref="RunAsync"/> ends.</summary>
    public void Complete() => _pending.Writer.TryComplete();

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        await Task.Yield();
        do
        {
            while (!Write() && !_pending.Reader.Completion.IsCompleted && !cancellationToken.IsCancellationRequested)
                await Task.Delay(RetryAfter, time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing); // no line comes meanwhile
        }
        while (await _pending.Reader.WaitToReadAsync(cancellationToken));
    }

    private bool Write()
    {
        try
        {
            while (_mustRewrite || _pending.Reader.TryPeek(out _))
            {
                if (_mustRewrite || _lines > (2L * links.Count) + Surplus)
                    Rewrite();
                else
                    Append();
            }

            Concern = null;
            return true;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            _mustRewrite = true; // half a line may be there, and others are not
            if (Concern is null)
                logger.JournalNotWritten(FilePath, exception.Message);
            Concern = $"links and tags cannot be written: {exception.Message}";
            return false;
        }
    }

    private void Append()
    {
        _batch.ResetWrittenCount();
        while (_batch.WrittenCount < BatchSize && _pending.Reader.TryRead(out var line))
        {
            JournalLine.Write(_batch, line);
            _lines++;
        }

        using var file = new FileStream(FilePath, OwnerFile.Options(FileMode.Append, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete));
        file.Write(_batch.WrittenSpan);
    }

    private void Rewrite()
    {
        _mustRewrite = false;
        directory.Create();
        var all = links.Snapshot(Drain);
        AtomicFile.Write(FilePath, file => Write(file, all));
        _lines = all.Count;
    }

    private void Write(Stream file, IReadOnlyList<JournalLine> all)
    {
        foreach (var lines in all.Chunk(256))
        {
            _batch.ResetWrittenCount();
            foreach (var line in lines)
                JournalLine.Write(_batch, line);
            file.Write(_batch.WrittenSpan);
        }
    }

    private void Drain()
    {
        while (_pending.Reader.TryRead(out _))
        {
        }
    }
}
