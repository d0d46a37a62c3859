using System.Buffers;
using System.IO.Compression;
using System.IO.Pipelines;
using ImageAccess.Proxy.Foundation.Audit;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary>
/// A file of CSV, packed with gzip or not, as what a reader of CSV can take in bounded memory: a line that is too long, or in which a quote opens that is not
/// closed soon, is an empty one. Line numbers stay.
/// </summary>
internal sealed class DockerUsageLines(FileStream file, Action<long, string> flawed)
{
    /// <summary>The largest record in bytes.</summary>
    public const int MaximumRecord = TrailLines.MaximumLine;

    /// <summary>The largest record of several lines: a stray quote takes no more of them with it.</summary>
    private const int MaximumOpen = 4096;

    private const long GiB = 1024L * 1024 * 1024;

    private readonly ArrayBufferWriter<byte> _open = new();
    private long _number;
    private long _openedAt;
    private int _firstLength;

    /// <summary>Once unpacked.</summary>
    public long MaximumSize { get; init; } = 16 * GiB;

    /// <exception cref="MisuseException">It is packed in another way, or is no file of text.</exception>
    public static FileStream Open(string path)
    {
        if (!File.Exists(path))
            throw new MisuseException($"{Verb.Shown(path)} does not exist, or is no file");
        return new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0, FileOptions.SequentialScan);
    }

    /// <summary>Writes the lines, to the end of the file or to a failure, which the reader then has.</summary>
    public async Task WriteAsync(PipeWriter writer, CancellationToken cancellationToken)
    {
        try
        {
            await WriteAllAsync(writer, cancellationToken);
            await writer.CompleteAsync();
        }
        catch (Exception exception)
        {
            await writer.CompleteAsync(exception);
        }
    }

    private async Task WriteAllAsync(PipeWriter writer, CancellationToken cancellationToken)
    {
        var magic = new byte[2];
        var length = RandomAccess.Read(file.SafeFileHandle, magic, 0);
        if (length == 2 && magic is [(byte)'P', (byte)'K'])
            throw new MisuseException($"{Verb.Shown(file.Name)} is a zip archive: unpack it first");
        await using var unpacked = length == 2 && magic is [0x1F, 0x8B] ? new GZipStream(file, CompressionMode.Decompress, leaveOpen: true) : null;
        var lines = new TrailLines((Stream?)unpacked ?? file, 0);
        while (await lines.ReadAsync(cancellationToken) is { } line)
        {
            if (lines.Place > MaximumSize)
                throw new MisuseException($"{Verb.Shown(file.Name)} has more than {MaximumSize / GiB} GiB, unpacked: split it");
            Take(line, writer, "\n"u8);
            if (writer.UnflushedBytes > MaximumRecord && (await writer.FlushAsync(cancellationToken)).IsCompleted)
                return;
        }

        if (lines.Rest > 0)
            Take(lines.Tail, writer, []);
        GiveUp(writer);
    }

    private void Take(TrailLine line, PipeWriter writer, ReadOnlySpan<byte> end)
    {
        _number++;
        if (line.IsTooLong || line.Bytes.Length + _open.WrittenCount > MaximumOpen)
            GiveUp(writer);
        if (line.IsTooLong)
        {
            flawed(_number, "is too long");
            writer.Write("\n"u8);
            return;
        }

        var closes = line.Bytes.Span.Count((byte)'"') % 2 == 1;
        if (_open.WrittenCount == 0 && !closes)
        {
            writer.Write(line.Bytes.Span);
            writer.Write(end);
            return;
        }

        _open.Write(line.Bytes.Span);
        _open.Write(end);
        if (_open.WrittenCount == line.Bytes.Length + end.Length)
        {
            (_openedAt, _firstLength) = (_number, _open.WrittenCount);
        }
        else if (closes)
        {
            writer.Write(_open.WrittenSpan);
            _open.ResetWrittenCount();
        }
    }

    /// <summary>The line whose quote is not closed is none; those after it have all theirs closed.</summary>
    private void GiveUp(PipeWriter writer)
    {
        if (_open.WrittenCount == 0)
            return;
        flawed(_openedAt, "has a quote that is not closed");
        writer.Write("\n"u8);
        writer.Write(_open.WrittenSpan[_firstLength..]);
        _open.ResetWrittenCount();
    }
}
