using System.Net.Http.Headers;
using System.Text;
using ImageAccess.Core.Oci;

namespace ImageAccess.Proxy.Callers.Identity;

/// <summary>With what a client signs in at Docker Hub.</summary>
/// <param name="User">The name; empty where none comes with it, as with a refresh token.</param>
/// <param name="Secrets">Passwords, access tokens, refresh tokens; what cannot be decoded as it is.</param>
internal sealed record SignInCredentials(string User, IReadOnlyList<string> Secrets)
{
    /// <summary>What Docker Hub lets a user name measure.</summary>
    private const int MaximumName = 30;

    /// <summary>
    /// The name for the audit; null for what is none at Docker Hub: somebody may have typed a secret in its place, and mail addresses are of
    /// people. Access tokens are longer, or have signs that no name has.
    /// </summary>
    public string? Name => User.Length <= MaximumName && !User.StartsWith("dckr_", StringComparison.Ordinal) && AccountName.IsUser(User) ? User : null;

    /// <summary>Null where the header is not there or not Basic.</summary>
    public static SignInCredentials? OfBasic(AuthenticationHeaderValue? header) => header is not { Parameter: { } encoded } || !header.Scheme.Equals("Basic", StringComparison.OrdinalIgnoreCase)
        ? null
        : ReadBasic(encoded) is var (user, secret) ? new SignInCredentials(user, [secret]) : new SignInCredentials("", [encoded]);

    /// <summary>Null when they cannot be decoded: then the token service cannot decode them either.</summary>
    public static (string User, string Secret)? ReadBasic(string encoded)
    {
        var text = encoded.TrimEnd('=').Replace('-', '+').Replace('_', '/');
        var bytes = new byte[text.Length];
        return Convert.TryFromBase64String(text.PadRight((text.Length + 3) / 4 * 4, '='), bytes, out var length)
            && Encoding.UTF8.GetString(bytes, 0, length).Split(':', 2) is [var user, var secret]
            ? (user, secret)
            : null;
    }
}
