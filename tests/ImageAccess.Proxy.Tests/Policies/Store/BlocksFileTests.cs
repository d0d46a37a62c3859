using System.Globalization;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Store;
using ImageAccess.Proxy.Tests.Foundation.Files;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Tests.Policies.Store;

/// <summary>The blocks beside a policy: in force, refused, kept over a restart, and told each once.</summary>
public sealed class BlocksFileTests : IDisposable
{
    private static readonly DateTimeOffset At = new(2026, 6, 1, 10, 0, 0, TimeSpan.Zero);

    private readonly PolicyFixture _fixture = new();

    public BlocksFileTests() => File.WriteAllText(_fixture.Document, PolicyFixture.Strict);

    private string BlocksPath => Path.Combine(_fixture.Data, "blocks.json");

    private string CopyPath => Path.Combine(_fixture.Data, "blocks.accepted.json");

    [Fact]
    public void Without_a_file_nothing_is_blocked_and_nothing_is_written()
    {
        var store = _fixture.Start();
        store.Refresh();
        Assert.Same(Blocks.None, store.Current.Blocks);
        Assert.Null(store.State!.Concern);
        Assert.Empty(Directory.GetFiles(_fixture.Data, "blocks*"));
    }

    [Fact]
    public async Task A_change_is_in_force_at_the_next_look_and_told_once()
    {
        var store = _fixture.Start();
        var (version, since) = (store.Current.Version, store.State!.Since);
        _fixture.Time.Advance(TimeSpan.FromMinutes(1));

        await BlockAsync("nginx:1.27");
        store.Refresh();

        Assert.Equal("nginx:1.27", Assert.Single(store.Current.Blocks.All).Pattern.ToString());
        Assert.Equal((version, since), (store.Current.Version, store.State!.Since));
        Assert.Equal(["block 1 nginx:1.27 by alice: CVE-1 at 10:00"], Told());
        Assert.Equal("nginx:1.27 is blocked (block 1, by alice): CVE-1", Assert.Single(_fixture.Log.At(LogLevel.Warning)));

        await UnblockAsync("nginx:1.27");
        store.Refresh();
        store.Refresh();

        Assert.Equal(0, store.Current.Blocks.Count);
        Assert.Equal(["unblock 1 nginx:1.27 by bob: fixed at 11:00"], Told());
    }

    [Fact]
    public async Task What_came_and_went_between_two_looks_is_told()
    {
        var store = _fixture.Start();
        await BlockAsync("nginx");
        await UnblockAsync("nginx");
        await BlockAsync("nginx");
        store.Refresh();
        Assert.Equal(["block 1 nginx by alice: CVE-1 at 10:00", "block 2 nginx by alice: CVE-1 at 10:00", "unblock 1 nginx by bob: fixed at 11:00"], Told());
        Assert.Equal(2, Assert.Single(store.Current.Blocks.All).Id);
    }

    [Fact]
    public async Task What_was_changed_while_the_program_did_not_run_is_told_at_the_next_start_and_not_again()
    {
        await BlockAsync("nginx");
        _fixture.Start();
        Assert.Equal(["block 1 nginx by alice: CVE-1 at 10:00"], Told());

        _fixture.Start();
        Assert.Empty(Told());

        await UnblockAsync("nginx");
        await BlockAsync("evil/*");
        var store = _fixture.Start();
        Assert.Equal(["block 2 evil/* by alice: CVE-1 at 10:00", "unblock 1 nginx by bob: fixed at 11:00"], Told());
        Assert.Equal("evil/*", Assert.Single(store.Current.Blocks.All).Pattern.ToString());
    }

    [Fact]
    public async Task Who_edits_the_file_is_told_too()
    {
        await BlockAsync("nginx");
        await BlockAsync("redis");
        var store = _fixture.Start();
        Told();

        Write(File.ReadAllText(BlocksPath).Replace("\"nginx\"", "\"httpd\"", StringComparison.Ordinal));
        store.Refresh();
        Assert.Equal(["block 1 httpd by alice: CVE-1 at 10:00", "unblock 1 nginx by nobody: nothing at never"], Told());

        Write("""{ "blocks": [], "lifted": [] }""");
        store.Refresh();
        Assert.Equal(["unblock 1 httpd by nobody: nothing at never", "unblock 2 redis by nobody: nothing at never"], Told());
        Assert.Equal(0, store.Current.Blocks.Count);
    }

    [Theory]
    [InlineData("gone", "does not exist")]
    [InlineData("broken", "is refused: line 1, column 3: not valid JSON: a name in double quotes is expected")]
    [InlineData("empty", "is refused: line 1, column 1: not valid JSON: the document is empty; an object { … } is expected")]
    [InlineData("open", "can be changed by others than its owner: chmod go-w")]
    public async Task A_file_that_cannot_be_used_lifts_nothing(string what, string cause)
    {
        await BlockAsync("nginx");
        var store = _fixture.Start();
        Told();
        var good = File.ReadAllBytes(BlocksPath);

        Spoil(what);
        store.RefreshTwice();
        Assert.Equal(1, store.Current.Blocks.Count);
        Assert.Equal($"{BlocksPath} {cause}{(what == "open" ? $" {BlocksPath}" : "")}; the blocks that were read earlier stay in force (1)", store.State!.Concern);
        Assert.Equal(HealthStatus.Degraded, (await CheckAsync(store)).Status);

        var again = _fixture.Start();
        Assert.Equal(1, again.Current.Blocks.Count);
        Assert.NotNull(again.State!.Concern);
        Assert.Empty(Told());

        File.Delete(BlocksPath);
        AtomicFile.Write(BlocksPath, good);
        again.Refresh();
        Assert.Null(again.State!.Concern);
        Assert.Equal(HealthStatus.Healthy, (await CheckAsync(again)).Status);
    }

    [Fact]
    public void The_first_file_that_is_broken_stops_the_start()
    {
        Write("{ nonsense");
        var failure = Assert.Throws<OptionsValidationException>(() => _fixture.Start());
        Assert.Equal(
            [$"{BlocksPath} is refused: line 1, column 3: not valid JSON: a name in double quotes is expected; correct it, or restore it: what is blocked is not known without it"],
            failure.Failures);
    }

    [Fact]
    public async Task A_file_that_is_gone_and_a_copy_that_is_broken_stop_the_start()
    {
        await BlockAsync("nginx");
        _fixture.Start();
        File.Delete(BlocksPath);
        File.WriteAllText(CopyPath, "[]");
        Assert.Equal($"{BlocksPath} does not exist; correct it, or restore it: what is blocked is not known without it", Assert.Single(Assert.Throws<OptionsValidationException>(() => _fixture.Start()).Failures));
    }

    [Theory]
    [InlineData("""{ "blocks": [ { "id": 1, "image": "ghcr.io/x/y", "reason": "r", "by": "b", "at": "2026-06-01T10:00:00Z" } ], "lifted": [] }""", "blocks[0].image: 'ghcr.io/x/y' is an image of ghcr.io, and not of Docker Hub")]
    [InlineData("""{ "blocks": [ { "id": 0, "image": "nginx", "reason": "r", "by": "b", "at": "2026-06-01T10:00:00Z" } ], "lifted": [] }""", "blocks[0].id: must be a number above 0 that no other block has")]
    [InlineData("""{ "blocks": [ { "id": 1, "image": "nginx", "reason": "", "by": "b", "at": "2026-06-01T10:00:00Z" } ], "lifted": [] }""", "blocks[0].reason: must have 1 to 200 characters")]
    [InlineData("""{ "blocks": [ { "id": 1, "image": "nginx", "reason": "a\u202eb", "by": "b", "at": "2026-06-01T10:00:00Z" } ], "lifted": [] }""", "blocks[0].reason: has characters that cannot be seen, as line ends or marks of direction")]
    [InlineData("""{ "blocks": [ { "id": 1, "image": "nginx", "reason": "r", "at": "2026-06-01T10:00:00Z" } ], "lifted": [] }""", "$.blocks[0]: a block has an id, an image, a reason, by and at; one that was lifted also lifted, with a reason, by and at")]
    [InlineData("""{ "blocks": [ { "id": 1, "image": "nginx", "reason": "r", "by": "b", "until": "2027", "at": "2026-06-01T10:00:00Z" } ], "lifted": [] }""", "$.blocks[0].until: a block has an id, an image, a reason, by and at; one that was lifted also lifted, with a reason, by and at")]
    [InlineData("""{ "blocks": [ null ], "lifted": [] }""", "a block that is null says nothing")]
    [InlineData("""{ "blocks": [], "lifted": [ { "id": 1, "image": "nginx", "reason": "r", "by": "b", "at": "2026-06-01T10:00:00Z" } ] }""", "lifted[0]: lifted is missing")]
    [InlineData("""[]""", "$: a block has an id, an image, a reason, by and at; one that was lifted also lifted, with a reason, by and at")]
    [InlineData("""null""", "$: a block has an id, an image, a reason, by and at; one that was lifted also lifted, with a reason, by and at")]
    public void What_is_wrong_is_named(string json, string problem)
    {
        Write(json);
        var failure = Assert.Throws<OptionsValidationException>(() => _fixture.Start());
        Assert.Equal([$"{BlocksPath} is refused: {problem}; correct it, or restore it: what is blocked is not known without it"], failure.Failures);
    }

    [Fact]
    public async Task As_many_as_there_can_be_are_read_and_one_more_is_refused()
    {
        var document = BlockDocument.Empty;
        var blocks = Enumerable.Range(1, Blocks.Maximum + 1).Select(i => new Block(
            i, Pattern(string.Create(CultureInfo.InvariantCulture, $"namespace/repository-{i}@sha256:{i:x64}")), new string('問', 200), new string('b', 64), At)).ToList();
        AtomicFile.Write(BlocksPath, (document with { Blocks = blocks[..Blocks.Maximum] }).ToBytes());
        var store = _fixture.Start();
        Assert.Equal(Blocks.Maximum, store.Current.Blocks.Count);

        AtomicFile.Write(BlocksPath, (document with { Blocks = blocks }).ToBytes());
        store.RefreshTwice();
        Assert.Equal($"{BlocksPath} is refused: blocks: there can be 10,000 blocks; the blocks that were read earlier stay in force (10000)", store.State!.Concern);
        await Assert.ThrowsAsync<OptionsValidationException>(() => BlockAsync("nginx"));
    }

    [Fact]
    public async Task A_copy_that_cannot_be_written_is_told_and_written_later()
    {
        var store = _fixture.Start();
        await BlockAsync("nginx");
        Directory.CreateDirectory(CopyPath);
        store.Refresh();
        Assert.Equal(1, store.Current.Blocks.Count);
        Assert.StartsWith("the blocks could not be kept for a restart: ", store.State!.Concern, StringComparison.Ordinal);
        Assert.StartsWith($"The blocks could not be kept in {CopyPath}: ", Assert.Single(_fixture.Log.At(LogLevel.Error)), StringComparison.Ordinal);

        Directory.Delete(CopyPath);
        store.Refresh();
        Assert.Equal(File.ReadAllBytes(BlocksPath), File.ReadAllBytes(CopyPath));
        Assert.Null(store.State!.Concern);
    }

    [Fact]
    public async Task So_many_lifted_blocks_are_kept_and_no_number_is_given_again()
    {
        var document = BlockDocument.Empty;
        for (var i = 0; i < BlockDocument.MaximumLifted + 5; i++)
        {
            document = document.Add(Pattern("nginx"), "r", "b", At);
            document = document.Lift(document.Blocks[0], "r", "b", At);
        }

        Assert.Equal(BlockDocument.MaximumLifted, document.Lifted.Count);
        Assert.Equal(BlockDocument.MaximumLifted + 6, document.Add(Pattern("redis"), "r", "b", At).Blocks[0].Id);
        AtomicFile.Write(BlocksPath, document.ToBytes());
        await BlockAsync("redis");
        Assert.Equal(1, _fixture.Start().Current.Blocks.Count);
    }

    public void Dispose() => _fixture.Dispose();

    private static ImagePattern Pattern(string text) => ImagePattern.TryParse(text, out var pattern, out var problem) ? pattern : throw new ArgumentException(problem, nameof(text));

    private Task<BlockDocument> BlockAsync(string image) => OnDisk().ChangeAsync(before => before.Add(Pattern(image), "CVE-1", "alice", At), CancellationToken.None);

    private Task<BlockDocument> UnblockAsync(string image) => OnDisk().ChangeAsync(
        before => before.Lift(before.ToBlocks().Find(Pattern(image))!, "fixed", "bob", At.AddHours(1)), CancellationToken.None);

    private BlocksOnDisk OnDisk() => new(new PolicyStoreOptions { DataDirectory = _fixture.Data });

    private void Write(string json) => AtomicFile.Write(BlocksPath, System.Text.Encoding.UTF8.GetBytes(json));

    private void Spoil(string what)
    {
        if (what == "gone")
            File.Delete(BlocksPath);
        else if (what == "open" && !OperatingSystem.IsWindows())
            File.SetUnixFileMode(BlocksPath, File.GetUnixFileMode(BlocksPath) | UnixFileMode.OtherWrite);
        else
            Write(what == "empty" ? "" : "{ nonsense");
    }

    private Task<HealthCheckResult> CheckAsync(PolicyStore store) => new PolicyHealthCheck(store, _fixture.Time).CheckHealthAsync(new HealthCheckContext());

    /// <summary>What the audit trail was told of blocks since the last look.</summary>
    private List<string> Told()
    {
        var told = new List<string>();
        while (_fixture.Audit.Pending.TryTake(out var audit))
        {
            if (audit is BlockEvent block)
                told.Add($"{(block.IsLifted ? "unblock" : "block")} {block.Block.Id} {block.Block.Pattern} by {block.By ?? "nobody"}: {block.Reason ?? "nothing"} at {block.At?.ToString("HH:mm", CultureInfo.InvariantCulture) ?? "never"}");
        }

        return told;
    }
}
