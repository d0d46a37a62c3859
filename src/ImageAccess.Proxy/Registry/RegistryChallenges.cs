using System.Text.Json;
using ImageAccess.Core.Oci;

namespace ImageAccess.Proxy.Registry;

/// <summary>The proxy's own 401 answers, in Docker Hub's words. Their realm leads the client to this proxy's token endpoint.</summary>
public static class RegistryChallenges
{
    private const string ServiceName = "registry.docker.io";

    /// <param name="http">The exchange.</param>
    /// <param name="address">Where the client reaches the proxy.</param>
    /// <param name="request">What was asked; a ping has no scope.</param>
    /// <param name="error"><c>invalid_token</c>, <c>insufficient_scope</c>, or null where no token came.</param>
    public static Task WriteAsync(HttpContext http, RegistryAddress address, RegistryRequest request, string? error)
    {
        var repository = request as RepositoryRequest;
        var challenge = new Challenge(address.Realm, ServiceName)
        {
            Scope = repository is null ? null : Scope.For(repository.Repository, repository.Action).Text,
            Error = error,
        };
        http.Response.Headers.WWWAuthenticate = challenge.ToString();
        return ErrorBody.WriteAsync(http, 401, "UNAUTHORIZED", "authentication required", repository is null ? null : Detail);

        void Detail(Utf8JsonWriter json)
        {
            json.WriteStartArray();
            foreach (var action in repository.Action.ToScope().Split(','))
            {
                json.WriteStartObject();
                json.WriteString("Type", "repository");
                json.WriteString("Class", "");
                json.WriteString("Name", repository.Repository.Value);
                json.WriteString("Action", action);
                json.WriteEndObject();
            }

            json.WriteEndArray();
        }
    }
}
