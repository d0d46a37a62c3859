using ImageAccess.Core.Policies;

namespace ImageAccess.Proxy.Policies.Store;

/// <summary>Where the policy comes from. What it gives is a snapshot: take it once for the whole of a request.</summary>
public interface IPolicyStore
{
    /// <exception cref="InvalidOperationException">No policy is in force yet: nothing may be decided.</exception>
    Policy Current { get; }

    /// <summary>The policy in force and what is wrong with it; null until there is one.</summary>
    PolicyState? State { get; }

    /// <summary>Does something each time that another policy has come into force.</summary>
    void WhenChanged(Action<Policy> act);
}

/// <summary>The policy in force.</summary>
/// <param name="Policy">The snapshot.</param>
/// <param name="Since">When it came into force in this process.</param>
/// <param name="Concern">Why it is not what the administrator wrote last, in one sentence; null when all is well.</param>
public sealed record PolicyState(Policy Policy, DateTimeOffset Since, string? Concern);
