using ImageAccess.EndToEnd.Tests.Clients;

namespace ImageAccess.EndToEnd.Tests;

/// <summary>
/// Clients that have no mirror: their names of Docker Hub lead to the gateway, or their connections go through the forward proxy, and
/// they trust the proxy's CA. Docker Hub itself is nowhere to be found for them.
/// </summary>
[Collection(nameof(Surroundings))]
public sealed class InterceptionTests(Surroundings world)
{
    private const string Denied = Surroundings.Denied;

    private static readonly string[] Ways = ["gateway", "forward-proxy"];

    /// <summary>What each client prints of a denied image.</summary>
    private static readonly (string Name, string Says)[] Says =
    [
        ("dockerd 20.10", $"Error response from daemon: unknown: {Denied}"),
        ("dockerd 28", $"Error response from daemon: error from registry: {Denied}"),
        ("containerd 1.6", $"403 {Denied}"),
        ("containerd 2", $"403 {Denied}"),
        ("podman 4", $"denied: {Denied}"),
        ("podman 5", $"denied: {Denied}"),
        ("skopeo 1.9", $"denied: {Denied}"),
        ("skopeo 1.22", $"denied: {Denied}"),
    ];

    public static TheoryData<string, string, string> Clients()
    {
        var all = new TheoryData<string, string, string>();
        foreach (var way in Ways)
        {
            foreach (var (name, says) in Says)
                all.Add(name, way, says);
        }

        return all;
    }

    public static TheoryData<string, string, bool> Builders()
    {
        var all = new TheoryData<string, string, bool>();
        foreach (var way in Ways)
        {
            foreach (var name in new[] { "dockerd 20.10", "dockerd 28" })
            {
                all.Add(name, way, false);
                all.Add(name, way, true);
            }
        }

        return all;
    }

    [Theory]
    [MemberData(nameof(Clients))]
    public async Task An_allowed_image_arrives_and_a_denied_one_is_refused_with_the_reason(string name, string way, string says)
    {
        var client = await world.InterceptedClientAsync(name, way);
        world.Hub.Requests.Clear();

        (await client.PullAsync("library/hello")).Succeeded();
        await client.RemoveAsync("library/hello");
        Assert.NotEmpty(world.HandedOut("library/hello"));

        (await client.PullAsync("someuser/custom-image")).FailedSaying(says);
        Assert.False(await client.HasAsync("someuser/custom-image"));
        var digest = await world.DigestAsync("someuser/custom-image", "latest");
        (await client.PullAsync($"someuser/custom-image@{digest}")).FailedSaying(Denied);

        Assert.Empty(world.HandedOut("someuser/custom-image"));
        NobodyButTheProxyAsked();
    }

    /// <summary>Signed in with a personal access token at Docker Hub, as the client believes.</summary>
    [Theory]
    [MemberData(nameof(Clients))]
    public async Task A_member_signs_in_pulls_what_is_private_and_pushes_to_the_organization(string name, string way, string says)
    {
        Assert.NotEmpty(says);
        var client = await world.InterceptedClientAsync(name, way);
        var pushed = $"acme/by-{way}-{name.Replace(' ', '-')}";
        world.Hub.Requests.Clear();

        (await LoginAsync(client)).Succeeded();
        if (client is not Containerd)
        {
            (await client.PullAsync("acme/secret")).Succeeded();
            await client.RemoveAsync("acme/secret");
        }

        (await client.PullAsync("acme/app")).Succeeded();
        (await PushAsync(client, "acme/app", pushed)).Succeeded();
        Assert.NotNull(await world.DigestAsync(pushed, "latest"));
        var leaked = await PushAsync(client, "acme/app", $"bob/leaked-{way}-{name.Replace(' ', '-')}");

        leaked.Failed();
        Assert.Null(await world.DigestAsync($"bob/leaked-{way}-{name.Replace(' ', '-')}", "latest"));
        await client.RemoveAsync("acme/app");
        await LogoutAsync(client);
        NobodyButTheProxyAsked();
    }

    [Theory]
    [MemberData(nameof(Builders))]
    public async Task A_build_gets_its_allowed_stage_and_reads_why_the_other_is_denied(string name, string way, bool buildKit)
    {
        var docker = (Docker)await world.InterceptedClientAsync(name, way);
        world.Hub.Requests.Clear();

        (await docker.BuildAsync("built", "FROM library/hello\nCOPY file /file\n", buildKit)).Succeeded();
        await docker.RemoveAsync("built");
        (await docker.BuildAsync("refused", "FROM library/hello AS one\nFROM someuser/custom-image\nCOPY --from=one /hello.txt /file\n", buildKit)).FailedSaying(Denied);

        Assert.False(await docker.HasAsync("refused"));
        Assert.Empty(world.HandedOut("someuser/custom-image"));
        NobodyButTheProxyAsked();
    }

    [Theory]
    [InlineData("dockerd 20.10", "gateway")]
    [InlineData("dockerd 20.10", "forward-proxy")]
    [InlineData("dockerd 28", "gateway")]
    [InlineData("dockerd 28", "forward-proxy")]
    public async Task Docker_search_finds_what_there_is(string name, string way)
    {
        var docker = (Docker)await world.InterceptedClientAsync(name, way);
        (await docker.RunAsync("search", "hello")).Succeeded().Saying("hello");
        (await LoginAsync(docker)).Succeeded();
        (await docker.RunAsync("search", "hello")).Succeeded().Saying("hello");
        await LogoutAsync(docker);
    }

    [Theory]
    [InlineData("gateway")]
    [InlineData("forward-proxy")]
    public async Task Who_owns_the_organization_gets_everything(string way)
    {
        foreach (var name in new[] { "dockerd 20.10", "dockerd 28" })
        {
            var docker = (Docker)await world.InterceptedClientAsync(name, way);
            (await docker.LoginAsync("alice", Canaries.TokenOf("alice"))).Succeeded();
            (await docker.PullAsync("someuser/custom-image")).Succeeded();
            await docker.RemoveAsync("someuser/custom-image");
            await LogoutAsync(docker);
        }
    }

    private static async Task<Outcome> LoginAsync(IClient client) => client switch
    {
        Docker docker => await docker.LoginAsync("bob", Canaries.TokenOf("bob")),
        Podman podman => await podman.LoginAsync("bob", Canaries.TokenOf("bob"), "docker.io"),
        Skopeo skopeo => await skopeo.LoginAsync("bob", Canaries.TokenOf("bob"), "docker.io"),
        _ => new Outcome("signs in with each command", 0, ""),
    };

    private static async Task LogoutAsync(IClient client)
    {
        switch (client)
        {
            case Docker docker: (await docker.LogoutAsync()).Succeeded(); break;
            case Podman podman: (await podman.RunAsync("logout", "docker.io")).Succeeded(); break;
            case Skopeo skopeo: (await skopeo.RunAsync("logout", "docker.io")).Succeeded(); break;
        }
    }

    private static async Task<Outcome> PushAsync(IClient client, string image, string destination)
    {
        switch (client)
        {
            case Docker docker:
                (await docker.RunAsync("tag", image, destination)).Succeeded();
                var push = await docker.RunAsync("push", destination);
                await docker.RemoveAsync(destination);
                return push;
            case Podman podman: return await podman.PushAsync(image, destination);
            case Skopeo skopeo: return await skopeo.CopyToAsync(image, destination);
            case Containerd containerd: return await containerd.PushAsync(image, destination, $"bob:{Canaries.TokenOf("bob")}");
            default: throw new ArgumentException("does not push", nameof(client));
        }
    }

    /// <summary>Every request that Docker Hub saw came from this proxy, which signs what it sends.</summary>
    private void NobodyButTheProxyAsked()
    {
        Assert.NotEmpty(world.Hub.Requests.All);
        Assert.All(world.Hub.Requests.All, request => Assert.Contains("imageaccess-", request.Header("Via"), StringComparison.Ordinal));
        Assert.Empty(world.Hub.Requests.ViaDockerHubNames);
    }
}
