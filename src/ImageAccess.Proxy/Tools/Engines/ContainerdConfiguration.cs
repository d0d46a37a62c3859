using ImageAccess.Core.Hosts;
using Tomlyn.Model;

namespace ImageAccess.Proxy.Tools.Engines;

/// <summary>containerd: <c>hosts.toml</c> of Docker Hub, or of all registries, and the mirrors of the CRI plugin.</summary>
internal static class ContainerdConfiguration
{
    private const string Engine = "containerd";
    private const string Main = "/etc/containerd/config.toml";

    public static IEnumerable<ClientConfiguration> Read(ConfigurationFiles files)
    {
        var registries = files.ReadToml(Main)?.Table("plugins")?.Values.OfType<TomlTable>().Select(plugin => plugin.Table("registry")).OfType<TomlTable>().ToList() ?? [];
        var folders = registries.SelectMany(registry => (registry.Text("config_path") ?? "").Split(':', StringSplitOptions.RemoveEmptyEntries))
            .Append("/etc/containerd/certs.d").Select(folder => folder.TrimEnd('/')).Distinct();
        return folders.Select(folder => ReadFolder(files, folder)).Concat(registries.Select(registry => ReadMirrors(files, registry))).OfType<ClientConfiguration>();
    }

    /// <summary>The folder of Docker Hub; the one for all registries where there is none.</summary>
    private static ClientConfiguration? ReadFolder(ConfigurationFiles files, string folder)
    {
        var own = $"{folder}/{DockerHubHosts.Domain}";
        var file = $"{(files.IsFolder(own) ? own : $"{folder}/_default")}/hosts.toml";
        if (files.ReadToml(file) is not { } toml)
            return null;

        var hosts = toml.Table("host") ?? [];
        var mirrors = new List<MirrorAddress>();
        foreach (var (text, settings) in hosts)
            Add(text, settings is TomlTable host && host.IsTrue("override_path"));
        var server = toml.Text("server");
        if (server is not null)
            Add(server, toml.IsTrue("override_path"));
        return new ClientConfiguration { Engine = Engine, File = file, Mirrors = [.. mirrors.Distinct()], Fallback = FallbackOf(server, hosts, mirrors) };

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
    private static ClientConfiguration? ReadMirrors(ConfigurationFiles files, TomlTable registry)
    {
        var endpoints = (registry.Table("mirrors")?.Table(DockerHubHosts.Domain) ?? registry.Table("mirrors")?.Table("*"))?.Texts("endpoint").ToList() ?? [];
        var mirrors = new List<MirrorAddress>();
        foreach (var endpoint in endpoints)
        {
            if (MirrorAddress.TryParseUrl(endpoint, isWholePath: false, out var mirror))
                mirrors.Add(mirror);
            else
                files.Remark(Main, "names a mirror that is no address");
        }

        return mirrors.Count == 0 ? null : new ClientConfiguration
        {
            Engine = Engine,
            File = Main,
            Mirrors = mirrors,
            Fallback = new Fallback(true, "registry.mirrors falls back to Docker Hub when no endpoint serves"),
        };
    }
}
