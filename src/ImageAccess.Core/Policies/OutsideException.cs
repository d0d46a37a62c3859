namespace ImageAccess.Core.Policies;

/// <summary>What is asked for is none of the images that a permit is limited to; the decision on it is still to be made.</summary>
/// <param name="limit">The limit that it is outside of.</param>
/// <param name="moved">The tag that is approved and points to another image by now; null where something else is asked for.</param>
public sealed class OutsideException(PermitLimit limit, GrantedException? moved = null)
    : Exception($"It is outside of what {limit.Organization} has approved.")
{
    public PermitLimit Limit { get; } = limit;

    public GrantedException? Moved { get; } = moved;
}
