using System.Globalization;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Policies.Catalog;
using Microsoft.Extensions.Logging;

namespace ImageAccess.Proxy.Tests.Policies.Catalog;

/// <summary>What the Hub API may do, and what a caller is told.</summary>
public sealed class HubFaultTests : IAsyncLifetime
{
    private CatalogSurroundings _here = null!;
    private CatalogRoom _room = null!;

    public static TheoryData<string, Func<Fault>, int, string> UnreadableAnswers => new()
    {
        { "not JSON", Fault.MalformedJson, 1, "that is not readable" },
        { "HTML", () => Fault.Status(200, "<html><body>Sign in to the network</body></html>", "text/html"), 1, "that is not readable" },
        { "an HTML page that is not found", () => Fault.Status(404, "<html>no</html>", "text/html"), 1, "answered 404" },
        { "nothing", () => Fault.Status(200), 1, "that is not readable" },
        { "half a character", () => Fault.Status(200, """{"orgname":"bitnami","badge":"\ud800"}"""), 1, "that is not readable" },
        { "an array", () => Fault.Status(200, """["bitnami"]"""), 1, "gave an answer that is not about bitnami" },
        { "somebody else", () => Fault.Status(200, """{"orgname":"evil","badge":"verified_publisher"}"""), 1, "gave an answer that is not about bitnami" },
        { "nobody", () => Fault.Status(200, """{"badge":"verified_publisher"}"""), 1, "gave an answer that is not about bitnami" },
        { "a name that is no text", () => Fault.Status(200, """{"orgname":7,"badge":"verified_publisher"}"""), 1, "gave an answer that is not about bitnami" },
        { "a depth without end", () => Fault.Status(200, new string('[', 60_000)), 1, "that is not readable" },
        { "an endless body", () => Fault.EndlessBody("""{"orgname":"bitnami","badge":"verified_publisher","x":" """), 1, "the Hub API's answer is larger than 64 KiB" },
        { "a redirect to elsewhere", () => Fault.Redirect("https://login.example.com/", 308), 1, "answered 308" },
        { "a redirect to another user", () => Fault.Redirect("/v2/users/evil/", 308), 1, "answered 308" },
        { "a redirect without an aim", () => Fault.Status(308), 1, "answered 308" },
        { "a redirect that is no address", () => Fault.Redirect("//[", 308), 1, "answered 308" },
        { "another redirect", () => Fault.Redirect("/v2/users/bitnami/", 302), 1, "answered 302" },
        { "refusal", () => Fault.Status(403), 1, "answered 403" },
        { "success without content", () => Fault.Status(204), 1, "answered 204" },
        { "an error", () => Fault.Status(500), 3, "answered 500" },
        { "a gateway's error", () => Fault.Status(502, "<html>bad gateway</html>", "text/html"), 3, "answered 502" },
        { "a closed connection", Fault.CloseConnection, 6, "the Hub API gave no whole answer (127.0.0.1:" },
        { "half an answer", () => Fault.Truncate(20), 3, "the Hub API gave no whole answer (127.0.0.1:" },
    };

    public async Task InitializeAsync()
    {
        _here = await CatalogSurroundings.StartAsync();
        _room = _here.Build();
    }

    public async Task DisposeAsync()
    {
        await _room.DisposeAsync();
        await _here.DisposeAsync();
    }

    [Theory]
    [MemberData(nameof(UnreadableAnswers))]
    public async Task An_answer_that_says_nothing_leaves_the_publisher_unknown(string what, Func<Fault> fault, int tries, string cause)
    {
        var armed = _here.Hub.Faults.Add(Face.Hub, fault());
        var (answer, took) = await _room.FindInTimeAsync("bitnami");

        Assert.Equal((what, "unavailable"), (what, answer));
        Assert.Equal(tries, armed.Hits);
        Assert.True(took <= HubCatalogSource.QuestionTimeout, took.ToString());
        Assert.Contains(cause, await _room.ConcernAsync(), StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(UnreadableAnswers))]
    public async Task An_answer_that_says_nothing_changes_nothing_that_is_known(string what, Func<Fault> fault, int tries, string cause)
    {
        await _room.FindAsync("bitnami");
        _here.Time.Advance(TimeSpan.FromDays(3));
        var armed = _here.Hub.Faults.Add(Face.Hub, fault());

        Assert.Equal((what, "VerifiedPublisher by hub"), (what, (await _room.FindInTimeAsync("bitnami")).Answer));
        Assert.Equal(tries, armed.Hits);
        Assert.Contains(cause, await _room.ConcernAsync(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("\"golden\"", "golden")]
    [InlineData("7", "7")]
    [InlineData("{\"a\":1}", "{\"a\":1}")]
    [InlineData("\"a\\nb\"", "a?b")]
    public async Task A_badge_that_nobody_knows_is_none_and_is_told(string badge, string told)
    {
        _here.Hub.Faults.Add(Face.Hub, Fault.Status(200, $$"""{"orgname":"bitnami","badge":{{badge}}}"""));
        Assert.Equal("None by hub", await _room.FindAsync("bitnami"));
        Assert.Equal([$"The Hub API gives bitnami an unknown badge, which counts as none: {told}"], _room.Log.At(LogLevel.Warning));
    }

    [Theory]
    [InlineData("\"\"")]
    [InlineData("null")]
    public async Task An_empty_badge_is_none(string badge)
    {
        _here.Hub.Faults.Add(Face.Hub, Fault.Status(200, $$"""{"orgname":"bitnami","badge":{{badge}}}"""));
        Assert.Equal("None by hub", await _room.FindAsync("bitnami"));
        Assert.Empty(_room.Log.At(LogLevel.Warning));
    }

    [Fact]
    public async Task A_failure_that_passes_is_not_seen()
    {
        _here.Hub.Faults.Add(Face.Hub, Fault.CloseConnection(), times: 1);
        _here.Hub.Faults.Add(Face.Hub, Fault.Status(500), times: 1);
        Assert.Equal("VerifiedPublisher by hub", (await _room.FindInTimeAsync("bitnami")).Answer);
        Assert.Equal(3, _here.Asked);
    }

    [Fact]
    public async Task An_answer_that_never_comes_costs_five_seconds_once()
    {
        _here.Hub.Faults.Add(Face.Hub, Fault.NeverAnswer());
        var (answer, took) = await _room.FindInTimeAsync("bitnami");

        Assert.Equal("unavailable", answer);
        Assert.InRange(took, TimeSpan.FromSeconds(4.9), TimeSpan.FromSeconds(5.1));
        Assert.InRange(_here.Asked, 2, 3);
        Assert.Matches("^the Hub API did not answer within 5 s \\(127.0.0.1:[0-9]+; look at Upstream:Hub\\) for bitnami$", await _room.ConcernAsync());

        (answer, took) = await _room.FindInTimeAsync("bitnami");
        Assert.Equal(("unavailable", TimeSpan.Zero), (answer, took));
    }

    [Fact]
    public async Task One_slow_try_is_given_up_after_two_seconds()
    {
        _here.Hub.Faults.Add(Face.Hub, Fault.NeverAnswer(), times: 1);
        var (answer, took) = await _room.FindInTimeAsync("bitnami");
        Assert.Equal("VerifiedPublisher by hub", answer);
        Assert.InRange(took, TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(4));
    }

    [Fact]
    public async Task A_body_that_drips_is_given_up()
    {
        _here.Hub.Faults.Add(Face.Hub, Fault.Drip(1, TimeSpan.FromSeconds(1)));
        var (answer, took) = await _room.FindInTimeAsync("bitnami");
        Assert.Equal("unavailable", answer);
        Assert.True(took <= TimeSpan.FromSeconds(5.1), took.ToString());
    }

    [Fact]
    public async Task After_repeated_failures_it_is_not_asked_and_the_answer_is_at_once()
    {
        using var fault = _here.Hub.Faults.Add(Face.Hub, Fault.NeverAnswer());
        await _room.FindInTimeAsync("one");
        await _room.FindInTimeAsync("two");
        var asked = _here.Asked;

        var (answer, took) = await _room.FindInTimeAsync("three");
        Assert.Equal(("unavailable", TimeSpan.Zero), (answer, took));
        Assert.Equal(asked, _here.Asked);
        Assert.Matches("^the Hub API fails repeatedly and is not asked for 15 s; the last failure: the Hub API did not answer within 2 s \\(127.0.0.1:[0-9]+; look at Upstream:Hub\\) for (one|two)$", await _room.ConcernAsync());

        fault.Dispose();
        _here.Time.Advance(HubCatalogSource.BreakDuration);
        Assert.Equal("VerifiedPublisher by hub", await _room.FindAsync("bitnami"));
        Assert.Null(await _room.ConcernAsync());
    }

    [Fact]
    public async Task Answers_that_cannot_be_read_of_one_namespace_do_not_cut_off_the_others()
    {
        _here.Hub.Faults.Add(Face.Hub, "/odd", Fault.MalformedJson());
        for (var i = 0; i < 15; i++)
            await _room.FindAsync($"odd{i}");
        Assert.Equal("VerifiedPublisher by hub", await _room.FindAsync("bitnami"));
    }

    [Theory]
    [InlineData(429, "Retry-After", "120", 120)]
    [InlineData(429, "Retry-After", "Mon, 01 Jun 2026 12:02:00 GMT", 120)]
    [InlineData(429, "X-Retry-After", "+120", 120)]
    [InlineData(429, null, "", 60)]
    [InlineData(429, "Retry-After", "0", 5)]
    [InlineData(429, "X-Retry-After", "+-500", 5)]
    [InlineData(429, "X-Retry-After", "soon", 60)]
    [InlineData(429, "Retry-After", "999999999", 3600)]
    [InlineData(429, "X-Retry-After", "99999999999", 3600)]
    [InlineData(503, "Retry-After", "30", 30)]
    public async Task A_backoff_that_it_asks_for_is_kept(int status, string? header, string value, int seconds)
    {
        if (value.StartsWith('+'))
            value = (_here.Time.GetUtcNow().ToUnixTimeSeconds() + int.Parse(value[1..], CultureInfo.InvariantCulture)).ToString(CultureInfo.InvariantCulture);
        (string, string)[] headers = header is null ? [] : [(header, value)];
        _here.Hub.Faults.Add(Face.Hub, Fault.Status(status, headers: headers), times: 1);

        Assert.Equal("unavailable", await _room.FindAsync("bitnami"));
        Assert.Equal("unavailable", await _room.FindAsync("plain"));
        _here.Time.Advance(TimeSpan.FromSeconds(seconds - 0.1));
        Assert.Equal("unavailable", await _room.FindAsync("curl"));
        Assert.Equal(1, _here.Asked);
        Assert.StartsWith("the Hub API asks us to back off until 2026-06-01", await _room.ConcernAsync(), StringComparison.Ordinal);

        _here.Time.Advance(TimeSpan.FromSeconds(5.1));
        Assert.Equal("VerifiedPublisher by hub", await _room.FindAsync("bitnami"));
    }

    [Fact]
    public async Task During_a_backoff_what_is_known_serves()
    {
        await _room.FindAsync("bitnami");
        _here.Time.Advance(TimeSpan.FromDays(2));
        _here.Hub.Faults.Add(Face.Hub, Fault.TooManyHubRequests(_here.Time.GetUtcNow().AddMinutes(10)));
        await _room.FindAsync("plain");
        Assert.Equal("VerifiedPublisher by hub", await _room.FindAsync("bitnami"));
        Assert.Equal(2, _here.Asked);
    }
}
