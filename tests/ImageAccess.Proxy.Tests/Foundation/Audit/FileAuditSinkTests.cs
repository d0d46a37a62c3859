using System.Diagnostics;
using System.Runtime.Versioning;
using System.Text;
using ImageAccess.Proxy.Foundation.Audit;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Tests.Foundation.Audit;

[UnsupportedOSPlatform("windows")]
public sealed class FileAuditSinkTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

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
    public async Task At_half_of_the_size_it_is_rotated_and_both_stay_within_it()
    {
        var sink = Sink(maximumSize: 40);
        for (var i = 0; i < 20; i++)
        {
            await WriteAsync(sink, $"line-{i:00}\n");
            var size = Directory.GetFiles(_directory.Path).Sum(file => new FileInfo(file).Length);
            Assert.InRange(size, 8, 40);
        }

        Assert.Equal([Trail, Trail + ".1"], Directory.GetFiles(_directory.Path).Order(StringComparer.Ordinal));
        Assert.Equal("line-16\nline-17\n", File.ReadAllText(Trail + ".1"));
        Assert.Equal("line-18\nline-19\n", File.ReadAllText(Trail));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Trail));
    }

    [Fact]
    public async Task A_batch_that_exactly_fills_the_half_stays()
    {
        var sink = Sink(maximumSize: 16);
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
        var sink = new FileAuditSink(Options.Create(new AuditOptions { DataDirectory = data }));
        await sink.OpenAsync(CancellationToken.None);
        await WriteAsync(sink, "one\n");
        Assert.Equal("one\n", File.ReadAllText(Path.Combine(data, "audit.jsonl")));
    }

    public void Dispose() => _directory.Dispose();

    private FileAuditSink Sink(string? path = null, long maximumSize = 1024) =>
        new(Options.Create(new AuditOptions { File = path ?? Trail, MaximumSize = maximumSize, DataDirectory = _directory.Path }));

    private static async Task WriteAsync(FileAuditSink sink, params string[] batches)
    {
        foreach (var batch in batches)
            await sink.WriteAsync(Encoding.UTF8.GetBytes(batch), CancellationToken.None);
    }
}
