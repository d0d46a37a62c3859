namespace ImageAccess.Proxy.Policies.Decisions;

/// <summary>
/// How a client shows an error, read from its User-Agent. It chooses the wording only: anybody can forge a User-Agent,
/// so no decision may depend on it.
/// </summary>
public enum ClientFamily
{
    /// <summary>crane, oras, curl and all others.</summary>
    Other,

    /// <summary>dockerd with the classic image store.</summary>
    ClassicDocker,

    /// <summary>containerd, dockerd with the containerd store, BuildKit.</summary>
    Containerd,

    /// <summary>podman, skopeo, buildah.</summary>
    Containers,
}

public static class ClientFamilies
{
    public static ClientFamily Of(string? userAgent) => userAgent switch
    {
        null => ClientFamily.Other,
        _ when userAgent.Contains("containerd-client/", StringComparison.Ordinal) => ClientFamily.Containerd,
        _ when userAgent.StartsWith("docker/", StringComparison.Ordinal) => ClientFamily.ClassicDocker,
        _ when StartsWithOneOf(userAgent, "containerd/", "buildkit/") => ClientFamily.Containerd,
        _ when StartsWithOneOf(userAgent, "containers/", "skopeo/", "Buildah/") => ClientFamily.Containers,
        _ => ClientFamily.Other,
    };

    /// <summary>containerd, and dockerd with its image store, show the whole answer to a refused token, and less of the answer to a denied manifest.</summary>
    public static bool ShowsTokenRefusals(string? userAgent) => userAgent?.StartsWith("containerd/", StringComparison.Ordinal) == true;

    private static bool StartsWithOneOf(string userAgent, string first, string second, string? third = null) =>
        userAgent.StartsWith(first, StringComparison.Ordinal)
        || userAgent.StartsWith(second, StringComparison.Ordinal)
        || (third is not null && userAgent.StartsWith(third, StringComparison.Ordinal));
}
