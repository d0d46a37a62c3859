using System.Net;
using System.Text.Json;
using ImageAccess.Proxy.Foundation.Audit;

namespace ImageAccess.Proxy.Tests.Foundation.Audit;

/// <summary>Denials that are alike: one line at once, and one for the others when their minute is over.</summary>
public sealed class MergedDenialsTests : IDisposable
{
    private readonly AuditFixture _fixture = new();

    [Fact]
    public async Task The_first_is_written_at_once_and_the_others_are_counted_under_its_id()
    {
        await _fixture.Writer.StartAsync(CancellationToken.None);
        var first = await DenyAsync(tag: "one");
        await Eventually.TrueAsync(() => _fixture.Sink.Lines.Count == 1);
        _fixture.Time.Advance(TimeSpan.FromSeconds(20));
        Assert.Equal([first, first, first], [await DenyAsync(tag: "two"), await DenyAsync(tag: "two"), await DenyAsync(tag: "one")]);
        _fixture.Time.Advance(TimeSpan.FromSeconds(39));
        Assert.Single(_fixture.Sink.Lines);

        _fixture.Time.Advance(TimeSpan.FromSeconds(1));

        await Eventually.TrueAsync(() => _fixture.Sink.Lines.Count == 2);
        Assert.Equal(
            """
            {"id":"ID","time":"2026-06-01T12:01:00.000Z","caller":"bob","organizations":["acme"],"client":"192.0.2.7","wayIn":"mirror",
            "userAgent":"docker/29.0","method":"GET","repository":"someuser/custom-image","reference":"one","category":"community",
            "categorySource":"hub","categoryAgeSeconds":90,"rule":"community","outcome":"deny","policyVersion":"0123456789ab",
            "upstreamStatus":null,"durationMs":0,"count":3,"first":"2026-06-01T12:00:00.000Z","last":"2026-06-01T12:00:20.000Z",
            "references":["one","two"]}
            """.Replace("ID", first, StringComparison.Ordinal).ReplaceLineEndings(""),
            _fixture.Sink.Lines[1]);
        Assert.NotEqual(first, await DenyAsync(tag: "one"));
        await Eventually.TrueAsync(() => _fixture.Sink.Lines.Count == 3);
        Assert.Equal(3, _fixture.Counts["imageaccess.audit.merged"]);
        await _fixture.Writer.StopAsync(CancellationToken.None);
    }

    [Theory]
    [InlineData("someuser/custom-image", "alice-b", "192.0.2.7", "GET", "another caller")]
    [InlineData("someuser/custom-image", null, "192.0.2.7", "GET", "nobody")]
    [InlineData("someuser/custom-image", "bob", "192.0.2.8", "GET", "another address")]
    [InlineData("someuser/custom-image", "bob", "2001:db8::1", "GET", "another address of the other kind")]
    [InlineData("someuser/custom-image", "bob", "192.0.2.7", "HEAD", "another method")]
    [InlineData("someuser/other", "bob", "192.0.2.7", "GET", "another repository")]
    public async Task What_differs_in_one_thing_is_not_merged(string repository, string? caller, string client, string method, string why)
    {
        var first = await DenyAsync();
        Assert.False(first == await DenyAsync(repository, caller, client, method), why);
        Assert.Equal(2, (await _fixture.WrittenAsync()).Count);
    }

    [Fact]
    public async Task Another_way_in_rule_or_policy_is_not_merged()
    {
        var ids = new List<string>();
        foreach (var change in new Action<AuditEntry>[]
        {
            _ => { }, entry => entry.WayIn = "gateway", entry => entry.PolicyVersion = "other",
            entry => entry.Decision = AuditFixture.Decide("bob", "someuser/custom-image"), // unknown
        })
        {
            await using var entry = _fixture.Denied();
            change(entry);
            ids.Add(entry.Id);
        }

        Assert.Equal(4, ids.Distinct().Count());
    }

    [Fact]
    public async Task Addresses_of_one_network_are_one_client()
    {
        var first = await DenyAsync(client: "2001:db8::1", caller: null);
        Assert.Equal(first, await DenyAsync(client: "2001:db8::ffff:1:2:3", caller: null));
        Assert.NotEqual(first, await DenyAsync(client: "2001:db8:0:1::1", caller: null));
        var v4 = await DenyAsync(client: "::ffff:198.51.100.1", caller: null);
        Assert.Equal(v4, await DenyAsync(client: "198.51.100.1", caller: null));
    }

    [Fact]
    public async Task What_is_allowed_is_never_merged()
    {
        for (var i = 0; i < 5; i++)
            await _fixture.Allowed().DisposeAsync();
        Assert.Equal(5, (await _fixture.WrittenAsync()).Count);
    }

    [Fact]
    public async Task Refused_connections_are_merged_too()
    {
        foreach (var host in new[] { "ghcr.io", "quay.io", "ghcr.io", "ghcr.io" })
            await RefuseAsync(host, 443, "denied");
        await RefuseAsync("ghcr.io", 8443, "denied");
        await RefuseAsync("ghcr.io", 443, "unreachable");

        var lines = await _fixture.WrittenAsync();

        Assert.Equal(5, lines.Count);
        Assert.EndsWith(
            """
            "event":"connection","wayIn":"gateway","face":"gateway","client":"192.0.2.7","user":null,"host":"ghcr.io","port":443,"reason":"denied","outcome":"deny",
            "count":2,"first":"2026-06-01T12:00:00.000Z","last":"2026-06-01T12:00:00.000Z"}
            """.ReplaceLineEndings(""), lines[4], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Sixteen_references_are_listed_and_all_are_counted()
    {
        for (var i = 0; i < 40; i++)
            await DenyAsync(tag: $"tag-{i}");

        using var closing = JsonDocument.Parse((await _fixture.WrittenAsync())[1]);
        Assert.Equal(39, closing.RootElement.GetProperty("count").GetInt32());
        Assert.Equal(
            Enumerable.Range(0, 16).Select(i => $"tag-{i}"), closing.RootElement.GetProperty("references").EnumerateArray().Select(one => one.GetString()));
    }

    [Fact]
    public async Task Alone_a_denial_has_no_closing_line()
    {
        await DenyAsync();
        _fixture.Time.Advance(TimeSpan.FromMinutes(2));
        Assert.Equal(0, _fixture.Time.PendingTimers);
        Assert.Single(await _fixture.WrittenAsync());
    }

    [Fact]
    public async Task Each_minute_counts_from_its_own_first()
    {
        var first = await DenyAsync();
        _fixture.Time.Advance(TimeSpan.FromSeconds(50));
        var other = await DenyAsync("someuser/other");
        _fixture.Time.Advance(TimeSpan.FromSeconds(50));
        Assert.Equal(other, await DenyAsync("someuser/other"));
        Assert.NotEqual(first, await DenyAsync());
        _fixture.Time.Advance(TimeSpan.FromSeconds(10));
        Assert.NotEqual(other, await DenyAsync("someuser/other"));
    }

    [Theory]
    [InlineData(null, "192.0.2.9", "\"caller\":null,\"client\":\"192.0.2.9\"")]
    [InlineData(null, "2001:db8:1:2:3::9", "\"caller\":null,\"client\":\"2001:db8:1:2::/64\"")]
    [InlineData("mallory", "192.0.2.9", "\"caller\":\"mallory\",\"client\":null")]
    public async Task A_client_that_invents_repositories_has_so_many_lines_a_minute_and_the_rest_is_counted_in_one(string? caller, string client, string who)
    {
        for (var i = 0; i < 1000; i++)
            await DenyAsync($"invented/image-{i}", caller, client);
        var id = await DenyAsync("invented/one-more", caller, client);
        await DenyAsync(); // bob's

        var lines = await _fixture.WrittenAsync();

        Assert.Equal(MergedDenials.MaximumLines + 2, lines.Count);
        var rest = Assert.Single(lines, line => line.Contains("\"event\":\"denials\"", StringComparison.Ordinal));
        Assert.Equal(
            $$"""
            {"id":"{{id}}","time":"2026-06-01T12:00:00.000Z","event":"denials",{{who}},"outcome":"deny","count":{{1001 - MergedDenials.MaximumLines}},
            "first":"2026-06-01T12:00:00.000Z","last":"2026-06-01T12:00:00.000Z"}
            """.ReplaceLineEndings(""), rest);
        Assert.Single(lines, line => line.Contains("\"caller\":\"bob\"", StringComparison.Ordinal));
    }

    [Fact]
    public async Task In_a_week_a_client_has_its_part_of_the_trail_and_no_more()
    {
        using var fixture = new AuditFixture(maximumSize: 64 * 100_000); // 100 kB each
        await fixture.Writer.StartAsync(CancellationToken.None);
        var other = 0;
        for (var minute = 0; minute < 60; minute++)
        {
            for (var i = 0; i < 50; i++)
                await fixture.Denied($"invented/image-{minute}-{i}", caller: null, client: "192.0.2.66").DisposeAsync();
            await fixture.Denied($"someuser/image-{minute}").DisposeAsync();
            other++;
            fixture.Time.Advance(MergedDenials.Window);
            await Eventually.TrueAsync(() => fixture.Pending.Count == 0 && fixture.Sink.Lines.Count(IsOfBob) == other);
        }

        Assert.InRange(Bytes(), 100_000, 100_000 + (50 * 600) + (60 * 300));
        var before = Bytes();
        fixture.Time.Advance(DenialShare.Period / 2);
        for (var i = 0; i < 50; i++)
            await fixture.Denied($"invented/later-{i}", caller: null, client: "192.0.2.66").DisposeAsync();
        await fixture.Writer.StopAsync(CancellationToken.None);
        Assert.InRange(Bytes() - before, 50 * 300, 50 * 600); // half of it has come back

        static bool IsOfBob(string line) => line.Contains("\"caller\":\"bob\"", StringComparison.Ordinal);

        long Bytes() => fixture.Sink.Lines.Where(line => line.Contains("192.0.2.66", StringComparison.Ordinal)).Sum(line => line.Length);
    }

    [Fact]
    public async Task Memory_is_bounded_whatever_many_clients_invent_and_a_newcomer_still_gets_a_line()
    {
        var shares = MergedDenials.MaximumLinesInAll / MergedDenials.MaximumLines;
        for (var client = 0; client < shares; client++)
        {
            for (var i = 0; i < MergedDenials.MaximumLines; i++)
                await DenyAsync($"invented/image-{i}", null, $"10.0.0.{client}");
        }

        var half = await DenyAsync("invented/a", null, "10.9.9.9");
        Assert.NotEqual(half, await DenyAsync("invented/b", null, "10.9.9.9")); // counted with the rest
        Assert.Equal(await DenyAsync("invented/b", null, "10.9.9.9"), await DenyAsync("invented/c", null, "10.9.9.9"));

        var lines = await _fixture.WrittenAsync();
        Assert.Equal(MergedDenials.MaximumLinesInAll + 1 + 1, lines.Count);
    }

    [Fact]
    public async Task Beyond_the_clients_that_are_remembered_all_have_one_share_together_until_earlier_ones_are_forgotten()
    {
        for (var i = 0; i < DenialShares.Maximum; i++)
            await DenyAsync("invented/x", null, new IPAddress([10, 1, (byte)(i >> 8), (byte)i]).ToString());
        var ids = new List<string>();
        for (var i = 0; i < 3; i++)
            ids.Add(await DenyAsync("invented/x", null, $"10.2.0.{i}"));
        Assert.NotEqual(ids[0], ids[1]);
        Assert.Equal(ids[1], ids[2]);

        _fixture.Time.Advance(MergedDenials.Window + TimeSpan.FromSeconds(10)); // nothing was written, so nothing of a share is used
        Assert.NotEqual(await DenyAsync("invented/x", null, "10.2.0.1"), await DenyAsync("invented/x", null, "10.2.0.2"));

        var others = Assert.Single(await _fixture.WrittenAsync(), line => line.Contains("\"event\":\"denials\"", StringComparison.Ordinal));
        Assert.Contains("\"caller\":null,\"client\":null,\"outcome\":\"deny\",\"count\":2", others, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Many_threads_lose_none()
    {
        await Parallel.ForAsync(0, 5000, async (i, _) => await DenyAsync($"someuser/image-{i % 10}"));

        var lines = await _fixture.WrittenAsync();

        Assert.Equal(20, lines.Count);
        Assert.Equal(5000, lines.Sum(line => JsonDocument.Parse(line).RootElement.TryGetProperty("count", out var count) ? count.GetInt32() : 1));
    }

    [Fact]
    public async Task What_is_denied_while_the_program_stops_is_written_for_itself()
    {
        await DenyAsync();
        await DenyAsync();
        _fixture.Trail.EndMerging();
        var (one, two) = (await DenyAsync(), await DenyAsync());
        Assert.NotEqual(one, two);
        Assert.Equal(4, (await _fixture.WrittenAsync()).Count);
    }

    public void Dispose() => _fixture.Dispose();

    private async Task<string> DenyAsync(
        string repository = "someuser/custom-image", string? caller = "bob", string client = "192.0.2.7", string method = "GET", string tag = "latest")
    {
        await using var entry = _fixture.Denied(repository, caller, client, method, tag);
        return entry.Id;
    }

    private ValueTask RefuseAsync(string host, int port, string reason) => _fixture.Trail.RecordConnectionAsync(
        "gateway", IPAddress.Parse("192.0.2.7"), null, host, port, reason, CancellationToken.None);
}
