namespace ImageAccess.Proxy.Foundation.Files;

/// <summary>
/// A file that is read whole each time, up to a limit: whichever way it was changed (in place, by rename, through a link), reading it
/// tells, and nothing else does.
/// </summary>
/// <param name="path">The file.</param>
/// <param name="maximumSize">What it may measure, in bytes.</param>
/// <param name="forbidden">What its mode must not have: of a private key, that others may read it.</param>
/// <param name="isDraft">It decides nothing: others may change it.</param>
internal sealed class WholeFile(string path, long maximumSize, UnixFileMode forbidden = UnixFileMode.None, bool isDraft = false) : IReadable
{
    private byte[] _buffer = new byte[8 * 1024];

    public string Path { get; } = path;

    /// <summary>The bytes are good until the next reading.</summary>
    public FileReading Read()
    {
        try
        {
            using var file = File.OpenHandle(Path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            var rights = FileRights.Of(file);
            if ((rights.ModeForOthers & forbidden) != UnixFileMode.None)
                return FileReading.Failed($"is open to others than its owner: chmod 600 {Path}");
            if (rights.IsWritableByOthers && !isDraft)
                return FileReading.Failed($"{FileRights.Fault} {Path}");

            var length = 0;
            while (true)
            {
                var read = RandomAccess.Read(file, _buffer.AsSpan(length), length);
                length += read;
                if (length > maximumSize)
                    return FileReading.Failed(TooLarge(maximumSize));
                if (read == 0)
                    return FileReading.Found(_buffer.AsMemory(0, length));
                if (length == _buffer.Length)
                    Array.Resize(ref _buffer, _buffer.Length * 2);
            }
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            return IsLink() ? FileReading.Failed("is a link to a file that does not exist") : FileReading.Missing;
        }
        catch (UnauthorizedAccessException)
        {
            return FileReading.Failed(Directory.Exists(Path)
                ? "cannot be read: it is a directory"
                : $"cannot be read by the user {Environment.UserName}, whom this program runs as");
        }
        catch (IOException exception)
        {
            return FileReading.Failed($"cannot be read: {exception.Message}");
        }
    }

    /// <summary>What is said of content beyond the limit, in bytes.</summary>
    public static string TooLarge(long maximumSize) => $"is larger than {InWords(maximumSize)}";

    /// <summary>Somebody meant a file to be here, though there is none.</summary>
    private bool IsLink() => new FileInfo(Path).LinkTarget is not null;

    private static string InWords(long size) =>
        size % (1024 * 1024) == 0 ? $"{size / (1024 * 1024)} MiB" : size % 1024 == 0 ? $"{size / 1024} KiB" : $"{size} bytes";
}

/// <summary>What can be read whole, again and again.</summary>
internal interface IReadable
{
    /// <summary>The bytes are good until the next reading.</summary>
    FileReading Read();
}

/// <summary>What a reading found: bytes, or why there are none.</summary>
/// <param name="Bytes">The content.</param>
/// <param name="Failure">What follows the file's path in a sentence.</param>
/// <param name="IsMissing">There is no such file.</param>
internal readonly record struct FileReading(ReadOnlyMemory<byte>? Bytes, string Failure, bool IsMissing)
{
    public static FileReading Missing { get; } = new(null, "does not exist", IsMissing: true);

    public static FileReading Found(ReadOnlyMemory<byte> bytes) => new(bytes, "", IsMissing: false);

    public static FileReading Failed(string failure) => new(null, failure, IsMissing: false);
}
