using System.Runtime.Versioning;
using ImageAccess.Proxy.Administration.Export;
using ImageAccess.Proxy.Tests.Foundation.Audit;
using Microsoft.Extensions.Logging;

namespace ImageAccess.Proxy.Tests.Administration.Export;

[UnsupportedOSPlatform("windows")]
public sealed class TrailExporterTests : IDisposable
{
    private readonly ExportRoom _room = new();

    private static ExportAnswer Refusal => new("answers 503");

    public void Dispose() => _room.Dispose();

    [Fact]
    public async Task It_sends_each_whole_line_once_as_the_file_grows()
    {
        await _room.LookAsync(); // there is no trail yet
        await _room.Trail.WriteAsync();
        await _room.LookAsync();
        await File.AppendAllTextAsync(_room.Trail.Trail, """{"id":"torn","ti""");
        await _room.LookAsync();
        Assert.Equal(4, _room.Receiver.Taken.Count); // with the checkpoint at the beginning
        await File.AppendAllTextAsync(_room.Trail.Trail, """me":"2026-06-01T12:00:00Z","outcome":"deny"}""" + "\n");
        await _room.LookAsync();
        await _room.LookAsync();
        Assert.Equal(_room.Kept, _room.Receiver.Ids);
        Assert.Equal(["checkpoint", "decision", "decision", "decision", "decision"], _room.Receiver.Taken.Select(audit => audit.Kind));
        Assert.Equal((5, 0), (_room.Counts["imageaccess.export.sent"], _room.Metrics.Waiting("syslog")));
        Assert.Empty(_room.Log.All);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Rotation_packing_and_restarts_lose_and_double_nothing(bool restarts)
    {
        for (var day = 0; day < 4; day++)
        {
            await _room.Trail.WriteAsync();
            await _room.LookAsync();
            await _room.Trail.WriteAsync();
            _room.Time.Advance(TimeSpan.FromDays(1));
            if (restarts)
                _room.Restart(_room.Receiver);
        }

        var all = _room.Kept;
        TrailRoom.Pack(_room.Trail.Trail + ".1");
        await _room.LookAsync();
        Assert.Equal(all, _room.Receiver.Ids);
        Assert.True(_room.Trail.Files.Count >= 4);
        Assert.Equal(0, _room.Counts["imageaccess.export.missed"]);
    }

    [Fact]
    public async Task A_rotation_in_the_middle_of_sending_loses_and_doubles_nothing()
    {
        await _room.Trail.WriteAsync(700); // of 110 bytes and a place in the chain each: more than one batch in more than one file
        await _room.Trail.WriteAsync(700);
        _room.Receiver.Then = () =>
        {
            _room.Time.Advance(TimeSpan.FromDays(1));
            _room.Trail.WriteAsync(500).GetAwaiter().GetResult();
        };
        await _room.LookAsync();
        await _room.LookAsync();
        Assert.Equal(_room.Kept, _room.Receiver.Ids);
    }

    [Fact]
    public async Task While_the_receiver_refuses_events_wait_and_it_is_told_once()
    {
        await _room.Trail.WriteAsync();
        _room.Receiver.Answer = _ => Refusal;
        await _room.LookAsync();
        await _room.LookAsync();
        _room.Time.Advance(TimeSpan.FromDays(1));
        await _room.Trail.WriteAsync();
        await _room.LookAsync();
        Assert.Equal(["The audit trail is not exported: Audit:Export:Syslog answers 503; events wait in the audit files, trying again"], _room.Log.All);
        Assert.Equal((3, 0), (_room.Counts["imageaccess.export.failures"], _room.Counts["imageaccess.export.sent"]));
        Assert.Equal(_room.Trail.Files.Sum(file => new FileInfo(file).Length), _room.Metrics.Waiting("syslog"));

        _room.Log.Clear();
        _room.Receiver.Answer = _ => ExportAnswer.Taken;
        await _room.LookAsync();
        Assert.Equal(_room.Kept, _room.Receiver.Ids);
        Assert.Equal(["The audit trail is exported again: Audit:Export:Syslog has taken what waited"], _room.Log.All);
        Assert.Equal(0, _room.Metrics.Waiting("syslog"));
    }

    [Fact]
    public async Task It_is_a_concern_after_fifteen_minutes()
    {
        await _room.Trail.WriteAsync();
        _room.Receiver.Answer = _ => Refusal;
        await _room.LookAsync();
        _room.Time.Advance(TrailExporter.Tolerance - TimeSpan.FromSeconds(1));
        Assert.Null(_room.Exporter.Concern);
        _room.Time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal("Audit:Export:Syslog answers 503; events wait for it in the audit files", _room.Exporter.Concern);
        _room.Receiver.Answer = _ => ExportAnswer.Taken;
        await _room.LookAsync();
        Assert.Null(_room.Exporter.Concern);
    }

    [Fact]
    public async Task It_tries_ever_more_rarely_and_as_late_as_it_is_asked_to()
    {
        Assert.Equal(TimeSpan.FromSeconds(5), _room.Exporter.Wait);
        await _room.Trail.WriteAsync();
        _room.Receiver.Answer = _ => Refusal;
        for (var failures = 1; failures <= 12; failures++)
        {
            await _room.LookAsync();
            var longest = TimeSpan.FromSeconds(Math.Min(300, Math.Pow(2, failures - 1)));
            Assert.InRange(_room.Exporter.Wait, longest / 2, longest);
        }

        Assert.NotEqual(_room.Exporter.Wait, _room.Exporter.Wait); // not all replicas at one moment
        _room.Receiver.Answer = _ => Refusal with { After = TimeSpan.FromMinutes(20) };
        await _room.LookAsync();
        Assert.Equal(TimeSpan.FromMinutes(20), _room.Exporter.Wait);
        _room.Receiver.Answer = _ => ExportAnswer.Taken;
        await _room.LookAsync();
        Assert.Equal(TimeSpan.FromSeconds(5), _room.Exporter.Wait);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("{")]
    [InlineData("""{"file":"0123","place":12,"sequence":0}""")]
    public async Task With_a_position_that_is_lost_or_not_the_trails_all_that_is_kept_comes_again(string? position)
    {
        await _room.Trail.WriteAsync();
        await _room.LookAsync();
        if (position is null)
            File.Delete(_room.Position);
        else
            await File.WriteAllTextAsync(_room.Position, position);
        _room.Restart(_room.Receiver);
        await _room.Trail.WriteAsync();
        await _room.LookAsync();
        Assert.Equal([.. _room.Kept.Take(4), .. _room.Kept], _room.Receiver.Ids);
        string[] told = position is "{" ? [$"How far the audit trail is exported cannot be read from {_room.Position}: it holds no position; all events that are kept are sent again"] : [];
        Assert.Equal(told, _room.Log.All);
    }

    [Fact]
    public async Task A_position_of_before_a_kill_repeats_what_came_after_it()
    {
        await _room.Trail.WriteAsync();
        await _room.LookAsync();
        var before = await File.ReadAllBytesAsync(_room.Position);
        await _room.Trail.WriteAsync();
        await _room.LookAsync();
        await File.WriteAllBytesAsync(_room.Position, before); // it was killed between the receiver's word and noting it
        _room.Restart(_room.Receiver);
        await _room.LookAsync();
        Assert.Equal([.. _room.Kept, .. _room.Kept.Skip(4)], _room.Receiver.Ids);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_is_removed_before_it_was_sent_is_counted_to_the_line(bool restarts)
    {
        await _room.Trail.WriteAsync();
        await _room.LookAsync();
        await _room.Trail.WriteAsync();
        for (var day = 0; day < 3; day++)
        {
            _room.Time.Advance(TimeSpan.FromDays(1));
            await _room.Trail.WriteAsync();
        }

        var files = _room.Trail.Files; // the youngest first
        var lost = TrailRoom.Lines(files[3]).Length - 4 + TrailRoom.Lines(files[2]).Length;
        var last = lost + 4;
        File.Delete(files[3]);
        File.Delete(files[2]);
        if (restarts)
            _room.Restart(_room.Receiver);
        _room.Receiver.Answer = _ => Refusal;
        await _room.LookAsync();
        await _room.LookAsync(); // it is told once, and while the receiver is away
        Assert.Equal([$"{lost} lines of the audit trail, up to line {last}, were gone before Audit:Export:Syslog had them"], _room.Log.At(LogLevel.Error).Where(line => line.Contains("gone", StringComparison.Ordinal)));
        _room.Receiver.Answer = _ => ExportAnswer.Taken;
        await _room.LookAsync();
        await _room.LookAsync();
        Assert.Equal(_room.Kept, _room.Receiver.Ids.Skip(4));
        Assert.Equal(lost, _room.Counts["imageaccess.export.missed"]);
        Assert.Equal($"Audit:Export:Syslog will not have {lost} lines of the audit trail: it has refused them, or they were gone before", _room.Exporter.Concern);
        _room.Time.Advance(TrailExporter.Remembered);
        Assert.Null(_room.Exporter.Concern);
    }

    [Fact]
    public async Task A_trail_that_begins_anew_is_no_gap()
    {
        await _room.Trail.WriteAsync(10);
        await _room.LookAsync();
        foreach (var file in Directory.GetFiles(_room.Trail[""], "audit.*"))
            File.Delete(file);
        await _room.Trail.RestartAsync();
        await _room.Trail.WriteAsync(2);
        await _room.LookAsync();
        Assert.Equal(_room.Kept, _room.Receiver.Ids.Skip(11));
        Assert.Equal(0, _room.Counts["imageaccess.export.missed"]);
    }

    [Fact]
    public async Task A_damaged_file_holds_up_no_other_and_what_is_missing_is_counted()
    {
        await _room.Trail.WriteAsync();
        await _room.LookAsync();
        for (var day = 0; day < 2; day++)
        {
            _room.Time.Advance(TimeSpan.FromDays(1));
            await _room.Trail.WriteAsync();
        }

        var middle = _room.Trail.Files[1];
        var (lines, sentAlready) = (TrailRoom.Lines(middle).Length, _room.Receiver.Ids.Count);
        TrailRoom.Pack(middle);
        await File.WriteAllBytesAsync(middle + ".gz", (await File.ReadAllBytesAsync(middle + ".gz"))[..12]);
        await _room.LookAsync();
        await _room.LookAsync();
        Assert.Equal(TrailRoom.Lines(_room.Trail.Trail).Select(ExportRoom.IdOf), _room.Receiver.Ids.TakeLast(TrailRoom.Lines(_room.Trail.Trail).Length));
        Assert.Equal(lines, _room.Counts["imageaccess.export.missed"]);
        Assert.True(_room.Receiver.Ids.Count > sentAlready);
        Assert.Single(_room.Log.All, line => line.StartsWith($"The audit file {middle}.gz is damaged: ", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_file_that_cannot_be_read_now_holds_up_those_after_it()
    {
        await _room.Trail.WriteAsync();
        await _room.LookAsync();
        var before = _room.Receiver.Ids.Count;
        _room.Time.Advance(TimeSpan.FromDays(1));
        await _room.Trail.WriteAsync();
        _room.Time.Advance(TimeSpan.FromDays(1));
        await _room.Trail.WriteAsync();
        var (all, middle) = (_room.Kept, _room.Trail.Files[1]);
        File.Move(middle, _room.Trail["aside"]);
        File.CreateSymbolicLink(middle, middle); // what root cannot read either
        await _room.LookAsync();
        Assert.Equal(all.Take(before + 1), _room.Receiver.Ids); // the checkpoint at the first file's end
        Assert.Matches($"^The audit trail is not exported: Audit:Export:Syslog does not get the audit file {middle}: .*; events wait in the audit files, trying again$", Assert.Single(_room.Log.All));
        File.Delete(middle);
        File.Move(_room.Trail["aside"], middle);
        await _room.LookAsync();
        Assert.Equal(all, _room.Receiver.Ids);
        Assert.Equal(0, _room.Counts["imageaccess.export.missed"]);
    }

    [Fact]
    public async Task A_batch_that_is_too_large_is_made_smaller_until_it_is_taken()
    {
        await _room.Trail.WriteAsync(300);
        _room.Receiver.Answer = events => events > 40 ? new ExportAnswer("answers 413: even a single event is too large for it") { IsTooLarge = true } : ExportAnswer.Taken;
        await _room.LookAsync();
        Assert.Equal(_room.Kept, _room.Receiver.Ids);
        Assert.Empty(_room.Log.All);
        _room.Receiver.Answer = _ => new ExportAnswer("answers 413: even a single event is too large for it") { IsTooLarge = true };
        await _room.Trail.WriteAsync(3);
        await _room.LookAsync();
        Assert.Equal(["The audit trail is not exported: Audit:Export:Syslog answers 413: even a single event is too large for it; events wait in the audit files, trying again"], _room.Log.All);
    }

    [Fact]
    public async Task What_the_receiver_refuses_for_good_is_told_and_does_not_come_again()
    {
        await _room.Trail.WriteAsync();
        _room.Receiver.Answer = _ => ExportAnswer.Taken with { Rejected = 2 };
        await _room.LookAsync();
        await _room.LookAsync();
        Assert.Equal([4], _room.Receiver.Batches);
        Assert.Equal((2, 2), (_room.Counts["imageaccess.export.sent"], _room.Counts["imageaccess.export.rejected"]));
        Assert.Equal(["Audit:Export:Syslog has refused 2 events of the audit trail for good; they stay in the audit files"], _room.Log.At(LogLevel.Error));
        Assert.NotNull(_room.Exporter.Concern);
    }

    [Fact]
    public async Task A_position_that_cannot_be_written_is_a_failure_and_doubles_nothing_in_this_process()
    {
        await _room.Trail.WriteAsync();
        Directory.CreateDirectory(_room.Position + ".new/x"); // where it is written aside
        await _room.LookAsync();
        Assert.Matches("^The audit trail is not exported: Audit:Export:Syslog does not get what the audit files have: ", Assert.Single(_room.Log.All));
        Directory.Delete(_room.Position + ".new", recursive: true);
        await _room.LookAsync();
        Assert.Equal(_room.Kept, _room.Receiver.Ids);
        _room.Restart(_room.Receiver);
        await _room.LookAsync();
        Assert.Equal(_room.Kept, _room.Receiver.Ids);
    }

    [Fact]
    public async Task Lines_that_are_no_event_are_not_sent_and_counted()
    {
        string[] lines =
        [
            "{", "nonsense", new string('x', 100_000), """{"id":"a] b","time":"2026-06-01T12:00:00Z"}""", """{"id":"a","time":"2026-06-01T12:00:00Z","event":"x\ny"}""",
            """{"id":"a1","time":"2026-06-01T12:00:00Z","event":"policy"}""", "", """{"id":"a2","time":"2026-06-01T12:00:00Z","outcome":"deny","count":3}""",
        ];
        await File.WriteAllLinesAsync(_room.Trail.Trail, lines);
        await _room.LookAsync();
        Assert.Equal([("a1", "policy", false, "a1"), ("a2", "denials", true, "a2-denials")], _room.Receiver.Taken.Select(audit => (audit.Id, audit.Kind, audit.IsDenied, audit.Unique)));
        Assert.Equal(5, _room.Counts["imageaccess.export.skipped"]);
    }

    [Fact]
    public async Task A_receiver_that_fails_in_an_unknown_way_stops_nothing_and_its_text_is_not_told()
    {
        await _room.Trail.WriteAsync();
        _room.Receiver.Answer = _ => throw new InvalidOperationException("canary");
        await _room.LookAsync();
        Assert.Equal(["The audit trail is not exported: Audit:Export:Syslog failed: InvalidOperationException; events wait in the audit files, trying again"], _room.Log.All);
        _room.Receiver.Answer = _ => ExportAnswer.Taken;
        await _room.LookAsync();
        Assert.Equal(_room.Kept, _room.Receiver.Ids);
    }
}
