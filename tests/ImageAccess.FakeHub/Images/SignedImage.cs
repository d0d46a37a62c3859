using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace ImageAccess.FakeHubs;

/// <summary>
/// An image of schema 1 as Docker Hub still has some: the manifest carries its own signatures, and its digest is that of what was signed. The
/// signatures are good, by keys that are in them (libtrust's "pretty" JSON web signature).
/// </summary>
public sealed class SignedImage
{
    public const string MediaType = "application/vnd.docker.distribution.manifest.v1+prettyjws";

    private const string Tail = "\n}";

    private SignedImage(string payload, byte[] manifest) => (Payload, Manifest) = (payload, manifest);

    /// <summary>What was signed.</summary>
    public string Payload { get; }

    public byte[] Manifest { get; }

    public string Digest => FakeRegistry.DigestOf(Encoding.UTF8.GetBytes(Payload));

    /// <param name="name">The repository that the manifest names.</param>
    /// <param name="tag">The tag that it names.</param>
    /// <param name="layers">Digests of the layers, the lowest first.</param>
    /// <param name="signatures">How often it is signed.</param>
    public static SignedImage Of(string name, string tag, IReadOnlyList<string> layers, int signatures = 1)
    {
        var manifest = new JsonObject
        {
            ["schemaVersion"] = 1,
            ["name"] = name,
            ["tag"] = tag,
            ["architecture"] = "amd64",
            ["fsLayers"] = new JsonArray([.. layers.Reverse().Select(layer => new JsonObject { ["blobSum"] = layer })]),
            ["history"] = new JsonArray([.. Enumerable.Range(0, layers.Count).Reverse().Select(at => new JsonObject { ["v1Compatibility"] = History(at) })]),
        };
        return Sign(manifest.ToJsonString(new JsonSerializerOptions(Answers.Json) { WriteIndented = true, IndentSize = 3 }), signatures);
    }

    /// <param name="payload">A JSON object whose last brace is on a line of its own.</param>
    /// <param name="signatures">How often it is signed.</param>
    /// <param name="shape">Changes what each signature says of the payload.</param>
    public static SignedImage Sign(string payload, int signatures = 1, Action<int, JsonObject>? shape = null)
    {
        var blocks = new JsonArray();
        for (var at = 0; at < signatures; at++)
        {
            var says = new JsonObject { ["formatLength"] = payload.Length - Tail.Length, ["formatTail"] = Encode(Encoding.ASCII.GetBytes(Tail)), ["time"] = "2015-11-03T22:14:59Z" };
            shape?.Invoke(at, says);
            blocks.Add(Block(payload, says.ToJsonString(Answers.Json)));
        }

        var text = $"{payload[..^Tail.Length]},\n   \"signatures\": {blocks.ToJsonString(Answers.Json)}{Tail}";
        return new SignedImage(payload, Encoding.UTF8.GetBytes(text));
    }

    private static JsonObject Block(string payload, string says)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var point = key.ExportParameters(includePrivateParameters: false).Q;
        var header = Encode(Encoding.UTF8.GetBytes(says));
        var signature = key.SignData(Encoding.ASCII.GetBytes($"{header}.{Encode(Encoding.UTF8.GetBytes(payload))}"), HashAlgorithmName.SHA256);
        return new JsonObject
        {
            ["header"] = new JsonObject
            {
                ["jwk"] = new JsonObject { ["crv"] = "P-256", ["kid"] = KeyId(key), ["kty"] = "EC", ["x"] = Encode(point.X!), ["y"] = Encode(point.Y!) },
                ["alg"] = "ES256",
            },
            ["signature"] = Encode(signature),
            ["protected"] = header,
        };
    }

    /// <summary>libtrust's name of a key: the first 240 bits of its hash in Base32, in groups of four.</summary>
    private static string KeyId(ECDsa key)
    {
        const string Letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        var hash = SHA256.HashData(key.ExportSubjectPublicKeyInfo());
        var letters = Enumerable.Range(0, 48).Select(at => Letters[(((hash[at * 5 / 8] << 8) | hash[(at * 5 / 8) + 1]) >> (11 - (at * 5 % 8))) & 31]);
        return string.Join(':', letters.Chunk(4).Select(group => new string(group)));
    }

    private static string History(int at)
    {
        var history = new JsonObject
        {
            ["id"] = IdOf(at),
            ["created"] = "2015-11-03T22:14:59Z",
            ["architecture"] = "amd64",
            ["os"] = "linux",
            ["config"] = new JsonObject { ["Cmd"] = new JsonArray("/hello") },
            ["container_config"] = new JsonObject { ["Cmd"] = new JsonArray("/bin/sh", "-c", "#(nop) COPY . /") },
        };
        if (at > 0)
            history["parent"] = IdOf(at - 1);
        return history.ToJsonString(Answers.Json);
    }

    private static string IdOf(int at) => Convert.ToHexStringLower(SHA256.HashData([(byte)at]));

    private static string Encode(ReadOnlySpan<byte> bytes) => Base64Url.EncodeToString(bytes);
}
