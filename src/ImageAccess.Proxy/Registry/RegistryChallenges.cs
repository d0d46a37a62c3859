using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using ImageAccess.Core.Oci;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Registry;

/// <summary>The proxy's own 401s, as Docker Hub words them, with the realm turned to the proxy's token face.</summary>
public sealed class RegistryChallenges(IOptions<MirrorOptions> options)
{
    private const string ServiceName = "registry.docker.io";

    private readonly string? _publicOrigin = options.Value.PublicUrl?.GetLeftPart(UriPartial.Authority);

    /// <summary>Scheme and authority under which this client reaches the proxy, from the configuration or from the request.</summary>
    public bool TryFindOrigin(HttpRequest request, [NotNullWhen(true)] out string? origin, [NotNullWhen(false)] out RegistryError? error)
    {
        origin = _publicOrigin ?? (request.Host.HasValue ? $"{request.Scheme}://{request.Host.Value}" : null);
        error = origin is null ? RegistryError.Unsupported("the request names no host") : null;
        return origin is not null;
    }

    public static string Realm(string publicOrigin) => publicOrigin + "/token";

    /// <param name="http">The exchange.</param>
    /// <param name="publicOrigin">Where the client reaches the proxy.</param>
    /// <param name="request">What was asked; a ping has no scope.</param>
    /// <param name="error"><c>invalid_token</c>, <c>insufficient_scope</c>, or null where no token came.</param>
    public static Task WriteAsync(HttpContext http, string publicOrigin, RegistryRequest request, string? error)
    {
        var repository = request as RepositoryRequest;
        var challenge = new Challenge(Realm(publicOrigin), ServiceName)
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
