using ImageAccess.Core.Hosts;
using Tomlyn.Model;

namespace ImageAccess.Proxy.Tools.Engines.Containerd;

/// <summary>What containerd is told: by <c>hosts.toml</c> of Docker Hub or of all registries, and by the mirrors of the CRI plugin.</summary>
internal static class ContainerdReader
{
    private const string Engine = "containerd";

    public static IEnumerable<EngineConfiguration> Read(ConfigurationFiles files)
    {
        var settings = ContainerdEngine.Settings.Path;
        var registries = files.ReadToml(settings)?.Table("plugins")?.Values.OfType<TomlTable>().Select(plugin => plugin.Table("registry")).OfType<TomlTable>().ToList() ?? [];
        var folders = registries.SelectMany(registry => (registry.Text("config_path") ?? "").Split(':', StringSplitOptions.RemoveEmptyEntries))
            .Append(ContainerdEngine.Folder).Select(folder => folder.TrimEnd('/')).Distinct();
        return folders.Select(folder => ReadFolder(files, folder)).Concat(registries.Select(registry => ReadMirrors(files, settings, registry))).OfType<EngineConfiguration>();
    }

    /// <summary>The folder of Docker Hub; the one for all registries where there is none.</summary>
    private static EngineConfiguration? ReadFolder(ConfigurationFiles files, string folder)
    {
        var file = ContainerdEngine.HostsFile(folder, files.IsFolder($"{folder}/{DockerHubHosts.Domain}") ? DockerHubHosts.Domain : ContainerdEngine.AllRegistries);
        if (files.ReadToml(file) is not { } toml)
            return null;

        var hosts = toml.Table("host") ?? [];
        var mirrors = new List<MirrorAddress>();
        foreach (var (text, settings) in hosts)
            Add(text, settings is TomlTable host && host.IsTrue("override_path"));
        var server = toml.Text("server");
        if (server is not null)
            Add(server, toml.IsTrue("override_path"));
        return new EngineConfiguration { Engine = Engine, File = file, Mirrors = [.. mirrors.Distinct()], Fallback = FallbackOf(server, hosts, mirrors) };

        void Add(string text, bool isWholePath)
        {
            if (MirrorAddress.TryParseUrl(text, isWholePath, out var mirror))
                mirrors.Add(mirror);
            else
                files.Remark(file, "names a host that is no address");
        }
    }

    private static Fallback FallbackOf(string? server, TomlTable hosts, List<MirrorAddress> mirrors) => (server, hosts.Count) switch
    {
        (null, _) => new Fallback(true, "without server it falls back to Docker Hub when no host serves"),
        (_, 0) => new Fallback(true, "a server without a [host] is passed over by containerd 1.6, which then asks Docker Hub"),
        _ when mirrors.Exists(mirror => mirror.IsDockerHub) => new Fallback(true, "it names Docker Hub itself"),
        _ => new Fallback(false, "server and [host] both name mirrors: nothing falls back"),
    };

    /// <summary>The older form: <c>registry.mirrors."docker.io"</c>.</summary>
    private static EngineConfiguration? ReadMirrors(ConfigurationFiles files, string file, TomlTable registry)
    {
        var endpoints = (registry.Table("mirrors")?.Table(DockerHubHosts.Domain) ?? registry.Table("mirrors")?.Table("*"))?.Texts("endpoint") ?? [];
        var mirrors = files.MirrorsIn(file, "a mirror", endpoints);
        return mirrors.Count == 0 ? null : new EngineConfiguration
        {
            Engine = Engine,
            File = file,
            Mirrors = mirrors,
            Fallback = new Fallback(true, "registry.mirrors falls back to Docker Hub when no endpoint serves"),
        };
    }
}
