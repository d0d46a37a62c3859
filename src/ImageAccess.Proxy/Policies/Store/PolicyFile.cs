namespace ImageAccess.Proxy.Policies.Store;

/// <summary>
/// A document on disk, read whole each time: whichever way a file was changed (in place, by rename, through a link),
/// reading it tells, and nothing else does.
/// </summary>
internal sealed class PolicyFile(string path, long maximumSize)
{
    private byte[] _buffer = new byte[8 * 1024];

    public string Path { get; } = path;

    /// <summary>The bytes are good until the next reading.</summary>
    public PolicyReading Read()
    {
        try
        {
            using var file = File.OpenHandle(Path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            var length = 0;
            while (true)
            {
                var read = RandomAccess.Read(file, _buffer.AsSpan(length), length);
                length += read;
                if (length > maximumSize)
                    return PolicyReading.Failed($"is larger than {maximumSize} bytes");
                if (read == 0)
                    return PolicyReading.Found(_buffer.AsMemory(0, length));
                if (length == _buffer.Length)
                    Array.Resize(ref _buffer, _buffer.Length * 2);
            }
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            return IsLink() ? PolicyReading.Failed("is a link to nothing") : PolicyReading.Missing;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return PolicyReading.Failed($"cannot be read: {exception.Message}");
        }
    }

    /// <summary>Somebody meant a document to be here, though there is none.</summary>
    private bool IsLink() => new FileInfo(Path).LinkTarget is not null;
}

/// <summary>What a reading found: bytes, or why there are none.</summary>
internal readonly record struct PolicyReading(ReadOnlyMemory<byte>? Bytes, string Failure, bool IsMissing)
{
    public static PolicyReading Missing { get; } = new(null, "does not exist", IsMissing: true);

    public static PolicyReading Found(ReadOnlyMemory<byte> bytes) => new(bytes, "", IsMissing: false);

    public static PolicyReading Failed(string failure) => new(null, failure, IsMissing: false);
}
