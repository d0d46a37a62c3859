using System.Runtime.CompilerServices;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;

namespace ImageAccess.Proxy.Callers.Identity;

/// <summary>Says who asks, from the registry token that the request carries.</summary>
public sealed class CallerIdentifier
{
    /// <summary>A verified token is verified again after this time at the latest.</summary>
    public static readonly TimeSpan MaximumTimeToLive = TimeSpan.FromMinutes(10);

    /// <summary>A token that grants more than this is verified each time: the memory stays small whatever tokens hold.</summary>
    public const int MaximumRememberedGrants = 64;

    /// <summary>
    /// The answers by the header's string object. A connection that repeats a header hands out the same object each time, so its bytes
    /// need not be hashed again. The entry goes when the connection does.
    /// </summary>
    private readonly ConditionalWeakTable<string, Seen> _seen = [];

    private readonly TokenKeys _keys;
    private readonly OrganizationClaim? _organizations;
    private readonly OrganizationTokens _organizationTokens;
    private readonly IdentityMetrics _metrics;
    private readonly ILogger<CallerIdentifier> _logger;
    private readonly TimeProvider _time;

    internal CallerIdentifier(
        TokenKeys keys,
        IOptions<IdentityOptions> options,
        OrganizationTokens organizationTokens,
        IdentityMetrics metrics,
        ILogger<CallerIdentifier> logger,
        TimeProvider time)
    {
        _keys = keys;
        _organizationTokens = organizationTokens;
        _metrics = metrics;
        _logger = logger;
        _time = time;
        if (!string.IsNullOrEmpty(options.Value.OrganizationClaim) && JsonPointer.TryParse(options.Value.OrganizationClaim, out var place))
            _organizations = new OrganizationClaim(place);
    }

    /// <inheritdoc cref="TokenKeys.FreshTokensRefused"/>
    public string? FreshTokensRefused => _keys.FreshTokensRefused;

    /// <param name="authorization">Every value of the request's <c>Authorization</c> header, as received.</param>
    /// <param name="cancellationToken">Ends the wait for a key, not the fetch of it that others share.</param>
    public ValueTask<Identification> IdentifyAsync(StringValues authorization, CancellationToken cancellationToken)
    {
        var header = authorization.Count == 1 ? authorization[0] : null;
        if (header is not null && _seen.TryGetValue(header, out var seen) && seen.Keys == _keys.Current && _time.GetUtcNow() < seen.Until)
        {
            _metrics.Remembered();
            return new(seen.Verified);
        }

        if (!BearerToken.TryRead(authorization, out var token, out var flaw))
            return new(flaw == TokenFlaw.None ? Identification.NoToken.Instance : Refuse(flaw));

        var fingerprint = Fingerprint.Of(token);
        var keys = _keys.Current;
        if (keys.Remembered.TryGet(fingerprint, _time.GetUtcNow(), out var verified, out var until))
        {
            if (header is not null)
                _seen.AddOrUpdate(header, new Seen(keys, verified, until));
            _metrics.Remembered();
            return new(verified);
        }

        return VerifyAsync(token.ToString(), fingerprint, cancellationToken);
    }

    /// <summary>
    /// Takes a token that the token service has just issued, over a connection of our own to it. When the service has begun to sign
    /// with another key, that key is learnt at once.
    /// </summary>
    public void LearnFrom(string token)
    {
        if (_keys.LearnFrom(token) is { } cause)
            _logger.KeyNotTaken(cause);
    }

    private async ValueTask<Identification> VerifyAsync(string text, Fingerprint fingerprint, CancellationToken cancellationToken)
    {
        if (!RegistryToken.TryRead(text, _organizations, out var token, out var flaw))
            return Refuse(flaw);

        // Before any key is asked for: a token that could not be good whoever signed it causes no fetch.
        flaw = token.Claims.FlawAt(_time.GetUtcNow());
        if (flaw != TokenFlaw.None)
            return Refuse(flaw);

        var tried = _keys.Current;
        if (await FindSignerAsync(token, tried) is not { } signer)
        {
            var refreshed = await _keys.RefreshAsync(tried, cancellationToken);
            if (refreshed.IsEmptyAt(_time.GetUtcNow()))
            {
                _metrics.Unavailable();
                return Identification.Unavailable.Instance;
            }

            if (refreshed == tried || await FindSignerAsync(token, refreshed) is not { } late)
                return Refuse(TokenFlaw.Signature);
            (tried, signer) = (refreshed, late);
        }

        var caller = _organizationTokens.IsMarked(text) ? token.Claims.Caller.AsOrganizationToken() : token.Claims.Caller;
        var verified = new Identification.Verified(new VerifiedToken(caller, token.Claims.Grants, token.Claims.ExpiresAt));
        Remember(fingerprint, verified, tried.GoodUntil(signer), tried.Remembered);
        _metrics.Verified();
        return verified;
    }

    private async ValueTask<TokenKey?> FindSignerAsync(RegistryToken token, KeySet known)
    {
        var now = _time.GetUtcNow();
        var good = known.GoodAt(now);
        return good.Count == 0 ? null : await TokenSignature.FindSignerAsync(token, good, now);
    }

    private void Remember(in Fingerprint fingerprint, Identification.Verified verified, DateTimeOffset keyGoodUntil, TokenMemory<Identification.Verified> memory)
    {
        if (verified.Token.GrantCount > MaximumRememberedGrants)
            return;
        var now = _time.GetUtcNow();
        DateTimeOffset[] ends = [now + MaximumTimeToLive, verified.Token.ExpiresAt, keyGoodUntil];
        var until = ends.Min();
        if (now < until)
            memory.Add(fingerprint, verified, until);
    }

    private sealed record Seen(KeySet Keys, Identification.Verified Verified, DateTimeOffset Until);

    private Identification.Invalid Refuse(TokenFlaw flaw)
    {
        _metrics.Refused(flaw);
        _logger.TokenRefused(flaw);
        return new Identification.Invalid(flaw);
    }
}
