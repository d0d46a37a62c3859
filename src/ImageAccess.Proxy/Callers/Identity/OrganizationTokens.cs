namespace ImageAccess.Proxy.Callers.Identity;

/// <summary>
/// Which registry tokens were issued for an organization access token. The registry token itself does not say so, but the secrets
/// of all organization access tokens have one prefix. A hash is kept until the token expires, never the token. Not in a MemoryCache:
/// a full one refuses the newest entry, and a token without its mark would count as a person's.
/// </summary>
public sealed class OrganizationTokens(TimeProvider time)
{
    /// <summary>The prefix of every organization access token.</summary>
    public const string SecretPrefix = "dckr_oat_";

    /// <summary>How many tokens are remembered; those in use outlive the others.</summary>
    public const int Capacity = 100_000;

    /// <summary>No answer says when a refresh token expires; each use begins its time to live again.</summary>
    private static readonly TimeSpan RefreshLifetime = TimeSpan.FromDays(90);

    private readonly TokenMemory<object> _issued = new(Capacity);
    private readonly TokenMemory<object> _refreshing = new(Capacity);

    /// <summary>Whether a secret in a token request is an organization access token, or a refresh token that came of one.</summary>
    public bool Covers(string secret)
    {
        if (secret.StartsWith(SecretPrefix, StringComparison.Ordinal))
            return true;
        var fingerprint = Fingerprint.Of(secret);
        if (!_refreshing.TryGet(fingerprint, time.GetUtcNow(), out var mark))
            return false;
        _refreshing.Add(fingerprint, mark, time.GetUtcNow() + RefreshLifetime);
        return true;
    }

    /// <summary>Marks a token before the client has it, so that its first request is recognized.</summary>
    public void Mark(string token)
    {
        if (RegistryToken.TryRead(token, organizations: null, out var read, out _))
            _issued.Add(Of(token), this, read.Claims.ExpiresAt.AddSeconds(TokenClaims.SkewSeconds));
    }

    public void MarkRefresh(string token) => _refreshing.Add(Fingerprint.Of(token), this, time.GetUtcNow() + RefreshLifetime);

    internal bool IsMarked(string token) => _issued.TryGet(Of(token), time.GetUtcNow(), out _);

    /// <summary>Of what is signed: the signature itself can be written in several ways that verify alike.</summary>
    private static Fingerprint Of(string token) => Fingerprint.Of(token.AsSpan(0, Math.Max(0, token.LastIndexOf('.'))));
}
