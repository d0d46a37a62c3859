using System.Text.Json;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Callers.Identity;

/// <summary>
/// The learnt keys on disk, for a start while the token service cannot be asked. They are public and nothing to hide, but whoever
/// writes this file says who signs tokens: the data directory is trusted with it as it is with the policy.
/// </summary>
internal sealed class KeptKeys(string dataDirectory, Uri tokenService)
{
    private const int MaximumSize = 64 * 1024;

    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
        WriteIndented = true,
    };

    public string Path { get; } = System.IO.Path.Combine(dataDirectory, "token-keys.json");

    /// <summary>What was kept of this token service, the newest first; nothing where it is another's, or there is no file.</summary>
    /// <exception cref="IOException">It cannot be read, or is not what was written.</exception>
    public IReadOnlyList<KnownKey> Read()
    {
        var reading = new WholeFile(Path, MaximumSize).Read();
        if (reading.IsMissing)
            return [];
        var bytes = reading.Bytes ?? throw new IOException($"it {reading.Failure}");
        try
        {
            var kept = JsonSerializer.Deserialize<Document>(bytes.Span, Json) ?? throw new IOException("it holds nothing");
            return kept.TokenService == tokenService.AbsoluteUri ? [.. kept.Keys.Select(Parse)] : [];
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new IOException("it is not what was written", e);
        }
    }

    /// <exception cref="IOException">It could not be written.</exception>
    public void Write(KeySet keys)
    {
        var known = keys.Known.Select(k => new Key(k.Key.SubjectPublicKeyInfo, k.GoodUntil == DateTimeOffset.MaxValue ? null : k.GoodUntil));
        AtomicFile.Write(Path, JsonSerializer.SerializeToUtf8Bytes(new Document(tokenService.AbsoluteUri, [.. known]), Json));
    }

    private static KnownKey Parse(Key? kept) => kept is not null && TokenKey.TryFromSubjectPublicKeyInfo(kept.PublicKey, out var key)
        ? new KnownKey(key, kept.GoodUntil ?? DateTimeOffset.MaxValue)
        : throw new IOException("it holds what is no public key of RSA (2048 to 8192 bits) or P-256");

    private sealed record Document(string TokenService, IReadOnlyList<Key> Keys);

    /// <param name="PublicKey">The subject public key info.</param>
    /// <param name="GoodUntil">Null for what the token service signs with.</param>
    private sealed record Key(byte[] PublicKey, DateTimeOffset? GoodUntil);
}
