using ImageAccess.Core.Classification;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Policies.Catalog;
using Microsoft.Extensions.Logging;

namespace ImageAccess.Proxy.Tests.Policies.Catalog;

public sealed class PublisherCatalogTests : IAsyncLifetime
{
    private CatalogSurroundings _here = null!;

    public async Task InitializeAsync() => _here = await CatalogSurroundings.StartAsync();

    public async Task DisposeAsync() => await _here.DisposeAsync();

    [Theory]
    [InlineData("bitnami", "VerifiedPublisher by hub")]
    [InlineData("curl", "OpenSource by hub")]
    [InlineData("plain", "None by hub")]
    [InlineData("someuser", "None by hub")]
    [InlineData("nobody", "None by hub")]
    public async Task The_Hub_API_tells_the_badge(string @namespace, string facts)
    {
        await using var room = await _here.OpenAsync();
        Assert.Equal(facts, await room.FindAsync(@namespace));
        Assert.Equal($"/v2/orgs/{@namespace}/", Assert.Single(_here.Hub.Requests.Of(Face.Hub)).RawTarget);
        Assert.Null(_here.Hub.Requests.Of(Face.Hub)[0].Authorization);
    }

    [Theory]
    [InlineData("bitnami", 24 * 60)]
    [InlineData("plain", 24 * 60)]
    [InlineData("someuser", 60)]
    [InlineData("nobody", 60)]
    public async Task An_answer_is_remembered_for_so_many_minutes(string @namespace, int minutes)
    {
        await using var room = _here.Build();
        await room.FindAsync(@namespace);
        _here.Time.Advance(TimeSpan.FromMinutes(minutes) - TimeSpan.FromSeconds(1));
        await room.FindAsync(@namespace, "user bob");
        Assert.Equal(1, _here.Asked);

        _here.Time.Advance(TimeSpan.FromSeconds(1));
        await room.FindAsync(@namespace);
        Assert.Equal(2, _here.Asked);
    }

    [Fact]
    public async Task A_badge_that_is_taken_away_is_gone_after_a_day()
    {
        await using var room = _here.Build();
        await room.FindAsync("bitnami");
        _here.Hub.Namespaces.Remove("bitnami");

        Assert.Equal("VerifiedPublisher by hub", await room.FindAsync("bitnami"));
        _here.Time.Advance(TimeSpan.FromDays(1));
        Assert.Equal("None by hub", await room.FindAsync("bitnami"));
    }

    [Fact]
    public async Task Whoever_asks_while_a_question_is_under_way_waits_for_its_answer()
    {
        await using var room = _here.Build();
        var release = new TaskCompletionSource();
        _here.Hub.Faults.Add(Face.Hub, Fault.HoldUntil(release.Task));

        var callers = Enumerable.Range(0, 50).Select(i => room.FindAsync("bitnami", $"user {i}")).ToList();
        await Eventually.TrueAsync(() => _here.Asked == 1);
        release.SetResult();

        Assert.All(await Task.WhenAll(callers), facts => Assert.Equal("VerifiedPublisher by hub", facts));
        Assert.Equal(1, _here.Asked);
    }

    [Fact]
    public async Task A_caller_who_leaves_does_not_take_the_answer_along()
    {
        await using var room = _here.Build();
        var release = new TaskCompletionSource();
        _here.Hub.Faults.Add(Face.Hub, Fault.HoldUntil(release.Task));
        using var leaving = new CancellationTokenSource();
        var gone = room.Catalog.FindAsync("bitnami", CatalogRoom.Payer("user alice"), leaving.Token).AsTask();
        var stays = room.FindAsync("bitnami", "user bob");

        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => gone);
        release.SetResult();

        Assert.Equal("VerifiedPublisher by hub", await stays);
    }

    [Fact]
    public async Task A_failure_is_remembered_for_five_seconds()
    {
        await using var room = _here.Build();
        _here.Hub.Faults.Add(Face.Hub, Fault.Status(403));

        Assert.Equal("unavailable", await room.FindAsync("bitnami"));
        _here.Time.Advance(TimeSpan.FromSeconds(4.9));
        Assert.Equal("unavailable", await room.FindAsync("bitnami", "user bob"));
        Assert.Equal(1, _here.Asked);

        _here.Time.Advance(TimeSpan.FromSeconds(0.1));
        _here.Hub.Faults.Clear();
        Assert.Equal("VerifiedPublisher by hub", await room.FindAsync("bitnami"));
    }

    [Fact]
    public async Task The_last_known_record_serves_for_seven_days_while_nobody_answers()
    {
        await using var room = _here.Build();
        await room.FindAsync("bitnami");
        _here.Hub.Faults.Add(Face.Hub, Fault.Status(403));

        _here.Time.Advance(TimeSpan.FromDays(7));
        Assert.Equal("VerifiedPublisher by hub", await room.FindAsync("bitnami"));
        Assert.Equal(2, _here.Asked);

        _here.Time.Advance(TimeSpan.FromSeconds(6));
        Assert.Equal("unavailable", await room.FindAsync("bitnami"));
    }

    [Fact]
    public async Task How_long_it_serves_is_a_setting()
    {
        await using var room = _here.Build(("Catalog:StaleFor", "2.00:00:00"));
        await room.FindAsync("bitnami");
        _here.Hub.Faults.Add(Face.Hub, Fault.Status(403));

        _here.Time.Advance(TimeSpan.FromDays(2) + TimeSpan.FromSeconds(1));
        Assert.Equal("unavailable", await room.FindAsync("bitnami"));
    }

    [Fact]
    public async Task A_caller_who_asks_for_too_many_unknown_namespaces_gets_no_answer_alone()
    {
        await using var room = _here.Build();
        await room.FindAsync("bitnami", "user bob");
        for (var i = 0; i < QuestionAllowance.OfUser; i++)
            Assert.Equal("None by hub", await room.FindAsync($"name{i}", "user mallory"));

        Assert.Equal("unavailable", await room.FindAsync("another", "user mallory"));
        Assert.Equal("None by hub", await room.FindAsync("name3", "user mallory"));
        Assert.Equal("VerifiedPublisher by hub", await room.FindAsync("bitnami", "user mallory"));
        Assert.Equal("None by hub", await room.FindAsync("another", "user bob"));
        Assert.Equal(QuestionAllowance.OfUser + 2, _here.Asked);
        Assert.Equal(1, room.Measurements["lookups source=none result=refused"]);
        Assert.Null(await room.ConcernAsync());

        _here.Time.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal("None by hub", await room.FindAsync("later", "user mallory"));
    }

    [Fact]
    public async Task Over_the_limit_the_last_known_record_serves()
    {
        await using var room = _here.Build();
        await room.FindAsync("bitnami");
        _here.Time.Advance(TimeSpan.FromDays(2));
        for (var i = 0; i < QuestionAllowance.OfUser; i++)
            await room.FindAsync($"name{i}", "user mallory");
        Assert.Equal("VerifiedPublisher by hub", await room.FindAsync("bitnami", "user mallory"));
        Assert.Equal(1 + QuestionAllowance.OfUser, _here.Asked);
    }

    [Fact]
    public async Task What_is_in_use_is_asked_again_before_it_is_out_of_date()
    {
        await using var room = _here.Build();
        await room.FindAsync("bitnami");
        await room.FindAsync("curl");
        _here.Time.Advance(TimeSpan.FromHours(13));
        await room.FindAsync("bitnami");
        _here.Time.Advance(TimeSpan.FromHours(7.9));
        await room.Catalog.RefreshAsync(10, CancellationToken.None);
        Assert.Equal(2, _here.Asked);

        _here.Time.Advance(TimeSpan.FromMinutes(10));
        await room.StartAsync();
        await Eventually.TrueAsync(() => _here.Time.PendingTimers == 2);
        _here.Time.Advance(CatalogUpkeep.RefreshPeriod);
        await Eventually.TrueAsync(() => room.Memory.Find("bitnami")!.Answer.FreshUntil > _here.Time.GetUtcNow() + TimeSpan.FromHours(23));
        Assert.Equal(["/v2/orgs/bitnami/"], _here.Hub.Requests.Of(Face.Hub).Skip(2).Select(request => request.RawTarget));
    }

    [Fact]
    public async Task A_refresh_that_fails_takes_nothing_away()
    {
        await using var room = _here.Build();
        await room.FindAsync("bitnami");
        _here.Time.Advance(TimeSpan.FromHours(22));
        await room.FindAsync("bitnami");
        _here.Hub.Faults.Add(Face.Hub, Fault.Status(403));

        await room.Catalog.RefreshAsync(10, CancellationToken.None);
        Assert.Equal(2, _here.Asked);
        Assert.Equal("VerifiedPublisher by hub", await room.FindAsync("bitnami"));
        Assert.Equal(2, room.Measurements["lookups source=hub result=known"]);
    }

    [Fact]
    public async Task The_end_of_a_failure_is_found_without_a_caller()
    {
        await using var room = _here.Build();
        _here.Hub.Faults.Add(Face.Hub, Fault.Status(403), times: 1);
        await room.FindAsync("bitnami");
        Assert.Equal("the Hub API answered 403 for bitnami", await room.ConcernAsync());

        await room.Catalog.RefreshAsync(10, CancellationToken.None);
        Assert.Null(await room.ConcernAsync());
        Assert.Equal(["Publishers cannot be verified: the Hub API answered 403 for bitnami"], room.Log.At(LogLevel.Warning));
        Assert.Contains("Publishers can be verified again", room.Log.At(LogLevel.Information));
    }

    [Fact]
    public async Task Lookups_and_requests_are_counted()
    {
        await using var room = _here.Build();
        await room.FindAsync("bitnami");
        await room.FindAsync("bitnami");
        await room.FindAsync("someuser");
        _here.Time.Advance(TimeSpan.FromDays(2));
        _here.Hub.Faults.Add(Face.Hub, Fault.Status(403));
        await room.FindAsync("bitnami");
        await room.FindAsync("nobody");

        Assert.Equal(
            [
                "lookups source=hub result=asked 2",
                "lookups source=hub result=known 1",
                "lookups source=hub result=stale 1",
                "lookups source=none result=unavailable 1",
                "requests status=200 1",
                "requests status=308 1",
                "requests status=403 2",
            ],
            room.Measurements.Select(m => $"{m.Key} {m.Value}").Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Every_result_has_a_name_of_its_own()
    {
        var results = Enum.GetValues<LookupResult>().Where(result => result != LookupResult.None).ToList();
        Assert.Equal(results.Count, results.Select(CatalogMetrics.NameOf).Distinct(StringComparer.Ordinal).Count());
        Assert.Throws<ArgumentOutOfRangeException>(() => CatalogMetrics.NameOf(LookupResult.None));
    }

    [Fact]
    public void Names_without_a_badge_never_push_out_one_with_a_badge()
    {
        var memory = new NamespaceMemory(capacity: 100);
        for (var i = 0; i < 100; i++)
            memory.Put(Answer($"publisher{i}", NamespaceBadge.VerifiedPublisher));
        for (var i = 0; i < 10_000; i++)
            memory.Put(Answer($"name{i}", NamespaceBadge.None));

        Assert.Equal(100, memory.Badged);
        Assert.InRange(memory.Plain, 80, 100);
        Assert.NotNull(memory.Find("name9999"));
        Assert.Null(memory.Find("name0"));

        memory.Put(Answer("publisher7", NamespaceBadge.None));
        Assert.Equal(NamespaceBadge.None, memory.Find("publisher7")!.Answer.Record.Badge);
        Assert.Equal(99, memory.Badged);

        CatalogAnswer Answer(string name, NamespaceBadge badge)
        {
            _here.Time.Advance(TimeSpan.FromMilliseconds(1));
            var now = _here.Time.GetUtcNow();
            return new(new NamespaceRecord(name, badge, "hub", now), now.AddHours(1));
        }
    }

    [Fact]
    public void The_name_that_is_in_use_stays()
    {
        var memory = new NamespaceMemory(capacity: 100);
        for (var i = 0; i < 300; i++)
        {
            _here.Time.Advance(TimeSpan.FromSeconds(1));
            var now = _here.Time.GetUtcNow();
            memory.Put(new CatalogAnswer(new NamespaceRecord($"name{i}", NamespaceBadge.None, "hub", now), now.AddHours(1)));
            memory.Find("name0")!.Use(now);
        }

        Assert.NotNull(memory.Find("name0"));
        Assert.Null(memory.Find("name1"));
    }
}
