using ImageAccess.Proxy.Tests.Tools.Doctor;
using ImageAccess.Proxy.Tools.Engines;

namespace ImageAccess.Proxy.Tests.Tools.Engines;

/// <summary>What is read from the files of engines, good, broken and hostile.</summary>
public sealed class EngineConfigurationTests : IDisposable
{
    private const string Holds = "holds";
    private const string Falls = "falls back";

    private readonly ExaminedMachine _machine = new();

    public void Dispose() => _machine.Dispose();

    public static TheoryData<string, string, string> Files => new()
    {
        { "/etc/docker/daemon.json", """{ "registry-mirrors": ["http://m:5000", "https://n/prefix"], /* why */ "debug": true, }""", "docker: http://m:5000 https://n/prefix/v2 falls back" },
        { "/home/someone/.config/docker/daemon.json", """{ "registry-mirrors": ["https://m"] }""", "docker: https://m falls back" },
        { "/etc/docker/daemon.json", """{ "proxies": { "https-proxy": "http://u:p@proxy:3128", "no-proxy": "localhost" } }""", "docker: by http://proxy:3128" },
        { "/etc/docker/daemon.json", """{ "debug": true }""", "" },
        { "/etc/systemd/system/docker.service.d/proxy.conf", "[Service]\nEnvironment=\"HTTPS_PROXY=http://u:p%%40@proxy:3128\" 'NO_PROXY=a b'\n", "docker: by http://proxy:3128" },
        { "/etc/systemd/system/docker.service.d/proxy.conf", "[Service]\nEnvironment=HTTPS_PROXY=http://one:1 \\\n  HTTP_PROXY=two:2\n", "docker: by http://one:1 http://two:2" },
        { "/etc/systemd/system/docker.service.d/proxy.conf", "[Service]\nEnvironment=HTTPS_PROXY=http://one:1\nEnvironment=\n", "" },
        { "/proc/17/cmdline", "/usr/bin/dockerd\0--registry-mirror=http://m:5000\0--https-proxy\0http://p:1\0", "docker: http://m:5000 by http://p:1 falls back" },
        { "/etc/containerd/certs.d/docker.io/hosts.toml", "server = \"http://m:5000\"\n[host.\"http://m:5000\"]\n", "containerd: http://m:5000 holds" },
        { "/etc/containerd/certs.d/_default/hosts.toml", "server = \"https://m\"\n[host.\"https://m\"]\n", "containerd: https://m holds" },
        { "/etc/containerd/certs.d/docker.io/hosts.toml", "[host.\"http://m:5000\"]\n", "containerd: http://m:5000 falls back" },
        { "/etc/containerd/certs.d/docker.io/hosts.toml", "server = \"http://m:5000\"\n", "containerd: http://m:5000 falls back" },
        { "/etc/containerd/certs.d/docker.io/hosts.toml", "server = \"https://registry-1.docker.io\"\n[host.\"http://m:5000\"]\n", "containerd: http://m:5000 https://registry-1.docker.io falls back" },
        { "/etc/containerd/certs.d/docker.io/hosts.toml", "server = \"https://m/x\"\n[host.\"https://m/x\"]\noverride_path = true\n", "containerd: https://m/x https://m/x/v2 holds" },
        { "/etc/containerd/config.toml", "[plugins.\"io.containerd.grpc.v1.cri\".registry.mirrors.\"docker.io\"]\nendpoint = [\"http://m:5000\"]\n", "containerd: http://m:5000 falls back" },
        { "/etc/containers/registries.conf", "[[registry]]\nprefix = \"docker.io\"\nlocation = \"m:5000/hub\"\n", "podman: https://m:5000/hub holds" },
        { "/etc/containers/registries.conf", "[[registry]]\nlocation = \"docker.io\"\n[[registry.mirror]]\nlocation = \"m:5000\"\n", "podman: https://m:5000 falls back" },
        { "/etc/containers/registries.conf", "[[registry]]\nlocation = \"docker.io\"\nblocked = true\n[[registry.mirror]]\nlocation = \"m:5000\"\n", "podman: https://m:5000 holds" },
        { "/etc/containers/registries.conf", "[[registry]]\nprefix = \"docker.io/x\"\nlocation = \"m:5000\"\n", "podman: https://m:5000" },
        { "/etc/containers/registries.conf", "unqualified-search-registries = [\"docker.io\"]\n[[registry]]\nlocation = \"quay.io\"\n", "" },
        { "/home/someone/.config/containers/registries.conf", "[[registry]]\nprefix = \"docker.io\"\nlocation = \"m\"\n", "podman: https://m holds" },
        { "/etc/buildkit/buildkitd.toml", "[registry.\"docker.io\"]\nmirrors = [\"m:5000\", \"n/p\"]\n[registry.\"m:5000\"]\nhttp = true\n", "BuildKit: http://m:5000 https://n/p falls back" },
        { "/home/someone/.config/buildkit/buildkitd.default.toml", "[registry.\"docker.io\"]\nmirrors = [\"m\"]\n", "BuildKit: https://m falls back" },
        { "/etc/rancher/k3s/registries.yaml", "mirrors:\n  docker.io:\n    endpoint:\n      - http://m:5000\n", "k3s: http://m:5000 falls back" },
        { "/etc/rancher/k3s/registries.yaml", "mirrors:\n  \"*\":\n    endpoint: [ \"m:5000\" ]\n", "k3s: https://m:5000 falls back" },
    };

    [Theory]
    [MemberData(nameof(Files))]
    public void A_file_says_where_its_engine_goes(string file, string text, string read)
    {
        _machine.With(file, text);
        var files = _machine.Files();

        Assert.Equal(read, string.Join("; ", KnownEngines.Read(files).Select(Shown)));
        Assert.Empty(files.Remarks);
    }

    /// <summary>The builder in dockerd speaks TLS to a mirror, and goes to Docker Hub when that fails.</summary>
    [Theory]
    [InlineData("""{ "registry-mirrors": ["http://10.1.2.3:5000"], "insecure-registries": ["10.1.2.3:5000"] }""", "Docker 20.10", "http://10.1.2.3:5000")]
    [InlineData("""{ "registry-mirrors": ["http://hub.corp.example/"], "insecure-registries": ["other.example", "hub.corp.example"] }""", "Docker 20.10", "http://hub.corp.example")]
    [InlineData("""{ "registry-mirrors": ["http://hub.corp.example"] }""", "Docker before 28", "http://hub.corp.example")]
    [InlineData("""{ "registry-mirrors": ["https://a.example", "http://[fd00::5]:5000"], "insecure-registries": ["10.0.0.0/8", "http://a.example", 7] }""", "Docker before 28", "http://[fd00::5]:5000")]
    [InlineData("""{ "registry-mirrors": ["http://10.1.2.3:5000", "http://hub.corp.example/prefix"], "insecure-registries": ["http://10.1.2.3:5000", "http://hub.corp.example"] }""", null, null)]
    [InlineData("""{ "registry-mirrors": ["https://hub.corp.example", "http://localhost:5000", "http://127.8.9.10", "http://[::1]:80"] }""", null, null)]
    public void Builds_that_pass_a_mirror_by_are_told(string text, string? versions, string? mirror)
    {
        _machine.With("/etc/docker/daemon.json", text);

        Assert.Equal(FallsBack(versions, mirror), Assert.Single(KnownEngines.Read(_machine.Files())).Fallback!.Why);
    }

    [Theory]
    [InlineData("dockerd\0--registry-mirror=http://m.example:5000\0--insecure-registry\0m.example:5000\0", "Docker 20.10", "http://m.example:5000")]
    [InlineData("dockerd\0--registry-mirror\0http://m.example:5000\0", "Docker before 28", "http://m.example:5000")]
    [InlineData("dockerd\0--registry-mirror\0http://m.example:5000\0--insecure-registry=http://m.example:5000\0", null, null)]
    [InlineData("dockerd\0--registry-mirror=http://127.0.0.1:5000\0", null, null)]
    public void So_are_those_of_a_mirror_on_the_command_line(string line, string? versions, string? mirror)
    {
        _machine.With("/proc/17/cmdline", line);

        Assert.Equal(FallsBack(versions, mirror), Assert.Single(KnownEngines.Read(_machine.Files())).Fallback!.Why);
    }

    private static string FallsBack(string? versions, string? mirror) => "registry-mirrors always falls back to Docker Hub when no mirror serves; push, manifest inspect and buildx imagetools always go there"
        + (versions is null ? "" : $"; builds of {versions} with BuildKit go there at once, because they speak TLS to {mirror}: give it https, or write {mirror} into insecure-registries");

    [Fact]
    public void K3s_holds_when_its_default_is_switched_off()
    {
        _machine.With("/etc/rancher/k3s/registries.yaml", "mirrors:\n  docker.io:\n    endpoint: [\"http://m\"]\n")
            .With("/etc/rancher/k3s/config.yaml", "disable-default-registry-endpoint: true\n");

        Assert.Equal(["k3s: http://m holds"], KnownEngines.Read(_machine.Files()).Select(Shown));
    }

    [Fact]
    public void A_drop_in_replaces_what_it_names_again()
    {
        _machine.With("/etc/containers/registries.conf", "[[registry]]\nlocation = \"docker.io\"\n[[registry.mirror]]\nlocation = \"old\"\n")
            .With("/etc/containers/registries.conf.d/50-company.conf", "[[registry]]\nprefix = \"docker.io\"\nlocation = \"new\"\n");

        Assert.Equal(["podman: https://new holds"], KnownEngines.Read(_machine.Files()).Select(Shown));
    }

    [Fact]
    public void The_folder_that_containerd_is_told_is_read()
    {
        _machine.With("/etc/containerd/config.toml", "version = 3\n[plugins.\"io.containerd.cri.v1.images\".registry]\nconfig_path = \"/opt/a:/opt/b\"\n")
            .With("/opt/b/docker.io/hosts.toml", "server = \"http://m\"\n[host.\"http://m\"]\n");

        Assert.Equal(["containerd: http://m holds"], KnownEngines.Read(_machine.Files()).Select(Shown));
    }

    [Fact]
    public void The_file_that_dockerd_runs_with_is_read()
    {
        _machine.With("/proc/9/cmdline", "dockerd\0--config-file\0/opt/daemon.json\0").With("/opt/daemon.json", """{"registry-mirrors":["http://m"]}""");

        Assert.Equal(["docker: http://m falls back"], KnownEngines.Read(_machine.Files()).Select(Shown));
    }

    public static TheoryData<string, string, string> Broken => new()
    {
        { "/etc/docker/daemon.json", "{ \"registry-mirrors\": [", "/etc/docker/daemon.json is not valid JSON: " },
        { "/etc/docker/daemon.json", "[]", "/etc/docker/daemon.json is not valid JSON: is no object" },
        { "/etc/docker/daemon.json", """{ "registry-mirrors": ["file:///etc/passwd"] }""", "/etc/docker/daemon.json names a mirror that is no address" },
        { "/etc/docker/daemon.json", """{ "proxies": { "https-proxy": "socks5://u:canary@p" } }""", "/etc/docker/daemon.json names a proxy that is no http or https address; it was not tried" },
        { "/etc/docker/daemon.json", "{ \"a\": " + new string('[', 5000), "/etc/docker/daemon.json is not valid JSON: " },
        { "/etc/docker/daemon.json", "\0\0", "/etc/docker/daemon.json is a binary file" },
        { "/etc/docker/daemon.json/x", "", "/etc/docker/daemon.json may not be read by this user: what it says was not looked at" },
        { "/etc/containerd/certs.d/docker.io/hosts.toml", "server = \n", "/etc/containerd/certs.d/docker.io/hosts.toml is not valid TOML: " },
        { "/etc/containerd/config.toml", "a = " + new string('[', 20000), "/etc/containerd/config.toml is not valid TOML: " },
        { "/etc/containers/registries.conf", "[[registry]\n", "/etc/containers/registries.conf is not valid TOML: " },
        { "/etc/containers/registries.conf", "[[registry]]\nprefix = \"docker.io\"\nlocation = \"\"\n", "/etc/containers/registries.conf names a location that is no address" },
        { "/etc/rancher/k3s/registries.yaml", "mirrors: [\n", "/etc/rancher/k3s/registries.yaml is not valid YAML: " },
        { "/etc/rancher/k3s/registries.yaml", "mirrors: { docker.io: { endpoint: [ \"::\" ] } }\n", "/etc/rancher/k3s/registries.yaml names an endpoint that is no address" },
    };

    [Theory]
    [MemberData(nameof(Broken))]
    public async Task A_broken_file_is_noted(string file, string text, string note)
    {
        _machine.With(file, text);

        var noted = Assert.Single((await _machine.ExamineAsync()).Notes);

        Assert.StartsWith(note, noted, StringComparison.Ordinal);
        Assert.DoesNotContain("canary", noted, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/etc/docker/daemon.json", """{ "registry-mirrors": 7, "proxies": [] }""")]
    [InlineData("/etc/docker/daemon.json", """{ "registry-mirrors": [ 7, null, {} ] }""")]
    [InlineData("/etc/docker/daemon.json", """{ "insecure-registries": { "m": 7 } }""")]
    [InlineData("/etc/containerd/config.toml", "plugins = 7\n")]
    [InlineData("/etc/containers/registries.conf", "registry = \"x\"\n")]
    [InlineData("/etc/buildkit/buildkitd.toml", "registry = [ 1 ]\n")]
    [InlineData("/etc/rancher/k3s/registries.yaml", "mirrors: { docker.io: [] }\n")]
    public void Values_of_another_kind_are_passed_over(string file, string text)
    {
        _machine.With(file, text);

        Assert.Empty(KnownEngines.Read(_machine.Files()));
    }

    [Fact]
    public void A_file_without_end_is_not_read()
    {
        _machine.With("/etc/docker/daemon.json", new string(' ', (16 * 1024 * 1024) + 1));
        var files = _machine.Files();

        Assert.Empty(KnownEngines.Read(files));
        Assert.Equal(["/etc/docker/daemon.json has more than 16 MiB, which are not read"], files.Remarks);
    }

    private static string Shown(EngineConfiguration configuration)
    {
        string?[] words =
        [
            .. configuration.Mirrors.Select(mirror => mirror.ToString()),
            .. configuration.Proxies.Count > 0 ? configuration.Proxies.Select(proxy => proxy.ToString()).Prepend("by") : [],
            configuration.Fallback is null ? null : configuration.Fallback.IsToDockerHub ? Falls : Holds,
        ];
        return $"{configuration.Engine}: {string.Join(' ', words.OfType<string>())}";
    }
}
