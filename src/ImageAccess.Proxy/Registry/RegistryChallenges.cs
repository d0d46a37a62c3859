using System.Text.Json;
using ImageAccess.Core.Oci;

namespace ImageAccess.Proxy.Registry;

/// <summary>The proxy's own 401 answers, in Docker Hub's words. Their realm leads the client to this proxy's token endpoint.</summary>
public static class RegistryChallenges
{
    /// <param name="http">The exchange.</param>
    /// <param name="address">Where the client reaches the proxy.</param>
    /// <param name="request">What was asked; a ping has no scope.</param>
    /// <param name="error"><c>invalid_token</c>, <c>insufficient_scope</c>, or null where no token came.</param>
    public static Task WriteAsync(HttpContext http, RegistryAddress address, RegistryRequest request, string? error)
    {
        var scopes = (request as RepositoryRequest)?.Scopes;
        var challenge = new Challenge(address.Realm, Challenge.DockerHubService) { Scope = scopes is null ? null : string.Join(' ', scopes), Error = error };
        http.Response.Headers.WWWAuthenticate = challenge.ToString();
        return ErrorBody.WriteAsync(http, 401, "UNAUTHORIZED", "authentication required", scopes is null ? null : Detail);

        void Detail(Utf8JsonWriter json)
        {
            json.WriteStartArray();
            foreach (var (scope, action) in scopes.SelectMany(scope => scope.Actions.Split(','), (scope, action) => (scope, action)))
            {
                json.WriteStartObject();
                json.WriteString("Type", "repository");
                json.WriteString("Class", "");
                json.WriteString("Name", scope.Repository!.Value);
                json.WriteString("Action", action);
                json.WriteEndObject();
            }

            json.WriteEndArray();
        }
    }
}
