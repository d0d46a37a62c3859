using System.Diagnostics;
using System.Runtime.Versioning;
using System.Text;
using ImageAccess.Proxy.Foundation.Audit;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Tests.Foundation.Audit;

[UnsupportedOSPlatform("windows")]
public sealed class FileAuditSinkTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly AuditFixture _fixture = new();
    private readonly LogLines<FileAuditSink> _log = new();

    private string Trail => _directory["audit.jsonl"];

    [Fact]
    public async Task Batches_are_appended()
    {
        await WriteAsync(Sink(), "one\n", "two\nthree\n");
        await WriteAsync(Sink(), "four\n");
        Assert.Equal("one\ntwo\nthree\nfour\n", File.ReadAllText(Trail));
    }

    [Fact]
    public async Task The_file_is_for_its_owner_alone()
    {
        await WriteAsync(Sink(), "one\n");
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Trail));
    }

    [Fact]
    public async Task A_line_torn_by_a_crash_is_ended()
    {
        File.WriteAllText(Trail, "one\n{\"id\":\"to");
        var sink = Sink();
        await sink.OpenAsync(CancellationToken.None);
        await WriteAsync(sink, "two\n");
        Assert.Equal("one\n{\"id\":\"to\ntwo\n", File.ReadAllText(Trail));
    }

    [Fact]
    public async Task At_a_sixteenth_of_the_size_it_is_rotated_and_all_stay_within_it()
    {
        var sink = Sink(maximumSize: 16 * 16);
        for (var i = 0; i < 80; i++)
        {
            await WriteAsync(sink, $"line-{i:00}\n");
            Assert.InRange(Directory.GetFiles(_directory.Path).Sum(file => new FileInfo(file).Length), 8, 16 * 16);
        }

        Assert.Equal(16, Directory.GetFiles(_directory.Path).Length);
        Assert.Equal("line-78\nline-79\n", File.ReadAllText(Trail));
        Assert.Equal("line-76\nline-77\n", File.ReadAllText(Trail + ".1"));
        Assert.Equal("line-48\nline-49\n", File.ReadAllText(Trail + ".15"));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Trail));
    }

    [Fact]
    public async Task What_is_removed_before_its_age_is_counted_told_once_and_a_concern_until_it_would_have_been_old()
    {
        var sink = Sink(maximumSize: 16 * 16);
        for (var i = 0; i < 32; i++)
            await WriteAsync(sink, $"line-{i:00}\n");
        Assert.Null(sink.Concern);
        for (var i = 0; i < 6; i++)
            await WriteAsync(sink, $"more-{i:00}\n");

        Assert.Equal(3 * 16, _fixture.Counts["imageaccess.audit.removed"]);
        Assert.Equal(
            $"The audit trail {Trail} is full: events up to 2026-06-01 12:00:00Z were removed before they were as old as Audit:Keep says",
            Assert.Single(_log.At(LogLevel.Warning)));
        Assert.Equal(
            "the audit trail is too small for Audit:Keep, events up to 2026-06-01 12:00 UTC are removed: raise Audit:MaximumSize", sink.Concern);
        _fixture.Time.Advance(TimeSpan.FromDays(90) - TimeSpan.FromSeconds(1));
        Assert.NotNull(sink.Concern);
        _fixture.Time.Advance(TimeSpan.FromSeconds(1));
        Assert.Null(sink.Concern);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(90)]
    public async Task Each_day_has_its_file_and_what_is_older_than_it_is_kept_is_removed_without_a_word(int keep)
    {
        var sink = Sink(keep: TimeSpan.FromDays(keep));
        for (var day = 0; day < keep + 10; day++)
        {
            await WriteAsync(sink, $"one of day {day}\n", $"two of day {day}\n");
            _fixture.Time.Advance(TimeSpan.FromDays(1));
        }

        Assert.Equal(keep + 1, Directory.GetFiles(_directory.Path).Length);
        Assert.Equal($"one of day {keep + 9}\ntwo of day {keep + 9}\n", File.ReadAllText(Trail));
        Assert.Equal($"one of day 9\ntwo of day 9\n", File.ReadAllText($"{Trail}.{keep}"));
        Assert.Equal((0, null), (_fixture.Counts["imageaccess.audit.removed"], sink.Concern));
        Assert.Empty(_log.All);
    }

    [Fact]
    public async Task A_crash_in_the_middle_of_rotating_and_files_that_somebody_took_away_lose_nothing()
    {
        var sink = Sink(maximumSize: 16 * 16);
        for (var i = 0; i < 12; i++)
            await WriteAsync(sink, $"line-{i:00}\n");
        File.Move(Trail + ".3", _directory["taken-away"]); // the same gap as after a crash
        File.WriteAllText(Trail + ".2.gz", "not ours");
        File.WriteAllText(Trail + ".01", "not ours");
        await WriteAsync(sink, "line-12\n");

        Assert.Equal("line-12\n", File.ReadAllText(Trail));
        Assert.Equal(
            ["line-10\nline-11\n", "line-08\nline-09\n", "line-06\nline-07\n", "line-02\nline-03\n", "line-00\nline-01\n"],
            Enumerable.Range(1, 5).Select(number => File.ReadAllText($"{Trail}.{number}")));
        Assert.Equal(("not ours", "not ours"), (File.ReadAllText(Trail + ".2.gz"), File.ReadAllText(Trail + ".01")));
    }

    [Fact]
    public async Task A_start_removes_what_grew_too_old_or_is_too_much_for_a_smaller_size()
    {
        var now = _fixture.Time.GetUtcNow().UtcDateTime;
        foreach (var (number, days) in new[] { (1, 1), (2, 20), (3, 91), (7, 400) })
        {
            File.WriteAllText($"{Trail}.{number}", new string('x', 100));
            File.SetLastWriteTimeUtc($"{Trail}.{number}", now.AddDays(-days));
        }

        await Sink(maximumSize: 1024).OpenAsync(CancellationToken.None);
        Assert.Equal([Trail, Trail + ".1", Trail + ".2"], Directory.GetFiles(_directory.Path).Order(StringComparer.Ordinal));
        var sink = Sink(maximumSize: 160);
        await sink.OpenAsync(CancellationToken.None);
        Assert.Equal([Trail, Trail + ".1"], Directory.GetFiles(_directory.Path).Order(StringComparer.Ordinal));
        Assert.Contains("2026-05-12", sink.Concern, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("blocked")] // a directory is where the former file should go
    [InlineData("mounted")] // the file alone
    public async Task A_trail_that_cannot_be_rotated_is_appended_to_all_the_same(string hindrance)
    {
        var sink = Sink();
        await WriteAsync(sink, "one\n");
        if (hindrance == "blocked")
            Directory.CreateDirectory(Trail + ".1");
        else
            await RunAsync("mount", "--bind", Trail, Trail);
        try
        {
            foreach (var line in new[] { "two\n", "three\n", "four\n" })
            {
                _fixture.Time.Advance(TimeSpan.FromDays(1));
                await WriteAsync(sink, line);
            }

            Assert.Equal("one\ntwo\nthree\nfour\n", File.ReadAllText(Trail));
            Assert.Equal([Trail], Directory.GetFiles(_directory.Path));
            Assert.Equal(
                $"The files of the audit trail {Trail} cannot be renamed or removed: it grows beyond Audit:MaximumSize and Audit:Keep; trying again once a minute",
                Assert.Single(_log.All));
            Assert.StartsWith("its files cannot be renamed or removed, it grows beyond Audit:MaximumSize and Audit:Keep: ", sink.Concern, StringComparison.Ordinal);
        }
        finally
        {
            if (hindrance == "blocked")
                Directory.Delete(Trail + ".1");
            else
                await RunAsync("umount", "--lazy", Trail);
        }

        await WriteAsync(sink, "five\n");
        Assert.NotNull(sink.Concern);
        _fixture.Time.Advance(TimeSpan.FromDays(1));
        await WriteAsync(sink, "six\n");
        Assert.Null(sink.Concern);
        Assert.Equal(("six\n", "one\ntwo\nthree\nfour\nfive\n"), (File.ReadAllText(Trail), File.ReadAllText(Trail + ".1")));
        Assert.Single(_log.All);
    }

    /// <summary>A batch at a time may come a hundred times a second.</summary>
    [Fact]
    public async Task What_cannot_be_rotated_is_tried_once_a_minute()
    {
        var sink = Sink(maximumSize: 16 * 16);
        Directory.CreateDirectory(Trail + ".1");
        await WriteAsync(sink, "line-00\n", "line-01\n", "line-02\n");
        Directory.Delete(Trail + ".1");
        _fixture.Time.Advance(TimeSpan.FromSeconds(59));
        await WriteAsync(sink, "line-03\n");
        Assert.Equal([Trail], Directory.GetFiles(_directory.Path));

        _fixture.Time.Advance(TimeSpan.FromSeconds(1));
        await WriteAsync(sink, "line-04\n");
        Assert.Equal(("line-04\n", "line-00\nline-01\nline-02\nline-03\n"), (File.ReadAllText(Trail), File.ReadAllText(Trail + ".1")));
    }

    [Fact]
    public async Task A_former_file_that_cannot_be_removed_stops_no_start_and_keeps_no_other()
    {
        var now = _fixture.Time.GetUtcNow().UtcDateTime;
        foreach (var number in new[] { 1, 2, 3 })
        {
            File.WriteAllText($"{Trail}.{number}", "old\n");
            File.SetLastWriteTimeUtc($"{Trail}.{number}", now.AddDays(-91));
        }

        var sink = Sink();
        await RunAsync("mount", "--bind", Trail + ".2", Trail + ".2");
        try
        {
            await sink.OpenAsync(CancellationToken.None);
            await WriteAsync(sink, "new\n");
            Assert.Equal([Trail, Trail + ".2"], Directory.GetFiles(_directory.Path).Order(StringComparer.Ordinal));
            Assert.Single(_log.At(LogLevel.Warning));
            Assert.NotNull(sink.Concern);
        }
        finally
        {
            await RunAsync("umount", "--lazy", Trail + ".2");
        }

        _fixture.Time.Advance(TimeSpan.FromMinutes(1));
        await WriteAsync(sink, "newer\n");
        Assert.Equal((Trail, null), (Assert.Single(Directory.GetFiles(_directory.Path)), sink.Concern));
    }

    [Fact]
    public async Task A_batch_that_exactly_fills_the_part_stays()
    {
        var sink = Sink(maximumSize: 8 * 16);
        await WriteAsync(sink, "one\n", "two\n");
        Assert.Equal("one\ntwo\n", File.ReadAllText(Trail));
        await WriteAsync(sink, "3\n");
        Assert.Equal("3\n", File.ReadAllText(Trail));
    }

    [Fact]
    public async Task A_file_that_was_moved_or_deleted_begins_anew()
    {
        var sink = Sink();
        await WriteAsync(sink, "one\n");
        File.Move(Trail, _directory["taken-away"]);
        await WriteAsync(sink, "two\n");
        File.Delete(Trail);
        await WriteAsync(sink, "three\n");
        Assert.Equal("three\n", File.ReadAllText(Trail));
        Assert.Equal("one\n", File.ReadAllText(_directory["taken-away"]));
    }

    [Fact]
    public async Task A_missing_directory_is_a_failure_that_passes()
    {
        var path = Path.Combine(_directory["logs"], "audit.jsonl");
        var sink = Sink(path);
        await Assert.ThrowsAnyAsync<IOException>(() => WriteAsync(sink, "one\n"));
        Directory.CreateDirectory(_directory["logs"]);
        await WriteAsync(sink, "one\n");
        Assert.Equal("one\n", File.ReadAllText(path));
    }

    [Fact]
    public async Task A_file_that_may_not_be_opened_is_a_failure_too()
    {
        Directory.CreateDirectory(Trail);
        await Assert.ThrowsAnyAsync<IOException>(() => WriteAsync(Sink(), "one\n"));
    }

    [Fact]
    public async Task A_pipe_is_no_place_for_a_trail()
    {
        using var mkfifo = Process.Start("mkfifo", Trail);
        await mkfifo.WaitForExitAsync();
        var failure = await Assert.ThrowsAsync<OptionsValidationException>(() => Sink().OpenAsync(CancellationToken.None).AsTask());
        Assert.Contains("not a regular file", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_full_disk_is_a_failure_that_passes()
    {
        if (!File.Exists("/dev/full"))
            return;
        File.CreateSymbolicLink(Trail, "/dev/full");
        var sink = Sink();
        await Assert.ThrowsAnyAsync<IOException>(() => WriteAsync(sink, "one\n"));
        File.Delete(Trail);
        await WriteAsync(sink, "one\n");
        Assert.Equal("one\n", File.ReadAllText(Trail));
    }

    [Fact]
    public async Task A_file_that_cannot_be_written_stops_the_start()
    {
        var path = Path.Combine(_directory["logs"], "audit.jsonl");
        var failure = await Assert.ThrowsAsync<OptionsValidationException>(() => Sink(path).OpenAsync(CancellationToken.None).AsTask());
        var line = Assert.Single(failure.Failures);
        Assert.StartsWith($"Audit:File: {path} cannot be written (", line, StringComparison.Ordinal);
        Assert.EndsWith("; name a file in a directory that exists and is writable", line, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_data_directory_is_made()
    {
        var data = _directory["data"];
        var sink = Sink(new AuditOptions { DataDirectory = data });
        await sink.OpenAsync(CancellationToken.None);
        await WriteAsync(sink, "one\n");
        Assert.Equal("one\n", File.ReadAllText(Path.Combine(data, "audit.jsonl")));
    }

    public void Dispose()
    {
        _fixture.Dispose();
        _directory.Dispose();
    }

    private FileAuditSink Sink(string? path = null, long maximumSize = 16 * 1024, TimeSpan? keep = null) => Sink(
        new AuditOptions { File = path ?? Trail, MaximumSize = maximumSize, DataDirectory = _directory["data"], Keep = keep ?? TimeSpan.FromDays(90) });

    private FileAuditSink Sink(AuditOptions options) => new(Options.Create(options), _fixture.Metrics, _fixture.Time, _log);

    private static async Task RunAsync(string name, params string[] arguments)
    {
        using var process = Process.Start(name, arguments);
        await process.WaitForExitAsync();
        Assert.Equal(0, process.ExitCode);
    }

    private static async Task WriteAsync(FileAuditSink sink, params string[] batches)
    {
        foreach (var batch in batches)
            await sink.WriteAsync(Encoding.UTF8.GetBytes(batch), CancellationToken.None);
    }
}
