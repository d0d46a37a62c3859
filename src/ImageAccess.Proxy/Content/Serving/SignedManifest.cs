using System.Buffers.Text;
using System.Text.Json;

namespace ImageAccess.Proxy.Content.Serving;

/// <summary>
/// A manifest of schema 1 with its signatures (distribution, "Image Manifest Version 2, Schema 1"). Its digest is that of the payload, the
/// manifest before it was signed. Each signature says how to get it back: the first <c>formatLength</c> bytes, then <c>formatTail</c>.
/// </summary>
internal static class SignedManifest
{
    private const string Signatures = "signatures";

    public static bool IsOf(string mediaType) => mediaType is
        "application/vnd.docker.distribution.manifest.v1+prettyjws" or "application/vnd.docker.distribution.manifest.v1+json" or "application/json";

    /// <summary>
    /// What was signed; null where this is no such manifest, or its signatures do not agree on it. The manifest must be the payload with its
    /// signatures added and nothing else: clients read the manifest, and the digest speaks for the payload alone.
    /// </summary>
    public static byte[]? PayloadOf(ReadOnlyMemory<byte> manifest)
    {
        try
        {
            using var json = JsonDocument.Parse(manifest);
            var formats = json.RootElement.GetProperty(Signatures).EnumerateArray().Select(FormatOf).ToList();
            var (length, tail) = formats[0];
            byte[] payload = [.. manifest.Span[..length], .. tail];
            return formats.TrueForAll(format => format.Length == length && format.Tail.AsSpan().SequenceEqual(tail))
                && manifest.Span.EndsWith(tail) && AreSignatures(manifest.Span[length..^tail.Length]) && IsUnsigned(payload)
                ? payload
                : null;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or KeyNotFoundException or FormatException or ArgumentException)
        {
            return null;
        }
    }

    /// <summary>Whether what was added is one member, the signatures.</summary>
    private static bool AreSignatures(ReadOnlySpan<byte> added)
    {
        added = added.TrimStart(" \t\r\n"u8);
        if (!added.StartsWith(","u8))
            return false;
        using var json = JsonDocument.Parse((byte[])[(byte)'{', .. added[1..], (byte)'}']);
        return json.RootElement.EnumerateObject().Select(member => member.Name).SequenceEqual([Signatures]);
    }

    private static bool IsUnsigned(byte[] payload)
    {
        using var json = JsonDocument.Parse(payload);
        return json.RootElement.GetProperty("schemaVersion").GetInt32() == 1 && !json.RootElement.TryGetProperty(Signatures, out _);
    }

    private static (int Length, byte[] Tail) FormatOf(JsonElement signature)
    {
        using var header = JsonDocument.Parse(Decode(signature.GetProperty("protected")));
        return (header.RootElement.GetProperty("formatLength").GetInt32(), Decode(header.RootElement.GetProperty("formatTail")));
    }

    private static byte[] Decode(JsonElement text) => Base64Url.DecodeFromChars(text.GetString());
}
