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
        Assert.Contains("\"two\"", lines[2], StringComparison.Ordinal);
        Assert.Equal((0, 0), (fixture.Counts["imageaccess.audit.dropped"], fixture.Counts["imageaccess.audit.lost"]));
    }

    [Fact]
    public async Task A_denial_waits_a_moment_longer_when_the_program_stops_and_never_throws()
    {
        using var fixture = new AuditFixture(capacity: 1);
        fixture.Sink.Failure = "disk full";
        await fixture.Writer.StartAsync(CancellationToken.None);
        await fixture.Allowed("one").DisposeAsync();
        await Eventually.TrueAsync(() => fixture.Sink.Attempts > 0); // one with the writer
        await fixture.Allowed("two").DisposeAsync(); // one in the queue
        var denial = fixture.Denied().DisposeAsync().AsTask();
        Assert.False(denial.IsCompleted);

        fixture.Lifetime.StopApplication();
        fixture.Time.Advance(PendingEvents.Grace - TimeSpan.FromSeconds(1));
        Assert.False(denial.IsCompleted);
        fixture.Time.Advance(TimeSpan.FromSeconds(1));

        await denial;
        Assert.Equal(1, fixture.Counts["imageaccess.audit.lost"]);
        Assert.Single(fixture.TrailLog.At(LogLevel.Critical));
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
