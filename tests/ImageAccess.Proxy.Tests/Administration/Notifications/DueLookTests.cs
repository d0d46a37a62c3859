using System.Text;
using ImageAccess.Core.Classification;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Administration.Notifications;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Tests.Foundation.Audit;

namespace ImageAccess.Proxy.Tests.Administration.Notifications;

/// <summary>What comes by itself is told before it comes, once.</summary>
public sealed class DueLookTests : IAsyncLifetime
{
    private WebhookServer _hook = null!;
    private NotificationRoom _room = null!;
    private NotificationProcess _process = null!;

    public async Task InitializeAsync()
    {
        (_hook, _room) = (await WebhookServer.StartAsync(), await NotificationRoom.OpenAsync());
        _process = _room.WithWebhook(_hook).Start();
    }

    public async Task DisposeAsync()
    {
        _room.Dispose();
        await _hook.DisposeAsync();
    }

    [Fact]
    public async Task An_exception_that_ends_in_two_weeks_is_told_once_whoever_looks()
    {
        var id = await GrantAsync("someuser/tool", days: 30);
        await GrantAsync("someuser/other", days: 60);
        var ended = await GrantAsync("someuser/ended", days: 20);
        await new ExceptionChanges(_room.Database, _room.Time).EndAsync(ended, new ExceptionEnd("alice", null), null, default);
        await LookAsync();
        Assert.Empty(_hook.Taken);
        _room.Time.Advance(TimeSpan.FromDays(16) - TimeSpan.FromMilliseconds(1));
        await LookAsync();
        Assert.Empty(_hook.Taken);
        _room.Time.Advance(TimeSpan.FromMilliseconds(1));
        await Task.WhenAll(LookAsync(), LookAsync(_room.Start()));
        await LookAsync(_room.Start());
        var told = Assert.Single(_hook.Taken);
        Assert.Equal(
            $"The exception {id} of acme for someuser/tool ends 2026-07-01 12:00 UTC. It was never used.",
            told.Text.Replace("docker.io/", "", StringComparison.Ordinal));
        Assert.Equal(("exception-expires", "acme"), (told.Kind, told.Json.GetProperty("organization").GetString()));
        _room.Time.Advance(TimeSpan.FromDays(15));
        await LookAsync();
        Assert.Single(_hook.Taken); // it is over
    }

    [Fact]
    public async Task An_exception_that_nobody_uses_for_90_days_is_told_once_and_once_more_after_it_was_used()
    {
        var id = await GrantAsync("someuser/tool", days: null);
        _room.Time.Advance(TimeSpan.FromDays(89));
        await LookAsync();
        Assert.Empty(_hook.Taken);
        _room.Time.Advance(TimeSpan.FromDays(1));
        await LookAsync();
        await LookAsync();
        Assert.Contains("was not used for 90 days. It was never used. End it if nobody needs it.", Assert.Single(_hook.Taken).Text, StringComparison.Ordinal);
        await _room.Database.WriteAsync(
            context => new ExceptionTable(context).AddUsesAsync(new Dictionary<long, ExceptionUse> { [id] = new(3, _room.Time.GetUtcNow()) }, default), default);
        _room.Time.Advance(TimeSpan.FromDays(89));
        await LookAsync();
        Assert.Single(_hook.Taken);
        _room.Time.Advance(TimeSpan.FromDays(1));
        await LookAsync();
        Assert.Contains("It was used 3 times, last 2026-08-30 12:00 UTC.", _hook.Taken[^1].Text, StringComparison.Ordinal);
        Assert.Equal(2, _hook.Taken.Count);
    }

    [Fact]
    public async Task Of_very_many_each_look_tells_some_until_all_are_told()
    {
        for (var i = 0; i < DueLooks.Together + 7; i++)
            await GrantAsync($"someuser/tool{i}", days: 10);
        await LookAsync();
        Assert.Equal(DueLooks.Together, _hook.Taken.Count);
        await LookAsync();
        Assert.Equal(DueLooks.Together + 7, _hook.Taken.Select(request => request.Text).Distinct().Count());
    }

    [Fact]
    public async Task Observing_that_ends_is_told_seven_days_before_and_one_with_who_would_be_denied()
    {
        Use("2026-06-12");
        foreach (var caller in new[] { "olga", "olga", "oscar" })
        {
            await using var entry = _room.Audit.Trail.Open(AuditFixture.Http());
            entry.Caller = Caller.SignedIn(caller, caller);
            entry.Request = AuditFixture.Parse("GET", "/v2/someuser/tool/manifests/latest");
            entry.Decision = PolicyEngine.Decide(_room.Policies.Current, entry.Caller, entry.Request.Repository, PublisherFacts.Unavailable, _room.Time.GetUtcNow());
            Assert.Equal(AccessOutcome.Observe, entry.Decision.Outcome);
        }

        _room.Time.Advance(TimeSpan.FromDays(3)); // 8 days are left
        await LookAsync();
        Assert.Empty(_hook.Taken);
        _room.Time.Advance(TimeSpan.FromDays(1));
        await LookAsync();
        await LookAsync(_room.Start());
        Assert.StartsWith(
            "acme observes until the end of 2026-06-12 (UTC), 7 days from now; after it denials are in force. "
            + "Would have been denied since 2026-06-01 12:00 UTC, as far as this proxy has seen: olga, oscar (callers: 2).",
            Assert.Single(_hook.Taken).Text, StringComparison.Ordinal);
        _room.Time.Advance(TimeSpan.FromDays(5));
        await LookAsync();
        Assert.Single(_hook.Taken);
        _room.Time.Advance(TimeSpan.FromDays(1));
        await LookAsync();
        await LookAsync();
        Assert.Equal(2, _hook.Taken.Count);
        Assert.Contains(", 1 day from now", _hook.Taken[1].Text, StringComparison.Ordinal);
        Use("2026-07-12"); // longer
        await LookAsync();
        _room.Time.Advance(TimeSpan.FromDays(29));
        await LookAsync();
        Assert.Equal(3, _hook.Taken.Count);
    }

    private void Use(string until)
    {
        Assert.True(PolicyCompiler.TryCompile(
            Encoding.UTF8.GetBytes($$"""{ "organizations": [ { "name": "acme", "enabled": true, "mode": "observe", "observeUntil": "{{until}}", "members": [ "olga", "oscar" ], "allow": { "official": true } } ] }"""),
            out var policy, out var problems), string.Join('\n', problems));
        _room.Policies.Current = policy;
    }

    private async Task<long> GrantAsync(string image, int? days)
    {
        Assert.True(GrantedException.TryParsePattern(image, out var pattern, out _));
        var now = _room.Time.GetUtcNow();
        var granted = new GrantedException(0, "acme", pattern, null, false, "because", null, "alice", now, days is null ? null : now.AddDays(days.Value));
        return (await new ExceptionChanges(_room.Database, _room.Time).AddAsync(granted, default)).Id;
    }

    private async Task LookAsync(NotificationProcess? process = null)
    {
        await (process ?? _process).Looks.LookAsync(default);
        await (process ?? _process).SendAsync();
    }
}
