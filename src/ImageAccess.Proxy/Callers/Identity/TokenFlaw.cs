namespace ImageAccess.Proxy.Callers.Identity;

/// <summary>Why a token is worth nothing: for metrics and a debug log, never for the caller.</summary>
public enum TokenFlaw
{
    None,
    SeveralHeaders,
    TooLong,
    Malformed,
    Algorithm,
    Issuer,
    Audience,
    Expired,
    NotYetValid,
    Signature,
    TooManyOrganizations,
}
