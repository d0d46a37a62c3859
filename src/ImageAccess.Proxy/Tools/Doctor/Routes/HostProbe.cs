using ImageAccess.Core.Hosts;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Tools.Doctor.Probes;
using ImageAccess.Proxy.Tools.Engines;

namespace ImageAccess.Proxy.Tools.Doctor.Routes;

/// <summary>Asks a host at the end of a route for what its role serves.</summary>
internal sealed class HostProbe(RepositoryName denied, Timeouts timeouts)
{
    /// <summary>The best known copy of Docker Hub; it stands for all of them.</summary>
    public static string Copy => DockerHubCopies.Hosts[0];

    /// <summary>Docker Hub's names, and the copy.</summary>
    public static IReadOnlyList<string> Hosts { get; } = [.. DockerHubHosts.Intercepted, .. DockerHubHosts.ContentSamples, Copy];

    public RegistryProbe Registry { get; } = new(denied, timeouts);

    /// <exception cref="RouteClosedException">Nobody answers.</exception>
    public Task<Outcome> AskAsync(Dialer dialer, string host, bool isGiven, CancellationToken cancellationToken) => RoleOf(host) switch
    {
        DockerHubRole.TokenService => new TokenProbe(denied, timeouts).AskAsync(dialer, cancellationToken),
        DockerHubRole.Content => new ContentProbe(timeouts).AskAsync(dialer, host, isGiven, cancellationToken),
        var role => Registry.AskAsync(dialer, AddressOf(host) with { Owner = role == DockerHubRole.Registry ? "Docker Hub" : "a copy of Docker Hub" }, cancellationToken),
    };

    public static RegistryAddress AddressOf(string host) => new(new Uri($"https://{host}"));

    public static DockerHubRole RoleOf(string host) => DockerHubHosts.RoleOf(HostName.Parse(host));
}
