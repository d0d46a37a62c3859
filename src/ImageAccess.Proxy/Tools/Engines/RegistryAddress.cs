using ImageAccess.Core.Oci;

namespace ImageAccess.Proxy.Tools.Engines;

/// <summary>Where a registry's API is found.</summary>
/// <param name="Origin">Scheme, host and port.</param>
internal sealed record RegistryAddress(Uri Origin)
{
    /// <summary>Before <c>/REPOSITORY/manifests/…</c>.</summary>
    public string ApiPath { get; init; } = "/v2";

    /// <summary>Put before the repository's name, with its slash.</summary>
    public string RepositoryPrefix { get; init; } = "";

    /// <summary>Whose images it hands out under a certificate of a public authority.</summary>
    public string Owner { get; init; } = "Docker Hub";

    /// <summary>Whoever it belongs to, it is set up to stand before Docker Hub.</summary>
    public bool IsMirror { get; init; }

    public Uri Ping => new(Origin, $"{ApiPath}/");

    public string NameOf(RepositoryName repository) => RepositoryPrefix + repository.Value;

    public Uri ManifestOf(RepositoryName repository) => new(Origin, $"{ApiPath}/{NameOf(repository)}/manifests/latest");
}
