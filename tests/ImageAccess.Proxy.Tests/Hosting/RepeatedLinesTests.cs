using ImageAccess.Proxy.Connections.Ingress;
using ImageAccess.Proxy.Hosting;
using ImageAccess.Proxy.Policies.Catalog;
using ImageAccess.Proxy.Policies.Store;
using Microsoft.Extensions.Logging;

namespace ImageAccess.Proxy.Tests.Hosting;

public sealed class RepeatedLinesTests : IDisposable
{
    private readonly LogLines _console = new();
    private readonly ManualTime _time = new();
    private readonly RepeatedLines _lines;
    private readonly ILogger _logger;

    public RepeatedLinesTests()
    {
        _lines = new RepeatedLines(_console, _time);
        _logger = _lines.CreateLogger("Room");
    }

    public void Dispose()
    {
        _lines.Dispose();
        _console.Dispose();
    }

    [Theory]
    [InlineData(1)]
    [InlineData(RepeatedLines.Most)]
    public void What_is_written_now_and_then_is_written(int times)
    {
        Write(times, LogLevel.Warning, 7);
        _time.Advance(TimeSpan.FromMinutes(5));
        Assert.Equal(times, _console.All.Count);
    }

    [Theory]
    [InlineData(LogLevel.Error)]
    [InlineData(LogLevel.Warning)]
    [InlineData(LogLevel.Information)]
    public void What_is_written_without_end_is_counted_and_told_once_a_minute(LogLevel level)
    {
        Write(100_000, level, 7);
        Assert.Equal(RepeatedLines.Most, _console.All.Count);
        _time.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal(RepeatedLines.Most + 1, _console.All.Count);
        Assert.EndsWith($"{100_000 - RepeatedLines.Most} more lines of the kind [7] were left out in the last minute", _console.All[^1], StringComparison.Ordinal);

        _time.Advance(TimeSpan.FromMinutes(10));
        Assert.Equal(RepeatedLines.Most + 1, _console.All.Count);
        Write(1, level, 7);
        Assert.EndsWith("line 0 of 7", _console.All[^1], StringComparison.Ordinal);
    }

    [Fact]
    public void One_kind_hides_no_other()
    {
        Write(1000, LogLevel.Warning, 7);
        Write(1, LogLevel.Warning, 8);
        Write(1, LogLevel.Error, 7);
        _lines.CreateLogger("Other").Log(LogLevel.Warning, new EventId(7), "said elsewhere", null, (text, _) => text);
        Assert.Equal(RepeatedLines.Most + 3, _console.All.Count);
        Assert.EndsWith("said elsewhere", _console.All[^1], StringComparison.Ordinal);
    }

    [Fact]
    public void The_end_of_the_program_tells_what_was_left_out()
    {
        Write(RepeatedLines.Most + 5, LogLevel.Warning, 7);
        _lines.Dispose();
        Assert.EndsWith("5 more lines of the kind [7] were left out in the last minute", _console.All[^1], StringComparison.Ordinal);
    }

    /// <summary>What is wrong with a file that a person writes is for that person to read, however often it is written.</summary>
    [Theory]
    [InlineData(typeof(PolicyStore))]
    [InlineData(typeof(FileCatalogSource))]
    [InlineData(typeof(ProxyUsers))]
    public void What_no_client_can_cause_is_written_whole(Type room)
    {
        var logger = _lines.CreateLogger(room.FullName!);
        for (var number = 0; number < 200; number++)
            logger.Log(LogLevel.Error, new EventId(4), number, null, (problem, _) => $"problem {problem}");
        _time.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal(Enumerable.Range(0, 200).Select(number => $"problem {number}"), _console.All);
    }

    [Fact]
    public async Task From_many_threads_no_line_is_lost_from_the_count()
    {
        await Parallel.ForEachAsync(Enumerable.Range(0, 10_000), (_, _) =>
        {
            Write(1, LogLevel.Warning, 7);
            return ValueTask.CompletedTask;
        });
        _time.Advance(TimeSpan.FromMinutes(1));
        Assert.EndsWith($"{10_000 - RepeatedLines.Most} more lines of the kind [7] were left out in the last minute", _console.All[^1], StringComparison.Ordinal);
    }

    private void Write(int times, LogLevel level, int kind)
    {
        for (var number = 0; number < times; number++)
            _logger.Log(level, new EventId(kind), (number, kind), null, (line, _) => $"line {line.number} of {line.kind}");
    }
}
