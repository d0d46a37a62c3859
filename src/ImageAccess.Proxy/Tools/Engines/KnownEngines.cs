using ImageAccess.Proxy.Tools.Engines.BuildKit;
using ImageAccess.Proxy.Tools.Engines.Containerd;
using ImageAccess.Proxy.Tools.Engines.ContinuousIntegration;
using ImageAccess.Proxy.Tools.Engines.Docker;
using ImageAccess.Proxy.Tools.Engines.Kubernetes;
using ImageAccess.Proxy.Tools.Engines.Podman;

namespace ImageAccess.Proxy.Tools.Engines;

/// <summary>The engines, in the order in which they are listed.</summary>
internal static class KnownEngines
{
    public static IReadOnlyList<IEngine> All { get; } =
    [
        new DockerEngine(),
        new ContainerdEngine(),
        new PodmanEngine(),
        new BuildKitEngine(),
        new KubernetesEngine(),
        new JobsEngine(),
    ];

    /// <summary>What the engines of a machine are told about Docker Hub.</summary>
    public static IReadOnlyList<EngineConfiguration> Read(ConfigurationFiles files) => [.. All.SelectMany(engine => engine.Read(files))];
}
