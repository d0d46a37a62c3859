using ImageAccess.Proxy.Foundation.Audit;
using Microsoft.Extensions.Logging;

namespace ImageAccess.Proxy.Tests.Foundation.Audit;

public sealed class AuditTrailTests
{
    private const string Digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    [Theory]
    [InlineData("GET", "/v2/library/nginx/manifests/latest", 1)]
    [InlineData("HEAD", "/v2/library/nginx/manifests/latest", 1)]
    [InlineData("PUT", "/v2/library/nginx/manifests/latest", 1)]
    [InlineData("DELETE", "/v2/library/nginx/manifests/latest", 1)]
    [InlineData("GET", "/v2/library/nginx/tags/list", 1)]
    [InlineData("GET", "/v2/library/nginx/referrers/" + Digest, 1)]
    [InlineData("POST", "/v2/library/nginx/blobs/uploads/", 1)]
    [InlineData("PATCH", "/v2/library/nginx/blobs/uploads/session", 1)]
    [InlineData("PUT", "/v2/library/nginx/blobs/uploads/session?digest=" + Digest, 1)]
    [InlineData("GET", "/v2/library/nginx/blobs/" + Digest, 0)]
    [InlineData("HEAD", "/v2/library/nginx/blobs/" + Digest, 0)]
    public async Task What_is_allowed_or_observed_leaves_an_event_except_blobs(string method, string target, int events)
    {
        foreach (var caller in (string[])["bob", "olga"])
        {
            using var fixture = new AuditFixture();
            await using (var entry = fixture.Trail.Open(AuditFixture.Http(method)))
            {
                entry.Request = AuditFixture.Parse(method, target);
                entry.Decision = AuditFixture.Decide(caller, "library/nginx");
            }

            Assert.Equal(events, (await fixture.WrittenAsync()).Count);
        }
    }

    [Theory]
    [InlineData("GET", "/v2/someuser/x/blobs/" + Digest)]
    [InlineData("HEAD", "/v2/someuser/x/blobs/" + Digest)]
    [InlineData("GET", "/v2/someuser/x/manifests/latest")]
    public async Task Every_denial_leaves_an_event(string method, string target)
    {
        using var fixture = new AuditFixture();
        await using (var entry = fixture.Trail.Open(AuditFixture.Http(method)))
        {
            entry.Request = AuditFixture.Parse(method, target);
            entry.Decision = AuditFixture.Decide("bob", "someuser/x");
        }

        Assert.Single(await fixture.WrittenAsync());
    }

    [Fact]
    public void No_two_ids_are_the_same_on_whatever_threads_they_are_made()
    {
        var ids = new System.Collections.Concurrent.ConcurrentBag<string>();
        Parallel.For(0, 10_000, _ => ids.Add(AuditEntry.NewId()));

        Assert.Equal(10_000, ids.Distinct().Count());
        Assert.All(ids, id => Assert.Matches("^[0-9a-f]{32}$", id));
    }

    [Fact]
    public async Task Without_a_decision_there_is_no_event_and_allowing_a_token_leaves_none()
    {
        using var fixture = new AuditFixture();
        await using (var undecided = fixture.Trail.Open(AuditFixture.Http()))
            undecided.Request = AuditFixture.Parse("GET", "/v2/library/nginx/manifests/latest");
        await using (var token = fixture.Trail.Open(AuditFixture.Http()))
            token.Decision = AuditFixture.Decide("bob", "library/nginx");

        Assert.Empty(await fixture.WrittenAsync());
    }

    [Fact]
    public async Task An_entry_closes_when_the_request_throws_and_only_once()
    {
        using var fixture = new AuditFixture();
        AuditEntry? kept = null;
        await Assert.ThrowsAsync<TimeoutException>(async () =>
        {
            await using var entry = kept = fixture.Allowed();
            throw new TimeoutException();
        });
        await kept!.DisposeAsync();

        Assert.Single(await fixture.WrittenAsync());
    }

    [Fact]
    public async Task The_last_decision_counts()
    {
        using var fixture = new AuditFixture();
        await using (var entry = fixture.Allowed())
            entry.Decision = AuditFixture.Decide("alice", "library/nginx");
        Assert.Contains("\"rule\":\"owner\"", Assert.Single(await fixture.WrittenAsync()), StringComparison.Ordinal);
    }

    [Fact]
    public void Every_entry_has_an_id_of_its_own_that_stays()
    {
        using var fixture = new AuditFixture();
        var ids = Enumerable.Range(0, 1000).Select(_ => fixture.Trail.Open(AuditFixture.Http())).Select(entry => (entry.Id, Again: entry.Id)).ToList();
        Assert.Equal(1000, ids.Select(id => id.Id).Distinct().Count());
        Assert.All(ids, id => Assert.Matches("^[0-9a-f]{32}$", id.Id));
        Assert.All(ids, id => Assert.Equal(id.Id, id.Again));
    }

    [Fact]
    public async Task In_a_full_queue_an_allowed_event_is_dropped_and_counted_and_a_denial_waits()
    {
        using var fixture = new AuditFixture(capacity: 2);
        await fixture.Allowed("one").DisposeAsync();
        await fixture.Allowed("two").DisposeAsync();
        Assert.False(fixture.Pending.IsOverflowing);

        await fixture.Allowed("three").DisposeAsync();
        await fixture.Allowed("four").DisposeAsync();
        var denial = fixture.Denied().DisposeAsync().AsTask();

        Assert.Equal(2, fixture.Counts["imageaccess.audit.dropped"]);
        Assert.Equal(2, fixture.Counts["imageaccess.audit.queued"]);
        Assert.False(denial.IsCompleted);
        Assert.Single(fixture.TrailLog.At(LogLevel.Warning));
        Assert.True(fixture.Pending.IsOverflowing);

        await fixture.Writer.StartAsync(CancellationToken.None);
        await denial;
        await fixture.Writer.StopAsync(CancellationToken.None);

        Assert.Equal(3, fixture.Sink.Lines.Count);
        Assert.Contains("\"outcome\":\"deny\"", fixture.Sink.Lines[2], StringComparison.Ordinal);
        Assert.DoesNotContain(fixture.Sink.Lines, line => line.Contains("three", StringComparison.Ordinal));
        Assert.False(fixture.Pending.IsOverflowing);
        Assert.Equal(0, fixture.Counts["imageaccess.audit.queued"]);
        Assert.Equal(
            "The audit queue has room again; 2 allowed events were dropped since the start",
            Assert.Single(fixture.WriterLog.At(LogLevel.Warning)));
    }

    [Fact]
    public async Task A_change_that_finds_no_room_keeps_nobody_and_is_written_before_the_stop()
    {
        using var fixture = new AuditFixture(capacity: 1);
        await fixture.Allowed().DisposeAsync();
        fixture.Trail.RecordPolicyChange("a", "b", []);
        fixture.Trail.RecordAccountChange("alice", "one", "two");

        var lines = await fixture.WrittenAsync();

        Assert.Equal(3, lines.Count);
        Assert.Single(lines, line => line.Contains("\"two\"", StringComparison.Ordinal));
        Assert.Equal((0, 0), (fixture.Counts["imageaccess.audit.dropped"], fixture.Counts["imageaccess.audit.lost"]));
    }

    [Fact]
    public async Task A_denial_that_waited_long_enough_goes_to_the_reserve_and_is_written_later()
    {
        using var fixture = new AuditFixture(capacity: 1);
        await fixture.Allowed().DisposeAsync();
        var denial = fixture.Denied().DisposeAsync().AsTask();
        fixture.Time.Advance(PendingEvents.MaximumWait - TimeSpan.FromMilliseconds(1));
        Assert.False(denial.IsCompleted);

        fixture.Time.Advance(TimeSpan.FromMilliseconds(1));
        await denial;

        Assert.Equal((2, 1), (fixture.Pending.Count, fixture.Pending.Reserved));
        Assert.Equal(2, (await fixture.WrittenAsync()).Count);
        Assert.Equal((0, 0), (fixture.Pending.Reserved, fixture.Counts["imageaccess.audit.lost"]));
    }

    [Fact]
    public async Task A_denial_waits_no_longer_than_its_client()
    {
        using var fixture = new AuditFixture(capacity: 1);
        using var client = new CancellationTokenSource();
        await fixture.Allowed().DisposeAsync();
        var denial = fixture.Denied(gone: client.Token).DisposeAsync().AsTask();
        var refusal = fixture.Trail.RecordConnectionAsync("gateway", null, null, "example.com", 443, "denied", client.Token).AsTask();
        var tag = fixture.Trail.RecordMovedTagAsync("library/nginx", "latest", Digest, Digest, client.Token).AsTask();
        Assert.False(denial.IsCompleted || refusal.IsCompleted || tag.IsCompleted);

        await client.CancelAsync();
        await Task.WhenAll(denial, refusal, tag);

        Assert.Equal(3, fixture.Pending.Reserved);
        Assert.Equal(4, (await fixture.WrittenAsync()).Count);
    }

    [Fact]
    public async Task What_the_reserve_cannot_hold_is_lost_and_counted_and_told_once_until_all_is_well()
    {
        using var fixture = new AuditFixture(capacity: 1, reserve: 1000);
        var gone = new CancellationToken(canceled: true);
        await fixture.Allowed().DisposeAsync();
        for (var i = 0; i < 5; i++)
            await fixture.Denied($"someuser/image-{i}", gone: gone).DisposeAsync();
        fixture.Trail.RecordPolicyChange("a", "b", [new string('x', 200)]); // the program's own are few, and kept

        var reserved = fixture.Pending.Reserved;
        Assert.InRange(reserved, 2, 3);
        Assert.Equal(6 - reserved, fixture.Counts["imageaccess.audit.lost"]);
        Assert.Equal(
            "The memory for audit events that wait is full: denials are lost and counted", Assert.Single(fixture.TrailLog.At(LogLevel.Error)));
        Assert.Equal(
            "the queue is full: allowed events are dropped, others wait in memory; the memory for them is full: denials are lost",
            (await fixture.CheckAsync()).Description);

        var lines = await fixture.WrittenAsync();

        Assert.Equal(1 + reserved, lines.Count);
        Assert.Single(lines, line => line.Contains("\"event\":\"policy\"", StringComparison.Ordinal));
        Assert.Null((await fixture.CheckAsync()).Description);
    }

    [Fact]
    public async Task What_came_to_the_reserve_while_the_queue_was_empty_is_written_all_the_same()
    {
        using var fixture = new AuditFixture();
        await fixture.Writer.StartAsync(CancellationToken.None);
        var entry = fixture.Allowed();
        await entry.DisposeAsync();
        await Eventually.TrueAsync(() => fixture.Sink.Lines.Count == 1);

        Assert.True(fixture.Pending.TryReserve(new PolicyEvent("1", fixture.Time.GetUtcNow(), "a", "b", [])));

        await Eventually.TrueAsync(() => fixture.Sink.Lines.Count == 2);
        await fixture.Writer.StopAsync(CancellationToken.None);
    }

    [Fact]
    public async Task A_denial_after_the_end_does_not_throw_either()
    {
        using var fixture = new AuditFixture();
        await fixture.WrittenAsync();
        await fixture.Denied().DisposeAsync();
        Assert.Equal(1, fixture.Counts["imageaccess.audit.lost"]);
    }
}
