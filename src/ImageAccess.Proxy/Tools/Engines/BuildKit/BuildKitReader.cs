using ImageAccess.Core.Hosts;

namespace ImageAccess.Proxy.Tools.Engines.BuildKit;

/// <summary>What BuildKit is told by <c>buildkitd.toml</c>, and by what buildx gives to the builders that it makes.</summary>
internal static class BuildKitReader
{
    public static IEnumerable<EngineConfiguration> Read(ConfigurationFiles files, IEnumerable<EngineFile> all) =>
        all.SelectMany(files.PathsOf).Select(file => ReadFile(files, file)).OfType<EngineConfiguration>();

    private static EngineConfiguration? ReadFile(ConfigurationFiles files, string file)
    {
        var registries = files.ReadToml(file)?.Table("registry");
        var mirrors = new List<MirrorAddress>();
        foreach (var text in registries?.Table(DockerHubHosts.Domain)?.Texts("mirrors") ?? [])
        {
            var own = registries?.Table(text.Split('/')[0]) ?? [];
            if (MirrorAddress.TryParseLocation(text, own.IsTrue("http"), out var mirror))
                mirrors.Add(mirror);
            else
                files.Remark(file, "names a mirror that is no address");
        }

        return mirrors.Count == 0 ? null : new EngineConfiguration
        {
            Engine = "BuildKit",
            File = file,
            Mirrors = mirrors,
            Fallback = new Fallback(true, "mirrors falls back to Docker Hub when no mirror serves"),
        };
    }
}
