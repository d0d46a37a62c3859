using System.Buffers;
using System.Buffers.Binary;
using System.Buffers.Text;
using System.Globalization;
using System.Numerics;
using System.Text;
using ImageAccess.Core.Oci;

namespace ImageAccess.Proxy.Content.Cache;

/// <summary>
/// A change of links or tags. It is written as its kind, its fields and a checksum (CRC-32C), separated by tabs, in printable ASCII.
/// What does not fit is not written; what cannot be read is skipped.
/// </summary>
internal abstract record JournalLine
{
    /// <summary>In bytes, with the line's end.</summary>
    public const int MaximumLength = 4096;

    private const int MaximumField = 1024;

    /// <summary>Whether a text can be a field.</summary>
    public static bool IsField(string text) => text.Length <= MaximumField && !text.AsSpan().ContainsAnyExceptInRange(' ', '~');

    public static void Write(ArrayBufferWriter<byte> lines, JournalLine line)
    {
        var text = line switch
        {
            LinkLine { SeenAt: { } seenAt } link => string.Create(CultureInfo.InvariantCulture,
                $"link\t{link.Repository}\t{link.Digest}\t{link.MediaType}\t{seenAt.ToUnixTimeMilliseconds()}\t"),
            LinkLine link => $"link\t{link.Repository}\t{link.Digest}\t{link.MediaType}\t",
            TagLine tag => string.Create(CultureInfo.InvariantCulture,
                $"tag\t{tag.Repository}\t{tag.Tag}\t{tag.Known.Digest}\t{tag.Known.SeenAt.ToUnixTimeMilliseconds()}\t{tag.Accept}\t"),
            ForgottenTagLine tag => $"forget\t{tag.Repository}\t{tag.Tag}\t",
            UnlinkLine link => $"unlink\t{link.Repository}\t{link.Digest}\t",
            ForgottenRepositoryLine gone => $"forgotten\t{gone.Repository}\t",
            EvictedLine evicted => $"evicted\t{evicted.Digest}\t",
            _ => throw new ArgumentOutOfRangeException(nameof(line)),
        };
        var bytes = lines.GetSpan(text.Length + 9);
        var length = Encoding.ASCII.GetBytes(text, bytes);
        Utf8Formatter.TryFormat(Checksum(bytes[..length]), bytes[length..], out _, new StandardFormat('x', 8));
        bytes[length + 8] = (byte)'\n';
        lines.Advance(length + 9);
    }

    /// <param name="line">Without its end.</param>
    /// <param name="names">Names that were read before, so that equal names share one object.</param>
    /// <returns>Null where the line was not written by this class, or is damaged.</returns>
    public static JournalLine? Read(ReadOnlySpan<byte> line, Dictionary<string, RepositoryName> names)
    {
        if (line.Length < 9
            || !Utf8Parser.TryParse(line[^8..], out uint checksum, out var used, 'x') || used != 8
            || line[^9] != '\t' || checksum != Checksum(line[..^8]))
            return null;

        var fields = Encoding.ASCII.GetString(line[..^9]).Split('\t');
        switch (fields)
        {
            case ["link", var repository, var digest, var mediaType]
                when Name(repository, names) is { } name && Digest.TryParse(digest, out var linked):
                return new LinkLine(name, linked, mediaType.Length == 0 ? null : mediaType, null);
            case ["link", var repository, var digest, var mediaType, var seenAt]
                when Name(repository, names) is { } name && Digest.TryParse(digest, out var linked) && Time(seenAt) is { } time:
                return new LinkLine(name, linked, mediaType.Length == 0 ? null : mediaType, time);
            case ["tag", var repository, var tag, var digest, var seenAt, var accept]
                when Name(repository, names) is { } name && Tag.TryParse(tag, out var known) && Digest.TryParse(digest, out var last)
                    && Time(seenAt) is { } time:
                return new TagLine(name, known.Value, accept, new KnownTag(last, time));
            case ["forget", var repository, var tag] when Name(repository, names) is { } name && Tag.TryParse(tag, out var known):
                return new ForgottenTagLine(name, known.Value);
            case ["unlink", var repository, var digest] when Name(repository, names) is { } name && Digest.TryParse(digest, out var unlinked):
                return new UnlinkLine(name, unlinked);
            case ["forgotten", var repository] when Name(repository, names) is { } name:
                return new ForgottenRepositoryLine(name);
            case ["evicted", var digest] when Digest.TryParse(digest, out var gone):
                return new EvictedLine(gone);
            default:
                return null;
        }
    }

    private static DateTimeOffset? Time(string text) =>
        long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var time) && time < 253_402_300_800_000
            ? DateTimeOffset.FromUnixTimeMilliseconds(time)
            : null;

    private static RepositoryName? Name(string text, Dictionary<string, RepositoryName> names)
    {
        if (!names.TryGetValue(text, out var name) && RepositoryName.TryParse(text, out name) && name.Value == text)
            names[text] = name;
        return name?.Value == text ? name : null;
    }

    private static uint Checksum(ReadOnlySpan<byte> bytes)
    {
        var checksum = uint.MaxValue;
        for (; bytes.Length >= sizeof(ulong); bytes = bytes[sizeof(ulong)..])
            checksum = BitOperations.Crc32C(checksum, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
        foreach (var b in bytes)
            checksum = BitOperations.Crc32C(checksum, b);
        return ~checksum;
    }
}

/// <param name="SeenAt">When upstream last answered; null in lines of versions that did not write it.</param>
internal sealed record LinkLine(RepositoryName Repository, Digest Digest, string? MediaType, DateTimeOffset? SeenAt) : JournalLine;

internal sealed record UnlinkLine(RepositoryName Repository, Digest Digest) : JournalLine;

internal sealed record TagLine(RepositoryName Repository, string Tag, string Accept, KnownTag Known) : JournalLine;

internal sealed record ForgottenTagLine(RepositoryName Repository, string Tag) : JournalLine;

internal sealed record ForgottenRepositoryLine(RepositoryName Repository) : JournalLine;

internal sealed record EvictedLine(Digest Digest) : JournalLine;
