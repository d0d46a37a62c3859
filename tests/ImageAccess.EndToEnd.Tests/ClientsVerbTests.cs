using System.Net;
using ImageAccess.EndToEnd.Tests.Clients;
using ImageAccess.FakeHubs;

namespace ImageAccess.EndToEnd.Tests;

/// <summary>What <c>imageaccess clients</c> writes, in the hands of real clients: they come by the proxy, and nowhere else.</summary>
[Collection(nameof(Surroundings))]
public sealed class ClientsVerbTests(Surroundings world)
{
    private const string Denied = Surroundings.Denied;
    private const string SourcePolicy = "EXPERIMENTAL_BUILDKIT_SOURCE_POLICY";

    [Theory]
    [InlineData("dockerd 20.10")]
    [InlineData("dockerd 28")]
    public async Task BuildKit_with_a_mirror_alone_builds_past_one_that_is_down(string name)
    {
        var docker = (Docker)await world.DeployedClientAsync(name, $"127.0.0.1:{Ports.Free()}");
        world.Hub.Requests.Clear();

        (await docker.BuildAsync("past", "FROM someuser/custom-image\nCOPY file /file\n", buildKit: true)).Succeeded();

        Assert.NotEmpty(world.HandedOut("someuser/custom-image"));
        await docker.RemoveAsync("past");
    }

    [Theory]
    [InlineData("FROM library/hello")]
    [InlineData("FROM registry-1.docker.io/library/hello")]
    [InlineData("FROM index.docker.io/library/hello")]
    [InlineData("# syntax=library/hello\nFROM scratch")]
    public async Task BuildKit_with_the_source_policy_does_not_build_past_a_proxy_that_is_down(string dockerfile)
    {
        var (cell, docker) = await BuilderAsync("down", $"127.0.0.1:{Ports.Free()}");
        await using var _ = docker;

        (await BuildAsync(cell, dockerfile)).FailedSaying("connection refused");

        Assert.Empty(world.Hub.Requests.All);
    }

    [Fact]
    public async Task BuildKit_with_the_source_policy_builds_what_is_allowed_and_reads_why_the_rest_is_not()
    {
        var (cell, docker) = await BuilderAsync("up", world.Yielding.Mirror.Authority);
        await using var _ = docker;
        var digest = await world.DigestAsync("someuser/custom-image", "latest");

        (await BuildAsync(cell, "FROM someuser/custom-image")).FailedSaying($"403 {Denied}");
        (await BuildAsync(cell, $"FROM someuser/custom-image@{digest}")).FailedSaying($"403 {Denied}");
        (await BuildAsync(cell, "# syntax=someuser/custom-image\nFROM scratch")).FailedSaying($"403 {Denied}");
        Assert.Empty(world.HandedOut("someuser/custom-image"));

        (await BuildAsync(cell, "FROM library/hello")).Succeeded();
        (await BuildAsync(cell, "FROM bitnami/redis")).Succeeded();
        Assert.Empty(world.Hub.Requests.ViaDockerHubNames);
    }

    [Theory]
    [InlineData("containerd 1.6")]
    [InlineData("containerd 2")]
    public async Task Containerd_gets_what_is_allowed_and_no_more_by_each_of_the_registrys_names(string name)
    {
        foreach (var (mirror, isDown) in new[] { (world.Proxy.Mirror, false), (new Uri($"http://127.0.0.1:{Ports.Free()}"), true) })
        {
            var containerd = (Containerd)await world.DeployedClientAsync(name, mirror.Authority);
            var files = await world.GeneratedAsync($"containerd-{mirror.Port}", $"http://{mirror.Authority}", "containerd", "--mode", "mirror");
            var hosts = files.PathOf("/etc/containerd/certs.d");
            foreach (var registry in new[] { "docker.io", "registry-1.docker.io", "index.docker.io", "registry.hub.docker.com" })
            {
                world.Hub.Requests.Clear();
                var allowed = await PullAsync(containerd, hosts, $"{registry}/library/hello:latest");
                var denied = await PullAsync(containerd, hosts, $"{registry}/someuser/custom-image:latest");

                if (isDown) allowed.FailedSaying("connection refused");
                else allowed.Succeeded();
                denied.FailedSaying(isDown ? "connection refused" : Denied);
                Assert.Empty(world.HandedOut("someuser/custom-image"));
                Assert.Empty(world.Hub.Requests.ViaDockerHubNames);
            }
        }

        static Task<Outcome> PullAsync(Containerd containerd, string hosts, string image) =>
            containerd.RunAsync("images", "pull", "--snapshotter", "native", "--hosts-dir", hosts, image);
    }

    [Theory]
    [InlineData("containerd 1", "containerd 1")]
    [InlineData("containerd 2", "containerd 2")]
    public async Task Containerd_reads_the_setting_that_names_the_folder_to_the_Kubernetes_plugin(string name, string when)
    {
        var files = await world.GeneratedAsync("kubernetes", "http://127.0.0.1:5000", "kubernetes", "--mode", "mirror");
        var cell = name == "containerd 2" ? world.CurrentCell("kubernetes-2") : world.OwnCell("kubernetes-1");

        var dump = await cell.RunAsync("containerd", "--config", cell.Write("config.toml", files.Alternative("/etc/containerd/config.toml", when)), "config", "dump");

        dump.Succeeded();
        Assert.Contains(dump.Text.Split('\n'), line => line.Trim().Replace('\'', '"') == "config_path = \"/etc/containerd/certs.d\"");
    }

    [Theory]
    [InlineData("podman 4")]
    [InlineData("podman 5")]
    [InlineData("skopeo 1.22")]
    public async Task Podman_and_skopeo_ask_the_proxy_also_for_the_registrys_other_names(string name)
    {
        foreach (var (authority, succeeds) in new[] { (world.Yielding.Mirror.Authority, true), ($"127.0.0.1:{Ports.Free()}", false) })
        {
            var client = await world.DeployedClientAsync(name, authority);
            foreach (var registry in new[] { "registry-1.docker.io", "index.docker.io", "registry.hub.docker.com" })
            {
                world.Hub.Requests.Clear();
                var pull = await client.PullAsync($"{registry}/library/hello");
                Assert.True(pull.ExitCode == 0 == succeeds, pull.ToString());
                Assert.Empty(world.Hub.Requests.ViaDockerHubNames);
            }
        }
    }

    [Theory]
    [InlineData("dockerd 20.10")]
    [InlineData("dockerd 28")]
    public async Task Docker_asks_no_mirror_for_the_registrys_other_name(string name)
    {
        var docker = await world.DeployedClientAsync(name, world.Proxy.Mirror.Authority);
        world.Hub.Requests.Clear();

        (await docker.PullAsync("registry-1.docker.io/someuser/custom-image")).Succeeded();

        Assert.NotEmpty(world.Hub.Requests.ViaDockerHubNames);
        await docker.RemoveAsync("registry-1.docker.io/someuser/custom-image");
    }

    [Theory]
    [InlineData("skopeo $SKOPEO_MIRROR --policy policy.json copy docker://docker.io/someuser/custom-image:latest dir:image")]
    [InlineData("buildah --root root --runroot state --storage-driver vfs pull --signature-policy policy.json docker.io/someuser/custom-image")]
    public async Task The_environment_of_a_job_leads_to_the_mirror_alone(string command)
    {
        foreach (var (authority, says) in new[] { (world.Yielding.Mirror.Authority, Denied), ($"127.0.0.1:{Ports.Free()}", "connection refused") })
        {
            var port = authority.Split(':')[1];
            var files = await world.GeneratedAsync($"ci-{port}", $"http://{authority}", "ci", "--mode", "mirror");
            var cell = world.OwnCell($"job-{port}");
            cell.Write("policy.json", """{ "default": [ { "type": "insecureAcceptAnything" } ] }""");
            world.Hub.Requests.Clear();

            var pull = await cell.RunAsync("sh", "-euc", $"cd {files.Folder}; . ci/imageaccess/env.sh; cd {cell.Folder}; {command}");

            pull.FailedSaying(says);
            Assert.Empty(world.Hub.Requests.ViaDockerHubNames);
        }
    }

    [Theory]
    [InlineData("dockerd 20.10")]
    [InlineData("dockerd 28")]
    [InlineData("podman 4")]
    [InlineData("podman 5")]
    [InlineData("buildah 1.43")]
    [InlineData("skopeo 1.9")]
    [InlineData("containerd 1.6")]
    public async Task By_a_forward_proxy_everything_comes_by_the_proxy(string name)
    {
        var proxy = await world.InterceptingAsync();
        world.Hub.Requests.Clear();

        var (allowed, denied) = await PullByAsync(name, proxy);

        allowed.Succeeded();
        denied.FailedSaying(Denied);
        Assert.NotEmpty(world.HandedOut("library/hello"));
        Assert.Empty(world.HandedOut("someuser/custom-image"));
        Assert.Empty(world.Hub.Requests.ViaDockerHubNames);
    }

    /// <summary>
    /// The mirror's certificate is of an authority that the machine does not know: only who was given it reads the answer. Not dockerd,
    /// which asks for no certificate where a name leads to loopback.
    /// </summary>
    [Theory]
    [InlineData("containerd 1.6", Denied)]
    [InlineData("containerd 2", Denied)]
    [InlineData("podman 4", "invalid status code from registry 403 (Forbidden)")]
    [InlineData("podman 5", Denied)]
    public async Task An_https_mirror_is_trusted_by_the_files_alone(string name, string then)
    {
        using var authority = new CertificateAuthority("The company's");
        using var certificate = authority.Issue("mirror.test");
        await using var mirror = new RefusingServer(new IPEndPoint(IPAddress.Loopback, 0), Denied, certificate);
        var key = $"tls-{name.Replace(' ', '-')}";
        var files = await world.GeneratedAsync(
            key, $"https://mirror.test:{mirror.Port}", name.Split(' ')[0], "--mode", "mirror", "--ca", AuthorityFile(authority));
        var cell = name is "containerd 2" or "podman 5" ? world.CurrentCell(key) : world.OwnCell(key);
        cell.LayOver(files.Folder);
        world.Hub.Requests.Clear();

        await using IClient started = name.StartsWith("containerd", StringComparison.Ordinal)
            ? await Containerd.StartAsync(cell, files.Read("/etc/containerd/certs.d/docker.io/hosts.toml"))
            : Podman.Of(cell, files.Read("/etc/containers/registries.conf.d/imageaccess.conf"));
        var pull = await started.PullAsync("library/hello");

        pull.FailedSaying(then);
        Assert.Contains(mirror.Asked, line => line.Contains(" /v2/", StringComparison.Ordinal));
        Assert.Empty(world.Hub.Requests.All);
    }

    [Fact]
    public async Task What_the_commands_do_is_undone_and_what_was_changed_since_is_kept()
    {
        using var authority = new CertificateAuthority("The company's");
        var files = await world.GeneratedAsync(
            "undo", null, "buildkit", "--mode", "gateway", "--address", "192.0.2.10", "--address", "2001:db8::10", "--ca", AuthorityFile(authority));
        var start = new System.Diagnostics.ProcessStartInfo("unshare", [
            "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child",
            "bash", Path.Combine(ProxyUnderTest.Repository, "tests/ImageAccess.EndToEnd.Tests/Networks/undo.sh")]);
        start.Environment["TREE"] = files.Folder;
        start.Environment["WORK"] = Directory.CreateDirectory(Path.Combine(files.Folder, "..", "undo-work")).FullName;
        start.Environment["COMMANDS"] = string.Join('\n', files.Commands.Where(command => !command.Contains("update-ca-trust", StringComparison.Ordinal)));

        var said = (await Running.ToEndAsync(start, "undo.sh", "", TimeSpan.FromSeconds(90))).Succeeded();

        Assert.Equal("""
            before: no trust, no names
            done: trust, 192.0.2.10 2001:db8::10
            kept: /etc/buildkit/buildkitd.toml is not as it was written; take out by hand what TREE/etc/buildkit/buildkitd.toml has
            undo: 1
            undone: no trust, no names
            left: /etc/buildkit/buildkitd.toml

            """.ReplaceLineEndings("\n"), said.Text.Replace(files.Folder, "TREE", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Compose_accepts_the_recipe()
    {
        var cell = world.CurrentCell("compose-recipe");
        cell.Write("deploy/compose/compose.yaml", await File.ReadAllTextAsync(Path.Combine(ProxyUnderTest.Repository, "deploy/compose/compose.yaml")));

        (await cell.RunAsync("docker", "compose", "--file", cell.PathOf("deploy/compose/compose.yaml"), "config", "--quiet")).Succeeded();
    }

    /// <summary>What is to be set before a program is started, as the system does it.</summary>
    private static void ApplyDropIn(Cell cell, string dropIn)
    {
        foreach (var line in dropIn.Split('\n').Where(line => line.StartsWith("Environment=\"", StringComparison.Ordinal)))
        {
            var (variable, value) = line["Environment=\"".Length..^1].Split('=', 2) is [var left, var right] ? (left, right) : throw new FormatException(line);
            cell.Set(variable, value.Replace("%%", "%", StringComparison.Ordinal));
        }
    }

    private string AuthorityFile(CertificateAuthority authority) => world.OwnCell("authority").Write("ca.crt", authority.CertificatePem);

    /// <summary>A pull of an image that is allowed, and one of an image that is denied.</summary>
    private async Task<(Outcome Allowed, Outcome Denied)> PullByAsync(string name, ProxyUnderTest proxy)
    {
        var key = $"forward-{name.Replace(' ', '-')}";
        var program = name.Split(' ')[0];
        var files = await world.GeneratedAsync(
            key, null, program switch { "dockerd" => "docker", "buildah" or "skopeo" => "podman", _ => program },
            "--mode", "forward-proxy", "--address", proxy.Intercepting!.ForwardProxy.Host, "--ca", proxy.AuthorityFile);
        var cell = name is "dockerd 28" or "podman 5" or "buildah 1.43" ? world.CurrentCell(key) : world.OwnCell(key);
        cell.Set("TRUST", proxy.AuthorityFile);
        const string registries = "unqualified-search-registries = [\"docker.io\"]\n";
        switch (program)
        {
            case "dockerd":
                var hasSetting = name == "dockerd 28";
                if (!hasSetting) ApplyDropIn(cell, files.Read("/etc/systemd/system/docker.service.d/imageaccess.conf"));
                await using (var docker = hasSetting
                    ? await Docker.CurrentAsync(cell, files.Alternative("/etc/docker/daemon.json"))
                    : await Docker.ClassicAsync(cell, "{}"))
                {
                    return await BothAsync(docker.PullAsync);
                }

            case "containerd":
                await using (var containerd = await Containerd.StartAsync(cell, ""))
                {
                    return await BothAsync(image => containerd.RunByProfileAsync(files.PathOf("/etc/profile.d/imageaccess.sh"), image));
                }

            case "podman":
                cell.Set("CONTAINERS_CONF", cell.Write("containers.conf", files.Read("/etc/containers/containers.conf.d/imageaccess.conf")));
                return await BothAsync(Podman.Of(cell, registries).PullAsync);
            default:
                var policy = cell.Write("policy.json", """{ "default": [ { "type": "insecureAcceptAnything" } ] }""");
                var command = program == "skopeo"
                    ? $"skopeo --policy {policy} inspect docker://docker.io/"
                    : $"buildah --root {cell.PathOf("root")} --runroot {cell.PathOf("state")} --storage-driver vfs pull --signature-policy {policy} docker.io/";
                return await BothAsync(image => cell.RunAsync("sh", "-euc", $". {cell.Write("profile.sh", files.Read("/etc/profile.d/imageaccess.sh"))}; {command}{image}"));
        }

        static async Task<(Outcome, Outcome)> BothAsync(Func<string, Task<Outcome>> pull) => (await pull("library/hello"), await pull("someuser/custom-image"));
    }

    /// <summary>The current dockerd's builder, and the environment of a person's shell that builds with it.</summary>
    private async Task<(Cell Cell, Docker Docker)> BuilderAsync(string key, string authority)
    {
        var port = authority.Split(':')[1];
        var daemon = await world.GeneratedAsync($"docker-{port}", $"http://{authority}", "docker", "--mode", "mirror");
        var files = await world.GeneratedAsync($"buildkit-{port}", $"http://{authority}", "buildkit", "--mode", "mirror");
        var cell = world.CurrentCell($"buildkit-{key}-{port}");
        cell.LayOver(files.Folder);
        var docker = await Docker.CurrentAsync(cell, daemon.Read("/etc/docker/daemon.json"));
        world.Hub.Requests.Clear();
        return (cell, docker);
    }

    private static Task<Outcome> BuildAsync(Cell cell, string dockerfile)
    {
        cell.Write("context/file", "a file of the build context\n");
        cell.Write("context/Dockerfile", $"{dockerfile}\nCOPY file /file\n");
        return cell.RunAsync(
            "sh", "-euc", $". /etc/profile.d/imageaccess-buildkit.sh; test -r \"${SourcePolicy}\"; docker build --no-cache --progress plain --tag built {cell.PathOf("context")}");
    }
}
