using ImageAccess.Proxy.Foundation.Configuration;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Foundation.Audit;

/// <summary>
/// Appends to a file that is opened anew for every batch, so that events still reach a file after somebody moved or
/// deleted it.
/// </summary>
public sealed class FileAuditSink(IOptions<AuditOptions> options, AuditMetrics metrics, TimeProvider time, ILogger<FileAuditSink> logger) : IAuditSink
{
    private readonly RotatedFiles _files = new(options, time, metrics, logger);

    public string? Concern => _files.Concern;

    private AuditOptions Settings => options.Value;

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
    }

    public async ValueTask WriteAsync(ReadOnlyMemory<byte> lines, CancellationToken cancellationToken)
    {
        try
        {
            _files.MakeRoom(lines.Length);
            var open = OwnerFile.Options(FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete); // no lock: readers come and go
            await using var file = new FileStream(Settings.FilePath, open);
            if (!file.CanSeek)
                throw new IOException("It is not a regular file.");
            var end = file.Length;
            try
            {
                if (IsTorn(file))
                    file.Write("\n"u8);
                await file.WriteAsync(lines, CancellationToken.None);
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                file.SetLength(end);
                throw;
            }

            if (lines.Length > 0)
                Stamp(file);
        }
        catch (UnauthorizedAccessException exception)
        {
            throw new IOException(exception.Message, exception);
        }
    }

    /// <summary>
    /// By its time a file is rotated and removed. The system has set it already: where only the file's owner may set another, or the volume
    /// takes none, that one is good enough, and no reason to write the lines once more.
    /// </summary>
    private void Stamp(FileStream file)
    {
        try
        {
            File.SetLastWriteTimeUtc(file.SafeFileHandle, time.GetUtcNow().UtcDateTime);
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
