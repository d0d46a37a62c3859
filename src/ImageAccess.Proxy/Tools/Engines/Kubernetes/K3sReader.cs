using ImageAccess.Core.Hosts;
using ImageAccess.Proxy.Tools.Scanning;

namespace ImageAccess.Proxy.Tools.Engines.Kubernetes;

/// <summary>What k3s is told by <c>registries.yaml</c>, from which it writes containerd's configuration.</summary>
internal static class K3sReader
{
    private static readonly string File = KubernetesEngine.Registries.Path;
    private static readonly string Settings = KubernetesEngine.Settings.Path;

    public static IEnumerable<EngineConfiguration> Read(ConfigurationFiles files)
    {
        try
        {
            return ReadFile(files);
        }
        catch (UnreadableFileException exception)
        {
            files.Remark(File, exception.Message);
            return [];
        }
    }

    private static IEnumerable<EngineConfiguration> ReadFile(ConfigurationFiles files)
    {
        if (ReadYaml(files, File)?.Find("mirrors") is not YamlMap registries)
            return [];

        var mirrors = files.MirrorsIn(File, "an endpoint", EndpointsOf(registries));

        var holds = ReadYaml(files, Settings)?.Find("disable-default-registry-endpoint") is YamlText { Text: "true" };
        return mirrors.Count == 0 ? [] :
        [
            new EngineConfiguration
            {
                Engine = "k3s",
                File = File,
                Mirrors = mirrors,
                Fallback = holds
                    ? new Fallback(false, $"disable-default-registry-endpoint in {Settings}: nothing falls back")
                    : new Fallback(true, "without disable-default-registry-endpoint it falls back to Docker Hub when no endpoint serves"),
            },
        ];
    }

    private static IEnumerable<string> EndpointsOf(YamlMap registries) =>
        (registries.Find(DockerHubHosts.Domain) ?? registries.Find("*")) is YamlMap registry && registry.Find("endpoint") is YamlList list
            ? list.Items.OfType<YamlText>().Select(item => item.Text)
            : [];

    private static YamlMap? ReadYaml(ConfigurationFiles files, string path)
    {
        if (files.Read(path) is not { } text)
            return null;
        var (documents, mistake) = YamlTree.Read(text);
        if (mistake is not null)
            files.Remark(path, mistake.Message);
        return mistake is null && documents.Count > 0 ? documents[0] as YamlMap : null;
    }
}
