using System.Diagnostics;
using System.Runtime.Versioning;
using System.Text;
using System.Text.Json;
using ImageAccess.Proxy.Foundation.Audit;

namespace ImageAccess.Proxy.Tests.Foundation.Audit;

/// <summary>What is found of an attacker who can write the files and has not the key, and what is passed over.</summary>
[UnsupportedOSPlatform("windows")]
public sealed class TrailVerificationTests : IDisposable
{
    private readonly TrailRoom _room = new();

    private string Trail => _room.Trail;

    [Fact]
    public async Task Days_and_a_restart_are_chained_and_signed()
    {
        await _room.ThreeDaysAsync();
        var verified = await _room.VerifyAsync();
        Assert.Empty(verified.Faults);
        Assert.Empty(verified.Notes);
        Assert.Equal((3, 21, 1, 21, 18), (verified.Files, verified.Lines, verified.First, verified.Last, verified.SignedUpTo));
        Assert.Equal("2026-06-03T12:00:00.000Z", verified.SignedAt);
        Assert.StartsWith("{\"seq\":                  21,\"chain\":\"", File.ReadAllText(_room.Head), StringComparison.Ordinal);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(_room.Head));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(_room.Data, "audit.key")));

        // The last event of a day is followed by a checkpoint, and each file begins with one.
        Assert.All(_room.Files, file => Assert.Contains("\"event\":\"checkpoint\"", TrailRoom.Lines(file)[0], StringComparison.Ordinal));
        Assert.All(_room.Files.Skip(1), file => Assert.Contains("\"event\":\"checkpoint\"", TrailRoom.Lines(file)[^1], StringComparison.Ordinal));
        Assert.Equal(new DateTime(2026, 6, 1, 12, 0, 0, DateTimeKind.Utc), File.GetLastWriteTimeUtc(Trail + ".2")); // by it the file is removed
    }

    /// <summary>What the documentation says can be done with the tools of any system.</summary>
    [Fact]
    public async Task Openssl_and_sha256sum_come_to_the_same()
    {
        await _room.WriteAsync();
        File.WriteAllText(_room["key.pem"], _room.Key.Pem);
        Assert.Equal("Verified OK\nchained\n", await ShellAsync($$"""
            cd {{Path.GetDirectoryName(Trail)}}
            line=$(head -n 1 audit.jsonl)
            printf %s "${line%,\"signature\"*}" > signed
            printf %s "$line" | jq -j .signature | base64 -d > signature
            openssl dgst -sha256 -verify key.pem -signature signature signed
            before=$(printf %s "$line" | jq -r .chain); line=$(sed -n 2p audit.jsonl)
            [ "$(printf '%s%s}' "$before" "${line%,\"chain\"*}" | sha256sum | cut -d ' ' -f 1)" = "$(printf %s "$line" | jq -r .chain)" ] && echo chained
            """));
    }

    [Fact]
    public async Task Each_changed_byte_is_found()
    {
        await _room.ThreeDaysAsync();
        foreach (var file in _room.Files)
        {
            var good = File.ReadAllBytes(file);
            for (var i = 0; i < good.Length; i += 7)
            {
                var bad = (byte[])good.Clone();
                bad[i] ^= 1;
                File.WriteAllBytes(file, bad);
                Assert.True((await _room.VerifyAsync()).FaultsInAll > 0, $"{file} at {i}");
            }

            File.WriteAllBytes(file, good);
        }
    }

    [Fact]
    public async Task Each_missing_line_is_found()
    {
        await _room.ThreeDaysAsync();
        foreach (var file in _room.Files)
        {
            var good = TrailRoom.Lines(file);
            for (var i = 0; i < good.Length; i++)
            {
                TrailRoom.Edit(file, _ => good.Where((_, number) => number != i));
                Assert.True((await _room.VerifyAsync()).FaultsInAll > 0, $"{file} line {i + 1}");
            }

            TrailRoom.Edit(file, _ => good);
        }

        TrailRoom.Edit(Trail + ".1", lines => [.. lines[..2], .. lines[4..]]);
        Assert.Equal($"{Trail}.1:3 does not follow from the line before it: lines 11 to 12 of the trail are missing", await _room.FaultAsync());
    }

    public static TheoryData<string> Insertions => ["event", "copy", "chained", "garbage", "blank", "checkpoint"];

    [Theory]
    [MemberData(nameof(Insertions))]
    public async Task An_inserted_line_is_found_wherever_it_stands(string kind)
    {
        await _room.ThreeDaysAsync();
        var former = TrailRoom.Lines(Trail + ".2");
        foreach (var file in _room.Files)
        {
            var good = TrailRoom.Lines(file);
            for (var i = 1; i < good.Length; i++)
            {
                var line = kind switch
                {
                    "event" => _room.Event().TrimEnd(),
                    "copy" => good[i - 1],
                    "chained" => Chained(_room.Event().TrimEnd(), LinkOf(good[i - 1])),
                    "garbage" => "{\"id\":\"to",
                    "checkpoint" => former[0],
                    _ => "",
                };
                TrailRoom.Edit(file, _ => [.. good[..i], line, .. good[i..]]);
                Assert.True((await _room.VerifyAsync()).FaultsInAll > 0, $"{file} line {i + 1}");
            }

            TrailRoom.Edit(file, _ => good);
        }
    }

    [Fact]
    public async Task A_cut_end_is_found_and_stays_found_after_a_restart()
    {
        await _room.ThreeDaysAsync();
        TrailRoom.Edit(Trail, lines => lines[..^2]);
        Assert.Equal("the end of the trail was cut: lines 20 to 21 are missing", await _room.FaultAsync());
        await _room.RestartAsync();
        await _room.WriteAsync();
        Assert.Equal($"{Trail}:3 does not follow from the line before it: lines 20 to 21 of the trail are missing", await _room.FaultAsync());
        Assert.Equal(
            $"The audit trail {Trail} does not end as it was written: its line 21 is missing or another one; imageaccess audit verify shows where",
            Assert.Single(_room.Log.All));
    }

    [Fact]
    public async Task A_file_that_was_emptied_or_rewritten_under_the_program_is_found()
    {
        await _room.ThreeDaysAsync();
        File.WriteAllText(Trail, "");
        await _room.WriteAsync();
        Assert.Equal([], (await _room.VerifyAsync()).Faults); // the same as a file that was moved away
        Assert.Equal([$"lines 18 to 21 of the trail are not here: whole files are elsewhere, before {Trail}"], (await _room.VerifyAsync()).Notes);

        TrailRoom.Edit(Trail, lines => [lines[0], Chained(_room.Event().TrimEnd(), LinkOf(lines[0]))]);
        await _room.WriteAsync();
        Assert.Equal($"{Trail}:3 does not follow from the line before it: lines 24 to 25 of the trail are missing", await _room.FaultAsync());
    }

    [Fact]
    public async Task The_cut_end_of_a_former_file_is_found()
    {
        await _room.ThreeDaysAsync();
        TrailRoom.Edit(Trail + ".1", lines => lines[..^3]);
        Assert.Equal($"lines 15 to 17 of the trail are missing before {Trail}: the end of the file before it was cut, or files are gone", await _room.FaultAsync());
    }

    [Fact]
    public async Task A_swapped_file_is_found()
    {
        await _room.ThreeDaysAsync();
        var (first, second) = (File.ReadAllText(Trail + ".2"), File.ReadAllText(Trail + ".1"));
        (string, string)[] swaps = [(second, first), (first, first), (second, second)];
        foreach (var (older, younger) in swaps)
        {
            File.WriteAllText(Trail + ".2", older);
            File.WriteAllText(Trail + ".1", younger);
            Assert.True((await _room.VerifyAsync()).FaultsInAll > 0);
        }

        using var other = new TrailRoom();
        await other.ThreeDaysAsync();
        File.WriteAllText(Trail + ".2", first);
        File.Copy(other.Trail + ".1", Trail + ".1", overwrite: true);
        Assert.Contains((await _room.VerifyAsync()).Faults, fault => fault.EndsWith($"is signed with the key {other.Key.Id}, which is none of the given", StringComparison.Ordinal));
    }

    /// <summary>The attacker computes the whole chain anew, and the head: only the signature is beyond him.</summary>
    [Fact]
    public async Task A_chain_that_was_computed_anew_is_found_at_the_next_checkpoint()
    {
        await _room.ThreeDaysAsync();
        Rewrite(_room.Files.Reverse(), lines => lines[2] = lines[2].Replace("bob", "eve", StringComparison.Ordinal));
        var faults = (await _room.VerifyAsync()).Faults;
        Assert.Equal($"{Trail}.2:8 is a checkpoint whose signature is wrong", faults[0]);
    }

    [Theory]
    [InlineData("audit.jsonl")]
    [InlineData("audit.jsonl.1")]
    [InlineData("audit.jsonl.2")]
    public async Task A_chain_that_was_computed_anew_without_checkpoints_is_found(string name)
    {
        await _room.ThreeDaysAsync();
        var last = ChainLink.None;
        foreach (var file in _room.Files.Reverse())
        {
            TrailRoom.Edit(file, lines => lines.Where(line => file != _room[name] || !line.Contains("checkpoint", StringComparison.Ordinal)).Select(line =>
            {
                var chained = Chained(Bare(line), last);
                last = LinkOf(chained);
                return chained;
            }).ToList());
        }

        AuditHead.Write(Trail, last);
        Assert.Contains((await _room.VerifyAsync()).Faults, fault => fault.StartsWith($"{_room[name]}:1 is line ", StringComparison.Ordinal));
    }

    /// <summary>What is not found, as the threat model says: what came after the last checkpoint.</summary>
    [Fact]
    public async Task After_the_last_checkpoint_a_chain_that_was_computed_anew_is_good_as_long_as_the_program_does_not_write()
    {
        await _room.ThreeDaysAsync();
        Rewrite([Trail], lines => lines[2] = lines[2].Replace("bob", "eve", StringComparison.Ordinal));
        await _room.ShouldBeGoodAsync();
        await _room.WriteAsync();
        Assert.Equal($"{Trail}:5 does not follow from the line before it: one of the two was changed (line 22 of the trail)", await _room.FaultAsync());
    }

    [Fact]
    public async Task A_chain_that_was_taken_off_is_found()
    {
        await _room.ThreeDaysAsync();
        TrailRoom.Edit(Trail + ".1", lines => lines.Select(Bare));
        Assert.Contains($"{Trail}.1 has lost its chain: it is younger than the chain's beginning", (await _room.VerifyAsync()).Faults);
        File.Delete(_room.Head);
        Assert.Contains($"{_room.Head} is missing or damaged: whether the end of the trail was cut is not known", (await _room.VerifyAsync()).Faults);
    }

    [Fact]
    public async Task The_beginning_of_the_oldest_file_cannot_be_cut()
    {
        await _room.ThreeDaysAsync();
        File.Delete(Trail + ".2"); // by its age
        await _room.ShouldBeGoodAsync();
        TrailRoom.Edit(Trail + ".1", lines => lines[1..]);
        Assert.Equal($"{Trail}.1:1 is line 10 of the trail and stands behind no checkpoint: lines before it were removed", await _room.FaultAsync());
    }

    [Fact]
    public async Task Files_that_were_moved_away_are_said_and_fail_where_the_trail_should_be_complete()
    {
        await _room.ThreeDaysAsync();
        File.Move(Trail + ".1", _room["elsewhere"]);
        await _room.ShouldBeGoodAsync($"lines 9 to 17 of the trail are not here: whole files are elsewhere, before {Trail}");
        Assert.Equal([$"lines 9 to 17 of the trail are missing before {Trail}"], (await _room.VerifyAsync(isComplete: true)).Faults);
        Assert.Equal((0, 9, 17), await RangeAsync(_room["elsewhere"]));
        Assert.Equal((0, 1, 21), await RangeAsync(Trail, _room["elsewhere"], Trail + ".2"));

        async Task<(long, long?, long?)> RangeAsync(params string[] files)
        {
            var verified = await _room.VerifyAsync(files);
            return (verified.FaultsInAll, verified.First, verified.Last);
        }
    }

    [Fact]
    public async Task Packed_files_are_read_and_damaged_ones_found()
    {
        await _room.ThreeDaysAsync();
        TrailRoom.Pack(Trail + ".1");
        TrailRoom.Pack(Trail + ".2");
        await _room.ShouldBeGoodAsync();
        await _room.RestartAsync();
        await _room.WriteAsync();
        await _room.ShouldBeGoodAsync();
        var packed = File.ReadAllBytes(Trail + ".1.gz");
        packed[packed.Length / 2] ^= 0x55;
        File.WriteAllBytes(Trail + ".1.gz", packed);
        Assert.NotEqual(0, (await _room.VerifyAsync()).FaultsInAll);
    }

    /// <summary>kill -9 in the middle of a batch: at each of its bytes.</summary>
    [Fact]
    public async Task After_a_kill_at_any_moment_of_a_batch_the_trail_is_good()
    {
        await _room.WriteAsync();
        var (length, head) = ((int)new FileInfo(Trail).Length, File.ReadAllBytes(_room.Head));
        await _room.WriteAsync();
        var whole = File.ReadAllBytes(Trail);
        for (var end = length; end <= whole.Length; end++)
        {
            File.WriteAllBytes(Trail, whole[..end]);
            File.WriteAllBytes(_room.Head, head);
            Assert.Equal([], (await _room.VerifyAsync()).Faults);
            await _room.RestartAsync();
            await _room.WriteAsync(1);
            var isWhole = whole[end - 1] == '\n' || (end < whole.Length && whole[end] == '\n');
            await _room.ShouldBeGoodAsync(isWhole ? [] : [$"{Trail}:{whole[..end].Count(b => b == '\n') + 1} was torn by a crash"]);
        }

        Assert.Empty(_room.Log.All);
    }

    [Fact]
    public async Task Two_crashes_tear_two_lines()
    {
        await _room.WriteAsync();
        File.AppendAllText(Trail, "{\"id\":\"to");
        await _room.RestartAsync();
        File.AppendAllText(Trail, "{\"id\":\"torn aga");
        await _room.RestartAsync();
        await _room.WriteAsync();
        await _room.ShouldBeGoodAsync($"{Trail}:6 was torn by a crash");
        File.WriteAllText(Trail, File.ReadAllText(Trail).Replace("aga", "age", StringComparison.Ordinal));
        Assert.NotEqual(0, (await _room.VerifyAsync()).FaultsInAll);
    }

    [Fact]
    public async Task A_write_that_fails_and_is_repeated_breaks_nothing()
    {
        await _room.WriteAsync();
        File.Move(Trail, _room["aside"]);
        File.CreateSymbolicLink(Trail, "/dev/full");
        await Assert.ThrowsAnyAsync<IOException>(() => _room.WriteAsync());
        File.Delete(Trail);
        Directory.CreateDirectory(Trail);
        await Assert.ThrowsAnyAsync<IOException>(() => _room.WriteAsync());
        Directory.Delete(Trail);
        File.Move(_room["aside"], Trail);
        await _room.WriteAsync();
        await _room.ShouldBeGoodAsync();
        Assert.Equal(7, TrailRoom.Lines(Trail).Length);
    }

    [Fact]
    public async Task A_trail_from_before_the_chain_goes_on_and_is_said()
    {
        File.WriteAllText(Trail, _room.Event() + _room.Event());
        File.SetLastWriteTimeUtc(Trail, _room.Time.GetUtcNow().UtcDateTime);
        File.WriteAllText(Trail + ".1", _room.Event());
        var older = await _room.VerifyAsync(Trail, Trail + ".1");
        Assert.Equal((0, 0, 3), (older.FaultsInAll, older.Lines, older.Older));
        await _room.WriteAsync();
        var verified = await _room.VerifyAsync();
        Assert.Equal((0, 4, 3), (verified.FaultsInAll, verified.Lines, verified.Older));
    }

    [Fact]
    public async Task A_head_that_cannot_be_written_is_a_concern_and_stops_nothing()
    {
        await _room.WriteAsync();
        File.Delete(_room.Head);
        Directory.CreateDirectory(_room.Head);
        await _room.WriteAsync();
        Assert.StartsWith($"a cut of its end would not be seen, {_room.Head} cannot be written: ", _room.Sink.Concern, StringComparison.Ordinal);
        Directory.Delete(_room.Head);
        await _room.WriteAsync();
        Assert.Null(_room.Sink.Concern);
        await _room.ShouldBeGoodAsync();
        Assert.Equal(10, TrailRoom.Lines(Trail).Length);
    }

    [Fact]
    public async Task Rotation_by_size_keeps_to_the_size_and_to_the_chain()
    {
        using var room = new TrailRoom(maximumSize: 256 * 1024);
        for (var i = 0; i < 600; i++)
        {
            await room.WriteAsync(5);
            if (i % 97 == 0)
                await room.RestartAsync();
            Assert.InRange(room.Files.Sum(file => new FileInfo(file).Length), 1, 256 * 1024);
        }

        Assert.InRange(room.Files.Count, 14, 17);
        await room.ShouldBeGoodAsync();
    }

    [Fact]
    public async Task The_first_event_of_a_day_is_preceded_by_a_checkpoint_although_the_file_cannot_be_rotated()
    {
        Directory.CreateDirectory(Trail + ".1");
        await _room.WriteAsync(1);
        _room.Time.Advance(TimeSpan.FromHours(13));
        await _room.WriteAsync(1);
        await _room.WriteAsync(1);
        Assert.Equal([true, false, true, false, false], TrailRoom.Lines(Trail).Select(line => line.Contains("checkpoint", StringComparison.Ordinal)));
        await _room.ShouldBeGoodAsync();
    }

    public void Dispose() => _room.Dispose();

    private static ChainLink LinkOf(string line)
    {
        Assert.True(ChainedLine.TryParse(Encoding.UTF8.GetBytes(line), out var link, out _));
        return link;
    }

    private static string Bare(string line) => line[..line.LastIndexOf(",\"seq\":", StringComparison.Ordinal)] + "}";

    private static string Chained(string json, ChainLink last)
    {
        var output = new System.Buffers.ArrayBufferWriter<byte>();
        ChainedLine.Write(Encoding.UTF8.GetBytes(json), last, output);
        return Encoding.UTF8.GetString(output.WrittenSpan).TrimEnd();
    }

    /// <summary>Changes the first file and computes all chains anew, as anybody can; checkpoints name the new chain.</summary>
    private void Rewrite(IEnumerable<string> files, Action<string[]> change)
    {
        ChainLink? last = null;
        foreach (var file in files)
        {
            TrailRoom.Edit(file, lines =>
            {
                if (last is null)
                    change(lines);
                return lines.Select(line =>
                {
                    var bare = Bare(line);
                    if (last is { } before && JsonDocument.Parse(line).RootElement.TryGetProperty("previous", out var previous))
                        bare = bare.Replace(previous.GetString()!, before.Hash, StringComparison.Ordinal);
                    var chained = last is { } link ? Chained(bare, link) : line;
                    last = LinkOf(chained);
                    return chained;
                }).ToList();
            });
        }

        AuditHead.Write(Trail, last!.Value);
    }

    private static async Task<string> ShellAsync(string script)
    {
        var start = new ProcessStartInfo("bash", ["-euc", script]) { RedirectStandardOutput = true, UseShellExecute = false };
        using var process = Process.Start(start)!;
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        return output;
    }
}
