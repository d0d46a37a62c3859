using ImageAccess.Proxy.Tests.HouseRules;
using ImageAccess.Proxy.Tests.Tools.Verbs;
using ImageAccess.Proxy.Tests.Walk;

namespace ImageAccess.Proxy.Tests.Tools.Scanning;

/// <summary><c>imageaccess scan</c>: on a running proxy, and on the files alone.</summary>
public sealed class ScanCommandTests(SharedSurroundings shared) : IClassFixture<SharedSurroundings>, IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    [Fact]
    public async Task Each_image_has_its_place_verdict_rule_and_text()
    {
        Write("Dockerfile", "FROM nginx:1.27 AS base\nFROM ghcr.io/x/y\nCOPY --from=someuser/custom-image / /\nFROM nginx:${VERSION}\n");
        Write("compose.yaml", "services:\n  cache:\n    image: bitnami/redis\n  mine: { image: acme/app }\n");

        var scan = await ScanAsync();

        Assert.Equal(
            """
            DIR/Dockerfile:1    allow         official            nginx:1.27
            DIR/Dockerfile:2    outside       -                   ghcr.io/x/y
                FROM: ghcr.io is not Docker Hub: outside this policy
            DIR/Dockerfile:3    deny          community           someuser/custom-image
                COPY --from: image access denied: community images not allowed (ask in #platform)
            DIR/Dockerfile:4    undetermined  -                   nginx:${VERSION}
                FROM: the variable VERSION has no value: declare it before FROM with a default, or with a
                --build-arg
            DIR/compose.yaml:3  deny          verified-publisher  bitnami/redis
                service cache: image access denied: verified publisher images not allowed (ask in #platform)
            DIR/compose.yaml:4  allow         organization        acme/app

            6 images in 2 files: 2 allowed, 2 denied, 1 undetermined, 1 outside the policy

            """,
            string.Join('\n', Shown(scan.Output).Split('\n')[3..]));
        Assert.StartsWith("as an anonymous caller, by policy ", scan.Output, StringComparison.Ordinal);
        Assert.Equal(1, scan.ExitCode);
        Assert.Empty(scan.Error);
    }

    [Fact]
    public async Task The_facts_are_there_as_JSON()
    {
        Write("Dockerfile", "ARG NAME=someuser\nFROM $NAME/custom-image\nFROM $NOTHING\n");

        var scan = await ScanAsync("--json", "--as", "bob");

        Assert.Equal("bob", scan.Json.GetProperty("caller").GetString());
        Assert.Equal(1, scan.Json.GetProperty("files").GetInt32());
        var denied = scan.Json.GetProperty("images")[0];
        Assert.Equal(
            ($"{_directory["Dockerfile"]}", 2, "FROM", "$NAME/custom-image", "someuser/custom-image", "deny", "community"),
            (denied.GetProperty("file").GetString(), denied.GetProperty("line").GetInt32(), denied.GetProperty("role").GetString(), denied.GetProperty("written").GetString(),
                denied.GetProperty("image").GetString(), denied.GetProperty("verdict").GetString(), denied.GetProperty("rule").GetString()));
        Assert.StartsWith("image access denied: community", denied.GetProperty("text").GetString(), StringComparison.Ordinal);
        var undetermined = scan.Json.GetProperty("images")[1];
        Assert.Equal("undetermined", undetermined.GetProperty("verdict").GetString());
        Assert.False(undetermined.TryGetProperty("image", out _));
    }

    [Theory]
    [InlineData(0, "FROM nginx")]
    [InlineData(0, "FROM ghcr.io/x/y")]
    [InlineData(0, "FROM scratch")]
    [InlineData(1, "FROM someuser/custom-image")]
    [InlineData(0, "FROM someuser/custom-image", "--as", "alice")]
    [InlineData(1, "FROM someuser/custom-image", "--organization", "acme")]
    [InlineData(1, "FROM nginx:${VERSION}")]
    [InlineData(0, "ARG VERSION\nFROM nginx:${VERSION}", "--build-arg", "VERSION=1.27")]
    [InlineData(1, "FROM nginx:${VERSION}\nARG VERSION", "--build-arg", "VERSION=1.27")]
    [InlineData(1, "ARG NAME=nginx\nFROM $NAME", "--build-arg", "NAME=someuser/x")]
    [InlineData(1, "FROM Upper/Case")]
    [InlineData(0, "FROM someuser/custom-image", "--exclude", "Docker*")]
    [InlineData(0, "FROM nginx", "--offline")]
    [InlineData(2, "FROM nginx", "--organization", "nobody-knows")]
    [InlineData(2, "FROM nginx", "--build-arg", "=1")]
    public async Task The_exit_code_is_the_answer(int code, string dockerfile, params string[] arguments)
    {
        Write("Dockerfile", dockerfile);
        var scan = await ScanAsync(arguments);
        Assert.Equal(code, scan.ExitCode);
        Assert.Equal(code == 2, scan.Error.Length > 0);
    }

    [Theory]
    [InlineData(0, "FROM bitnami/redis")]
    [InlineData(1, "FROM bitnami/redis", "--strict")]
    [InlineData(0, "FROM grafana/grafana\nFROM nginx")]
    [InlineData(1, "FROM grafana/grafana\nFROM nginx", "--strict")]
    [InlineData(1, "FROM bitnami/redis\nFROM nginx:${VERSION}")]
    public async Task On_a_machine_that_knows_no_publisher_nothing_is_denied_for_that(int code, string dockerfile, params string[] arguments)
    {
        Write("Dockerfile", dockerfile);
        Write("policy.json", """{ "organizations": [ { "name": "acme", "enabled": true, "allow": { "official": true, "verifiedPublisher": true } } ] }""");
        Write("elsewhere.json", """{ "Policy": { "File": "policy.json" } }""");

        var scan = await CommandLine.RunAsync(["scan", _directory["Dockerfile"], "--offline", "--config", _directory["elsewhere.json"], .. arguments]);

        Assert.Equal(code, scan.ExitCode);
        Assert.Contains("1 not known here", scan.Output, StringComparison.Ordinal);
        Assert.Contains("not known here who publishes", scan.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Every_path_that_is_not_there_is_named()
    {
        var scan = await CommandLine.RunAsync("scan", _directory["one"], _directory.Path, _directory["two"], "--config", Configure());
        Assert.Equal(2, scan.ExitCode);
        Assert.Equal("imageaccess: DIR/one is not there\nimageaccess: DIR/two is not there\n", Shown(scan.Error));
    }

    [Fact]
    public async Task A_file_that_is_named_is_read_whatever_it_is_called()
    {
        Write("build.txt", "FROM nginx");
        Write("stack.yml", "services: { web: { image: redis } }");
        Write("values.yaml", "image: nginx");

        var scan = await CommandLine.RunAsync(
            "scan", _directory["build.txt"], _directory["stack.yml"], _directory["values.yaml"], "--json", "--config", Configure());

        Assert.Equal(["nginx", "redis"], scan.Json.GetProperty("images").EnumerateArray().Select(image => image.GetProperty("image").GetString()));
    }

    [Fact]
    public async Task Where_nothing_is_found_it_says_so()
    {
        Write("README.md", "FROM nginx");
        var scan = await ScanAsync();
        Assert.Equal((0, "no images in 0 files\n"), (scan.ExitCode, scan.Output));
    }

    [Fact]
    public async Task A_file_cannot_speak_to_the_terminal()
    {
        Write("Dockerfile", "FROM a\u001b[2Jb\n");
        var scan = await ScanAsync();
        Assert.DoesNotContain('\u001b', scan.Output);
        Assert.Contains("a?[2Jb", scan.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Help_tells_how()
    {
        var help = await CommandLine.RunAsync("scan", "--help");
        Assert.Equal(0, help.ExitCode);
        Assert.All(
            ["PATH", "--build-arg", "--exclude", "--as", "--organization", "--json", "--offline", "--config"],
            word => Assert.Contains(word, help.Output, StringComparison.Ordinal));
    }

    [Fact]
    public async Task What_the_page_shows_is_what_the_program_prints()
    {
        const string Command = "imageaccess scan deploy/samples/shop --offline --config deploy/samples/imageaccess.json";
        var page = RepositoryRoot.Read("docs/scanning.md");
        var shown = page[(page.IndexOf(Command, StringComparison.Ordinal) + Command.Length + 1)..];

        var scan = await CommandLine.StartAsync(Command.Split(' ')[1..]);

        Assert.Equal(1, scan.ExitCode);
        Assert.Equal(scan.Output, shown[..shown.IndexOf("```", StringComparison.Ordinal)]);
    }

    public void Dispose() => _directory.Dispose();

    private string Shown(string text) => text.Replace(_directory.Path, "DIR", StringComparison.Ordinal);

    private void Write(string name, string text) => File.WriteAllText(_directory[name], text);

    private Task<CommandLine> ScanAsync(params string[] arguments) => CommandLine.RunAsync(["scan", _directory.Path, .. arguments, "--config", Configure()]);

    private string Configure()
    {
        File.WriteAllText(
            _directory["imageaccess.json"], $$"""{ "Listen": { "Admin": "{{shared.Here.Admin.GetLeftPart(UriPartial.Authority)}}" } }""");
        return _directory["imageaccess.json"];
    }
}
