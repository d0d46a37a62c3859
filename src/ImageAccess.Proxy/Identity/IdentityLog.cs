namespace ImageAccess.Proxy.Identity;

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

    [LoggerMessage(5, LogLevel.Debug, "Key of a token just received not taken: {Cause}")]
    public static partial void KeyNotTaken(this ILogger logger, string cause);
}
