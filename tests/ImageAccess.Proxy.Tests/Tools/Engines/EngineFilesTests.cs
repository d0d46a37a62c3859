using System.Net;
using ImageAccess.Proxy.Tests.Tools.Doctor;
using ImageAccess.Proxy.Tools.Engines;

namespace ImageAccess.Proxy.Tests.Tools.Engines;

/// <summary>An engine names its files once: <c>clients</c> writes these, <c>doctor</c> reads these.</summary>
public sealed class EngineFilesTests : IDisposable
{
    private const string Authority = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

    private static readonly Dictionary<string, (WayIn Way, WaysIn Kind)> Modes = new()
    {
        ["mirror"] = (new MirrorWay(new Uri("http://way.example.com:5000"), null), WaysIn.Mirror),
        ["mirror-https"] = (new MirrorWay(new Uri("https://way.example.com:5000"), Authority), WaysIn.Mirror),
        ["gateway"] = (new GatewayWay([IPAddress.Parse("192.0.2.10")], 443, Authority), WaysIn.Gateway),
        ["forward-proxy"] = (new ForwardProxyWay(new Uri("http://way.example.com:5000"), null, Authority), WaysIn.ForwardProxy),
    };

    /// <summary>Files of the whole machine. Doctor does not read them: it sees what they do.</summary>
    private static readonly Dictionary<string, string> SeenByTheirEffect = new()
    {
        ["/etc/imageaccess/hosts"] = "doctor resolves Docker Hub's names as the system does",
        ["/etc/profile.d/imageaccess.sh"] = "doctor tries the HTTPS_PROXY of its environment",
    };

    /// <summary>What is written and not read today, and why. Doctor does not find these set-ups; who teaches it to takes the line out.</summary>
    private static readonly (string Engine, string Mode, string Path, string Why)[] Gaps =
    [
        .. from engine in new[] { "containerd", "kubernetes" }
           from mode in new[] { "mirror", "mirror-https" }
           from name in new[] { "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com" }
           select (engine, mode, $"/etc/containerd/certs.d/{name}/hosts.toml", "the reader looks at docker.io alone"),
        .. from mode in new[] { "mirror", "mirror-https" }
           from path in new[] { "/etc/buildkit/imageaccess-policy.json", "/etc/profile.d/imageaccess-buildkit.sh" }
           select ("buildkit", mode, path, "the reader knows no source policy: it calls a fallback open that the policy closes"),
        ("buildkit", "gateway", "/etc/buildkit/buildkitd.toml", "it has the authority alone, and no way"),
        ("buildkit", "forward-proxy", "/etc/buildkit/buildkitd.toml", "it has the authority alone, and no way"),
        ("buildkit", "forward-proxy", "/etc/systemd/system/buildkit.service.d/imageaccess.conf", "only docker's drop-ins are read"),
        ("containerd", "forward-proxy", "/etc/systemd/system/containerd.service.d/imageaccess.conf", "only docker's drop-ins are read"),
        ("kubernetes", "forward-proxy", "/etc/systemd/system/containerd.service.d/imageaccess.conf", "only docker's drop-ins are read"),
        ("kubernetes", "forward-proxy", "/etc/systemd/system/k3s.service.env", "only docker's drop-ins are read"),
        ("podman", "forward-proxy", "/etc/containers/containers.conf.d/imageaccess.conf", "registries.conf is read, and containers.conf is not"),
    ];

    private readonly ExaminedMachine _machine = new();

    public void Dispose() => _machine.Dispose();

    public static TheoryData<string, string> Written()
    {
        var all = new TheoryData<string, string>();
        foreach (var engine in KnownEngines.All)
        {
            foreach (var mode in Modes.Keys)
                all.Add(engine.Name, mode);
        }

        return all;
    }

    public static TheoryData<string, string> Described()
    {
        var all = new TheoryData<string, string>();
        foreach (var engine in KnownEngines.All)
        {
            foreach (var file in engine.Files)
                all.Add(engine.Name, file.Path);
        }

        return all;
    }

    [Theory]
    [MemberData(nameof(Written))]
    public void Every_file_that_is_written_is_one_that_is_read(string engine, string mode)
    {
        var written = Setup(engine, mode).Select(file => file.Path).Distinct()
            .Where(path => path[0] == '/') // the others are a repository's, which no machine's description names
            .Where(path => !path.EndsWith(".crt", StringComparison.Ordinal)) // doctor says of each certificate whether the system trusts it
            .Except(SeenByTheirEffect.Keys);

        var unread = written.Except(Named(Modes[mode].Kind)).Order(StringComparer.Ordinal);

        Assert.Equal(Gaps.Where(gap => (gap.Engine, gap.Mode) == (engine, mode)).Select(gap => gap.Path).Order(StringComparer.Ordinal), unread);
    }

    /// <summary>Alone, or beside what <c>clients</c> writes: some files matter only beside others.</summary>
    [Theory]
    [MemberData(nameof(Described))]
    public void Every_file_that_is_named_is_read(string engine, string named)
    {
        var path = Assert.Single(Engine(engine).Files, file => file.Path == named).Ours.Replace("~/", "/home/someone/", StringComparison.Ordinal);
        _machine.With(path, "\0");
        if (Remarks().Count == 0)
        {
            foreach (var file in Setup(engine, "mirror").Where(file => file.Path != path))
                _machine.With(file.Path, file.Content);
        }

        Assert.Equal([$"{path} is a binary file"], Remarks());

        IReadOnlyList<string> Remarks()
        {
            var files = _machine.Files();
            _ = Engine(engine).Read(files).ToList();
            return files.Remarks;
        }
    }

    [Theory]
    [MemberData(nameof(Written))]
    public void The_way_that_is_written_is_found_again(string engine, string mode)
    {
        var setup = Setup(engine, mode);
        foreach (var file in setup.Where(file => file.Path[0] == '/'))
            _machine.With(file.Path, file.Content);
        var files = _machine.Files();

        var found = KnownEngines.Read(files).SelectMany(configuration =>
            configuration.Mirrors.Select(mirror => mirror.Registry.Origin.Authority).Concat(configuration.Proxies.Select(proxy => proxy.Authority))).Distinct();

        var isNamed = setup.Select(file => file.Path).Intersect(Named(Modes[mode].Kind)).Any();
        Assert.Equal(isNamed ? ["way.example.com:5000"] : [], found);
        Assert.Empty(files.Remarks);
    }

    [Fact]
    public void Names_are_told_apart() => Assert.Equal(KnownEngines.All.Count, KnownEngines.All.Select(engine => engine.Name).Distinct().Count());

    private static IEngine Engine(string name) => KnownEngines.All.Single(engine => engine.Name == name);

    private static List<ClientFile> Setup(string engine, string mode)
    {
        var setup = Modes[mode].Way.SetUp(Engine(engine));
        return [.. setup.Files, .. setup.Alternatives];
    }

    private static IEnumerable<string> Named(WaysIn kind) => KnownEngines.All.SelectMany(engine => engine.Files).Where(file => file.Ways.HasFlag(kind)).Select(file => file.Ours);
}
