using System.Collections.Frozen;

namespace ImageAccess.Core.Hosts;

/// <summary>The part that a host plays in Docker Hub.</summary>
public enum DockerHubRole
{
    /// <summary>Another name at or under <c>docker.io</c>, which may become one of the registry's.</summary>
    Reserved,

    /// <summary>No host of Docker Hub that serves images, or one that this program does not know.</summary>
    None,

    /// <summary>The registry and its aliases.</summary>
    Registry,

    /// <summary>The token service.</summary>
    TokenService,

    /// <summary>A host that serves blobs; the registry redirects to it with a signed address.</summary>
    Content,
}

/// <summary>
/// The host names of Docker Hub in one place: which names are intercepted, where redirects may lead, where no tunnel may lead, and what
/// the doctor looks for on a client's machine.
/// </summary>
public static class DockerHubHosts
{
    public const string Registry = "registry-1.docker.io";

    /// <summary>The registry's alias that also answers <c>/v1/search</c>.</summary>
    public const string Index = "index.docker.io";

    public const string TokenService = "auth.docker.io";

    /// <summary>This name and all names under it belong to Docker Hub.</summary>
    public const string Domain = "docker.io";

    /// <summary>The website and its API, outside of <see cref="Domain"/>.</summary>
    public const string Hub = "hub.docker.com";

    /// <summary>An alias of the registry under <see cref="Hub"/>.</summary>
    public const string HubAlias = "registry.hub.docker.com";

    private static readonly FrozenDictionary<string, DockerHubRole> Roles = new Dictionary<string, DockerHubRole>(StringComparer.Ordinal)
    {
        [Registry] = DockerHubRole.Registry,
        [Index] = DockerHubRole.Registry,
        [HubAlias] = DockerHubRole.Registry,
        [Domain] = DockerHubRole.Registry,
        [TokenService] = DockerHubRole.TokenService,
    }.ToFrozenDictionary(StringComparer.Ordinal);

    /// <summary>The registry's names, the one that clients use first.</summary>
    public static IReadOnlyList<string> Registries { get; } = [Registry, Index, HubAlias, Domain];

    /// <summary>The names under which a client of the gateway must reach this program.</summary>
    public static IReadOnlyList<string> Intercepted { get; } = [.. Registries, TokenService];

    /// <summary>The hosts that blobs come from, as patterns. They change over the years.</summary>
    public static IReadOnlyList<HostPattern> Content { get; } =
    [
        HostPattern.Parse("production.cloudflare.docker.com"),
        HostPattern.Parse("production.cloudfront.docker.com"),
        HostPattern.Parse("docker-images-prod.*.r2.cloudflarestorage.com"),
    ];

    /// <summary>One name for each pattern of <see cref="Content"/>, as Docker Hub has used it, which can be resolved and connected to.</summary>
    public static IReadOnlyList<string> ContentSamples { get; } =
    [
        "production.cloudflare.docker.com",
        "production.cloudfront.docker.com",
        "docker-images-prod.6aa30f8b08e16409b46e0173d6de2f56.r2.cloudflarestorage.com",
    ];

    /// <summary>Hosts that may serve blobs in future, as <see cref="Content"/> does today: no tunnel leads there.</summary>
    private static readonly HostPattern[] FurtherContent = [HostPattern.Parse("production.*.docker.com"), HostPattern.Parse("*.production.docker.com")];

    /// <summary>Whether this is one of the registry's names, as a host is written in an image or in <c>ns</c>: with the port of https or none.</summary>
    public static bool NamesRegistry(ReadOnlySpan<char> authority) =>
        HostAndPort.TrySplit(authority, out var name, out var port) && port is null or HostAndPort.Https
        && HostName.TryParse(name, out var host) && RoleOf(host) == DockerHubRole.Registry;

    public static DockerHubRole RoleOf(HostName host) =>
        Roles.TryGetValue(host.Value, out var role) ? role
        : host.IsAtOrUnder(Domain) ? DockerHubRole.Reserved
        : Content.Concat(FurtherContent).Any(pattern => pattern.MatchesName(host.Value)) ? DockerHubRole.Content
        : DockerHubRole.None;
}
