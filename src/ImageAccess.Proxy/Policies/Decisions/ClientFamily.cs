using ImageAccess.Core.Oci;

namespace ImageAccess.Proxy.Policies.Decisions;

/// <summary>
/// How a client asks and shows an error, read from its User-Agent and from the request. It chooses the wording only: anybody can forge
/// both, so no decision may depend on it.
/// </summary>
public enum ClientFamily
{
    /// <summary>oras, regctl, curl and all others.</summary>
    Other,

    /// <summary>dockerd with the classic image store.</summary>
    ClassicDocker,

    /// <summary>containerd, dockerd with the containerd store, BuildKit; and every dockerd that installs a plugin by its mirror.</summary>
    Containerd,

    /// <summary>podman, skopeo, buildah, CRI-O.</summary>
    Containers,

    /// <summary>crane, cosign and others that are built on go-containerregistry.</summary>
    GoContainerRegistry,
}

public static class ClientFamilies
{
    /// <summary>What the registries' library of podman and its kin calls itself. A program may put words of its own before it.</summary>
    private static readonly string[] ContainersProducts = ["containers/", "skopeo/", "Buildah/", "cri-o/"];

    public static ClientFamily Of(string? userAgent, RegistryRequest request) => Of(userAgent, request.NamesDockerHub);

    /// <param name="userAgent">What it calls itself.</param>
    /// <param name="byContainerd">Whether dockerd, if it is one, asks by the library of containerd.</param>
    public static ClientFamily Of(string? userAgent, bool byContainerd) => userAgent switch
    {
        null => ClientFamily.Other,
        _ when userAgent.Contains("containerd-client/", StringComparison.Ordinal) => ClientFamily.Containerd,
        // dockerd asks for a plugin by the library of containerd, under its own User-Agent. That library alone names the registry that it means.
        _ when userAgent.StartsWith("docker/", StringComparison.Ordinal) => byContainerd ? ClientFamily.Containerd : ClientFamily.ClassicDocker,
        _ when StartsWithOneOf(userAgent, "containerd/", "buildkit/") => ClientFamily.Containerd,
        _ when Array.Exists(ContainersProducts, product => Names(userAgent, product)) => ClientFamily.Containers,
        // Debian builds it without its version.
        _ when Names(userAgent, "go-containerregistry") => ClientFamily.GoContainerRegistry,
        _ => ClientFamily.Other,
    };

    /// <summary>The name in the configuration.</summary>
    public static string ToConfigurationName(this ClientFamily family) => family switch
    {
        ClientFamily.ClassicDocker => "classic-docker",
        ClientFamily.Containerd => "containerd",
        ClientFamily.Containers => "containers",
        ClientFamily.GoContainerRegistry => "go-containerregistry",
        _ => "other",
    };

    /// <summary>containerd, and dockerd with its image store, show the whole answer to a refused token, and less of the answer to a denied manifest.</summary>
    public static bool ShowsTokenRefusals(string? userAgent) => userAgent?.StartsWith("containerd/", StringComparison.Ordinal) == true;

    /// <summary>Whether a client with this User-Agent may be one that a mirror's answer to a manifest keeps from asking Docker Hub.</summary>
    public static bool IsHeld(string? userAgent) => userAgent is not null
        && (StartsWithOneOf(userAgent, "docker/", "containerd/") || userAgent.StartsWith("buildkit/", StringComparison.Ordinal)
            || Array.Exists(ContainersProducts, product => Names(userAgent, product)));

    private static bool StartsWithOneOf(string userAgent, string first, string second) =>
        userAgent.StartsWith(first, StringComparison.Ordinal) || userAgent.StartsWith(second, StringComparison.Ordinal);

    /// <summary>Whether one of the products that a User-Agent lists is this one (RFC 9110, section 10.1.5).</summary>
    private static bool Names(string userAgent, string product) =>
        userAgent.StartsWith(product, StringComparison.Ordinal) || userAgent.Contains($" {product}", StringComparison.Ordinal);
}
