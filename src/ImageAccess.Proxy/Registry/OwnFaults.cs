using System.Text;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Callers.Identity;
using ImageAccess.Proxy.Policies.Decisions;
using ImageAccess.Proxy.Policies.Store;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;

namespace ImageAccess.Proxy.Registry;

/// <summary>
/// What cannot be decided on the mirror for a reason of the proxy's own: who asks is not known although the client has done its part, or the
/// decision itself failed. An ordinary error would lead the client to Docker Hub and so past the policy; this is denied as what is not known is.
/// </summary>
public sealed class OwnFaults(CallerIdentifier callers, IPolicyStore policies, IOptions<MirrorOptions> options, TimeProvider time)
{
    public const string Failed = "the request failed in the proxy itself, try again";

    /// <summary>
    /// A client of the mirror that gets no token asks Docker Hub next. While the token service can give none, it gets this in the place of one,
    /// and comes back to be denied. It is the same text for everybody and on every replica: who sends it is nobody, and gains nothing by it.
    /// </summary>
    public static readonly StandIn NoToken = new("imageaccess-stands-in-for-a-token", "the token service cannot answer", "the token service of Docker Hub cannot be reached, try again");

    /// <summary>The same where the proxy does not ask for a token, because the client, or others behind its address, failed to sign in too often.</summary>
    public static readonly StandIn TooManySignIns = new("imageaccess-stands-in-for-a-refused-token", "too many sign-ins have failed", "too many sign-ins have failed, try again in a minute");

    /// <summary>And where it is not asked in time, because too many others sign in.</summary>
    public static readonly StandIn TooManyWaiting = new("imageaccess-stands-in-for-a-token-in-a-queue", "too many sign-ins wait for Docker Hub", "too many sign-ins wait for Docker Hub, try again");

    private static readonly StandIn[] StandIns = [NoToken, TooManySignIns, TooManyWaiting];

    /// <summary>The policy that may deny by more than its blocks: null while it is off or only observes. Before there is one, nothing is known to be allowed.</summary>
    private Policy? Enforced
    {
        get
        {
            var policy = policies.State?.Policy;
            return policy is null ? Policy.Off : policy.Enforces(time.GetUtcNow()) ? policy : null;
        }
    }

    /// <summary>Whether a fault of the proxy is answered as a denial here, so that the client does not go to Docker Hub for what it asks for.</summary>
    public bool Hold(RegistryAddress address, Asked asked) =>
        options.Value.HoldsAny && !address.IsDockerHub && (Enforced is not null || policies.State?.Policy.Blocks.Find(asked) is not null);

    /// <summary>Why this caller could not be identified, where it is for the proxy's own reason; null where it is not, or where that is not held.</summary>
    public string? CauseOf(RegistryAddress address, Asked asked, Identification identification, StringValues authorization)
    {
        if (identification is Identification.Verified or Identification.NoToken || !Hold(address, asked))
            return null;
        if (Array.Find(StandIns, standIn => authorization == standIn.Header) is { } used)
            return used.Cause;
        return identification switch
        {
            Identification.Unavailable => "tokens cannot be verified at the moment, try again",
            Identification.Invalid { Flaw: TokenFlaw.TooManyOrganizations } => "this account has more organizations than the proxy reads, tell its administrator",
            _ => callers.FreshTokensRefused,
        };
    }

    /// <summary>The denial, and the version of the policy that it stands for.</summary>
    public (AccessDecision Decision, string PolicyVersion) Deny(string cause)
    {
        var policy = policies.State?.Policy ?? Policy.Off;
        return (PolicyEngine.DenyUndecided(policy, cause), policy.Version);
    }

    /// <summary>Whether this is no token, and only stands in for one.</summary>
    internal static bool IsStandIn(string? token) => Array.Exists(StandIns, standIn => standIn.Token == token);

    /// <summary>Whether a token that cannot be had is replaced: for clients that are held once they have it, and for a pull, never for a sign-in.</summary>
    internal bool StandsIn(RegistryAddress address, TokenRequest request, string? userAgent) =>
        request.Scopes.Any(scope => scope.Repository is { } repository && Hold(address, repository)) && ClientFamilies.IsHeld(userAgent)
        && options.Value.Holds(ClientFamilies.Of(userAgent, request.IsForPlugin));
}

/// <summary>What a client gets in the place of a token.</summary>
/// <param name="Token">The text.</param>
/// <param name="Reason">Why there is no token: for a <c>Warning</c>.</param>
/// <param name="Cause">Why a request with it is denied.</param>
public sealed record StandIn(string Token, string Reason, string Cause)
{
    public string Header { get; } = $"Bearer {Token}";

    /// <summary>The token service's answer. It says not when it was issued: the clock may be what is wrong.</summary>
    public byte[] Body { get; } = Encoding.ASCII.GetBytes($$"""{"token":"{{Token}}","access_token":"{{Token}}","expires_in":60}""");
}
