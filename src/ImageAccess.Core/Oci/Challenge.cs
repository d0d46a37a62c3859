using System.Diagnostics.CodeAnalysis;

namespace ImageAccess.Core.Oci;

/// <summary>
/// A Bearer challenge: who issues the token that the client needs, and for what (RFC 6750 section 3; distribution, "Token Authentication").
/// Realms and the other values are read without their quotes.
/// </summary>
/// <param name="Realm">The address of the token service.</param>
/// <param name="Service">The registry's name at the token service.</param>
public sealed record Challenge(string Realm, string Service)
{
    /// <summary>The name of Docker Hub's registry at its token service.</summary>
    public const string DockerHubService = "registry.docker.io";

    private const string Scheme = "Bearer ";

    /// <summary>What the token is to be for: scopes, separated by spaces.</summary>
    public string? Scope { get; init; }

    /// <summary><c>insufficient_scope</c>, <c>invalid_token</c>, or null when the request had no token.</summary>
    public string? Error { get; init; }

    public static bool TryParse(string? header, [NotNullWhen(true)] out Challenge? challenge)
    {
        challenge = null;
        if (header is null || !header.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase))
            return false;

        string? realm = null, service = null, scope = null, error = null;
        var rest = header.AsSpan(Scheme.Length);
        while (TryTakeParameter(ref rest, out var name, out var value))
        {
            switch (name)
            {
                case "realm": realm = value; break;
                case "service": service = value; break;
                case "scope": scope = value; break;
                case "error": error = value; break;
            }
        }

        if (!rest.IsEmpty || realm is null)
            return false;
        challenge = new Challenge(realm, service ?? "") { Scope = scope, Error = error };
        return true;
    }

    public override string ToString()
    {
        var text = $"Bearer realm=\"{Realm}\",service=\"{Service}\"";
        if (Scope is not null)
            text += $",scope=\"{Scope}\"";
        if (Error is not null)
            text += $",error=\"{Error}\"";
        return text;
    }

    /// <summary>Reads one <c>name="value"</c> and the comma after it. Nobody uses values with escapes; reading ends at one.</summary>
    private static bool TryTakeParameter(ref ReadOnlySpan<char> rest, out string name, out string value)
    {
        name = value = "";
        rest = rest.TrimStart(" ,");
        var equals = rest.IndexOf("=\"");
        if (equals <= 0)
            return false;
        var body = rest[(equals + 2)..];
        var end = body.IndexOfAny('"', '\\');
        if (end < 0 || body[end] == '\\')
            return false;

        name = rest[..equals].ToString();
        value = body[..end].ToString();
        rest = body[(end + 1)..];
        return true;
    }
}
