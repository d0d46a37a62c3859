using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;

namespace ImageAccess.Proxy.Callers.Identity;

/// <summary>The claims of a token whose signature, issuer, audience and time were found good.</summary>
public sealed class VerifiedToken
{
    private readonly IReadOnlyDictionary<string, GrantedActions> _grants;

    internal VerifiedToken(Caller caller, IReadOnlyDictionary<string, GrantedActions> grants, DateTimeOffset expiresAt)
    {
        _grants = grants;
        Caller = caller;
        ExpiresAt = expiresAt;
    }

    public Caller Caller { get; }

    public DateTimeOffset ExpiresAt { get; }

    /// <summary>On how many repositories the token grants something.</summary>
    internal int GrantCount => _grants.Count;

    /// <summary>
    /// Whether the token service granted this. A name of one part in the token matches nothing:
    /// a <see cref="RepositoryName"/> always has two.
    /// </summary>
    public bool Grants(RepositoryName repository, RegistryAction action)
    {
        var needed = action switch
        {
            RegistryAction.Pull => GrantedActions.Pull,
            RegistryAction.Push => GrantedActions.Push,
            RegistryAction.Delete => GrantedActions.Delete,
            _ => GrantedActions.None,
        };
        return needed != GrantedActions.None && _grants.TryGetValue(repository.Value, out var granted) && (granted & needed) == needed;
    }
}

/// <summary>The actions of one entry of a token's access list that registries know.</summary>
[Flags]
internal enum GrantedActions
{
    None = 0,
    Pull = 1,
    Push = 2,
    Delete = 4,
    All = Pull | Push | Delete,
}
