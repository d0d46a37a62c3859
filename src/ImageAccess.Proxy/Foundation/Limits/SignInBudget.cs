using Microsoft.Extensions.Caching.Memory;

namespace ImageAccess.Proxy.Foundation.Limits;

/// <summary>
/// Failed sign-ins: so many a minute for a user at an address, for an address, and for a user. Guessing ends, and it does not keep others out: where a
/// user has signed in within a day, only that user's own failures there count; and when a name is tried from many addresses, an address that has
/// not failed for it still has a try. Behind a trusted proxy's own address are many clients: it has no budget, its users have.
/// </summary>
/// <param name="what">What they are, in metrics: <c>sign-ins</c>.</param>
public sealed class SignInBudget(string what, TimeProvider time, LimitMetrics metrics) : IDisposable
{
    public const int TriesOfUserAtAddress = 10;
    public const int TriesOfAddress = 30;
    public const int TriesOfUser = 60;

    /// <summary>Users at addresses where they have signed in; beyond it, those go that were used longest ago.</summary>
    private const int MaximumKnown = 10_000;

    public static readonly TimeSpan Window = TimeSpan.FromMinutes(1);
    public static readonly TimeSpan KnownFor = TimeSpan.FromDays(1);

    private readonly TryBudget _known = new(what, TriesOfUserAtAddress, Window, time, metrics);
    private readonly TryBudget _unknown = new(what, TriesOfUserAtAddress, Window, time, metrics);
    private readonly TryBudget _addresses = new(what, TriesOfAddress, Window, time, metrics);
    private readonly TryBudget _users = new(what, TriesOfUser, Window, time, metrics);
    private readonly MemoryCache _knownPlaces = new(new MemoryCacheOptions { SizeLimit = MaximumKnown, Clock = new CacheClock(time) });

    /// <summary>Whether no try is left; then it is counted as limited.</summary>
    /// <param name="address">Where somebody signs in; null where that is not told apart.</param>
    /// <param name="user">As whom.</param>
    /// <param name="retryAfter">When the next try is free.</param>
    public bool IsSpent(ClientShare? address, string user, out TimeSpan retryAfter)
    {
        var place = Place(address, user);
        if (IsKnown(place))
            return _known.IsSpent(place, out retryAfter);
        return _unknown.IsSpent(place, out retryAfter)
            || (address is { } one && _addresses.IsSpent(one, out retryAfter))
            || (_unknown.HasTried(place) && _users.IsSpent(ClientShare.OfUser(user), out retryAfter));
    }

    public void Failed(ClientShare? address, string user)
    {
        var place = Place(address, user);
        if (IsKnown(place))
        {
            _known.Count(place); // an old password in a build job is no reason to keep its neighbours out
            return;
        }

        _unknown.Count(place);
        if (address is { } one)
            _addresses.Count(one);
        _users.Count(ClientShare.OfUser(user));
    }

    public void Succeeded(ClientShare? address, string user) =>
        _knownPlaces.Set(Place(address, user), true, new MemoryCacheEntryOptions { SlidingExpiration = KnownFor, Size = 1 });

    public void Dispose() => _knownPlaces.Dispose();

    private static ClientShare Place(ClientShare? address, string user) => address?.With(user) ?? ClientShare.OfUser(user);

    private bool IsKnown(ClientShare place) => _knownPlaces.TryGetValue(place, out _);
}
