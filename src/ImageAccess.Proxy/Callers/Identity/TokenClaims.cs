using System.IdentityModel.Tokens.Jwt;
using System.Text.Json;
using ImageAccess.Core.Policies;

namespace ImageAccess.Proxy.Callers.Identity;

/// <summary>What a token says, each claim of its one type: a number in a string is not a number.</summary>
internal sealed class TokenClaims
{
    public const string ExpectedIssuer = "auth.docker.io";
    public const string ExpectedAudience = "registry.docker.io";

    /// <summary>How far this host's clock and the token service's may differ.</summary>
    public const int SkewSeconds = 60;

    private const string DockerClaims = "https://auth.docker.io";

    private readonly string? _issuer;
    private readonly bool _isForRegistry;
    private readonly long _expires;
    private readonly long? _notBefore;

    private TokenClaims(
        string? issuer,
        bool isForRegistry,
        long expires,
        long? notBefore,
        Caller caller,
        IReadOnlyDictionary<string, GrantedActions> grants)
    {
        _issuer = issuer;
        _isForRegistry = isForRegistry;
        _expires = expires;
        _notBefore = notBefore;
        Caller = caller;
        Grants = grants;
    }

    public Caller Caller { get; }

    public IReadOnlyDictionary<string, GrantedActions> Grants { get; }

    public DateTimeOffset ExpiresAt =>
        DateTimeOffset.FromUnixTimeSeconds(Math.Clamp(_expires, 0, DateTimeOffset.MaxValue.ToUnixTimeSeconds()));

    public static TokenFlaw Read(JsonElement payload, OrganizationClaim? organizations, out TokenClaims? claims)
    {
        claims = null;
        if (payload.ValueKind != JsonValueKind.Object
            || !TryReadSeconds(payload, JwtRegisteredClaimNames.Exp, out var expires)
            || expires is null
            || !TryReadSeconds(payload, JwtRegisteredClaimNames.Nbf, out var notBefore)
            || !TryReadText(payload, JwtRegisteredClaimNames.Iss, out var issuer)
            || !TryReadText(payload, JwtRegisteredClaimNames.Sub, out var subject)
            || !TryReadAudience(payload, out var isForRegistry)
            || !AccessList.TryRead(payload, out var grants))
        {
            return TokenFlaw.Malformed;
        }

        var caller = Caller.Anonymous;
        if (!string.IsNullOrEmpty(subject))
        {
            IReadOnlyList<Membership> memberships = [];
            if (organizations is not null && !organizations.TryRead(payload, out memberships))
                return TokenFlaw.TooManyOrganizations;
            caller = Caller.SignedIn(ReadUserName(payload), subject, memberships);
        }

        claims = new TokenClaims(issuer, isForRegistry, expires.Value, notBefore, caller, grants);
        return TokenFlaw.None;
    }

    /// <summary>Whether this is a token of the registry's and its time is now; <see cref="TokenFlaw.None"/> when it is.</summary>
    public TokenFlaw FlawAt(DateTimeOffset now)
    {
        if (_issuer != ExpectedIssuer)
            return TokenFlaw.Issuer;
        if (!_isForRegistry)
            return TokenFlaw.Audience;

        var seconds = now.ToUnixTimeSeconds();
        if (_expires <= seconds - SkewSeconds)
            return TokenFlaw.Expired;
        return _notBefore > seconds + SkewSeconds ? TokenFlaw.NotYetValid : TokenFlaw.None;
    }

    private static bool TryReadSeconds(JsonElement payload, string name, out long? seconds)
    {
        seconds = null;
        if (!payload.TryGetProperty(name, out var claim))
            return true;
        if (claim.ValueKind != JsonValueKind.Number || !claim.TryGetInt64(out var value))
            return false;
        seconds = value;
        return true;
    }

    private static bool TryReadText(JsonElement payload, string name, out string? text)
    {
        text = null;
        if (!payload.TryGetProperty(name, out var claim) || claim.ValueKind == JsonValueKind.Null)
            return true;
        if (claim.ValueKind != JsonValueKind.String)
            return false;
        text = claim.GetString();
        return true;
    }

    /// <summary>A string, or an array of strings (RFC 7519, 4.1.3).</summary>
    private static bool TryReadAudience(JsonElement payload, out bool isForRegistry)
    {
        isForRegistry = false;
        if (!payload.TryGetProperty(JwtRegisteredClaimNames.Aud, out var audience))
            return true;
        if (audience.ValueKind == JsonValueKind.String)
        {
            isForRegistry = audience.ValueEquals(ExpectedAudience);
            return true;
        }

        if (audience.ValueKind != JsonValueKind.Array || audience.EnumerateArray().Any(a => a.ValueKind != JsonValueKind.String))
            return false;
        isForRegistry = audience.EnumerateArray().Any(a => a.ValueEquals(ExpectedAudience));
        return true;
    }

    private static string? ReadUserName(JsonElement payload) =>
        payload.TryGetProperty(DockerClaims, out var docker)
        && docker.ValueKind == JsonValueKind.Object
        && docker.TryGetProperty("username", out var name)
        && name.ValueKind == JsonValueKind.String
        && name.GetString() is { Length: > 0 } text
            ? text
            : null;
}
