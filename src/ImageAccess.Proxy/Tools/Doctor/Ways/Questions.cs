using ImageAccess.Core.Hosts;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Tools.Doctor.Probes;

namespace ImageAccess.Proxy.Tools.Doctor.Ways;

/// <summary>What each host is asked at the end of a way.</summary>
internal sealed class Questions(RepositoryName denied, Patience patience)
{
    /// <summary>The one copy of Docker Hub that stands for all: the best known.</summary>
    public static string Copy => DockerHubCopies.Hosts[0];

    /// <summary>Docker Hub's names, and the copy.</summary>
    public static IReadOnlyList<string> Hosts { get; } = [.. DockerHubHosts.Intercepted, .. DockerHubHosts.ContentSamples, Copy];

    public RegistryQuestion Registry { get; } = new(denied, patience);

    /// <exception cref="WayClosedException">Nobody answers.</exception>
    public Task<Outcome> AskAsync(Passage passage, string host, bool isGiven, CancellationToken cancellationToken) => RoleOf(host) switch
    {
        DockerHubRole.TokenService => new TokenQuestion(denied, patience).AskAsync(passage, cancellationToken),
        DockerHubRole.Content => new ContentQuestion(patience).AskAsync(passage, host, isGiven, cancellationToken),
        var role => Registry.AskAsync(passage, FaceOf(host) with { Owner = role == DockerHubRole.Registry ? "Docker Hub" : "a copy of Docker Hub" }, cancellationToken),
    };

    public static RegistryFace FaceOf(string host) => new(new Uri($"https://{host}"));

    public static DockerHubRole RoleOf(string host) => DockerHubHosts.RoleOf(HostName.Parse(host));
}
