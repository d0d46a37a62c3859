namespace ImageAccess.EndToEnd.Tests;

/// <summary>Images that builds and Compose fetch for a person: one denied stage or service is refused, with the reason.</summary>
[Collection(nameof(Surroundings))]
public sealed class BuildTests(Surroundings world)
{
    private const string Denied = Surroundings.Denied;

    private const string FromDenied = """
        FROM someuser/custom-image
        COPY file /file

        """;

    private static readonly string MiddleDenied = Stages("someuser/custom-image", "custom.txt");
    private static readonly string AllAllowed = Stages("bitnami/redis", "redis.conf");

    public static TheoryData<string, bool, string> DockerDenials => new()
    {
        { "dockerd 20.10", false, $"received unexpected HTTP status: 500 {Denied} (no such process)" },
        { "dockerd 20.10", true, $"403 {Denied}" },
        { "dockerd 28", false, $"error from registry: {Denied}" },
        { "dockerd 28", true, $"403 {Denied}" },
    };

    [Theory]
    [MemberData(nameof(DockerDenials))]
    public async Task Docker_build_from_a_denied_image_is_refused(string name, bool buildKit, string says) =>
        await DockerAsync(name, buildKit, FromDenied, says);

    [Theory]
    [MemberData(nameof(DockerDenials))]
    public async Task Docker_build_with_a_denied_middle_stage_is_refused(string name, bool buildKit, string says) =>
        await DockerAsync(name, buildKit, MiddleDenied, says);

    [Theory]
    [InlineData("dockerd 20.10", false)]
    [InlineData("dockerd 20.10", true)]
    [InlineData("dockerd 28", false)]
    [InlineData("dockerd 28", true)]
    public async Task Docker_build_of_allowed_stages_is_done(string name, bool buildKit)
    {
        var docker = await world.DockerAsync(name, world.Proxy);
        world.Hub.Requests.Clear();

        (await docker.BuildAsync("built", AllAllowed, buildKit)).Succeeded();

        Assert.True(await docker.HasAsync("built"));
        Assert.Empty(world.Hub.Requests.ViaDockerHubNames);
        await docker.RemoveAsync("built");
    }

    [Fact]
    public async Task Buildah_from_a_denied_image_is_refused() => await BuildahAsync(FromDenied);

    [Fact]
    public async Task Buildah_with_a_denied_middle_stage_is_refused() => await BuildahAsync(MiddleDenied);

    [Fact]
    public async Task Buildah_of_allowed_stages_is_done()
    {
        var buildah = await world.PodmanAsync("buildah 1.28", world.Proxy);
        (await buildah.BuildAsync("built", AllAllowed)).Succeeded();
        Assert.True(await buildah.HasAsync("localhost/built"));
    }

    [Theory]
    [InlineData("dockerd 20.10")]
    [InlineData("dockerd 28")]
    public async Task Compose_gets_the_allowed_service_and_reads_why_the_other_is_denied(string name)
    {
        var docker = await world.DockerAsync(name, world.Proxy);
        world.Hub.Requests.Clear();

        var pull = await docker.ComposeAsync(world.CurrentCell($"compose-{name.Replace(' ', '-')}"), """
            services:
              allowed: { image: library/other }
              denied: { image: someuser/custom-image }
            """, "pull", "--ignore-pull-failures");

        pull.Saying(Denied);
        Assert.True(await docker.HasAsync("library/other"));
        Assert.False(await docker.HasAsync("someuser/custom-image"));
        Assert.Empty(world.HandedOut("someuser/custom-image"));
        await docker.RemoveAsync("library/other");
    }

    private static string Stages(string middle, string file) => $"""
        FROM library/hello AS first
        FROM {middle} AS middle
        FROM library/hello
        COPY --from=first /hello.txt /first
        COPY --from=middle /{file} /middle
        COPY file /file

        """;

    private async Task DockerAsync(string name, bool buildKit, string dockerfile, string says)
    {
        var docker = await world.DockerAsync(name, world.Proxy);
        world.Hub.Requests.Clear();

        (await docker.BuildAsync("refused", dockerfile, buildKit)).FailedSaying(says);

        Assert.False(await docker.HasAsync("refused"));
        Assert.Empty(world.HandedOut("someuser/custom-image"));
    }

    /// <summary>By its mirror, which holds it, and addressed plainly.</summary>
    private async Task BuildahAsync(string dockerfile)
    {
        var held = await world.PodmanAsync("buildah 1.28", world.Proxy);
        world.Hub.Requests.Clear();
        (await held.BuildAsync("refused", dockerfile)).FailedSaying($"/someuser/custom-image: denied: {Denied}");
        Assert.False(await held.HasAsync("localhost/refused"));

        var host = world.Yielding.Mirror.Authority;
        var direct = await world.PodmanAsync("buildah 1.28", world.Yielding);
        var said = await direct.BuildAsync("refused", dockerfile
            .Replace("someuser/", $"{host}/someuser/", StringComparison.Ordinal)
            .Replace("library/", $"{host}/library/", StringComparison.Ordinal));
        said.FailedSaying($"{host}/someuser/custom-image: denied: {Denied}");
        Assert.Empty(world.HandedOut("someuser/custom-image"));
    }
}
