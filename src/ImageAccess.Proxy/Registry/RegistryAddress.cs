using System.Diagnostics.CodeAnalysis;
using ImageAccess.Core.Hosts;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Connections.Ingress;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Registry;

/// <summary>The address under which a client reaches this registry: the mirror's own, or one of Docker Hub's names.</summary>
/// <param name="Origin">Scheme and authority under which the client reaches the registry.</param>
/// <param name="Realm">The token service that a challenge names.</param>
/// <param name="WayIn">The way in, as the audit names it.</param>
/// <param name="IsDockerHub">It is one of Docker Hub's names, so the client has no other registry to fall back to.</param>
public sealed record RegistryAddress(string Origin, string Realm, string WayIn, bool IsDockerHub)
{
    /// <summary>As Docker Hub itself says: it leads back to this program.</summary>
    private const string DockerHubRealm = $"https://{DockerHubHosts.TokenService}/token";

    internal static RegistryAddress DockerHub(InterceptedName name) => new($"https://{name.Host}", DockerHubRealm, name.WayIn, IsDockerHub: true);

    internal static RegistryAddress Mirror(string origin) => new(origin, origin + "/token", Connections.Ingress.WayIn.Mirror, IsDockerHub: false);
}

/// <summary>Finds the address of a request: from the connection, from the configuration, or from the request itself.</summary>
public sealed class RegistryAddresses(IOptions<MirrorOptions> options)
{
    private readonly RegistryAddress? _public = options.Value.PublicUrl is { } url ? RegistryAddress.Mirror(url.GetLeftPart(UriPartial.Authority)) : null;

    public bool TryFind(HttpContext http, [NotNullWhen(true)] out RegistryAddress? address, [NotNullWhen(false)] out RegistryError? error)
    {
        address = http.Features.Get<InterceptedName>() is { } name ? RegistryAddress.DockerHub(name)
            : _public ?? (http.Request.Host.HasValue ? RegistryAddress.Mirror($"{http.Request.Scheme}://{http.Request.Host.Value}") : null);
        error = address is null ? RegistryError.Unsupported("the request names no host") : null;
        return address is not null;
    }

    /// <summary>As the audit names it; null where the request names no host.</summary>
    public string? WayInOf(HttpContext http) => TryFind(http, out var address, out _) ? address.WayIn : null;
}
