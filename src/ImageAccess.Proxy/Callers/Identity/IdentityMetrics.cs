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

    public void StartAtZero()
    {
        foreach (var result in new[] { "verified", "remembered", "unavailable" })
            Judged(result, 0);
        foreach (var flaw in Enum.GetValues<TokenFlaw>().Where(flaw => flaw != TokenFlaw.None))
            Refused(flaw, 0);
        foreach (var result in new[] { "fetched", "failed" })
            KeyFetched(result, 0);
    }

    public void Verified() => Judged("verified", 1);

    public void Remembered() => Judged("remembered", 1);

    public void Unavailable() => Judged("unavailable", 1);

    public void Refused(TokenFlaw flaw) => Refused(flaw, 1);

    public void KeyFetched() => KeyFetched("fetched", 1);

    public void KeyNotFetched() => KeyFetched("failed", 1);

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

    private void Judged(string result, int tokens) => _verifications.Add(tokens, new KeyValuePair<string, object?>(Result, result));

    private void Refused(TokenFlaw flaw, int tokens) => _verifications.Add(
        tokens,
        new KeyValuePair<string, object?>(Result, "refused"),
        new KeyValuePair<string, object?>(Reason, NameOf(flaw)));

    private void KeyFetched(string result, int fetches) => _keyFetches.Add(fetches, new KeyValuePair<string, object?>(Result, result));
}
