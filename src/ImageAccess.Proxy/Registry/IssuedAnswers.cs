using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using ImageAccess.Proxy.Callers.Identity;

namespace ImageAccess.Proxy.Registry;

/// <summary>
/// What the token service has issued, for the time in which it cannot answer: whoever proves himself with the same secret and asks for
/// the same in the same form gets the same token again. In memory alone, of limited size, by hashes under a key of this process.
/// A token is kept and nothing else of its answer. A refresh token would outlive any outage by months, and who asks for one can do
/// without: <c>docker login</c> then keeps what was typed, which is what the token service accepted minutes ago.
/// </summary>
public sealed class IssuedAnswers(TimeProvider time)
{
    public const int MaximumCount = 10_000;

    /// <summary>Of all tokens with what surrounds them.</summary>
    public const int MaximumBytes = 16 * 1024 * 1024;

    /// <summary>What an entry takes up beside its token, generously.</summary>
    internal const int Surroundings = 512;

    /// <summary>What a token must still be good for, or its pull would end in the middle.</summary>
    private static readonly TimeSpan LeastLeft = TimeSpan.FromSeconds(30);

    /// <summary>Docker Hub's tokens live for five minutes. One that says it lives for years is not repeated for years.</summary>
    private static readonly TimeSpan MaximumAge = TimeSpan.FromHours(1);

    private readonly byte[] _key = RandomNumberGenerator.GetBytes(32);
    private readonly Lock _gate = new();
    private readonly Dictionary<Fingerprint, LinkedListNode<Entry>> _entries = [];
    private readonly LinkedList<Entry> _byAge = [];
    private int _bytes;

    /// <summary>How many are kept, and what they measure.</summary>
    internal (int Count, int Bytes) Size
    {
        get
        {
            lock (_gate)
                return (_entries.Count, _bytes);
        }
    }

    /// <summary>Keeps a token that the token service has just given for this.</summary>
    internal void Remember(TokenRequest request, string token)
    {
        if (!TryFindSecret(request, out var secret) || !RegistryToken.TryRead(token, organizations: null, out var read, out _))
            return;

        var now = time.GetUtcNow();
        var end = read.Claims.ExpiresAt < now + MaximumAge ? read.Claims.ExpiresAt : now + MaximumAge;
        var entry = new Entry(HashOf(request), secret, Encoding.ASCII.GetBytes(token), end);
        lock (_gate)
        {
            Remove(entry.Request);
            if (!entry.IsGoodAt(now))
                return;
            _entries.Add(entry.Request, _byAge.AddLast(entry));
            _bytes += entry.Size;
            while (_entries.Count > MaximumCount || _bytes > MaximumBytes || !_byAge.First!.Value.IsGoodAt(now))
                Remove(_byAge.First!.Value.Request);
        }
    }

    /// <summary>The token that can be repeated, and the answer to repeat it in; null where there is none, or not for long enough.</summary>
    internal RepeatedAnswer? Find(TokenRequest request)
    {
        var hash = HashOf(request);
        var now = time.GetUtcNow();
        lock (_gate)
        {
            if (!_entries.TryGetValue(hash, out var node))
                return null;
            if (node.Value.IsGoodAt(now))
                return new RepeatedAnswer(Encoding.ASCII.GetString(node.Value.Token), Write(node.Value, now));
            Remove(hash);
            return null;
        }
    }

    /// <summary>The token service has refused this; where it has refused the secret, everything that was given for that goes.</summary>
    internal void Forget(TokenRequest request, bool withSecret)
    {
        var hash = HashOf(request);
        Fingerprint[] secrets = withSecret ? [.. request.Secrets().Select(Hash)] : [];
        lock (_gate)
        {
            Remove(hash);
            if (secrets.Length == 0)
                return;
            for (var node = _byAge.First; node is not null;)
            {
                var entry = node.Value;
                node = node.Next;
                if (entry.Secret is { } secret && secrets.Contains(secret))
                    Remove(entry.Request);
            }
        }
    }

    private void Remove(in Fingerprint request)
    {
        if (!_entries.Remove(request, out var node))
            return;
        _byAge.Remove(node);
        _bytes -= node.Value.Size;
    }

    /// <summary>
    /// The one secret, or none of an anonymous request. What has several, or credentials that cannot be read, is nobody's way of asking;
    /// it is not kept, because a refusal of the secret could not find it.
    /// </summary>
    private bool TryFindSecret(TokenRequest request, out Fingerprint? secret)
    {
        var secrets = request.Secrets().ToList();
        secret = secrets.Count == 1 ? Hash(secrets[0]) : null;
        return secrets.Count == 1 || (secrets.Count == 0 && request.Basic is null);
    }

    private Fingerprint Hash(string secret) => Hash(["secret", secret]);

    /// <summary>Of everything that the token service is told: form, parameters in their order, credentials.</summary>
    internal Fingerprint HashOf(TokenRequest request) => Hash(
    [
        request.AsForm ? "form" : "query",
        request.Basic?.Parameter ?? "",
        .. request.Parameters.SelectMany(parameter => new[] { parameter.Key, parameter.Value }),
    ]);

    /// <summary>Each part with its length before it: no two lists make the same bytes.</summary>
    private Fingerprint Hash(IEnumerable<string> parts)
    {
        using var hash = IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, _key);
        Span<byte> length = stackalloc byte[sizeof(int)];
        foreach (var part in parts)
        {
            var bytes = Encoding.UTF8.GetBytes(part);
            BinaryPrimitives.WriteInt32BigEndian(length, bytes.Length);
            hash.AppendData(length);
            hash.AppendData(bytes);
        }

        return Fingerprint.Of(hash.GetHashAndReset());
    }

    /// <summary>
    /// The answer anew, so that no client believes in the token for longer than it is good. Clients reckon in two ways: from
    /// <c>issued_at</c>, and then with <c>expires_in</c> raised to 60 (distribution, containers), or from now, whatever
    /// <c>issued_at</c> says (containerd). Both come to the token's own end.
    /// </summary>
    private static byte[] Write(Entry entry, DateTimeOffset now)
    {
        var left = (long)(entry.ExpiresAt - now).TotalSeconds;
        var issued = entry.ExpiresAt.AddSeconds(-Math.Max(left, 60));
        var buffer = new ArrayBufferWriter<byte>(2 * entry.Token.Length + 128);
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteString("token"u8, entry.Token);
            json.WriteString("access_token"u8, entry.Token);
            json.WriteNumber("expires_in"u8, left);
            json.WriteString("issued_at"u8, issued.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture));
            json.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }

    private sealed record Entry(Fingerprint Request, Fingerprint? Secret, byte[] Token, DateTimeOffset ExpiresAt)
    {
        public int Size => Token.Length + Surroundings;

        public bool IsGoodAt(DateTimeOffset now) => ExpiresAt - now >= LeastLeft;
    }
}

/// <summary>A token that is given once more.</summary>
internal sealed record RepeatedAnswer(string Token, ReadOnlyMemory<byte> Body);
