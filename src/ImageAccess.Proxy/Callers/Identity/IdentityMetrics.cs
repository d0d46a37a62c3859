using System.Diagnostics.Metrics;

namespace ImageAccess.Proxy.Callers.Identity;

/// <summary>What this room counts.</summary>
public sealed class IdentityMetrics
{
    public const string Verifications = "imageaccess.token.verifications";
    public const string KeyFetches = "imageaccess.token.key_fetches";

    private const string Result = "result";
    private const string Reason = "reason";

    private readonly Counter<long> _verifications;
    private readonly Counter<long> _keyFetches;

    public IdentityMetrics(IMeterFactory meters)
    {
        var meter = meters.Create("ImageAccess");
        _verifications = meter.CreateCounter<long>(Verifications, "{token}", "Bearer tokens judged, by result and, when refused, reason.");
        _keyFetches = meter.CreateCounter<long>(KeyFetches, "{fetch}", "Attempts to learn the token service's verification key, by result.");
    }

    public void Verified() => _verifications.Add(1, new KeyValuePair<string, object?>(Result, "verified"));

    public void Remembered() => _verifications.Add(1, new KeyValuePair<string, object?>(Result, "remembered"));

    public void Unavailable() => _verifications.Add(1, new KeyValuePair<string, object?>(Result, "unavailable"));

    public void Refused(TokenFlaw flaw) => _verifications.Add(
        1,
        new KeyValuePair<string, object?>(Result, "refused"),
        new KeyValuePair<string, object?>(Reason, NameOf(flaw)));

    public void KeyFetched() => _keyFetches.Add(1, new KeyValuePair<string, object?>(Result, "fetched"));

    public void KeyNotFetched() => _keyFetches.Add(1, new KeyValuePair<string, object?>(Result, "failed"));

    public static string NameOf(TokenFlaw flaw) => flaw switch
    {
        TokenFlaw.SeveralHeaders => "several_headers",
        TokenFlaw.TooLong => "too_long",
        TokenFlaw.Malformed => "malformed",
        TokenFlaw.Algorithm => "algorithm",
        TokenFlaw.Issuer => "issuer",
        TokenFlaw.Audience => "audience",
        TokenFlaw.Expired => "expired",
        TokenFlaw.NotYetValid => "not_yet_valid",
        TokenFlaw.Signature => "signature",
        TokenFlaw.TooManyOrganizations => "too_many_organizations",
        _ => throw new ArgumentOutOfRangeException(nameof(flaw), flaw, "no name on the wire"),
    };
}
