using ImageAccess.Proxy.Tests.Policies.Store;

namespace ImageAccess.Proxy.Tests.Tools.Verbs;

/// <summary><c>imageaccess check --offline</c>: the files alone.</summary>
public sealed class CheckOfflineTests : IDisposable
{
    private readonly PolicyFixture _fixture = new();

    [Theory]
    [InlineData("nginx", 0, "allow", "official", null)]
    [InlineData("acme/app", 0, "allow", "organization", null)]
    [InlineData("testcontainers/ryuk", 0, "allow", "allowlist", null)]
    [InlineData("ghcr.io/x/y", 0, "outside", null, "ghcr.io is not Docker Hub: outside this policy")]
    [InlineData("bitnami/redis", 0, "unknown", "unknown", "not known here who publishes bitnami: allowed if a verified publisher, denied if not")]
    public async Task What_the_files_tell_is_judged_and_the_rest_is_said_to_be_unknown(string image, int exit, string verdict, string? rule, string? text)
    {
        Write("""
            { "organizations": [ { "name": "acme", "enabled": true, "allow": { "official": true, "verifiedPublisher": true },
                "allowlist": [ { "repository": "testcontainers/ryuk" } ] } ] }
            """);

        var check = await CheckAsync(image, "--json");

        var found = check.Json.GetProperty("images")[0];
        Assert.Equal(exit, check.ExitCode);
        Assert.Equal(verdict, found.GetProperty("verdict").GetString());
        Assert.Equal(rule, found.TryGetProperty("rule", out var answered) ? answered.GetString() : null);
        Assert.Equal(text, found.TryGetProperty("text", out var told) ? told.GetString() : null);
    }

    [Theory]
    [InlineData(0, "bitnami/redis")]
    [InlineData(1, "bitnami/redis", "--strict")]
    [InlineData(0, "nginx", "grafana/grafana", "ghcr.io/x/y", "acme/app")]
    [InlineData(1, "nginx", "grafana/grafana", "--strict")]
    [InlineData(0, "nginx", "acme/app", "--strict")]
    [InlineData(1, "bitnami/redis", "someuser/x", "--as", "pinned")]
    public async Task What_is_not_known_here_is_no_denial_unless_it_is_asked_for(int exit, params string[] arguments)
    {
        Write("""{ "organizations": [ { "name": "acme", "enabled": true, "allow": { "official": true, "verifiedPublisher": true } } ] }""");
        File.WriteAllText(Path.Combine(_fixture.Data, "catalog.json"), """{ "someuser": { "category": "community", "reason": "by hand" } }""");

        var check = await CheckAsync(arguments);

        Assert.Equal(exit, check.ExitCode);
        if (!arguments.Contains("acme/app"))
            Assert.Contains(" 1 not known here", check.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_pinned_by_hand_is_known()
    {
        Write("""{ "organizations": [ { "name": "acme", "enabled": true, "allow": { "verifiedPublisher": true } } ] }""");
        File.WriteAllText(Path.Combine(_fixture.Data, "catalog.json"), """
            { "bitnami": { "category": "verified-publisher", "reason": "by hand" }, "someuser": { "category": "community", "reason": "by hand" } }
            """);

        var check = await CheckAsync("bitnami/redis", "someuser/x", "other/x", "--json");

        Assert.Equal(
            ["allow verified-publisher file", "deny community file", "unknown unknown "],
            check.Json.GetProperty("images").EnumerateArray().Select(image => $"{image.GetProperty("verdict")} {image.GetProperty("category")} "
                + (image.TryGetProperty("categorySource", out var source) ? source.GetString() : "")));
    }

    [Fact]
    public async Task A_denial_whoever_publishes_is_a_denial()
    {
        Write("""{ "organizations": [ { "name": "acme", "enabled": true, "allow": { "official": true } } ] }""");
        var check = await CheckAsync("someuser/x");
        Assert.Equal(1, check.ExitCode);
        Assert.Contains("deny     unknown  unknown   someuser/x", check.Output, StringComparison.Ordinal);
        Assert.Contains("denied whoever publishes someuser, which is not known here", check.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Where_an_organization_only_observes_nothing_is_refused()
    {
        Write("""{ "organizations": [ { "name": "acme", "enabled": true, "mode": "observe", "allow": { "verifiedPublisher": true } } ] }""");
        var check = await CheckAsync("someuser/x");
        Assert.Equal(0, check.ExitCode);
        Assert.Contains("allowed if a verified publisher, only observed if not", string.Join(' ', check.Output.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_broken_document_leaves_the_kept_copy_in_force_as_at_a_start()
    {
        Write(PolicyFixture.Strict);
        _fixture.Start();
        Write("{ nonsense");

        var check = await CheckAsync("nginx");

        Assert.Equal(1, check.ExitCode);
        Assert.Contains("the copy of the last accepted one", check.Output, StringComparison.Ordinal);
        Assert.Contains(PolicyFixture.VersionOf(PolicyFixture.Strict), check.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Looking_writes_nothing()
    {
        Write(PolicyFixture.Strict);
        await CheckAsync("nginx");
        Assert.Empty(Directory.GetFiles(_fixture.Data));
    }

    [Fact]
    public async Task A_policy_that_is_asked_for_and_is_not_there_is_wrong_configuration()
    {
        var check = await CheckAsync("nginx");
        Assert.Equal(2, check.ExitCode);
        Assert.Equal($"imageaccess: Policy:File: {_fixture.Document} does not exist\n", check.Error);
    }

    [Fact]
    public async Task Without_any_policy_image_access_is_off()
    {
        var check = await CommandLine.RunAsync("check", "someuser/x", "--offline", "--config", Configure("""{ "Data": { "Directory": "../data" } }"""));
        Assert.Equal(0, check.ExitCode);
        Assert.Contains("by policy none of no file: image access is off, offline", check.Output, StringComparison.Ordinal);
        Assert.Contains("allow    off", check.Output, StringComparison.Ordinal);
    }

    public void Dispose() => _fixture.Dispose();

    private void Write(string policy) => File.WriteAllText(_fixture.Document, policy);

    private Task<CommandLine> CheckAsync(params string[] arguments) => CommandLine.RunAsync(
        ["check", "--offline", .. arguments, "--config", Configure("""{ "Policy": { "File": "policy.json" }, "Data": { "Directory": "../data" } }""")]);

    private string Configure(string json)
    {
        File.WriteAllText(_fixture["imageaccess.json"], json);
        return _fixture["imageaccess.json"];
    }
}
