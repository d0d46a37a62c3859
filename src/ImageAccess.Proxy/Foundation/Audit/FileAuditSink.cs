using System.Buffers;
using ImageAccess.Proxy.Foundation.Configuration;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Foundation.Audit;

/// <summary>
/// Appends to a file that is opened anew for every batch, so that events still reach a file after somebody moved or
/// deleted it. Each line gets its place in the trail's chain.
/// </summary>
public sealed class FileAuditSink(IOptions<AuditOptions> options, AuditMetrics metrics, TimeProvider time, ILogger<FileAuditSink> logger) : IAuditSink, IDisposable
{
    private readonly RotatedFiles _files = new(options, time, metrics, logger);
    private AuditKey? _key;
    private readonly ArrayBufferWriter<byte> _buffer = new();
    private volatile string? _headFailure;

    /// <summary>The last line that was written; null where the file itself has to say.</summary>
    private ChainLink? _last;

    /// <summary>The day (UTC) of the last batch of this process.</summary>
    private DateTime? _day;

    public string? Concern => (_files.Concern, _headFailure) switch
    {
        (var concern, null) => concern,
        (null, { } failure) => failure,
        ({ } concern, { } failure) => $"{concern}; {failure}",
    };

    private AuditOptions Settings => options.Value;

    private AuditKey Key => _key ??= new AuditKey(Settings);

    public async ValueTask OpenAsync(CancellationToken cancellationToken)
    {
        try
        {
            if (Settings.File is null)
                Directory.CreateDirectory(Settings.DataDirectory);
            await WriteAsync(ReadOnlyMemory<byte>.Empty, cancellationToken);
            _files.RemoveOldest();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            if (FullDisk.IsCauseOf(exception))
                throw ConfigurationLoading.FailedForNow($"Audit:File: {Settings.FilePath} cannot be written ({exception.Message}): its disk has no space or no inodes left");
            throw ConfigurationLoading.Failed(
                $"Audit:File: {Settings.FilePath} cannot be written ({exception.Message}); name a file in a directory that exists and is writable");
        }

        Key.Open(); // on a full disk it is made with the first event, which waits for space as well
    }

    public ValueTask WriteAsync(ReadOnlyMemory<byte> lines, CancellationToken cancellationToken)
    {
        try
        {
            var events = lines.Span.Count("}\n"u8);
            _files.MakeRoom(lines.Length + (events == 0 ? 0 : events * ChainedLine.Overhead + 2 * Checkpoint.Length), Close);
            Append(lines.Span, Settings.FilePath);
        }
        catch (UnauthorizedAccessException exception)
        {
            throw new IOException(exception.Message, exception);
        }

        return ValueTask.CompletedTask;
    }

    public void Dispose() => _key?.Dispose();

    /// <summary>The file is rotated: its last line tells that nothing of its end is missing.</summary>
    private void Close()
    {
        if (Last().Sequence > 0)
            Append(default, Settings.FilePath, closes: true);
    }

    private void Append(ReadOnlySpan<byte> lines, string path, bool closes = false)
    {
        var open = OwnerFile.Options(FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete); // no lock: readers come and go
        using var file = new FileStream(path, open);
        if (!file.CanSeek)
            throw new IOException("It is not a regular file.");
        var (end, before) = (file.Length, File.GetLastWriteTimeUtc(file.SafeFileHandle));
        ChainLink? last = lines.Length > 0 || closes ? Chain(lines, closes, isNew: end == 0) : null;
        try
        {
            if (IsTorn(file))
                file.Write("\n"u8);
            if (last is not null)
                file.Write(_buffer.WrittenSpan);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            var known = _last;
            _last = null; // as long as it is not taken back
            file.SetLength(end);
            _last = known;
            throw;
        }

        if (last is not { } written)
            return;
        Stamp(file, closes ? before : time.GetUtcNow().UtcDateTime);
        (_last, _day) = (written, time.GetUtcNow().UtcDateTime.Date);
        if (written.Sequence > 0)
            WriteHead(written);
    }

    /// <summary>The lines with their places, in the buffer.</summary>
    private ChainLink Chain(ReadOnlySpan<byte> lines, bool closes, bool isNew)
    {
        var last = Last();
        var now = time.GetUtcNow();
        var isDue = closes || isNew || _day != now.UtcDateTime.Date;
        _buffer.ResetWrittenCount();
        if (closes)
            return Checkpoint.Write(last, now, Key, _buffer);
        while (lines.IndexOf((byte)'\n') is >= 0 and var end)
        {
            var line = lines[..end];
            if (line is [(byte)'{', .., (byte)'}'])
            {
                if (isDue)
                    last = Checkpoint.Write(last, now, Key, _buffer);
                isDue = false;
                last = ChainedLine.Write(line, last, _buffer);
            }
            else
            {
                _buffer.Write(lines[..(end + 1)]); // it has no room for a place
            }

            lines = lines[(end + 1)..];
        }

        return last;
    }

    private ChainLink Last()
    {
        if (_last is { } last)
            return last;
        var found = TrailEnd.Of(Settings.FilePath);
        if (found.Missing is { } missing)
            logger.EndIsMissing(Settings.FilePath, missing);
        _last = found.Link;
        return found.Link;
    }

    /// <summary>The lines are written: it is no reason to write them once more.</summary>
    private void WriteHead(ChainLink last)
    {
        try
        {
            AuditHead.Write(Settings.FilePath, last);
            _headFailure = null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            _headFailure = $"a cut of its end would not be seen, {AuditHead.PathOf(Settings.FilePath)} cannot be written: {exception.Message}";
        }
    }

    /// <summary>
    /// By its time a file is rotated and removed. The system has set it already: where only the file's owner may set another, or the volume
    /// takes none, that one is good enough, and no reason to write the lines once more.
    /// </summary>
    private static void Stamp(FileStream file, DateTime written)
    {
        try
        {
            File.SetLastWriteTimeUtc(file.SafeFileHandle, written);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
        }
    }

    /// <summary>The last line was cut off by a crash. Leaves the file at its end.</summary>
    private static bool IsTorn(FileStream file)
    {
        if (file.Seek(0, SeekOrigin.End) == 0)
            return false;
        file.Seek(-1, SeekOrigin.End);
        return file.ReadByte() != '\n';
    }
}
