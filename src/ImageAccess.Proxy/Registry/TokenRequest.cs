using System.Diagnostics.CodeAnalysis;
using System.Net.Http.Headers;
using System.Text;
using ImageAccess.Core.Oci;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.Primitives;

namespace ImageAccess.Proxy.Registry;

/// <summary>A request for a token, as a query or as a form, reduced to the parameters that the token service gets.</summary>
internal sealed record TokenRequest(
    IReadOnlyList<KeyValuePair<string, string>> Parameters, IReadOnlyList<Scope> Scopes, AuthenticationHeaderValue? Basic, bool AsForm)
{
    private const string ScopeParameter = "scope";

    private static readonly string[] QueryParameters = ["service", "account", "client_id", "offline_token"];

    private static readonly string[] FormParameters =
        ["grant_type", "service", "client_id", "username", "password", "refresh_token", "access_type"];

    /// <summary>All credentials of the request: passwords, access tokens, refresh tokens.</summary>
    public IEnumerable<string> Secrets()
    {
        foreach (var (name, value) in Parameters)
        {
            if (name is "password" or "refresh_token")
                yield return value;
        }

        if (ReadBasicSecret() is { } secret)
            yield return secret;
    }

    /// <summary>The password of the Basic credentials; null also when they cannot be decoded, because the token service cannot decode them either.</summary>
    private string? ReadBasicSecret()
    {
        if (Basic?.Parameter is not { } encoded)
            return null;
        var text = encoded.TrimEnd('=').Replace('-', '+').Replace('_', '/');
        var bytes = new byte[text.Length];
        return Convert.TryFromBase64String(text.PadRight((text.Length + 3) / 4 * 4, '='), bytes, out var length)
            && Encoding.UTF8.GetString(bytes, 0, length).Split(':', 2) is [_, var secret]
            ? secret
            : null;
    }

    /// <param name="encoded">The query or the form, still encoded.</param>
    /// <param name="authorization">The Authorization header; a form carries its credentials in itself.</param>
    /// <param name="asForm">POST rather than GET.</param>
    /// <param name="request">The request, when it is one.</param>
    /// <param name="error">What to answer otherwise.</param>
    public static bool TryParse(
        string encoded,
        StringValues authorization,
        bool asForm,
        [NotNullWhen(true)] out TokenRequest? request,
        [NotNullWhen(false)] out RegistryError? error)
    {
        request = null;
        AuthenticationHeaderValue? basic = null;
        var parameters = new List<KeyValuePair<string, string>>();
        var scopes = new List<Scope>();
        error = ReadParameters(encoded, asForm, parameters, scopes) ?? ReadBasic(authorization, asForm, out basic);
        if (error is not null)
            return false;

        request = new TokenRequest(parameters, scopes, basic, asForm);
        return true;
    }

    private static RegistryError? ReadParameters(
        string encoded, bool asForm, List<KeyValuePair<string, string>> parameters, List<Scope> scopes)
    {
        Dictionary<string, StringValues> values;
        try
        {
            using var reader = new FormReader(encoded) { ValueCountLimit = 64 };
            values = reader.ReadForm();
        }
        catch (InvalidDataException)
        {
            return RegistryError.Unsupported("the token request has too many or too long parameters");
        }

        foreach (var name in asForm ? FormParameters : QueryParameters)
        {
            var value = values.GetValueOrDefault(name);
            if (value.Count > 1)
                return RegistryError.Unsupported($"the parameter {name} comes twice");
            if (value.Count == 1)
                parameters.Add(new KeyValuePair<string, string>(name, value[0] ?? ""));
        }

        return ReadScopes(values.GetValueOrDefault(ScopeParameter), asForm, parameters, scopes);
    }

    /// <summary>A query repeats the parameter, a form separates scopes by spaces. A repository name of one part is written in full.</summary>
    private static RegistryError? ReadScopes(
        StringValues values, bool asForm, List<KeyValuePair<string, string>> parameters, List<Scope> scopes)
    {
        if (asForm && values.Count > 1)
            return RegistryError.Unsupported("the parameter scope comes twice");

        foreach (var text in values.SelectMany(value => (value ?? "").Split(' ', StringSplitOptions.RemoveEmptyEntries)))
        {
            if (!Scope.TryParse(text, out var scope))
                return RegistryError.Unsupported("invalid scope");
            scopes.Add(scope);
        }

        if (asForm && scopes.Count > 0)
            parameters.Add(new KeyValuePair<string, string>(ScopeParameter, string.Join(' ', scopes.Select(scope => scope.Text))));
        else
            parameters.AddRange(scopes.Select(scope => new KeyValuePair<string, string>(ScopeParameter, scope.Text)));
        return null;
    }

    private static RegistryError? ReadBasic(StringValues authorization, bool asForm, out AuthenticationHeaderValue? basic)
    {
        basic = null;
        if (asForm || authorization.Count == 0)
            return null;

        return AuthenticationHeaderValue.TryParse(authorization, out basic)
            && basic is { Scheme: var scheme, Parameter.Length: > 0 } && scheme.Equals("Basic", StringComparison.OrdinalIgnoreCase)
            && basic.Parameter.All(c => char.IsAsciiLetterOrDigit(c) || c is '+' or '/' or '=' or '-' or '_')
            ? null
            : RegistryError.Unsupported("the token endpoint takes Basic credentials or none");
    }
}
