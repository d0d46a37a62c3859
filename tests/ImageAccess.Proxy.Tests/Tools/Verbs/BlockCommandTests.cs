using System.Globalization;
using System.Text.Json;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Store;
using ImageAccess.Proxy.Tests.Policies.Store;

namespace ImageAccess.Proxy.Tests.Tools.Verbs;

/// <summary><c>imageaccess block</c> and <c>unblock</c>: the data directory alone, and what the running program makes of it.</summary>
public sealed class BlockCommandTests : IDisposable
{
    private const string Digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    private readonly PolicyFixture _fixture = new();

    public BlockCommandTests() => File.WriteAllText(_fixture["imageaccess.json"], """{ "Data": { "Directory": "../data" } }""");

    private string BlocksPath => Path.Combine(_fixture.Data, "blocks.json");

    [Theory]
    [InlineData("docker.io/library/nginx:1.27", "nginx:1.27")]
    [InlineData("bitnami/*", "bitnami/*")]
    [InlineData(Digest, Digest)]
    public async Task It_blocks_and_lifts(string image, string shown)
    {
        var blocked = await RunAsync("block", image, "--reason", "CVE-2026-1", "--by", "eve");
        Assert.Equal((0, $"{shown} is blocked (block 1 in {Verb(BlocksPath)}): a running proxy enforces it within a second\n", ""), (blocked.ExitCode, blocked.Output, blocked.Error));
        Assert.Equal(shown, Assert.Single(_fixture.Start(file: null).Current.Blocks.All).Pattern.ToString());

        var lifted = await RunAsync("unblock", shown, "--reason", "fixed");
        Assert.Equal((0, $"{shown} is blocked no longer (block 1 in {Verb(BlocksPath)}): a running proxy enforces it within a second\n", ""), (lifted.ExitCode, lifted.Output, lifted.Error));
        Assert.Equal(0, _fixture.Start(file: null).Current.Blocks.Count);
        Assert.Equal(Environment.UserName, Assert.Single(Read().Lifted).By);
    }

    [Fact]
    public async Task The_file_is_its_owners_alone()
    {
        await RunAsync("block", "nginx", "--reason", "r");
        if (OperatingSystem.IsWindows())
            return;
        foreach (var file in Directory.GetFiles(_fixture.Data, "blocks*"))
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
    }

    [Fact]
    public async Task What_is_blocked_already_stays_as_it_is()
    {
        await RunAsync("block", "nginx", "--reason", "CVE-2026-1", "--by", "eve");
        var at = Read().Blocks[0].At.UtcDateTime.ToString("yyyy-MM-dd HH:mm'Z'", CultureInfo.InvariantCulture);
        var bytes = File.ReadAllBytes(BlocksPath);
        var again = await RunAsync("block", "library/nginx", "--reason", "another");
        Assert.Equal((0, $"nginx is blocked already, since {at} by eve: CVE-2026-1\n"), (again.ExitCode, again.Output));
        Assert.Equal(bytes, File.ReadAllBytes(BlocksPath));
    }

    [Fact]
    public async Task Who_lifts_a_part_is_told_of_the_whole()
    {
        await RunAsync("block", "nginx:1.27", "--reason", "r");
        await RunAsync("block", "library/*", "--reason", "r");
        Assert.EndsWith("it stays denied: library/* is blocked\n", (await RunAsync("unblock", "nginx:1.27", "--reason", "r")).Output, StringComparison.Ordinal);
        Assert.Equal(1, (await RunAsync("unblock", "library/*", "--reason", "r")).Output.Count(c => c == '\n'));
    }

    [Fact]
    public async Task The_list_names_what_is_blocked()
    {
        Assert.Equal("nothing is blocked\n", (await RunAsync("block", "list")).Output);
        await RunAsync("block", "nginx:1.27", "--reason", "CVE-2026-1", "--by", "eve");
        await RunAsync("block", Digest, "--reason", "a miner", "--by", "bob");
        var list = await RunAsync("block", "list");
        Assert.Equal(0, list.ExitCode);
        var lines = list.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => string.Join(' ', line.Split(' ', StringSplitOptions.RemoveEmptyEntries))).ToList();
        Assert.Equal("BLOCK IMAGE SINCE BY REASON", lines[0]);
        Assert.Matches("^1 nginx:1\\.27 [0-9-]{10} [0-9:]{5}Z eve CVE-2026-1$", lines[1]);
        Assert.Matches($"^2 {Digest} [0-9-]{{10}} [0-9:]{{5}}Z bob a miner$", lines[2]);

        var facts = (await RunAsync("block", "list", "--json")).Json.GetProperty("blocks");
        Assert.Equal("2 a miner", $"{facts[1].GetProperty("id")} {facts[1].GetProperty("reason")}");
    }

    [Theory]
    [InlineData("'ghcr.io/acme/app' is an image of ghcr.io, and not of Docker Hub", "block", "ghcr.io/acme/app", "--reason", "r")]
    [InlineData("'Nginx' has upper-case letters; a repository's name has none", "block", "Nginx", "--reason", "r")]
    [InlineData("'sha256:0123' has a digest that is none: sha256: and 64 hexadecimal digits in lower case", "block", "sha256:0123", "--reason", "r")]
    [InlineData("--reason must have 1 to 200 characters", "block", "nginx", "--reason", "")]
    [InlineData("--reason has characters that cannot be seen, as line ends or marks of direction", "block", "nginx", "--reason", "a\nb")]
    [InlineData("--reason has characters that cannot be seen, as line ends or marks of direction", "unblock", "nginx", "--reason", "a\u202eb")]
    [InlineData("--by must have 1 to 64 characters", "block", "nginx", "--reason", "r", "--by", "")]
    [InlineData("nginx is not blocked; imageaccess block list names what is", "unblock", "nginx", "--reason", "r")]
    public async Task What_cannot_be_done_is_refused_with_a_line(string problem, params string[] arguments)
    {
        var refused = await RunAsync(arguments);
        Assert.Equal((2, "", $"imageaccess: {problem}\n"), (refused.ExitCode, refused.Output, refused.Error));
        Assert.False(File.Exists(BlocksPath));
    }

    [Theory]
    [InlineData(201)]
    [InlineData(5000)]
    public async Task A_long_reason_is_refused(int length)
    {
        var refused = await RunAsync("block", "nginx", "--reason", new string('x', length), "--by", new string('x', length));
        Assert.Equal((2, "imageaccess: --reason must have 1 to 200 characters\nimageaccess: --by must have 1 to 64 characters\n"), (refused.ExitCode, refused.Error));
        Assert.Equal(0, (await RunAsync("block", "nginx", "--reason", new string('x', 200))).ExitCode);
    }

    [Theory]
    [InlineData("block", "nginx")]
    [InlineData("unblock", "nginx")]
    [InlineData("block", "--reason", "r")]
    [InlineData("block")]
    public async Task Without_an_image_or_a_reason_it_does_nothing(params string[] arguments)
    {
        Assert.NotEqual(0, (await RunAsync(arguments)).ExitCode);
        Assert.False(File.Exists(BlocksPath));
    }

    [Fact]
    public async Task Verbs_at_the_same_time_lose_nothing()
    {
        await Task.WhenAll(Enumerable.Range(0, 40).Select(i => Task.Run(() => RunAsync("block", $"acme/app{i}", "--reason", "r"))));
        Assert.Equal(40, Read().Blocks.Count);
        Assert.Equal(Enumerable.Range(1, 40).Select(id => (long)id), Read().Blocks.Select(block => block.Id));

        await Task.WhenAll(Enumerable.Range(0, 40).Select(i => Task.Run(() => i % 2 == 0
            ? RunAsync("unblock", $"acme/app{i}", "--reason", "r")
            : RunAsync("block", $"beta/app{i}", "--reason", "r"))));
        Assert.Equal((40, 20), (Read().Blocks.Count, Read().Lifted.Count));
    }

    [Fact]
    public async Task A_file_that_cannot_be_used_is_left_alone_and_one_that_is_gone_is_made_again()
    {
        await RunAsync("block", "nginx", "--reason", "r");
        _fixture.Start(file: null);
        AtomicFile.Write(BlocksPath, "{ nonsense"u8.ToArray());
        var refused = await RunAsync("block", "redis", "--reason", "r");
        Assert.Equal(2, refused.ExitCode);
        Assert.Equal($"imageaccess: {BlocksPath} is refused: line 1, column 3: not valid JSON: a name in double quotes is expected; correct it, or restore it: what is blocked is not known without it\n", refused.Error);
        Assert.Equal("{ nonsense", File.ReadAllText(BlocksPath));

        File.Delete(BlocksPath);
        Assert.Equal(0, (await RunAsync("block", "redis", "--reason", "r")).ExitCode);
        Assert.Equal(["nginx", "redis"], Read().Blocks.Select(block => block.Pattern.ToString()));
    }

    [Fact]
    public async Task A_data_directory_that_is_not_there_is_the_wrong_one()
    {
        Directory.Delete(_fixture.Data);
        var refused = await RunAsync("block", "nginx", "--reason", "r");
        Assert.Equal((2, $"imageaccess: Data:Directory: {_fixture.Data} does not exist; name the configuration of the proxy with --config\n"), (refused.ExitCode, refused.Error));
        Assert.False(Directory.Exists(_fixture.Data));
    }

    [Fact]
    public async Task There_is_a_largest_number_of_blocks()
    {
        AtomicFile.Write(BlocksPath, (BlockDocument.Empty with
        {
            Blocks = [.. Enumerable.Range(1, Blocks.Maximum).Select(i => new Block(i, Pattern($"acme/app{i}"), "r", "b", DateTimeOffset.UnixEpoch))],
        }).ToBytes());
        var refused = await RunAsync("block", "nginx", "--reason", "r");
        Assert.Equal((2, "imageaccess: 10,000 blocks are in force, and there can be no more: block a namespace, or lift some\n"), (refused.ExitCode, refused.Error));
        Assert.Equal(0, (await RunAsync("unblock", "acme/app7", "--reason", "r")).ExitCode);
        Assert.Equal(0, (await RunAsync("block", "nginx", "--reason", "r")).ExitCode);
    }

    [Fact]
    public async Task A_check_and_a_scan_without_a_proxy_know_it()
    {
        await RunAsync("block", "nginx:1.27", "--reason", "CVE-2026-1");
        var check = await RunAsync("check", "nginx:1.27", "nginx", "--offline", "--json");
        Assert.Equal(1, check.ExitCode);
        Assert.Equal(
            ["deny block image access denied: nginx:1.27 is blocked (CVE-2026-1)", "allow off "],
            check.Json.GetProperty("images").EnumerateArray().Select(image => $"{image.GetProperty("verdict")} {image.GetProperty("rule")} {(image.TryGetProperty("text", out var text) ? text.GetString() : null)}"));

        File.WriteAllText(_fixture["Dockerfile"], "FROM nginx:1.27\n");
        Assert.Equal(1, (await RunAsync("scan", _fixture["Dockerfile"], "--offline")).ExitCode);
        await RunAsync("unblock", "nginx:1.27", "--reason", "fixed");
        Assert.Equal(0, (await RunAsync("scan", _fixture["Dockerfile"], "--offline")).ExitCode);
    }

    [Fact]
    public async Task Cases_of_a_policy_may_have_blocks_beside_it()
    {
        await RunAsync("block", "nginx:1.27", "--reason", "r");
        File.WriteAllText(_fixture.Document, PolicyFixture.Strict);
        File.WriteAllText(_fixture["cases"], """
            caller    | image      | answer
            bob       | nginx:1.27 | deny block "image access denied: nginx:1.27 is blocked"
            anonymous | acme/app   | allow organization
            """);
        var test = await CommandLine.RunAsync("policy", "test", _fixture.Document, _fixture["cases"], "--blocks", BlocksPath);
        Assert.True(test.ExitCode == 0, test.Output + test.Error);
        Assert.Equal(1, (await CommandLine.RunAsync("policy", "test", _fixture.Document, _fixture["cases"])).ExitCode);
    }

    /// <summary>The trail counts pulls by repository: what was denied by a block of a tag stays denied as long as that is in force.</summary>
    [Fact]
    public async Task A_replay_knows_what_is_blocked()
    {
        await RunAsync("block", "acme/app:1", "--reason", "r");
        await RunAsync("block", "acme/gone", "--reason", "r");
        File.WriteAllText(_fixture.Document, PolicyFixture.Strict);
        File.WriteAllLines(Path.Combine(_fixture.Data, "audit.jsonl"), [Event("acme/app", "deny", 1), Event("acme/gone", "allow", null), Event("acme/other", "deny", 9)]);
        var replay = await RunAsync("policy", "replay", _fixture.Document, "--json");
        Assert.Equal(
            ["allow deny block acme/gone", "deny allow organization acme/other"],
            replay.Json.GetProperty("changes").EnumerateArray().Select(change => $"{change.GetProperty("from")} {change.GetProperty("to")} {change.GetProperty("rule")} {change.GetProperty("repository")}"));

        static string Event(string repository, string outcome, long? block) => JsonSerializer.Serialize(new Dictionary<string, object?>
        {
            ["id"] = "0",
            ["time"] = "2026-11-01T00:00:00.000Z",
            ["caller"] = "bob",
            ["method"] = "GET",
            ["repository"] = repository,
            ["reference"] = "1",
            ["category"] = "unknown",
            ["rule"] = block is null ? "organization" : "block",
            ["outcome"] = outcome,
            [block is null ? "none" : "block"] = block,
        });
    }

    public void Dispose() => _fixture.Dispose();

    private static ImagePattern Pattern(string text) => ImagePattern.TryParse(text, out var pattern, out var problem) ? pattern : throw new ArgumentException(problem, nameof(text));

    private static string Verb(string path) => ImageAccess.Proxy.Tools.Verbs.Verb.Shown(path);

    private BlockDocument Read() => new BlocksOnDisk(new PolicyStoreOptions { DataDirectory = _fixture.Data }).Find();

    private Task<CommandLine> RunAsync(params string[] arguments) => CommandLine.RunAsync([.. arguments, "--config", _fixture["imageaccess.json"]]);
}
