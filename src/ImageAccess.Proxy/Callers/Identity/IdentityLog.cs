namespace ImageAccess.Proxy.Callers.Identity;

/// <summary>All that this room logs. Never a token or a part of one.</summary>
internal static partial class IdentityLog
{
    [LoggerMessage(1, LogLevel.Information, "Learnt the token service's verification key {Fingerprint} from {TokenService}")]
    public static partial void KeyLearnt(this ILogger logger, Fingerprint fingerprint, Uri tokenService);

    [LoggerMessage(2, LogLevel.Warning, "The token service signs with another key, {Fingerprint}; the former one stays good until {Until:u}")]
    public static partial void KeyRotated(this ILogger logger, Fingerprint fingerprint, DateTimeOffset until);

    [LoggerMessage(3, LogLevel.Warning, "No verification key learnt from {TokenService}: {Cause}")]
    public static partial void KeyNotLearnt(this ILogger logger, Uri tokenService, string cause);

    [LoggerMessage(4, LogLevel.Debug, "Token refused: {Flaw}")]
    public static partial void TokenRefused(this ILogger logger, TokenFlaw flaw);

    [LoggerMessage(5, LogLevel.Debug, "The key of a new token is not accepted: {Cause}")]
    public static partial void KeyNotTaken(this ILogger logger, string cause);

    [LoggerMessage(6, LogLevel.Information, "The kept verification key {Fingerprint} of {TokenService} is used until {Until:u}, or longer once the token service signs with it")]
    public static partial void KeyWasKept(this ILogger logger, Fingerprint fingerprint, Uri tokenService, DateTimeOffset until);

    [LoggerMessage(7, LogLevel.Warning, "The verification keys kept in {Path} are not used: {Cause}")]
    public static partial void KeptKeysUnusable(this ILogger logger, string path, string cause);

    [LoggerMessage(8, LogLevel.Warning, "The verification keys cannot be written to {Path}: {Cause}; after a restart they must be learnt again")]
    public static partial void KeysNotKept(this ILogger logger, string path, string cause);

    [LoggerMessage(9, LogLevel.Warning, "The trusted keys stay as they were: {Path} {Problem}")]
    public static partial void TrustedKeysRefused(this ILogger logger, string path, string problem);
}
