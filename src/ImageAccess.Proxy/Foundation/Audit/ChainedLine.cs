using System.Buffers;
using System.Buffers.Text;
using System.Text;

namespace ImageAccess.Proxy.Foundation.Audit;

/// <summary>A line that has its place in a chain: it ends with <c>"seq":12,"chain":"…"}</c>.</summary>
internal static class ChainedLine
{
    /// <summary>More than what is added to a line.</summary>
    public const int Overhead = 112;

    private static ReadOnlySpan<byte> SequenceName => ",\"seq\":"u8;

    private static ReadOnlySpan<byte> ChainName => ",\"chain\":\""u8;

    private static int EndLength => ChainName.Length + ChainLink.HashLength + 2;

    /// <summary>Writes an event with its place, and its end.</summary>
    /// <param name="json">An object.</param>
    /// <param name="last">What it follows.</param>
    /// <param name="output">Where it is written.</param>
    public static ChainLink Write(ReadOnlySpan<byte> json, ChainLink last, IBufferWriter<byte> output)
    {
        var sequence = last.Sequence + 1;
        Span<byte> number = stackalloc byte[20];
        Utf8Formatter.TryFormat(sequence, number, out var digits);
        var length = json.Length + SequenceName.Length + digits;
        var line = output.GetSpan(length + EndLength + 1);
        json[..^1].CopyTo(line);
        SequenceName.CopyTo(line[(json.Length - 1)..]);
        number[..digits].CopyTo(line[(json.Length - 1 + SequenceName.Length)..]);
        line[length - 1] = (byte)'}';
        var hash = last.Follow(line[..length]);
        ChainName.CopyTo(line[(length - 1)..]);
        var at = length - 1 + ChainName.Length;
        at += Encoding.ASCII.GetBytes(hash, line[at..]);
        "\"}\n"u8.CopyTo(line[at..]);
        output.Advance(at + 3);
        return new ChainLink(sequence, hash);
    }

    /// <summary>Its place as it says itself, and the line that is hashed.</summary>
    public static bool TryParse(ReadOnlySpan<byte> line, out ChainLink link, out byte[] hashed)
    {
        (link, hashed) = (default, []);
        if (line.Length <= EndLength || !line[^EndLength..].StartsWith(ChainName) || !line.EndsWith("\"}"u8))
            return false;
        var hash = line[^(ChainLink.HashLength + 2)..^2];
        var before = line[..^EndLength];
        var name = before.LastIndexOf(SequenceName);
        if (hash.ContainsAnyExcept(SearchHex) || name < 0)
            return false;
        var digits = before[(name + SequenceName.Length)..];
        if (!Utf8Parser.TryParse(digits, out long sequence, out var used) || used != digits.Length || sequence < 1 || digits[0] is (byte)'0' or (byte)'+')
            return false;
        link = new ChainLink(sequence, Encoding.ASCII.GetString(hash));
        hashed = [.. before, (byte)'}'];
        return true;
    }

    private static readonly SearchValues<byte> SearchHex = SearchValues.Create("0123456789abcdef"u8);
}
