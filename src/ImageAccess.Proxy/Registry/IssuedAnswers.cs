using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;
using System.Text.Json;
using ImageAccess.Proxy.Callers.Identity;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.Internal;

namespace ImageAccess.Proxy.Registry;

/// <summary>
/// Keeps the tokens that the token service has issued, for the time in which it cannot answer: who sends the same request in the same form
/// with the same secret gets the same token again. They are kept in memory only, up to a limit, by hashes under a key of this process.
/// Of an answer the registry token is kept and nothing else. A refresh token would outlive any outage by months, and a client does not
/// need one: without it <c>docker login</c> stores the password, which the token service accepted minutes ago.
/// </summary>
public sealed class IssuedAnswers(TimeProvider time) : IDisposable
{
    /// <summary>The limit for all tokens and what surrounds them.</summary>
    public const int MaximumBytes = 16 * 1024 * 1024;

    /// <summary>What an entry takes up beside its token, generously.</summary>
    internal const int Surroundings = 512;

    /// <summary>The share of the entries that goes when there is no room: those that were used longest ago.</summary>
    private const double Compaction = 0.05;

    /// <summary>A token is repeated only while it is valid for this long, so that its pull does not end in the middle.</summary>
    private static readonly TimeSpan LeastLeft = TimeSpan.FromSeconds(30);

    /// <summary>Docker Hub's tokens live for five minutes. A token that claims to live for years is not repeated for years.</summary>
    private static readonly TimeSpan MaximumAge = TimeSpan.FromHours(1);

    private readonly KeyedHash _hash = new();
    private readonly MemoryCache _tokens = new(new MemoryCacheOptions { SizeLimit = MaximumBytes, TrackStatistics = true, Clock = new Clock(time) });

    /// <summary>How many tokens are kept, and how many bytes they take up.</summary>
    internal (int Count, long Bytes) Size => (_tokens.Count, _tokens.GetCurrentStatistics()!.CurrentEstimatedSize ?? 0);

    public void Dispose() => _tokens.Dispose();

    /// <summary>Keeps a token that the token service has just issued for this request.</summary>
    internal void Remember(TokenRequest request, string token)
    {
        if (!TryFindPlace(request, out var place) || !RegistryToken.TryRead(token, organizations: null, out var read, out _))
            return;

        _tokens.Remove(place);
        var now = time.GetUtcNow();
        var end = read.Claims.ExpiresAt < now + MaximumAge ? read.Claims.ExpiresAt : now + MaximumAge;
        if (end - now < LeastLeft)
            return;

        var size = token.Length + Surroundings;
        if (Size.Bytes + size > MaximumBytes)
            _tokens.Compact(Compaction); // here and now: the cache itself would refuse this token, and make room in the background
        _tokens.Set(place, new IssuedToken(Encoding.ASCII.GetBytes(token), end), new MemoryCacheEntryOptions
        {
            Size = size,
            AbsoluteExpiration = end - LeastLeft + TimeSpan.FromTicks(1), // the cache's own end is the first moment that is too late
        });
    }

    /// <summary>The token that can be repeated, and the answer to repeat it in; null when there is none, or none that is valid for long enough.</summary>
    internal RepeatedAnswer? Find(TokenRequest request) => TryFindPlace(request, out var place) && _tokens.TryGetValue(place, out IssuedToken? issued)
        ? new RepeatedAnswer(Encoding.ASCII.GetString(issued!.Token), Write(issued, time.GetUtcNow()))
        : null;

    /// <summary>Forgets what the token service has refused; when it has refused the secret, everything that was issued for that secret.</summary>
    internal void Forget(TokenRequest request, bool withSecret)
    {
        if (TryFindPlace(request, out var refused))
            _tokens.Remove(refused);
        if (!withSecret)
            return;
        Fingerprint[] secrets = [.. request.Secrets().Select(Hash)];
        foreach (var place in _tokens.Keys.OfType<Place>().Where(place => place.Secret is { } secret && secrets.Contains(secret)))
            _tokens.Remove(place);
    }

    /// <summary>
    /// The place of a request with one secret, or of an anonymous one. A request with several secrets, or with credentials that cannot be
    /// read, has none and is not kept: a refusal of its secret could not find it. No real client sends one.
    /// </summary>
    private bool TryFindPlace(TokenRequest request, [NotNullWhen(true)] out Place? place)
    {
        var secrets = request.Secrets().ToList();
        place = secrets.Count == 1 ? new Place(HashOf(request), Hash(secrets[0]))
            : secrets.Count == 0 && request.Basic is null ? new Place(HashOf(request), null)
            : null;
        return place is not null;
    }

    private Fingerprint Hash(string secret) => _hash.Of(["secret", secret]);

    /// <summary>The hash of everything that the token service gets: form, parameters in their order, credentials.</summary>
    internal Fingerprint HashOf(TokenRequest request) => _hash.Of(
    [
        request.AsForm ? "form" : "query",
        request.Basic?.Parameter ?? "",
        .. request.Parameters.SelectMany(parameter => new[] { parameter.Key, parameter.Value }),
    ]);

    /// <summary>
    /// Writes the answer again, so that no client takes the token for valid longer than it is. Clients reckon in two ways: from
    /// <c>issued_at</c>, with <c>expires_in</c> raised to at least 60 (distribution, containers), or from now, whatever
    /// <c>issued_at</c> says (containerd). Both come to the token's own end.
    /// </summary>
    private static byte[] Write(IssuedToken entry, DateTimeOffset now)
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

    /// <summary>Where a token is kept.</summary>
    /// <param name="Request">The hash of its request, credentials included.</param>
    /// <param name="Secret">The hash of the secret alone; null for an anonymous request.</param>
    private sealed record Place(Fingerprint Request, Fingerprint? Secret);

    private sealed record IssuedToken(byte[] Token, DateTimeOffset ExpiresAt);

    private sealed class Clock(TimeProvider time) : ISystemClock
    {
        public DateTimeOffset UtcNow => time.GetUtcNow();
    }
}

/// <summary>A token that is issued once more.</summary>
internal sealed record RepeatedAnswer(string Token, ReadOnlyMemory<byte> Body);
