using System.Globalization;
using System.Text;

namespace ImageAccess.Proxy.Tools.Scanning;

/// <summary>Reads files as text, up to a limit.</summary>
internal static class SourceText
{
    /// <summary>How many bytes of a file are read. No Dockerfile, and hardly a bundle of manifests, has more.</summary>
    public const int MaximumSize = 16 * 1024 * 1024;

    /// <exception cref="UnreadableFileException">It is not there, too long, binary, or not ours to read.</exception>
    public static string Read(string path)
    {
        try
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            return Read(file);
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new UnreadableFileException("is not there");
        }
        catch (UnauthorizedAccessException)
        {
            throw new UnreadableFileException(Directory.Exists(path) ? "is a directory" : "may not be read");
        }
        catch (IOException exception)
        {
            throw new UnreadableFileException($"cannot be read: {exception.Message}");
        }
    }

    /// <exception cref="UnreadableFileException">It is too long, or binary.</exception>
    public static string Read(Stream stream)
    {
        using var bytes = new MemoryStream();
        var buffer = new byte[64 * 1024];
        for (int read; (read = stream.Read(buffer)) > 0;)
        {
            if (bytes.Length + read > MaximumSize)
                throw new UnreadableFileException(string.Create(CultureInfo.InvariantCulture, $"has more than {MaximumSize >> 20} MiB, which are not read"));
            bytes.Write(buffer, 0, read);
        }

        bytes.Position = 0;
        using var reader = new StreamReader(bytes, Encoding.UTF8, detectEncodingFromByteOrderMarks: true);
        var text = reader.ReadToEnd();
        return text.Contains('\0', StringComparison.Ordinal) ? throw new UnreadableFileException("is a binary file") : text;
    }
}
