using System.Diagnostics.CodeAnalysis;
using System.Net.Http.Headers;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Callers.Identity;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.Primitives;

namespace ImageAccess.Proxy.Registry;

/// <summary>A request for a token, as a query or as a form, reduced to the parameters that the token service gets.</summary>
internal sealed record TokenRequest(
    IReadOnlyList<KeyValuePair<string, string>> Parameters, IReadOnlyList<Scope> Scopes, AuthenticationHeaderValue? Basic, bool AsForm)
{
    private const string ScopeParameter = "scope";
    private const string BasicScheme = "Basic";

    private static readonly string[] QueryParameters = ["service", "account", "client_id", "offline_token"];

    private static readonly string[] FormParameters =
        ["grant_type", "service", "client_id", "username", "password", "refresh_token", "access_type"];

    /// <summary>Whether it is for a plugin, which dockerd installs by the library of containerd.</summary>
    public bool IsForPlugin => Scopes.Any(scope => scope.Text.StartsWith("repository(plugin):", StringComparison.Ordinal));

    /// <summary>All credentials of the request: passwords, access tokens, refresh tokens.</summary>
    public IEnumerable<string> Secrets()
    {
        foreach (var (name, value) in Parameters)
        {
            if (name is "password" or "refresh_token")
                yield return value;
        }

        if (Basic?.Parameter is { } encoded && SignInCredentials.ReadBasic(encoded) is var (_, secret))
            yield return secret;
    }

    /// <summary>With what the client signs in; null when it does not. Beside a refresh token Docker Hub does not look at a name: it says nothing.</summary>
    public SignInCredentials? Credentials()
    {
        if (!AsForm)
            return SignInCredentials.OfBasic(Basic);
        var secrets = Secrets().ToList();
        return secrets.Count == 0 ? null : new SignInCredentials(Value("grant_type") == "password" ? Value("username") ?? "" : "", secrets);

        string? Value(string name) => Parameters.FirstOrDefault(parameter => parameter.Key == name).Value;
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
        // The whole request has a limit, and Docker Hub sets none to its parts: a push may need a scope for each layer that it mounts.
        using var reader = new FormReader(encoded) { ValueCountLimit = int.MaxValue, KeyLengthLimit = int.MaxValue, ValueLengthLimit = int.MaxValue };
        var values = reader.ReadForm();
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

        if (!AuthenticationHeaderValue.TryParse(authorization, out var sent)
            || sent is not { Scheme: var scheme, Parameter: { Length: > 0 } credentials } || !scheme.Equals(BasicScheme, StringComparison.OrdinalIgnoreCase)
            || !credentials.All(c => char.IsAsciiLetterOrDigit(c) || c is '+' or '/' or '=' or '-' or '_'))
            return RegistryError.Unsupported("the token endpoint takes Basic credentials or none");
        basic = new AuthenticationHeaderValue(BasicScheme, credentials); // in the one form by which its token is kept
        return null;
    }
}
