using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.Extensions.Options;
using Microsoft.Win32.SafeHandles;

namespace ImageAccess.Proxy.Content.Cache;

/// <summary>
/// Content in files, which are verified before they get their name; small content is in memory as well. While the directory cannot be
/// used, nothing is kept, and pulls go on without it.
/// </summary>
internal sealed class DirectoryStore : IContentStore, IDisposable
{
    /// <summary>A file's time is set to the content's last use when it is wrong by this much.</summary>
    public static readonly TimeSpan TouchAfter = TimeSpan.FromHours(1);

    private readonly CacheOptions _options;
    private readonly CacheMetrics _metrics;
    private readonly TimeProvider _time;
    private readonly ILogger<DirectoryStore> _logger;
    private readonly SmallContents _small = new();
    private readonly Lock _publishing = new();
    private volatile OpenDirectory? _open;
    private volatile bool _isScanned;
    private bool _isLate;
    private Task<bool>? _makingRoom;
    private string? _whyClosed = "it was not opened";

    public DirectoryStore(IOptions<CacheOptions> options, CacheMetrics metrics, TimeProvider time, ILogger<DirectoryStore> logger)
    {
        (_options, _metrics, _time, _logger) = (options.Value, metrics, time, logger);
        Links = new LinkIndex(Holds);
        Budget = new DiskBudget(_options.MaximumSize, Contents, metrics, time, logger);
        metrics.Watch(Contents);
    }

    public ContentIndex Contents { get; } = new();

    /// <summary>Links and tags, in the same directory. The links of evicted content are removed with it.</summary>
    public LinkIndex Links { get; }

    public DiskBudget Budget { get; }

    /// <summary>Why less is kept than should be; null while all is well.</summary>
    public string? Concern => (_open, Budget.Trouble) switch
    {
        (null, _) => $"{_options.DirectoryPath} cannot be used, nothing is kept: {Volatile.Read(ref _whyClosed)}",
        (_, { } trouble) => $"nothing new is kept: {trouble}",
        ({ } open, null) => open.Journal.Concern,
    };

    public bool IsOpen => _open is not null;

    /// <summary>
    /// Locks the directory for this process and reads the journal of links and tags. <see cref="Scan"/> finds the content afterwards, in
    /// the background.
    /// </summary>
    public bool TryOpen()
    {
        var directory = new CacheDirectory(_options.DirectoryPath);
        FileStream? held = null;
        try
        {
            directory.Create();
            held = directory.TryLock() ?? throw new IOException("another process uses it");
            directory.EmptyComing();
            var journal = new IndexJournal(directory, Links, _time, _logger);
            journal.Load(_isLate ? IsTrueStill : _ => true);
            Links.Changed = journal.Add;
            _open = new OpenDirectory(directory, held, journal);
            _logger.Opened(directory.Path, Links.Count);
            return true;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            held?.Dispose();
            _isLate = true;
            if (_whyClosed != exception.Message)
                _logger.CannotOpen(directory.Path, exception.Message);
            Volatile.Write(ref _whyClosed, exception.Message);
            return false;
        }
    }

    /// <summary>Finds the content that is there. Until this has ended, each request looks for its content on the disk.</summary>
    public void Scan(CancellationToken cancellationToken)
    {
        if (_open is not { } open)
            return;
        try
        {
            foreach (var found in open.Directory.FindAll())
            {
                cancellationToken.ThrowIfCancellationRequested();
                Admit(found);
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            _logger.NotScanned(exception.Message);
        }

        _isScanned = true;
        _logger.Scanned(Contents.Count, Contents.Size >> 20);
        Budget.WantRoom(0);
    }

    /// <summary>Writes changes of links and tags until <see cref="CompleteJournal"/> is called.</summary>
    public Task WriteJournalAsync(CancellationToken cancellationToken) => _open?.Journal.RunAsync(cancellationToken) ?? Task.CompletedTask;

    public void CompleteJournal()
    {
        Links.Changed = null;
        _open?.Journal.Complete();
    }

    public ValueTask<CachedContent?> OpenAsync(ContentLink? link, CancellationToken cancellationToken) => new(link is null ? null : Open(link));

    public ValueTask<bool> HoldsAsync(Digest digest, CancellationToken cancellationToken) => new(Holds(digest));

    public ValueTask<long?> MeasureAsync(Digest digest, CancellationToken cancellationToken) => new(Find(digest)?.Length);

    public ValueTask<long?> RemoveAsync(Digest digest)
    {
        if (Find(digest) is not { } content)
            return default;
        lock (_publishing)
        {
            if (_open is not { } open || !(Contents.TryFind(digest, out var present) && present == content))
                return default;
            if (File.Exists(open.Directory.PathOf(digest)))
                File.Delete(open.Directory.PathOf(digest));
            Contents.Remove(content);
            CacheDirectory.RemoveIfEmpty(open.Directory.FolderOf(digest));
        }

        _small.Remove(content);
        return new(content.Length);
    }

    public ValueTask<CacheWriter?> BeginAsync(Digest digest, long? length, CancellationToken cancellationToken)
    {
        var reserved = length is null ? 0 : DiskSpace.Of(length.Value);
        return Begin(digest, reserved, out var isUsedUp) is { } writer ? new(writer) : isUsedUp ? BeginAgainAsync(digest, reserved) : default;
    }

    /// <summary>Evicts the least recently used content, as much as is necessary.</summary>
    /// <returns>How many contents were evicted.</returns>
    public int MakeRoom()
    {
        if (_open is not { } open || !_isScanned)
            return 0;

        var wanted = Budget.TakeWanted();
        var evicted = Evict(open, Budget.Excess(open.Directory, wanted));
        Budget.Judge(open.Directory, wanted);
        return evicted;
    }

    /// <summary>
    /// A write has found no room for so many bytes, whatever the disk says of itself: older content gives way at once, away from who waits for
    /// it, and once for all who find none at the same time.
    /// </summary>
    /// <returns>Whether something gave way, so that it is worth trying again.</returns>
    internal Task<bool> MakeRoomAsync(long bytes)
    {
        lock (_publishing)
        {
            return _makingRoom is { IsCompleted: false } ? _makingRoom
                : _makingRoom = Task.Run(() => _open is { } open && _isScanned && Evict(open, Budget.ExcessAfterFailure(open.Directory, bytes)) > 0);
        }
    }

    /// <summary>Sets the times of files that differ from the last use by this much.</summary>
    public void Touch(TimeSpan distance)
    {
        if (_open is not { } open)
            return;
        foreach (var content in Contents.All)
        {
            if (content.LastUse - content.LastUseOnDisk < distance)
                continue;
            content.LastUseOnDisk = content.LastUse;
            try
            {
                File.SetLastWriteTimeUtc(open.Directory.PathOf(content.Digest), content.LastUse.UtcDateTime);
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                // It was evicted meanwhile, or its last use is lost. Neither does harm.
            }
        }
    }

    public void Dispose()
    {
        CompleteJournal();
        _open?.Lock.Dispose();
        _open = null;
    }

    /// <summary>Removes damaged content. Those who are reading it may finish.</summary>
    internal void Drop(KeptContent content, string reason)
    {
        lock (_publishing)
        {
            if (_open is not { } open || !Contents.Remove(content))
                return;
            TryDelete(open.Directory.PathOf(content.Digest));
        }

        _small.Remove(content);
        _metrics.Corrupt();
        _logger.Dropped(content.Digest.Value, reason);
    }

    internal KeptContent Publish(CacheDirectory directory, string coming, Digest digest, long length)
    {
        var content = new KeptContent(digest, length, _time.GetUtcNow());
        content.TryHold(content.LastUse);
        KeptContent? former;
        lock (_publishing)
        {
            if (_open is null)
                throw new IOException("The cache is closed.");
            directory.Publish(coming, digest);
            if (Contents.TryFind(digest, out former))
                Contents.Remove(former);
            Contents.TryAdd(content);
        }

        if (former is not null)
            _small.Remove(former);
        return content;
    }

    /// <summary>When the directory is opened late, a tag or a link may have been forgotten meanwhile: it must not come back.</summary>
    private bool IsTrueStill(JournalLine line) =>
        line is UnlinkLine or ForgottenRepositoryLine or EvictedLine || (line is LinkLine link && !Links.WasForgottenUntold(link.Repository));

    private bool Holds(Digest digest) => Find(digest) is not null;

    private async ValueTask<CacheWriter?> BeginAgainAsync(Digest digest, long reserved)
    {
        if (await MakeRoomAsync(reserved) && Begin(digest, reserved, out var isUsedUp) is var writer && !isUsedUp)
            return writer;
        Budget.WriteFailed(new IOException("there is no room for another file"));
        return null;
    }

    private DirectoryWriter? Begin(Digest digest, long reserved, out bool isUsedUp)
    {
        isUsedUp = false;
        if (_open is not { } open || !Budget.TryReserve(open.Directory, reserved))
            return null;
        try
        {
            return new DirectoryWriter(this, open.Directory, digest, reserved);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            Budget.Ended(reserved, reserved);
            isUsedUp = FullDisk.IsCauseOf(exception);
            if (!isUsedUp)
                Budget.WriteFailed(exception);
            return null;
        }
    }

    private DirectoryContent? Open(ContentLink link)
    {
        if (_open is not { } open || Find(link.Digest) is not { } content || !content.TryHold(_time.GetUtcNow()))
            return null;
        if (_small.Find(content) is { } bytes)
            return new DirectoryContent(content, link.MediaType, bytes);

        try
        {
            var handle = File.OpenHandle(open.Directory.PathOf(link.Digest), FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, FileOptions.Asynchronous);
            return OpenFile(content, link.MediaType, handle);
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException or UnauthorizedAccessException or InvalidDataException)
        {
            content.Release();
            Drop(content, exception.Message);
        }
        catch (IOException)
        {
            content.Release(); // too many open files, for example: the content is not damaged
        }

        return null;
    }

    private static bool TryDelete(string path)
    {
        try
        {
            File.Delete(path);
            return true;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return exception is DirectoryNotFoundException;
        }
    }

    private KeptContent? Find(Digest digest)
    {
        if (Contents.TryFind(digest, out var content))
            return content;
        if (_isScanned || _open is not { } open)
            return null;
        lock (_publishing)
        {
            if (open.Directory.Find(digest) is { } found)
                Admit(found);
        }

        return Contents.TryFind(digest, out content) ? content : null;
    }

    /// <summary>A time in the future counts as now: else the content would never be evicted.</summary>
    private void Admit(KeptContent found)
    {
        var now = _time.GetUtcNow();
        Contents.TryAdd(found.LastUse <= now ? found : new KeptContent(found.Digest, found.Length, now));
    }

    private DirectoryContent OpenFile(KeptContent content, string? mediaType, SafeFileHandle handle)
    {
        try
        {
            if (RandomAccess.GetLength(handle) != content.Length)
                throw new InvalidDataException("its file has another length");
            if (content.Length > SmallContents.Largest)
                return new DirectoryContent(this, content, mediaType, handle);

            var bytes = SmallContents.Read(handle, content);
            _small.Add(content, bytes);
            handle.Dispose();
            return new DirectoryContent(content, mediaType, bytes);
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <summary>Evicts what was not used for the longest time, until so much has given way.</summary>
    private int Evict(OpenDirectory open, (long Bytes, long Files) excess)
    {
        var (evicted, freed) = (new HashSet<Digest>(), 0L);
        foreach (var content in excess is { Bytes: <= 0, Files: <= 0 } ? [] : Contents.LeastRecentlyUsedFirst())
        {
            if (freed >= excess.Bytes && evicted.Count >= excess.Files)
                break;
            if (!TryEvict(open, content))
                continue;
            freed += content.SizeOnDisk;
            evicted.Add(content.Digest);
        }

        if (evicted.Count == 0)
            return 0;
        Links.Forget(evicted);
        foreach (var folder in evicted.Select(open.Directory.FolderOf).Distinct(StringComparer.Ordinal))
        {
            lock (_publishing)
                CacheDirectory.RemoveIfEmpty(folder);
        }

        _metrics.Evicted(evicted.Count);
        _logger.Evicted(evicted.Count, freed >> 20);
        return evicted.Count;
    }

    private bool TryEvict(OpenDirectory open, KeptContent content)
    {
        lock (_publishing)
        {
            // Content that is no longer in the index was replaced: the file belongs to the new one.
            if (!content.TryRetire() || !Contents.Remove(content))
                return false;
            TryDelete(open.Directory.PathOf(content.Digest));
        }

        _small.Remove(content);
        return true;
    }

    private sealed record OpenDirectory(CacheDirectory Directory, FileStream Lock, IndexJournal Journal);
}
