using ImageAccess.Core.Hosts;
using ImageAccess.Proxy.Tools.Engines.Containerd;

namespace ImageAccess.Proxy.Tools.Engines.Kubernetes;

/// <summary>A node of Kubernetes with containerd, and k3s and RKE2, which bring theirs along.</summary>
internal sealed class KubernetesEngine : IEngine
{
    /// <summary>Pods, services and the API are reached directly.</summary>
    private const string NoProxy = $"{MachineParts.NoProxy},10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7,.svc,.cluster.local";

    private const string Everywhere = "Every node needs it, the control plane's as well. CRI-O instead of containerd: imageaccess clients podman.";

    private const string Folder = "/etc/rancher/k3s";
    private const string AuthorityPath = $"{Folder}/imageaccess.crt";

    public static readonly EngineFile Registries = new($"{Folder}/registries.yaml", WaysIn.Mirror);
    public static readonly EngineFile Settings = new($"{Folder}/config.yaml", WaysIn.Mirror);

    private static readonly ContainerdEngine Containerd = new();

    public string Name => "kubernetes";

    /// <summary>Those of k3s; the others are containerd's.</summary>
    public IReadOnlyList<EngineFile> Files => [Registries, Settings];

    public ClientSetup Mirror(MirrorWay way) => new()
    {
        Files = ContainerdEngine.MirrorFiles(way),
        Alternatives = [.. ContainerdEngine.FolderSettings, .. K3s(way)],
        Notes =
        [
            Everywhere,
            "containerd reads hosts.toml at each pull; after a change of config.toml: systemctl restart containerd.",
            "Nothing falls back to Docker Hub, also when the proxy is down. Pulls are anonymous unless an imagePullSecret names the registry.",
            $"RKE2 has the folder /etc/rancher/rke2 in the place of {Folder}. Restart k3s or rke2-server and rke2-agent afterwards.",
        ],
    };

    public ClientSetup Gateway(GatewayWay way)
    {
        var containerd = Containerd.Gateway(way);
        return new()
        {
            Files = containerd.Files,
            Commands = containerd.Commands,
            Notes = [Everywhere, "k3s and RKE2: restart k3s, or rke2-server and rke2-agent, in the place of containerd.", .. containerd.Notes],
        };
    }

    public ClientSetup ForwardProxy(ForwardProxyWay way) => new()
    {
        Files = [MachineParts.Authority(way.Authority), ContainerdEngine.Unit.DropIn(way, NoProxy)],
        Commands = [.. MachineParts.TrustAuthority, ContainerdEngine.Unit.Reload],
        Alternatives =
        [
            new ClientFile("/etc/systemd/system/k3s.service.env", $"""
                CONTAINERD_HTTPS_PROXY={way.Address}
                CONTAINERD_NO_PROXY={NoProxy}

                """)
            {
                When = "k3s, merged by hand; on agents k3s-agent.service.env; RKE2 has /etc/default/rke2-server and rke2-agent",
                IsMerged = true,
            },
        ],
        Notes =
        [
            Everywhere,
            "Narrow the private networks in NO_PROXY to those of the cluster.",
            .. MachineParts.ProxyNotes(way),
        ],
    };

    public IEnumerable<EngineConfiguration> Read(ConfigurationFiles files) => K3sReader.Read(files);

    private static IEnumerable<ClientFile> K3s(MirrorWay way)
    {
        yield return new ClientFile(Registries.Ours, $"""
            mirrors:
            {string.Concat(DockerHubHosts.Registries.OrderBy(name => name.Length).Select(name => $"  {name}:\n    endpoint:\n      - \"{way.Address}\"\n")).TrimEnd('\n')}
            {(way.Authority is null ? "" : $"configs:\n  \"{way.Host}\":\n    tls:\n      ca_file: {AuthorityPath}\n")}
            """.TrimEnd('\n') + "\n")
        {
            When = "k3s and RKE2, in the place of hosts.toml",
        };
        yield return new ClientFile(Settings.Ours, "disable-default-registry-endpoint: true\n")
        {
            When = "k3s and RKE2, merged by hand: without it they fall back to Docker Hub",
            IsMerged = true,
        };
        if (way.Authority is { } pem)
            yield return new ClientFile(AuthorityPath, pem) { When = "k3s and RKE2" };
    }
}
