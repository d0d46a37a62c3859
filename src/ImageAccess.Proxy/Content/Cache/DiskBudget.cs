using System.Threading.Channels;

namespace ImageAccess.Proxy.Content.Cache;

/// <summary>
/// How much may be written: up to the configured size, while the disk has room for bytes and for files, and not right after a write has
/// failed. Sizes are what files take up on disk. Room is reserved before bytes are written to it.
/// </summary>
internal sealed class DiskBudget(long maximumSize, ContentIndex contents, CacheMetrics metrics, TimeProvider time, ILogger logger)
{
    /// <summary>After a write failed, nothing is begun for as long, whatever the disk says of itself.</summary>
    public static readonly TimeSpan PauseAfterFailure = TimeSpan.FromSeconds(10);

    private const long LargestReserve = 64L * 1024 * 1024;
    private const long LargestReserveOfFiles = 1000;

    /// <summary>A file, and the folder that it may need.</summary>
    private const long FilesForOne = 2;

    private readonly Channel<bool> _roomWanted = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private volatile string? _trouble;
    private long _pausedUntil = DateTimeOffset.MinValue.UtcTicks;
    private long _coming;
    private long _unwritten;
    private long _wanted;

    /// <summary>Why nothing new is kept; null while all is well.</summary>
    public string? Trouble => _trouble;

    /// <summary>Tells when older content has to give way.</summary>
    public ChannelReader<bool> RoomWanted => _roomWanted.Reader;

    private bool IsExceeded => contents.SizeOnDisk + Interlocked.Read(ref _coming) > maximumSize;

    private bool IsPaused => Interlocked.Read(ref _pausedUntil) > time.GetUtcNow().UtcTicks;

    /// <summary>Reserves room for content that is about to come; false where there is none.</summary>
    public bool TryReserve(CacheDirectory directory, long length)
    {
        if (length > maximumSize)
            return false;
        if (!HasRoom(directory, length))
        {
            metrics.Full();
            return false;
        }

        Add(length);
        if (IsExceeded)
            WantRoom(0);
        return true;
    }

    /// <summary>Reserves more for what is coming: more may come than was said, and nobody may have said how much.</summary>
    /// <exception cref="IOException">There is no room.</exception>
    public void Reserve(CacheDirectory directory, long bytes, long inAll)
    {
        if (inAll > maximumSize)
            throw new IOException("The content is larger than the cache.");
        if (!HasRoom(directory, bytes))
        {
            metrics.Full();
            throw new IOException("The disk has no room left for the cache.");
        }

        Add(bytes);
    }

    public void Written(long bytes) => Interlocked.Add(ref _unwritten, -bytes);

    /// <summary>The content has come, or never will: its reservation ends.</summary>
    public void Ended(long reserved, long unwritten)
    {
        Interlocked.Add(ref _coming, -reserved);
        Interlocked.Add(ref _unwritten, -unwritten);
        if (IsExceeded)
            WantRoom(0);
    }

    public void WriteFailed(Exception exception)
    {
        metrics.Full();
        Interlocked.Exchange(ref _pausedUntil, (time.GetUtcNow() + PauseAfterFailure).UtcTicks);
        BeInTrouble(exception.Message);
        WantRoom(0);
    }

    /// <summary>Has older content give way soon.</summary>
    public void WantRoom(long length)
    {
        if (length > Interlocked.Read(ref _wanted))
            Interlocked.Exchange(ref _wanted, length);
        _roomWanted.Writer.TryWrite(true);
    }

    /// <summary>The room that was wanted since this was last called.</summary>
    public long TakeWanted() => Interlocked.Exchange(ref _wanted, 0);

    /// <summary>How much has to give way: down to a twentieth below what would be enough, so that this is not done for every content.</summary>
    public (long Bytes, long Files) Excess(CacheDirectory directory, long wanted)
    {
        var (size, coming) = (contents.SizeOnDisk, Interlocked.Read(ref _coming));
        var aboveMaximum = size + coming > maximumSize ? size + coming - (maximumSize / 20 * 19) : 0;
        var available = Available(directory);
        var need = wanted <= size + available.Bytes ? wanted : 0;
        var shortOfDisk = available.Bytes < need ? need - available.Bytes + (size / 20) : 0;
        return (Math.Max(aboveMaximum, shortOfDisk), available.Files < FilesForOne ? FilesForOne - available.Files + (contents.Count / 20) : 0);
    }

    /// <summary>
    /// How much has to give way after a write has found no room for so many bytes. Where the disk has that many, it is short of files, or a quota
    /// is used up: then a twentieth of all contents.
    /// </summary>
    public (long Bytes, long Files) ExcessAfterFailure(CacheDirectory directory, long bytes)
    {
        var (size, missing) = (contents.SizeOnDisk, bytes - Read(directory).FreeBytes);
        return missing <= 0 ? (0, Math.Max(1, contents.Count / 20)) : missing <= size ? (missing + (size / 20), 0) : (0, 0);
    }

    /// <summary>Whether new content is kept from now on: after older content gave way.</summary>
    public void Judge(CacheDirectory directory, long wanted)
    {
        var available = Available(directory);
        if (available.Bytes < 0)
            BeInTrouble("the disk is full");
        else if (available.Files < FilesForOne)
            BeInTrouble("the disk has no room for more files (inodes)");
        else if (_trouble is not null && available.Bytes >= wanted && !IsPaused && Interlocked.Exchange(ref _trouble, null) is not null)
            logger.RoomAgain();
    }

    private void Add(long bytes)
    {
        Interlocked.Add(ref _coming, bytes);
        Interlocked.Add(ref _unwritten, bytes);
    }

    private bool HasRoom(CacheDirectory directory, long length)
    {
        if (Interlocked.Read(ref _coming) + length > maximumSize || IsPaused)
            return false;
        var available = Available(directory);
        if (available.Bytes >= length && available.Files >= FilesForOne)
            return true;
        WantRoom(length);
        return false;
    }

    /// <summary>What may still be written, beside a reserve and what is promised to those that write.</summary>
    private (long Bytes, long Files) Available(CacheDirectory directory)
    {
        var disk = Read(directory);
        return (
            disk.FreeBytes - Math.Min(LargestReserve, disk.AllBytes / 20) - Math.Max(0, Interlocked.Read(ref _unwritten)),
            disk.AllFiles == 0 ? long.MaxValue : disk.FreeFiles - Math.Min(LargestReserveOfFiles, disk.AllFiles / 20));
    }

    private static DiskSpace Read(CacheDirectory directory)
    {
        try
        {
            return directory.Space();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return new DiskSpace(long.MaxValue / 2, 0, 0, 0); // nobody can tell: writing will
        }
    }

    private void BeInTrouble(string reason)
    {
        if (Interlocked.Exchange(ref _trouble, reason) is null)
            logger.Full(reason);
    }
}
