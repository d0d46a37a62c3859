using ImageAccess.Proxy.Foundation.Audit;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;

namespace ImageAccess.Proxy.Tests.Foundation.Audit;

public sealed class AuditWriterTests : IDisposable
{
    private readonly AuditFixture _fixture = new();

    [Fact]
    public async Task Events_are_written_in_their_order_and_in_batches()
    {
        for (var i = 0; i < 1000; i++)
            await _fixture.Allowed($"tag-{i}").DisposeAsync();

        var lines = await _fixture.WrittenAsync();

        Assert.Equal(1000, lines.Count);
        Assert.All(lines.Index(), line => Assert.Contains($"\"reference\":\"tag-{line.Index}\"", line.Item, StringComparison.Ordinal));
        Assert.InRange(_fixture.Sink.Batches.Count, 2, 20);
        Assert.All(_fixture.Sink.Batches, batch => Assert.InRange(batch.Length, 1, 65 * 1024));
        Assert.Equal(1000, _fixture.Counts["imageaccess.audit.written"]);
    }

    [Fact]
    public async Task A_failing_sink_is_tried_again_told_once_and_nothing_is_lost()
    {
        _fixture.Sink.Failure = "No space left on device";
        await _fixture.Writer.StartAsync(CancellationToken.None);
        await _fixture.Denied().DisposeAsync();
        for (var attempt = 1; attempt <= 3; attempt++)
        {
            await Eventually.TrueAsync(() => _fixture.Sink.Attempts == attempt && _fixture.Time.PendingTimers == 2);
            await _fixture.Allowed($"while-{attempt}").DisposeAsync();
            _fixture.Time.Advance(AuditWriter.RetryDelay);
        }

        await Eventually.TrueAsync(() => _fixture.Sink.Attempts == 4 && _fixture.Time.PendingTimers == 2);
        var health = await _fixture.CheckAsync();
        Assert.Equal(HealthStatus.Degraded, health.Status);
        Assert.Equal("the audit trail cannot be written: No space left on device", health.Description);
        Assert.Single(_fixture.WriterLog.At(LogLevel.Error));
        Assert.Equal(4, _fixture.Counts["imageaccess.audit.failures"]);

        _fixture.Sink.Failure = null;
        _fixture.Time.Advance(AuditWriter.RetryDelay);
        await Eventually.TrueAsync(() => _fixture.Sink.Lines.Count == 4);
        await Eventually.TrueAsync(() => _fixture.Writer.Failure is null);
        Assert.Equal(HealthStatus.Healthy, (await _fixture.CheckAsync()).Status);
        Assert.Single(_fixture.WriterLog.At(LogLevel.Information));
        await _fixture.Writer.StopAsync(CancellationToken.None);
        Assert.Equal(0, _fixture.Counts["imageaccess.audit.lost"]);
    }

    [Fact]
    public async Task A_full_queue_is_degraded_and_says_so()
    {
        using var fixture = new AuditFixture(capacity: 1);
        await fixture.Allowed().DisposeAsync();
        await fixture.Allowed().DisposeAsync();

        var health = await fixture.CheckAsync();

        Assert.Equal(HealthStatus.Degraded, health.Status);
        Assert.Equal("the queue is full: allowed events are dropped, others wait in memory", health.Description);
    }

    [Fact]
    public async Task A_concern_of_the_sink_degrades()
    {
        _fixture.Sink.Concern = "the audit trail is too small";
        Assert.Equal("the audit trail is too small", (await _fixture.CheckAsync()).Description);
        _fixture.Sink.Concern = null;
        Assert.Equal(HealthStatus.Healthy, (await _fixture.CheckAsync()).Status);
    }

    [Fact]
    public async Task At_a_stop_everything_that_is_queued_is_written_even_when_time_is_up()
    {
        await _fixture.Writer.StartAsync(CancellationToken.None);
        for (var i = 0; i < 500; i++)
            await _fixture.Allowed().DisposeAsync();

        await _fixture.Writer.StopAsync(new CancellationToken(canceled: true));

        Assert.Equal(500, _fixture.Sink.Lines.Count);
    }

    [Fact]
    public async Task A_sink_that_recovers_while_the_program_stops_gets_everything()
    {
        _fixture.Sink.Failure = "away";
        await _fixture.Writer.StartAsync(CancellationToken.None);
        await _fixture.Denied().DisposeAsync();
        await Eventually.TrueAsync(() => _fixture.Sink.Attempts == 1);
        var stop = _fixture.Writer.StopAsync(CancellationToken.None);
        Assert.False(stop.IsCompleted);

        _fixture.Sink.Failure = null;
        await Eventually.TrueAsync(() => _fixture.Time.PendingTimers == 3); // the delay, the limit of the stop, the end of merging
        _fixture.Time.Advance(AuditWriter.RetryDelay);

        await stop;
        Assert.Single(_fixture.Sink.Lines);
    }

    [Fact]
    public async Task A_sink_that_never_recovers_does_not_hold_up_the_stop_and_the_loss_is_told()
    {
        _fixture.Sink.Failure = "away";
        await _fixture.Writer.StartAsync(CancellationToken.None);
        await _fixture.Denied().DisposeAsync();
        await Eventually.TrueAsync(() => _fixture.Sink.Attempts == 1);
        var stop = _fixture.Writer.StopAsync(CancellationToken.None);

        _fixture.Time.Advance(AuditWriter.Grace);

        await stop;
        Assert.Equal(1, _fixture.Counts["imageaccess.audit.lost"]);
        Assert.Equal(
            "1 audit events could not be written before the program stopped and are lost",
            Assert.Single(_fixture.WriterLog.At(LogLevel.Critical)));
    }

    public void Dispose() => _fixture.Dispose();
}
