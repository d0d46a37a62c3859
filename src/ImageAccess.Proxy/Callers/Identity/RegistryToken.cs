using System.Buffers;
using System.Buffers.Text;
using System.Diagnostics.CodeAnalysis;
using System.IdentityModel.Tokens.Jwt;
using System.Text.Json;
using System.Text.Unicode;

namespace ImageAccess.Proxy.Callers.Identity;

/// <summary>
/// A registry token as it is written, before anything is believed. What the JWT handler reads leniently (members that come
/// twice, numbers in strings, padding, nesting, critical extensions) is refused here, so the two cannot read it differently.
/// </summary>
internal sealed class RegistryToken
{
    /// <summary>In characters. A token that grants a hundred repositories has about 20 KiB.</summary>
    public const int MaximumLength = 64 * 1024;

    public const string Rs256 = "RS256";
    public const string Es256 = "ES256";

    private static readonly SearchValues<char> Base64UrlCharacters =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");

    private static readonly JsonDocumentOptions Strictly = new() { AllowDuplicateProperties = false, MaxDepth = 16 };

    /// <summary>Header parameters that change what a token is; the registry's tokens have none of them.</summary>
    private static readonly string[] RefusedParameters = ["crit", "b64", JwtHeaderParameterNames.Cty, JwtHeaderParameterNames.Enc, JwtHeaderParameterNames.Zip];

    private RegistryToken(string text, string algorithm, string? leaf, TokenClaims claims)
    {
        Text = text;
        Algorithm = algorithm;
        Leaf = leaf;
        Claims = claims;
    }

    public string Text { get; }

    public string Algorithm { get; }

    /// <summary>The first certificate of <c>x5c</c>, as written. It proves nothing: anyone can write one.</summary>
    public string? Leaf { get; }

    public TokenClaims Claims { get; }

    public static bool TryRead(string text, OrganizationClaim? organizations, [NotNullWhen(true)] out RegistryToken? token, out TokenFlaw flaw)
    {
        token = null;
        flaw = text.Length > MaximumLength ? TokenFlaw.TooLong : TokenFlaw.Malformed;
        if (text.Length > MaximumLength || !TryDecode(text, out var header, out var payload))
            return false;

        try
        {
            using var headerDocument = JsonDocument.Parse(header, Strictly);
            flaw = ReadHeader(headerDocument.RootElement, out var algorithm, out var leaf);
            if (flaw != TokenFlaw.None)
                return false;

            using var payloadDocument = JsonDocument.Parse(payload, Strictly);
            flaw = TokenClaims.Read(payloadDocument.RootElement, organizations, out var claims);
            if (flaw != TokenFlaw.None)
                return false;

            token = new RegistryToken(text, algorithm, leaf, claims!);
            return true;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            flaw = TokenFlaw.Malformed; // InvalidOperationException: half of a surrogate pair in a string
            return false;
        }
    }

    /// <summary>Three parts of base64url and nothing else (RFC 7515, 7.1): a nested token has five, an unsigned one an empty third.</summary>
    private static bool TryDecode(string text, out byte[] header, out byte[] payload)
    {
        header = payload = [];
        Span<Range> parts = stackalloc Range[4];
        var count = text.AsSpan().Split(parts, '.');
        return count == 3
            && TryDecode(text.AsSpan(parts[0]), out header)
            && TryDecode(text.AsSpan(parts[1]), out payload)
            && TryDecode(text.AsSpan(parts[2]), out _)
            && Utf8.IsValid(header)
            && Utf8.IsValid(payload);
    }

    private static bool TryDecode(ReadOnlySpan<char> part, out byte[] bytes)
    {
        bytes = [];
        if (part.IsEmpty || part.ContainsAnyExcept(Base64UrlCharacters) || !Base64Url.IsValid(part))
            return false;
        bytes = Base64Url.DecodeFromChars(part);
        return true;
    }

    private static TokenFlaw ReadHeader(JsonElement header, out string algorithm, out string? leaf)
    {
        algorithm = "";
        leaf = null;
        if (header.ValueKind != JsonValueKind.Object
            || !header.TryGetProperty(JwtHeaderParameterNames.Alg, out var alg)
            || alg.ValueKind != JsonValueKind.String
            || (header.TryGetProperty(JwtHeaderParameterNames.Typ, out var type) && !IsJwt(type))
            || RefusedParameters.Any(p => header.TryGetProperty(p, out _)))
        {
            return TokenFlaw.Malformed;
        }

        algorithm = alg.GetString()!;
        if (algorithm is not (Rs256 or Es256))
            return TokenFlaw.Algorithm;

        if (header.TryGetProperty(JwtHeaderParameterNames.X5c, out var chain)
            && chain.ValueKind == JsonValueKind.Array
            && chain.GetArrayLength() > 0
            && chain[0].ValueKind == JsonValueKind.String)
        {
            leaf = chain[0].GetString();
        }

        return TokenFlaw.None;
    }

    private static bool IsJwt(JsonElement type) =>
        type.ValueKind == JsonValueKind.String && string.Equals(type.GetString(), JwtConstants.HeaderType, StringComparison.OrdinalIgnoreCase);
}
