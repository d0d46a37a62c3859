using ImageAccess.Core.Hosts;
using Tomlyn.Model;

namespace ImageAccess.Proxy.Tools.Engines.Podman;

/// <summary>What podman, buildah and skopeo are told by <c>registries.conf</c> (containers-registries.conf(5)).</summary>
internal static class PodmanReader
{
    public static IEnumerable<EngineConfiguration> Read(ConfigurationFiles files) =>
        Read(files, PodmanEngine.Machine).Concat(Read(files, PodmanEngine.Home));

    /// <summary>A later file replaces what an earlier one says of the same prefix.</summary>
    private static IEnumerable<EngineConfiguration> Read(ConfigurationFiles files, RegistriesFiles place)
    {
        var registries = new Dictionary<string, (string File, TomlTable Registry)>();
        foreach (var file in files.PathsOf(place.Main).Concat(files.PathsOf(place.DropIns)))
        {
            foreach (var registry in files.ReadToml(file)?.Tables("registry") ?? [])
                registries[(registry.Text("prefix") ?? registry.Text("location") ?? "").TrimEnd('/')] = (file, registry);
        }

        return registries.Where(entry => entry.Key == DockerHubHosts.Domain || entry.Key.StartsWith($"{DockerHubHosts.Domain}/", StringComparison.Ordinal))
            .Select(entry => Describe(files, entry.Value.File, entry.Key, entry.Value.Registry));
    }

    private static EngineConfiguration Describe(ConfigurationFiles files, string file, string prefix, TomlTable registry)
    {
        var location = registry.Text("location") ?? prefix;
        var isDockerHub = location.Split('/')[0] == DockerHubHosts.Domain;
        var mirrors = new List<MirrorAddress>();
        foreach (var mirror in registry.Tables("mirror"))
            Add(mirror.Text("location") ?? "", mirror.IsTrue("insecure"));
        var isBlocked = registry.IsTrue("blocked");
        if (!isDockerHub && !isBlocked)
            Add(location, registry.IsTrue("insecure"));

        return new EngineConfiguration
        {
            Engine = "podman",
            File = file,
            Mirrors = mirrors,
            Fallback = prefix != DockerHubHosts.Domain ? null // the rest of Docker Hub is another entry's, or nobody's
                : isBlocked ? new Fallback(false, "blocked: nothing falls back")
                : !isDockerHub && !mirrors.Exists(mirror => mirror.IsDockerHub) ? new Fallback(false, "location replaces Docker Hub: nothing falls back")
                : mirrors.Count > 0 ? new Fallback(true, "[[registry.mirror]] falls back to Docker Hub when no mirror serves")
                : null,
        };

        void Add(string text, bool isInsecure)
        {
            if (MirrorAddress.TryParseLocation(text, isPlain: false, out var mirror))
                mirrors.Add(mirror with { MayBePlain = isInsecure });
            else
                files.Remark(file, "names a location that is no address");
        }
    }
}
