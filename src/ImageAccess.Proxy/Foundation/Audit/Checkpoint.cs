using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace ImageAccess.Proxy.Foundation.Audit;

/// <summary>
/// A signed line of the trail's own: it vouches for all lines before it. One stands at the beginning of each file, at the end of each that was rotated, at
/// each start of the program and before the first event of each day (UTC). The signature is over the line as far as it.
/// </summary>
internal static class Checkpoint
{
    private const int MaximumLine = 1024;

    private static ReadOnlySpan<byte> EventName => ",\"event\":\"checkpoint\",\"lines\":"u8;

    private static ReadOnlySpan<byte> SignatureName => ",\"signature\":\""u8;

    /// <summary>More than one has with its place in the chain.</summary>
    public const int Length = 512;

    public static ChainLink Write(ChainLink last, DateTimeOffset time, AuditKey key, IBufferWriter<byte> output)
    {
        var signed = Encoding.ASCII.GetBytes(string.Create(
            CultureInfo.InvariantCulture,
            $$"""{"id":"{{AuditEntry.NewId()}}","time":"{{time.UtcDateTime:yyyy-MM-dd'T'HH:mm:ss.fff'Z'}}","event":"checkpoint","lines":{{last.Sequence}},"previous":"{{last.Hash}}","key":"{{key.Id}}"}""")[..^1]);
        byte[] line = [.. signed, .. SignatureName, .. Encoding.ASCII.GetBytes(Convert.ToBase64String(key.Sign(signed))), .. "\"}"u8];
        return ChainedLine.Write(line, last, output);
    }

    public static bool Is(ReadOnlySpan<byte> line) => line.Length <= MaximumLine && line.IndexOf(EventName) >= 0;

    /// <summary>What it says that it follows, and by which key; null where it is none.</summary>
    public static SignedLink? TryRead(ReadOnlySpan<byte> line)
    {
        if (!Is(line) || line.IndexOf(SignatureName) is not (> 0 and var end))
            return null;
        try
        {
            var reader = new Utf8JsonReader(line);
            using var json = JsonDocument.ParseValue(ref reader);
            var root = json.RootElement;
            return new SignedLink(
                new ChainLink(root.GetProperty("lines").GetInt64(), root.GetProperty("previous").GetString() ?? ""),
                root.GetProperty("time").GetString() ?? "",
                root.GetProperty("key").GetString() ?? "",
                line[..end].ToArray(),
                root.GetProperty("signature").GetBytesFromBase64());
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or FormatException or KeyNotFoundException)
        {
            return null;
        }
    }
}

/// <param name="Link">All lines that are vouched for.</param>
/// <param name="Time">When.</param>
/// <param name="Key">The key's id.</param>
/// <param name="Content">What was signed.</param>
/// <param name="Signature">In DER.</param>
internal sealed record SignedLink(ChainLink Link, string Time, string Key, byte[] Content, byte[] Signature);
