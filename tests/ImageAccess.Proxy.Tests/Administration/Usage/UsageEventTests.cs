using System.Text;
using ImageAccess.Proxy.Administration.Usage;
using ImageAccess.Proxy.Tests.Foundation.Audit;

namespace ImageAccess.Proxy.Tests.Administration.Usage;

public sealed class UsageEventTests
{
    private static readonly DateTimeOffset Noon = new(2026, 6, 1, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public async Task What_the_trail_writes_is_read()
    {
        using var room = new AuditFixture();
        await room.Allowed("1.27").DisposeAsync();
        await room.Denied().DisposeAsync();
        await room.Denied().DisposeAsync();
        var decisions = (await room.WrittenAsync()).Select(UsageRoom.Read).ToList();

        Assert.Equal(
            new UsageEvent(Noon.ToUnixTimeMilliseconds(), decisions[0].Id, IsClosing: false)
            {
                Organizations = " acme ",
                Caller = "bob",
                Client = "192.0.2.7",
                WayIn = "mirror",
                Family = "docker",
                Method = "GET",
                Repository = "library/nginx",
                Reference = "1.27",
                Type = "official",
                Rule = "official",
                Outcome = "allow",
                PolicyVersion = "0123456789ab",
                Decisions = 1,
                Pulls = 1,
            },
            decisions[0]);
        Assert.Equal(("deny", "someuser/custom-image", "community", false), (decisions[1].Outcome, decisions[1].Repository, decisions[1].Type, decisions[1].IsClosing));
        Assert.Equal((decisions[1].Id, true, 1), (decisions[2].Id, decisions[2].IsClosing, decisions[2].Decisions));
    }

    [Fact]
    public void Of_one_pull_only_the_request_that_began_it_counts_as_a_pull()
    {
        Assert.Equal(1, UsageRoom.Read(UsageRoom.Line("a1", Noon, pull: "a1")).Pulls);
        Assert.Equal((1, 0), UsageRoom.Read(UsageRoom.Line("a2", Noon, pull: "a1")) is var later ? (later.Decisions, later.Pulls) : default);
        Assert.Equal((7, 7), UsageRoom.Read(UsageRoom.Line("a3", Noon, outcome: "deny", count: 7)) is var merged ? (merged.Decisions, merged.Pulls) : default);
    }

    [Fact]
    public void The_digest_is_that_of_the_manifest_that_was_served_else_the_one_that_was_asked_for()
    {
        var (served, index, asked) = ($"sha256:{new string('a', 64)}", $"sha256:{new string('b', 64)}", $"sha256:{new string('c', 64)}");
        var decision = UsageRoom.Read(UsageRoom.Line("a1", Noon, reference: "latest", digest: served, index: index));
        Assert.Equal((served, index), (decision.Digest, decision.Index));
        Assert.Equal((asked, null), UsageRoom.Read(UsageRoom.Line("a2", Noon, outcome: "deny", reference: asked)) is var denied ? (denied.Digest, denied.Index) : default);
        Assert.Null(UsageRoom.Read(UsageRoom.Line("a3", Noon, reference: "latest", digest: "sha256:nonsense")).Digest);
    }

    [Theory]
    [InlineData("")]
    [InlineData("nonsense")]
    [InlineData("[]")]
    [InlineData("""{"id":"a1"}""")]
    [InlineData("""{"id":"a1","time":"yesterday","outcome":"allow"}""")]
    [InlineData("""{"id":7,"time":"2026-06-01T12:00:00Z","outcome":"allow"}""")]
    [InlineData("""{"id":"a' OR 1","time":"2026-06-01T12:00:00Z","outcome":"allow"}""")]
    [InlineData("""{"id":"a1","time":"2026-06-01T12:00:00Z","outcome":"perhaps"}""")]
    [InlineData("""{"id":"a1","time":"2026-06-01T12:00:00Z","outcome":"deny","count":0}""")]
    [InlineData("""{"id":"a1","time":"2026-06-01T12:00:00Z","outcome":"deny","count":99999999999}""")]
    [InlineData("""{"id":"a1","time":"2026-06-01T12:00:00Z","outcome":"deny","count":2,"pulls":-1}""")]
    [InlineData("""{"id":"a1","time":"2026-06-01T12:00:00Z","outcome":"allow","repository":"../../etc"}""")]
    [InlineData("""{"id":"a1","time":"2026-06-01T12:00:00Z","outcome":"allow","caller":"\ud800"}""")]
    [InlineData("""{"id":"a1","time":"2026-06-01T12:00:00Z","outcome":"allow","organizations":"acme"}""")]
    [InlineData("""{"id":"a1","time":"2026-06-01T12:00:00Z","outcome":"allow","caller":"bob""")]
    public void A_line_that_is_no_event_is_malformed(string line) =>
        Assert.Equal(LineKind.Malformed, UsageEvent.TryRead(Encoding.UTF8.GetBytes(line), out _));

    [Fact]
    public void Another_kind_of_event_is_no_decision() => Assert.Equal(
        LineKind.Other, UsageEvent.TryRead("""{"id":"a1","time":"2026-06-01T12:00:00Z","event":"policy"}"""u8.ToArray(), out _));

    [Fact]
    public void Names_are_bounded_and_seen_and_an_earlier_version_is_understood()
    {
        var decision = UsageRoom.Read(
            $$"""{"id":"a1","time":"2026-06-01T12:00:00Z","outcome":"deny","face":"gateway","caller":"a\u0000\u202e{{new string('b', 5000)}}","organizations":["acme","no organization","{{new string('c', 900)}}","acme","beta"]}""");
        Assert.Equal(("gateway", " acme beta ", UsageEvent.MaximumCaller), (decision.WayIn, decision.Organizations, decision.Caller.Length));
        Assert.StartsWith("a??bb", decision.Caller, StringComparison.Ordinal);
        Assert.Equal("anonymous", UsageRoom.Read("""{"id":"a1","time":"2026-06-01T12:00:00Z","outcome":"deny"}""").Caller);
    }
}
