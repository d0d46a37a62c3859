using System.Diagnostics.CodeAnalysis;
using ImageAccess.Core.Hosts;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Connections.Ingress;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Registry;

/// <summary>The face of this program that a client looks at: the mirror under its own address, or Docker Hub under its own names.</summary>
/// <param name="Origin">Scheme and authority under which the client reaches the registry.</param>
/// <param name="Realm">The token service that a challenge names.</param>
/// <param name="IsDockerHub">It answers under one of Docker Hub's names: there is nothing that its client could fall back to.</param>
public sealed record RegistryFace(string Origin, string Realm, bool IsDockerHub)
{
    /// <summary>As Docker Hub itself says: it leads back to this program.</summary>
    private const string DockerHubRealm = $"https://{DockerHubHosts.TokenService}/token";

    internal static RegistryFace DockerHub(InterceptedName name) => new($"https://{name.Host}", DockerHubRealm, IsDockerHub: true);

    internal static RegistryFace Mirror(string origin) => new(origin, origin + "/token", IsDockerHub: false);
}

/// <summary>Tells a request's face, from the connection, from the configuration, or from the request itself.</summary>
public sealed class RegistryFaces(IOptions<MirrorOptions> options)
{
    private readonly RegistryFace? _public = options.Value.PublicUrl is { } url ? RegistryFace.Mirror(url.GetLeftPart(UriPartial.Authority)) : null;

    public bool TryFind(HttpContext http, [NotNullWhen(true)] out RegistryFace? face, [NotNullWhen(false)] out RegistryError? error)
    {
        face = http.Features.Get<InterceptedName>() is { } name ? RegistryFace.DockerHub(name)
            : _public ?? (http.Request.Host.HasValue ? RegistryFace.Mirror($"{http.Request.Scheme}://{http.Request.Host.Value}") : null);
        error = face is null ? RegistryError.Unsupported("the request names no host") : null;
        return face is not null;
    }
}
