namespace ImageAccess.Proxy.Tools.Engines;

/// <summary>What the engines of this machine are told about Docker Hub.</summary>
internal static class ClientConfigurations
{
    public static IReadOnlyList<ClientConfiguration> Read(ConfigurationFiles files) =>
    [
        .. DockerConfiguration.Read(files),
        .. ContainerdConfiguration.Read(files),
        .. PodmanConfiguration.Read(files),
        .. BuildKitConfiguration.Read(files),
        .. K3sConfiguration.Read(files),
    ];
}
