using System.IO.Compression;
using System.Text;
using ImageAccess.Proxy.Administration.Usage;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Database.Keys;
using Microsoft.Data.Sqlite;

namespace ImageAccess.Proxy.Tests.Administration.Usage;

public sealed class UsageFollowerTests : IDisposable
{
    private readonly UsageRoom _room = new();

    public void Dispose() => _room.Dispose();

    [Fact]
    public async Task It_follows_the_file_as_it_grows_and_takes_only_whole_lines()
    {
        await _room.LookAsync(); // there is none yet
        await _room.WriteAsync(_room.Line(1));
        await _room.LookAsync();
        var line = _room.Line(2) + "\n";
        await File.AppendAllTextAsync(_room.Trail, line[..100]);
        await _room.LookAsync();
        Assert.Equal([UsageRoom.Id(1)], await _room.KeptAsync());
        await File.AppendAllTextAsync(_room.Trail, line[100..]);
        await _room.LookAsync();
        Assert.Equal([UsageRoom.Id(1), UsageRoom.Id(2)], await _room.KeptAsync());
        Assert.Equal(2, _room.Counts["imageaccess.usage.written"]);
        Assert.Equal(0, _room.Metrics.Waiting);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Rotation_packing_and_a_restart_lose_and_double_nothing(bool isRestarted)
    {
        await _room.WriteAsync(_room.Line(1));
        await _room.LookAsync();
        await _room.WriteAsync(_room.Line(2));
        File.Move(_room.Trail, _room.Trail + ".1");
        await _room.WriteAsync(_room.Line(3));
        File.Move(_room.Trail + ".1", _room.Trail + ".2");
        File.Move(_room.Trail, _room.Trail + ".1");
        await PackAsync(_room.Trail + ".2");
        await _room.WriteAsync(_room.Line(4));
        if (isRestarted)
            _room.Follow(_room.Store);
        await _room.LookAsync();
        await PackAsync(_room.Trail + ".1");
        await _room.LookAsync();
        Assert.Equal(Enumerable.Range(1, 4).Select(UsageRoom.Id), await _room.KeptAsync());
        Assert.Equal((4, 0), (_room.Counts["imageaccess.usage.written"], _room.Counts["imageaccess.usage.missed"]));
    }

    [Fact]
    public async Task While_the_trail_grows_fast_it_takes_a_batch_at_a_time_and_the_rest_when_it_is_quiet()
    {
        await WriteManyAsync(1, 1);
        await _room.LookAsync();
        await WriteManyAsync(2, 7 * UsageBatch.MaximumDecisions);
        Assert.InRange(new FileInfo(_room.Trail).Length, UsageFollower.FastGrowth * 2, long.MaxValue);
        await _room.LookAsync();
        Assert.Equal(1 + UsageBatch.MaximumDecisions, await _room.CountedAsync());
        Assert.InRange(_room.Metrics.Waiting, UsageFollower.FastGrowth / 2, long.MaxValue);
        var pause = (int)(UsageFollower.FastPause / UsageFollower.Pause);
        for (var second = 1; second <= pause; second++)
        {
            await WriteManyAsync(2 + (7 * second * UsageBatch.MaximumDecisions), 7 * UsageBatch.MaximumDecisions);
            await _room.LookAsync();
            Assert.Equal(1 + ((second < pause ? 1 : 2) * UsageBatch.MaximumDecisions), await _room.CountedAsync());
        }

        await _room.LookAsync(); // nothing was added
        Assert.Equal(1 + (7 * (pause + 1) * UsageBatch.MaximumDecisions), await _room.CountedAsync());
        Assert.Equal(0, _room.Metrics.Waiting);
    }

    [Fact]
    public async Task It_does_not_yield_where_the_trail_could_lose_what_waits()
    {
        _room.Audit.MaximumSize = AuditOptions.SmallestMaximumSize;
        await WriteManyAsync(1, 1);
        await _room.LookAsync();
        await WriteManyAsync(2, 8 * UsageBatch.MaximumDecisions);
        await _room.LookAsync();
        Assert.InRange(await _room.CountedAsync(), 1 + (3 * UsageBatch.MaximumDecisions), 1 + (8 * UsageBatch.MaximumDecisions));
        Assert.InRange(_room.Metrics.Waiting, 0, AuditOptions.SmallestMaximumSize / 2);
    }

    [Fact]
    public async Task A_file_that_was_copied_and_emptied_is_another()
    {
        await _room.WriteAsync(_room.Line(1), _room.Line(2));
        await _room.LookAsync();
        File.Copy(_room.Trail, _room.Trail + ".1");
        await File.WriteAllTextAsync(_room.Trail, _room.Line(3) + "\n");
        await _room.LookAsync();
        Assert.Equal(Enumerable.Range(1, 3).Select(UsageRoom.Id), await _room.KeptAsync());
    }

    [Fact]
    public async Task A_file_that_was_cut_is_read_again()
    {
        var first = _room.Line(1) + "\n";
        await File.WriteAllTextAsync(_room.Trail, first + _room.Line(2, "library/postgres") + "\n");
        await _room.LookAsync();
        await File.WriteAllTextAsync(_room.Trail, first + _room.Line(3) + "\n" + _room.Line(4) + "\n");
        await _room.LookAsync();
        Assert.Equal(Enumerable.Range(1, 4).Select(UsageRoom.Id), await _room.KeptAsync());
    }

    [Fact]
    public async Task Hostile_lines_stop_nothing_and_are_counted()
    {
        await _room.WriteAsync(
            "{", _room.Line(1), "nonsense", new string('x', 10 * TrailLines.MaximumLine), "", """{"id":"a1","time":"2026-06-01T12:00:00Z","event":"policy"}""",
            UsageRoom.Line("a2", DateTimeOffset.UnixEpoch), UsageRoom.Line("a3", DateTimeOffset.MaxValue), _room.Line(2));
        await File.AppendAllTextAsync(_room.Trail, "\0\0\0\n\uFEFF" + _room.Line(3) + "\n" + _room.Line(4) + "\n");
        await _room.LookAsync();
        Assert.Equal(new[] { 1, 2, 4 }.Select(UsageRoom.Id), await _room.KeptAsync());
        Assert.Equal(7, _room.Counts["imageaccess.usage.skipped"]);
        Assert.Equal(["2 decisions of the audit trail are not in the database: their day is kept no longer, or has not come; look at the clock"], _room.Log.All);
    }

    [Fact]
    public async Task A_packed_file_that_is_damaged_holds_up_no_other()
    {
        await _room.WriteAsync(_room.Line(1));
        File.Move(_room.Trail, _room.Trail + ".1");
        await PackAsync(_room.Trail + ".1");
        await File.WriteAllBytesAsync(_room.Trail + ".2.gz", [0x1F, 0x8B, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        await _room.WriteAsync(_room.Line(2));
        await _room.LookAsync();
        Assert.Equal([UsageRoom.Id(1), UsageRoom.Id(2)], await _room.KeptAsync());
    }

    [Fact]
    public async Task While_the_database_is_locked_decisions_wait_and_it_is_told_then_they_come_in_their_order()
    {
        await _room.WriteAsync(_room.Line(1));
        await _room.LookAsync();
        await using (var other = new SqliteConnection($"Data Source={_room["usage/2026-06.db"]};Pooling=False"))
        {
            await other.OpenAsync();
            await using var locked = other.BeginTransaction();
            await _room.WriteAsync(_room.Line(2), _room.Line(3));
            var failure = await Assert.ThrowsAsync<SqliteException>(_room.LookAsync);
            Assert.Equal("is locked by another process: end that process, or wait until it has finished", _room.Store.Explain(failure));
        }

        await _room.LookAsync();
        Assert.Equal(Enumerable.Range(1, 3).Select(UsageRoom.Id), await _room.KeptAsync());
    }

    [Fact]
    public async Task What_is_removed_before_it_was_read_is_counted_and_told()
    {
        var database = new SqliteDatabase(_room["no/such/folder/imageaccess.db"]);
        await File.WriteAllTextAsync(_room["no"], "a file where a folder should be");
        await _room.WriteAsync(_room.Line(1));
        var length = new FileInfo(_room.Trail).Length;
        _room.Follow(UsageStore.Of(database, new KeyFile(null, Path.GetDirectoryName(_room.Trail)!)));
        await Assert.ThrowsAsync<DatabaseException>(_room.LookAsync);
        File.Delete(_room.Trail);
        await _room.WriteAsync(_room.Line(2));
        await Assert.ThrowsAsync<DatabaseException>(_room.LookAsync);
        Assert.Equal(length, _room.Counts["imageaccess.usage.missed"]);
    }

    [Fact]
    public async Task It_runs_by_itself_and_tells_what_is_wrong_and_that_it_is_over()
    {
        await _room.WriteAsync(_room.Line(1));
        await File.WriteAllTextAsync(_room["usage"], "a file where a folder should be");
        var state = new DatabaseState();
        state.BeReady();
        using var follower = new UsageFollower(
            _room.Database,
            _room.Store,
            state,
            Microsoft.Extensions.Options.Options.Create(new ImageAccess.Proxy.Foundation.Audit.AuditOptions { File = _room.Trail }),
            Microsoft.Extensions.Options.Options.Create(_room.Options),
            _room.Metrics,
            _room.Time,
            _room.Log);
        await follower.StartAsync(default);
        await Eventually.TrueAsync(() => follower.Concern is not null);
        Assert.StartsWith($"{_room["usage"]} cannot be used: ", follower.Concern, StringComparison.Ordinal);
        Assert.EndsWith(
            $". Decisions wait in the audit files ({new FileInfo(_room.Trail).Length} bytes) and come later; none is lost as long as the files are kept", follower.Concern, StringComparison.Ordinal);

        File.Delete(_room["usage"]);
        await Eventually.TrueAsync(() =>
        {
            _room.Time.Advance(UsageFollower.Pause);
            return follower.Concern is null;
        });
        Assert.Equal([UsageRoom.Id(1)], await _room.KeptAsync());
        await follower.StopAsync(default);
    }

    private Task WriteManyAsync(int first, int count) => _room.WriteAsync([.. Enumerable.Range(first, count).Select(number => UsageRoom.Line(UsageRoom.Id(number), _room.Time.GetUtcNow()))]);

    private static async Task PackAsync(string path)
    {
        await using (var packed = new GZipStream(File.Create(path + ".gz"), CompressionLevel.Fastest))
            await packed.WriteAsync(Encoding.UTF8.GetBytes(await File.ReadAllTextAsync(path)));
        File.Delete(path);
    }
}
