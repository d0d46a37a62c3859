using System.Text;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace ImageAccess.Proxy.Callers.Identity;

/// <summary>Who signed a token, among keys that are already known: nothing in the token chooses one.</summary>
internal static class TokenSignature
{
    private static readonly string[] Algorithms = [RegistryToken.Rs256, RegistryToken.Es256];

    private static readonly JsonWebTokenHandler Handler = new()
    {
        MaximumTokenSizeInBytes = RegistryToken.MaximumLength,
        MapInboundClaims = false,
    };

    /// <summary>The key that the token is signed with, or null. Issuer, audience and time are judged here once more.</summary>
    public static async ValueTask<TokenKey?> FindSignerAsync(RegistryToken token, IReadOnlyList<TokenKey> keys, DateTimeOffset now)
    {
        var result = await Handler.ValidateTokenAsync(token.Text, new TokenValidationParameters
        {
            ValidAlgorithms = Algorithms,
            RequireSignedTokens = true,
            // The resolver's answer is the whole choice: no kid, x5t, metadata or configuration adds to it.
            IssuerSigningKeyResolver = (_, _, _, _) => keys.Select(k => k.Key),
            TryAllIssuerSigningKeys = false,
            ValidateIssuer = true,
            ValidIssuer = TokenClaims.ExpectedIssuer,
            RequireAudience = true,
            ValidateAudience = true,
            ValidAudience = TokenClaims.ExpectedAudience,
            IgnoreTrailingSlashWhenValidatingAudience = false,
            RequireExpirationTime = true,
            ValidateLifetime = true,
            LifetimeValidator = (_, _, _, _) => token.Claims.FlawAt(now) == TokenFlaw.None,
            LogValidationExceptions = false,
            LogTokenId = false,
            IncludeTokenOnFailedValidation = false,
            SaveSigninToken = false,
        });
        return result.IsValid ? keys.FirstOrDefault(k => ReferenceEquals(k.Key, result.SecurityToken.SigningKey)) : null;
    }

    /// <summary>Whether the token is signed with this key, whatever it says.</summary>
    public static bool IsMadeWith(RegistryToken token, TokenKey key)
    {
        var factory = key.Key.CryptoProviderFactory;
        if (!factory.IsSupportedAlgorithm(token.Algorithm, key.Key))
            return false;

        var dot = token.Text.LastIndexOf('.');
        var provider = factory.CreateForVerifying(key.Key, token.Algorithm, cacheProvider: false);
        try
        {
            return provider.Verify(Encoding.ASCII.GetBytes(token.Text[..dot]), Base64UrlEncoder.DecodeBytes(token.Text[(dot + 1)..]));
        }
        finally
        {
            factory.ReleaseSignatureProvider(provider);
        }
    }
}
