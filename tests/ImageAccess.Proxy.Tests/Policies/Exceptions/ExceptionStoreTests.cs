using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Tests.Policies.Store;
using Microsoft.Extensions.Logging;

namespace ImageAccess.Proxy.Tests.Policies.Exceptions;

/// <summary>The snapshot, and its copy in the data directory, without any database.</summary>
public sealed class ExceptionStoreTests : IAsyncLifetime
{
    private static readonly SequencePoint Point = new(7, "seven");

    private ExceptionProcess _process = null!;

    public Task InitializeAsync()
    {
        _process = Begin();
        return Task.CompletedTask;
    }

    public async Task DisposeAsync() => await _process.DisposeAsync();

    [Fact]
    public async Task Without_a_copy_there_are_none_and_nothing_is_wrong()
    {
        Assert.Empty(_process.InForce);
        Assert.Null(await _process.ConcernAsync());
        Assert.Equal("it is down; no exception is in force", await _process.ConcernAsync("it is down"));
        Assert.False(File.Exists(_process.CopyPath));
    }

    [Fact]
    public async Task What_was_read_is_one_snapshot_with_the_document_and_kept_for_its_owner_alone()
    {
        var before = _process.Policy;
        Accept(Row(1, "evil/*"), Row(2, "acme/tool:1.2", ExceptionProcess.Digest), Row(3, "acme/tool:2", follow: true, until: DateTimeOffset.UnixEpoch.AddYears(70)));

        Assert.Empty(before.Exceptions.All);
        Assert.Same(before.Document, _process.Policy.Document);
        Assert.Equal(["1 evil/* acme", "2 acme/tool:1.2 acme", "3 acme/tool:2 acme"], _process.InForce);
        Assert.Equal(7, _process.Policy.Exceptions.Version);
        if (!OperatingSystem.IsWindows())
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(_process.CopyPath));

        await using var restarted = await _process.RestartAsync();
        Assert.Equal(_process.InForce, restarted.InForce);
        Assert.Equal(7, restarted.Policy.Exceptions.Version);
        Assert.Equal(_process.Policy.Exceptions.All.Select(All), restarted.Policy.Exceptions.All.Select(All));
        Assert.Null(await restarted.ConcernAsync());
        Assert.Equal("it is down; the exceptions that were read last stay in force (3)", await restarted.ConcernAsync("it is down"));

        static string All(GrantedException e) => $"{e.Id} {e.Organization} {e.Pattern} {e.Approved?.Value} {e.Follow} {e.Reason} {e.AskedBy} {e.ApprovedBy} {e.Since:O} {e.Until:O}";
    }

    [Theory]
    [InlineData("{ half of it")]
    [InlineData("null")]
    [InlineData("""{ "version": 1, "change": "c", "exceptions": [ null ] }""")]
    [InlineData("""{ "version": 1, "change": "c", "exceptions": [ { "id": 1, "organization": "acme", "image": "nginx:1", "follow": false, "reason": "r", "approvedBy": "a", "since": "2026-06-01T00:00:00Z" } ] }""")]
    [InlineData("""{ "version": 1, "change": "c", "exceptions": [ { "id": 1, "organization": "acme", "image": "ghcr.io/x/y", "follow": false, "reason": "r", "approvedBy": "a", "since": "2026-06-01T00:00:00Z" } ] }""")]
    [InlineData("""{ "version": 1, "change": "c", "exceptions": [], "more": 1 }""")]
    public async Task A_damaged_copy_opens_nothing_and_is_told_once(string copy)
    {
        await File.WriteAllTextAsync(_process.CopyPath, copy);
        await using var restarted = await _process.RestartAsync();
        Assert.Empty(restarted.InForce);
        var flaw = $"{_process.CopyPath} is refused: it is not what was written";
        Assert.Equal([$"The copy of the exceptions cannot be used: {flaw}; none is in force until the database has been read"], _process.Fixture.ExceptionsLog.At(LogLevel.Error));
        Assert.Equal($"it is down; no exception is in force, because their copy {flaw}", await restarted.ConcernAsync("it is down"));

        restarted.Store.Accept("db", new ExceptionReading(Point, [Row(1, "evil/*")], []));
        Assert.Equal(["1 evil/* acme"], restarted.InForce);
        Assert.Null(await restarted.ConcernAsync());
        await using var again = await restarted.RestartAsync();
        Assert.Equal(["1 evil/* acme"], again.InForce);
        Assert.Single(_process.Fixture.ExceptionsLog.At(LogLevel.Error));
    }

    [Fact]
    public async Task A_copy_that_others_may_change_opens_nothing()
    {
        Accept(Row(1, "evil/*"));
        if (OperatingSystem.IsWindows())
            return;
        File.SetUnixFileMode(_process.CopyPath, (UnixFileMode)0b110_110_110);
        await using var restarted = await _process.RestartAsync();
        Assert.Empty(restarted.InForce);
        Assert.Contains("can be changed by others than its owner", Assert.Single(_process.Fixture.ExceptionsLog.At(LogLevel.Error)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_cannot_be_kept_is_told_once_and_kept_when_it_can_be()
    {
        Directory.CreateDirectory(_process.CopyPath);
        await File.WriteAllTextAsync(Path.Combine(_process.CopyPath, "in the way"), "");
        Accept(Row(1, "evil/*"));
        _process.Store.Confirm("db");
        Assert.Equal(["1 evil/* acme"], _process.InForce);
        Assert.Single(_process.Fixture.ExceptionsLog.At(LogLevel.Error));
        Assert.StartsWith("the exceptions could not be kept for a restart: ", await _process.ConcernAsync(), StringComparison.Ordinal);

        Directory.Delete(_process.CopyPath, recursive: true);
        _process.Store.Confirm("db");
        Assert.Null(await _process.ConcernAsync());
        await using var restarted = await _process.RestartAsync();
        Assert.Equal(["1 evil/* acme"], restarted.InForce);
    }

    [Fact]
    public async Task A_failure_is_told_once_and_takes_nothing_away()
    {
        Accept(Row(1, "evil/*"));
        _process.Store.Fail("db", "is down");
        _process.Store.Fail("db", "is down");
        Assert.Equal(["The exceptions of db cannot be read: it is down; the exceptions that were read last stay in force (1); trying again"], _process.Fixture.ExceptionsLog.At(LogLevel.Error));
        Assert.Equal("db is down; the exceptions that were read last stay in force (1)", await _process.ConcernAsync());
        Assert.Equal(["1 evil/* acme"], _process.InForce);

        _process.Store.Confirm("db");
        Assert.Null(await _process.ConcernAsync());
        Assert.Contains("The exceptions of db are read again (1)", _process.Fixture.ExceptionsLog.At(LogLevel.Information));
    }

    [Fact]
    public void One_that_says_not_what_it_opens_opens_nothing_and_the_others_go_on()
    {
        Accept(Row(1, "nginx:1.27"), Row(2, "evil/*"), Row(3, "ghcr.io/acme/x"), Row(4, "nginx:1", "sha256:1"), Row(5, "nginx", ExceptionProcess.Digest));
        Accept(Row(1, "nginx:1.27"), Row(2, "evil/*"), Row(3, "ghcr.io/acme/x"), Row(4, "nginx:1", "sha256:1"), Row(5, "nginx", ExceptionProcess.Digest));
        Assert.Equal(["2 evil/* acme"], _process.InForce);
        var told = _process.Fixture.ExceptionsLog.At(LogLevel.Error);
        Assert.Equal(4, told.Count);
        Assert.Equal("The exception 1 for nginx:1.27 does not say which image of the repository it opens: it opens nothing", told[0]);
    }

    [Fact]
    public void A_change_of_the_document_keeps_the_exceptions_and_the_other_way_round()
    {
        Accept(Row(1, "evil/*"));
        File.WriteAllText(_process.Fixture.Document, PolicyFixture.Lax);
        var store = _process.Fixture.NotStarted(_process.Fixture.Document, _process.Store);
        store.Open();
        Assert.Single(store.Current.Exceptions.All);
        _process.Store.Accept("db", new ExceptionReading(new SequencePoint(8, "eight"), [], []));
        Assert.Empty(store.Current.Exceptions.All);
        Assert.Equal(PolicyFixture.VersionOf(PolicyFixture.Lax), store.Current.Version);
    }

    [Fact]
    public async Task A_check_without_a_proxy_finds_the_copy()
    {
        Assert.Empty(ExceptionsCopy.Find(_process.Fixture.Data).All);
        Accept(Row(1, "evil/*"));
        Assert.Single(ExceptionsCopy.Find(_process.Fixture.Data).All);
        await File.WriteAllTextAsync(_process.CopyPath, "{");
        Assert.Empty(ExceptionsCopy.Find(_process.Fixture.Data).All);
    }

    private static ExceptionProcess Begin() => new();

    private static ExceptionRow Row(long id, string image, string? digest = null, bool follow = false, DateTimeOffset? until = null) => new()
    {
        Id = id,
        Organization = "acme",
        Image = image,
        Digest = digest,
        Follow = follow,
        Reason = "\"because\" <é>",
        AskedBy = id == 2 ? "bob" : null,
        ApprovedBy = "alice",
        Since = DateTimeOffset.UnixEpoch.AddSeconds(id),
        UntilMilliseconds = until?.ToUnixTimeMilliseconds(),
        Version = id,
    };

    private void Accept(params ExceptionRow[] rows) => _process.Store.Accept("db", new ExceptionReading(Point, rows, []));
}
