using Microsoft.Extensions.Primitives;

namespace ImageAccess.Proxy.Callers.Identity;

/// <summary>The token in an <c>Authorization</c> header (RFC 6750, 2.1): <c>Bearer</c>, one space, the token.</summary>
internal static class BearerToken
{
    private const string Scheme = "Bearer";

    /// <summary>Where the token stands, or why there is none: a flaw, or <see cref="TokenFlaw.None"/> when none was meant.</summary>
    public static bool TryRead(StringValues authorization, out ReadOnlySpan<char> token, out TokenFlaw flaw)
    {
        token = default;
        flaw = TokenFlaw.None;
        if (authorization.Count > 1)
        {
            flaw = TokenFlaw.SeveralHeaders;
            return false;
        }

        var header = authorization.Count == 0 ? default : authorization[0].AsSpan();
        if (!header.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase))
            return false;

        var rest = header[Scheme.Length..];
        if (rest.IsEmpty || rest[0] == '\t')
        {
            flaw = TokenFlaw.Malformed;
            return false;
        }

        if (rest[0] != ' ')
            return false; // another scheme whose name begins alike

        token = rest[1..];
        flaw = token.Length switch
        {
            0 => TokenFlaw.Malformed,
            > RegistryToken.MaximumLength => TokenFlaw.TooLong,
            _ => TokenFlaw.None,
        };
        return flaw == TokenFlaw.None;
    }
}
