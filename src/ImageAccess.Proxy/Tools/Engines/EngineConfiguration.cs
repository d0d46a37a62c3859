
namespace ImageAccess.Proxy.Tools.Engines;

/// <summary>What one file says about one engine's way to Docker Hub.</summary>
internal sealed record EngineConfiguration
{
    /// <summary>As <c>docker</c>, <c>containerd</c>.</summary>
    public required string Engine { get; init; }

    public required string File { get; init; }

    public IReadOnlyList<MirrorAddress> Mirrors { get; init; } = [];

    public IReadOnlyList<ProxyAddress> Proxies { get; init; } = [];

    /// <summary>What the engine does when no mirror serves it; null when the file says nothing about mirrors.</summary>
    public Fallback? Fallback { get; init; }
}

/// <param name="IsToDockerHub">It asks Docker Hub.</param>
/// <param name="Why">What in the file makes it so.</param>
internal sealed record Fallback(bool IsToDockerHub, string Why);
