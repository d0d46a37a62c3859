using ImageAccess.Proxy.Foundation.Files;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Foundation.Audit;

/// <summary>
/// Appends to a file that is opened anew for every batch, so that events still reach a file after somebody moved or
/// deleted it. At half of the allowed size it is renamed to <c>audit.jsonl.1</c>, and a new one begins.
/// </summary>
public sealed class FileAuditSink(IOptions<AuditOptions> options) : IAuditSink
{
    private AuditOptions Settings => options.Value;

    public async ValueTask OpenAsync(CancellationToken cancellationToken)
    {
        try
        {
            if (Settings.File is null)
                Directory.CreateDirectory(Settings.DataDirectory);
            await WriteAsync(ReadOnlyMemory<byte>.Empty, cancellationToken);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new OptionsValidationException(
                nameof(AuditOptions),
                typeof(AuditOptions),
                [$"Audit:File: {Settings.FilePath} cannot be written ({exception.Message}); name a file in a directory that exists and is writable"]);
        }
    }

    public async ValueTask WriteAsync(ReadOnlyMemory<byte> lines, CancellationToken cancellationToken)
    {
        try
        {
            RotateBefore(lines.Length);
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
            catch (IOException)
            {
                file.SetLength(end);
                throw;
            }
        }
        catch (UnauthorizedAccessException exception)
        {
            throw new IOException(exception.Message, exception);
        }
    }

    private void RotateBefore(int length)
    {
        var file = new FileInfo(Settings.FilePath);
        if (file is { Exists: true, Length: > 0 } && file.Length + length > Settings.MaximumSize / 2)
            file.MoveTo(Settings.FilePath + ".1", overwrite: true);
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
