using ImageAccess.Core.Hosts;

namespace ImageAccess.Proxy.Tools.Engines;

/// <summary>BuildKit: <c>buildkitd.toml</c>, and what buildx gives to the builders that it makes.</summary>
internal static class BuildKitConfiguration
{
    public static IEnumerable<ClientConfiguration> Read(ConfigurationFiles files) =>
        new[]
        {
            "/etc/buildkit/buildkitd.toml", files.InHome(".config/buildkit/buildkitd.toml"), files.InHome(".config/buildkit/buildkitd.default.toml"),
            files.InHome(".docker/buildx/buildkitd.default.toml"),
        }.Select(file => ReadFile(files, file)).OfType<ClientConfiguration>();

    private static ClientConfiguration? ReadFile(ConfigurationFiles files, string file)
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

        return mirrors.Count == 0 ? null : new ClientConfiguration
        {
            Engine = "BuildKit",
            File = file,
            Mirrors = mirrors,
            Fallback = new Fallback(true, "mirrors falls back to Docker Hub when no mirror serves"),
        };
    }
}
