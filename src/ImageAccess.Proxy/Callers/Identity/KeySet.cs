namespace ImageAccess.Proxy.Callers.Identity;

/// <summary>
/// The keys that are good, the newest first, and the tokens that were verified with them. Another key makes another set with an
/// empty memory, so no verified token outlives its key.
/// </summary>
internal sealed class KeySet
{
    /// <summary>How long a key stays good after the token service has begun to sign with another.</summary>
    public static readonly TimeSpan Grace = TimeSpan.FromHours(1);

    private const int MaximumKeys = 4;
    private const int MaximumRemembered = 10_000;

    private KeySet(IReadOnlyList<KnownKey> known, TokenMemory<Identification.Verified> remembered)
    {
        Known = known;
        Remembered = remembered;
    }

    public IReadOnlyList<KnownKey> Known { get; }

    public TokenMemory<Identification.Verified> Remembered { get; }

    public static KeySet Of(IEnumerable<TokenKey> keys) => Of(keys.Select(k => new KnownKey(k, DateTimeOffset.MaxValue)));

    /// <summary>
    /// The set that a former process knew. The token service may have changed its key since, so each of them is good for the grace
    /// time of a former key, and without end once the service signs with it again.
    /// </summary>
    public static KeySet OfKept(IEnumerable<KnownKey> known, DateTimeOffset now) => Of(known
        .Where(k => now < k.GoodUntil)
        .DistinctBy(k => k.Key.Fingerprint)
        .Select(k => k with { GoodUntil = Earlier(k.GoodUntil, now + Grace) })
        .Take(MaximumKeys));

    public bool IsEmptyAt(DateTimeOffset now) => Known.All(k => k.GoodUntil <= now);

    public IReadOnlyList<TokenKey> GoodAt(DateTimeOffset now) => [.. Known.Where(k => now < k.GoodUntil).Select(k => k.Key)];

    public DateTimeOffset GoodUntil(TokenKey key) => Known.Single(k => k.Key == key).GoodUntil;

    /// <summary>The set after the token service has vouched for a key: this one, if it is the newest already.</summary>
    public KeySet Vouch(TokenKey key, DateTimeOffset now)
    {
        if (Known.Count > 0 && Known[0].Key.Fingerprint == key.Fingerprint && Known[0].GoodUntil == DateTimeOffset.MaxValue)
            return this;

        var good = Known.Where(k => now < k.GoodUntil).ToList();
        var again = good.Find(k => k.Key.Fingerprint == key.Fingerprint);
        List<KnownKey> next =
        [
            new KnownKey(again?.Key ?? key, DateTimeOffset.MaxValue),
            .. good.Where(k => k != again).Select(k => k with { GoodUntil = Earlier(k.GoodUntil, now + Grace) }).Take(MaximumKeys - 1),
        ];
        return new KeySet(next, again is null ? new TokenMemory<Identification.Verified>(MaximumRemembered) : Remembered);
    }

    private static KeySet Of(IEnumerable<KnownKey> known) => new([.. known], new TokenMemory<Identification.Verified>(MaximumRemembered));

    private static DateTimeOffset Earlier(DateTimeOffset a, DateTimeOffset b) => a < b ? a : b;
}

/// <summary>A key and its end, which is the end of time for what the token service signs with.</summary>
internal sealed record KnownKey(TokenKey Key, DateTimeOffset GoodUntil);
