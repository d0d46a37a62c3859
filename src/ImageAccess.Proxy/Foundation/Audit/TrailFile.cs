using System.IO.Compression;
using System.Security.Cryptography;

namespace ImageAccess.Proxy.Foundation.Audit;

/// <summary>
/// A file of the trail that is open for reading. It is known by its beginning, whatever its name is now: files are renamed when they are rotated, moved,
/// copied, and packed with gzip; one that was emptied and begun anew is another.
/// </summary>
internal sealed class TrailFile : IAsyncDisposable
{
    /// <summary>An event's id stands in the first 41 bytes, so no two files begin with the same line. A torn line may be shorter; then the next one counts too.</summary>
    private const int LeastBeginning = 64;

    private const int MostBeginning = TrailLines.MaximumLine;

    private readonly FileStream _file;
    private Stream _content;

    private TrailFile(FileStream file, bool isPacked)
    {
        (_file, IsPacked) = (file, isPacked);
        _content = Unpacked();
    }

    /// <summary>Packed with gzip; places are those of the unpacked content.</summary>
    public bool IsPacked { get; }

    /// <summary>As it lies on the disk.</summary>
    public long Length => _file.Length;

    /// <summary>How far it is read, as it lies on the disk.</summary>
    public long Position => _file.Position;

    /// <summary>What it is known by; null as long as it has no whole line.</summary>
    public string? Identity { get; private set; }

    /// <summary>The files of a trail, the oldest first.</summary>
    public static IReadOnlyList<string> AllOf(string trail)
    {
        var (directory, name) = (Path.GetDirectoryName(Path.GetFullPath(trail))!, Path.GetFileName(trail));
        return !Directory.Exists(directory) ? [] :
        [
            .. Directory.EnumerateFiles(directory, name + "*")
                .Select(path => (Number: NumberOf(Path.GetFileName(path)[name.Length..]), Path: path))
                .Where(file => file.Number >= 0)
                .OrderByDescending(file => file.Number)
                .Select(file => file.Path),
        ];
    }

    /// <exception cref="IOException">It cannot be read.</exception>
    /// <exception cref="InvalidDataException">It is packed, and damaged.</exception>
    public static async Task<TrailFile> OpenAsync(string path, CancellationToken cancellationToken)
    {
        var stream = new FileStream(path, new FileStreamOptions
        {
            Mode = FileMode.Open,
            Access = FileAccess.Read,
            Share = FileShare.ReadWrite | FileShare.Delete,
            Options = FileOptions.SequentialScan,
            BufferSize = 0,
        });
        try
        {
            var magic = new byte[2];
            var file = new TrailFile(stream, RandomAccess.Read(stream.SafeFileHandle, magic, 0) == 2 && magic is [0x1F, 0x8B]);
            file.Identity = await file.ReadIdentityAsync(cancellationToken);
            return file;
        }
        catch
        {
            await stream.DisposeAsync();
            throw;
        }
    }

    /// <summary>Its lines from a place, or from its beginning where no line begins at that place.</summary>
    public async Task<TrailLines> LinesFromAsync(long place, CancellationToken cancellationToken)
    {
        _file.Position = 0;
        _content = Unpacked();
        if (place > 0 && !await SkipAsync(place, cancellationToken))
        {
            place = 0;
            _file.Position = 0;
            _content = Unpacked();
        }

        return new TrailLines(_content, place);
    }

    public ValueTask DisposeAsync() => _file.DisposeAsync();

    /// <summary>0 for the trail itself, -1 for what is no file of it.</summary>
    private static int NumberOf(string suffix)
    {
        if (suffix.EndsWith(".gz", StringComparison.Ordinal))
            suffix = suffix[..^3];
        return suffix.Length == 0 ? 0 : RotatedFiles.NumberOf(suffix) is > 0 and var number ? number : -1;
    }

    private Stream Unpacked() => IsPacked ? new GZipStream(_file, CompressionMode.Decompress, leaveOpen: true) : _file;

    private async Task<string?> ReadIdentityAsync(CancellationToken cancellationToken)
    {
        var beginning = new byte[MostBeginning];
        var length = 0;
        while (length < beginning.Length)
        {
            var read = await _content.ReadAsync(beginning.AsMemory(length, Math.Min(4096, beginning.Length - length)), cancellationToken);
            length += read;
            var end = length < LeastBeginning ? -1 : Array.IndexOf(beginning, (byte)'\n', LeastBeginning, length - LeastBeginning);
            if (end >= 0)
                return Convert.ToHexStringLower(SHA256.HashData(beginning.AsSpan(0, end)));
            if (read == 0)
                return null;
        }

        return Convert.ToHexStringLower(SHA256.HashData(beginning));
    }

    /// <summary>False where the place is none, or no line ends before it: the file was cut.</summary>
    private async Task<bool> SkipAsync(long place, CancellationToken cancellationToken)
    {
        if (!IsPacked)
        {
            if (place > _file.Length)
                return false;
            _file.Position = place - 1;
        }

        var left = IsPacked ? place : 1;
        var buffer = new byte[64 * 1024];
        while (left > 0)
        {
            var read = await _content.ReadAsync(buffer.AsMemory(0, (int)Math.Min(left, buffer.Length)), cancellationToken);
            if (read == 0)
                return false;
            left -= read;
            if (left == 0)
                return buffer[read - 1] == '\n';
        }

        return true;
    }
}

/// <summary>One line of a file.</summary>
/// <param name="Bytes">Without its end; they are overwritten by the next one.</param>
/// <param name="IsTooLong">It has more bytes than any event, and none of them is here.</param>
internal readonly record struct TrailLine(ReadOnlyMemory<byte> Bytes, bool IsTooLong);

/// <summary>The whole lines of a file one by one, in bounded memory, however long one is.</summary>
internal sealed class TrailLines(Stream content, long place)
{
    /// <summary>The largest line in bytes; an event has a tenth of it.</summary>
    public const int MaximumLine = 64 * 1024;

    private readonly byte[] _buffer = new byte[4 * MaximumLine];
    private int _start;
    private int _end;
    private long _left;

    /// <summary>Where the line after the last one begins.</summary>
    public long Place { get; private set; } = place;

    /// <summary>Bytes that are no whole line yet.</summary>
    public long Rest => _left + _end - _start;

    /// <summary>What follows the last whole line, where all is read.</summary>
    public TrailLine Tail => new(_left == 0 ? _buffer.AsMemory(_start, _end - _start) : default, _left > 0);

    /// <summary>The next line; null where there is no other whole one for now.</summary>
    public async ValueTask<TrailLine?> ReadAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var rest = _buffer.AsMemory(_start, _end - _start);
            var length = rest.Span.IndexOf((byte)'\n');
            if (length >= 0)
            {
                var isTooLong = _left + length > MaximumLine;
                Place += _left + length + 1;
                (_start, _left) = (_start + length + 1, 0);
                return new TrailLine(isTooLong ? default : rest[..length], isTooLong);
            }

            if (rest.Length > MaximumLine)
            {
                _left += rest.Length;
                _start = _end;
            }

            if (_start > 0)
            {
                _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
                (_start, _end) = (0, _end - _start);
            }

            var read = await content.ReadAsync(_buffer.AsMemory(_end), cancellationToken);
            if (read == 0)
                return null;
            _end += read;
        }
    }
}
