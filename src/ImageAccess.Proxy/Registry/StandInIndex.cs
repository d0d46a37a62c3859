using System.Buffers;
using System.Security.Cryptography;
using System.Text.Json;

namespace ImageAccess.Proxy.Registry;

/// <summary>
/// A valid index in the place of a denied manifest. Its only image does not exist: the client asks for that, and this is denied with the
/// message. A client that asks for the index alone finds the message in it.
/// </summary>
internal sealed class StandInIndex
{
    public const string MediaType = "application/vnd.oci.image.index.v1+json";

    /// <summary>The annotation that has the message.</summary>
    public const string Annotation = "io.imageaccess.denied";

    /// <param name="image">The digest of its image, which no content has.</param>
    /// <param name="message">What its annotation says.</param>
    /// <param name="decisionId">In an annotation too; by this only denials that are merged have the same content.</param>
    public StandInIndex(string image, string message, string decisionId)
    {
        var buffer = new ArrayBufferWriter<byte>(1024);
        using (var json = new Utf8JsonWriter(buffer))
            Write(json, image, message.AsSpan(0, Math.Min(message.Length, RegistryWarning.MaximumText)), decisionId);
        Bytes = buffer.WrittenMemory;
    }

    public ReadOnlyMemory<byte> Bytes { get; }

    public string Digest => $"sha256:{Convert.ToHexStringLower(SHA256.HashData(Bytes.Span))}";

    /// <summary>The image has no platform: every client takes it for its own.</summary>
    private static void Write(Utf8JsonWriter json, string image, ReadOnlySpan<char> message, string decisionId)
    {
        json.WriteStartObject();
        json.WriteNumber("schemaVersion"u8, 2);
        json.WriteString("mediaType"u8, MediaType);
        json.WriteStartArray("manifests"u8);
        json.WriteStartObject();
        json.WriteString("mediaType"u8, "application/vnd.oci.image.manifest.v1+json"u8);
        json.WriteString("digest"u8, image);
        json.WriteNumber("size"u8, 512);
        json.WriteEndObject();
        json.WriteEndArray();
        json.WriteStartObject("annotations"u8);
        json.WriteString(Annotation, message);
        json.WriteString("io.imageaccess.decision"u8, decisionId);
        json.WriteEndObject();
        json.WriteEndObject();
    }
}
