using System.Security.Cryptography;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Foundation.Configuration;
using ImageAccess.Proxy.Foundation.Database.Keys;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace ImageAccess.Proxy.Administration.Tokens;

/// <summary>
/// Short-lived tokens for who has signed in: JWTs, because Docker's clients read when they expire. Each is signed with a key of its own, which it
/// carries wrapped by data protection: every replica can unwrap it, also after a restart, and nobody else. It says who it is, never what they may.
/// </summary>
internal sealed class SessionTokens(IDataProtectionProvider protection, KeyStore keys, TimeProvider time)
{
    /// <summary>As long as Docker Hub's.</summary>
    public static readonly TimeSpan Lifetime = TimeSpan.FromMinutes(10);

    private const string Issuer = "imageaccess";
    private const string Audience = "imageaccess sessions";
    private const string Account = "account", Token = "token";
    private const int KeySize = 32;
    private const int MaximumLength = 4096;

    private static readonly JsonWebTokenHandler Handler = new() { MaximumTokenSizeInBytes = MaximumLength, MapInboundClaims = false, SetDefaultTimesOnTokenCreation = false };

    private readonly Lazy<IDataProtector> _protector = new(() => protection.CreateProtector(Audience));

    /// <summary>Whether the database's keys have been read.</summary>
    public bool AreReady => keys.IsRead;

    /// <summary>Whether a text can be one: nothing else that is presented has two dots.</summary>
    public static bool MayBeOne(string text) => text.Length <= MaximumLength && text.Count(c => c == '.') == 2;

    public string Issue(Session session)
    {
        var (key, now) = (RandomNumberGenerator.GetBytes(KeySize), time.GetUtcNow().UtcDateTime);
        var claims = new Dictionary<string, object> { [JwtRegisteredClaimNames.Sub] = session.Name };
        if (session.Account is { } account)
            claims[Account] = account;
        if (session.Token is { } token)
            claims[Token] = token;
        return Handler.CreateToken(new SecurityTokenDescriptor
        {
            Issuer = Issuer,
            Audience = Audience,
            Claims = claims,
            IssuedAt = now,
            Expires = now + Lifetime,
            SigningCredentials = new SigningCredentials(KeyOf(key, Base64UrlEncoder.Encode(_protector.Value.Protect(key))), SecurityAlgorithms.HmacSha256),
        });
    }

    /// <returns>Who it is; else in one word what is wrong with it.</returns>
    public async Task<(Session? Session, string? Flaw)> ReadAsync(string text)
    {
        var isOver = false;
        var result = await Handler.ValidateTokenAsync(text, new TokenValidationParameters
        {
            ValidAlgorithms = [SecurityAlgorithms.HmacSha256],
            RequireSignedTokens = true,
            IssuerSigningKeyResolver = (_, _, kid, _) => Unwrap(kid) is { } key ? [KeyOf(key, kid)] : [],
            TryAllIssuerSigningKeys = false,
            ValidIssuer = Issuer,
            ValidAudience = Audience,
            RequireExpirationTime = true,
            LifetimeValidator = (_, expires, _, _) => !(isOver = !(time.GetUtcNow().UtcDateTime < expires)),
            LogValidationExceptions = false,
            LogTokenId = false,
            IncludeTokenOnFailedValidation = false,
        });
        if (!result.IsValid || result.SecurityToken is not JsonWebToken token)
            return (null, isOver ? "expired" : "unknown");
        return (new Session(token.Subject)
        {
            Account = token.TryGetPayloadValue<string>(Account, out var account) ? account : null,
            Token = token.TryGetPayloadValue<long>(Token, out var id) ? id : null,
        }, null);
    }

    /// <summary>No key is used twice: none is kept by the library.</summary>
    private static SymmetricSecurityKey KeyOf(byte[] key, string name) =>
        new(key) { KeyId = name, CryptoProviderFactory = new CryptoProviderFactory { CacheSignatureProviders = false } };

    private byte[]? Unwrap(string? name)
    {
        try
        {
            return name is null ? null : _protector.Value.Unprotect(Base64UrlEncoder.DecodeBytes(name));
        }
        catch (Exception exception) when (exception is CryptographicException or FormatException or ArgumentException)
        {
            return null;
        }
    }
}

/// <summary>Who has signed in.</summary>
/// <param name="Name">The user name; of a token of the API the name that the trail has for it.</param>
internal sealed record Session(string Name)
{
    /// <summary>Docker Hub's id of the account; null for a token of the API.</summary>
    public string? Account { get; init; }

    /// <summary>The number of the token of the API that it stands for.</summary>
    public long? Token { get; init; }

    /// <summary>Who somebody is that Docker Hub knows; null where nobody signs in so any more.</summary>
    public Actor? ActorOf(ConsoleOptions console) => console.DockerHubSignIn == "off" ? null : new Actor
    {
        Name = Name,
        Account = Account,
        Most = console.DockerHubSignIn == "member" ? Core.Policies.Roles.Member : null,
    };
}
