using System.Globalization;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Limits;
using ImageAccess.Proxy.Policies.Decisions;
using ImageAccess.Proxy.Tests.Policies.Store;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Tests.Policies.Decisions;

/// <summary>A draft is judged by the trail one at a time, for a while at most, and no longer than whoever asks is there.</summary>
public sealed class DraftTrialsTests : IDisposable
{
    private static readonly Policy Draft = PolicyFixture.Compile("""{ "organizations": [ { "name": "acme", "members": [ "bob" ], "enabled": true } ] }""");

    private readonly TemporaryDirectory _directory = new();
    private readonly ManualTime _time = new();
    private readonly DraftTrials _trials;

    public DraftTrialsTests()
    {
        _trials = new DraftTrials(Options.Create(new AuditOptions { DataDirectory = _directory.Path }), _time);
        File.WriteAllLines(_directory["audit.jsonl"], new[] { "bob", "dora", "eve" }.Select(Event));
    }

    [Fact]
    public async Task The_pulls_of_those_who_are_concerned_are_judged()
    {
        Assert.Equal(3, (await JudgeAsync(null)).Requests);
        var effect = await JudgeAsync(caller => caller.Name == "bob");
        Assert.Equal((1L, "bob"), (effect.Requests, Assert.Single(effect.Changes).Caller));
    }

    [Fact]
    public async Task Who_waits_too_long_for_a_turn_is_refused()
    {
        using (await _trials.Turns.EnterAsync(ClientShare.OfUser("another"), default))
        {
            var waiting = JudgeAsync(null);
            Assert.False(waiting.IsCompleted);
            _time.Advance(DraftTrials.LongestWait);
            var refusal = await Assert.ThrowsAsync<NoVerdictException>(() => waiting);
            Assert.Equal(("other drafts are being judged, try again", true), (refusal.Message, refusal.IsTemporary));
        }

        Assert.Equal(3, (await JudgeAsync(null)).Requests);
    }

    [Fact]
    public async Task What_takes_too_long_is_given_up_and_the_next_has_its_turn()
    {
        var refusal = await Assert.ThrowsAsync<NoVerdictException>(() => JudgeAsync(_ =>
        {
            _time.Advance(DraftTrials.LongestTrial);
            return true;
        }));
        Assert.Equal(("to judge the pulls of 30 days takes longer than 20 s: ask for fewer days", true), (refusal.Message, refusal.IsTemporary));
        Assert.Equal(3, (await JudgeAsync(null)).Requests);
    }

    [Fact]
    public async Task It_ends_with_whoever_asked()
    {
        using var gone = new CancellationTokenSource();
        var judged = 0;
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => JudgeAsync(
            _ =>
            {
                judged++;
                gone.Cancel();
                return true;
            },
            gone.Token));
        Assert.Equal(1, judged);
        Assert.Equal(3, (await JudgeAsync(null)).Requests);
    }

    [Fact]
    public async Task A_trail_that_cannot_be_read_is_said_and_trying_again_does_not_help()
    {
        File.Delete(_directory["audit.jsonl"]);
        var missing = await Assert.ThrowsAsync<NoVerdictException>(() => JudgeAsync(null));
        Assert.Equal(("the audit trail is not there", false), (missing.Message, missing.IsTemporary));
        Directory.CreateDirectory(_directory["audit.jsonl"]);
        var odd = await Assert.ThrowsAsync<NoVerdictException>(() => JudgeAsync(null));
        Assert.StartsWith("the audit trail cannot be read: ", odd.Message, StringComparison.Ordinal);
    }

    public void Dispose() => _directory.Dispose();

    private Task<DraftEffect> JudgeAsync(Func<Caller, bool>? concerns, CancellationToken gone = default) =>
        _trials.JudgeAsync(Draft, 30, concerns, ClientShare.OfUser("dan"), gone);

    private string Event(string caller) =>
        $$"""{"id":"0","time":"{{_time.GetUtcNow().ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture)}}","caller":"{{caller}}","method":"GET","repository":"someuser/x","reference":"latest","category":"community","rule":"community","outcome":"allow"}""";
}
