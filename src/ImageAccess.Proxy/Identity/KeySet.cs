namespace ImageAccess.Proxy.Identity;

/// <summary>
/// The keys that are good, the newest first, and what tokens verified with them said. Another key makes another set with an
/// empty memory, so nothing outlives the keys it was believed for.
/// </summary>
internal sealed class KeySet
{
    /// <summary>How long a key stays good after the token service has begun to sign with another.</summary>
    public static readonly TimeSpan Grace = TimeSpan.FromHours(1);

    private const int MaximumKeys = 4;
    private const int MaximumRemembered = 10_000;

    private readonly IReadOnlyList<Known> _known;

    private KeySet(IReadOnlyList<Known> known, TokenMemory<Identification.Verified> remembered)
    {
        _known = known;
        Remembered = remembered;
    }

    public TokenMemory<Identification.Verified> Remembered { get; }

    public bool IsEmpty => _known.Count == 0;

    public static KeySet Of(IEnumerable<TokenKey> keys) =>
        new([.. keys.Select(k => new Known(k, DateTimeOffset.MaxValue))], new TokenMemory<Identification.Verified>(MaximumRemembered));

    public IReadOnlyList<TokenKey> GoodAt(DateTimeOffset now) => [.. _known.Where(k => now < k.GoodUntil).Select(k => k.Key)];

    public DateTimeOffset GoodUntil(TokenKey key) => _known.Single(k => k.Key == key).GoodUntil;

    /// <summary>The set after the token service has vouched for a key: this one, if it is the newest already.</summary>
    public KeySet Vouch(TokenKey key, DateTimeOffset now)
    {
        if (_known.Count > 0 && _known[0].Key.Fingerprint == key.Fingerprint)
            return this;

        var good = _known.Where(k => now < k.GoodUntil).ToList();
        var again = good.Find(k => k.Key.Fingerprint == key.Fingerprint);
        List<Known> next =
        [
            new Known(again?.Key ?? key, DateTimeOffset.MaxValue),
            .. good.Where(k => k != again).Select(k => k with { GoodUntil = Earlier(k.GoodUntil, now + Grace) }).Take(MaximumKeys - 1),
        ];
        return new KeySet(next, again is null ? new TokenMemory<Identification.Verified>(MaximumRemembered) : Remembered);
    }

    private static DateTimeOffset Earlier(DateTimeOffset a, DateTimeOffset b) => a < b ? a : b;

    private sealed record Known(TokenKey Key, DateTimeOffset GoodUntil);
}
