using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Tests.Administration.Changes;

/// <summary>Changes of a document whose beta follows Docker Hub's own switches, where two persons are demanded.</summary>
public sealed class FollowedChangeTests : IAsyncLifetime, IDisposable
{
    private const string Own = "\"beta\", \"enabled\": true, \"allow\": { \"official\": true, \"community\": true }";
    private const string Following = "\"beta\", \"follow\": \"docker-hub\", \"enabled\": true, \"allow\": { \"official\": true, \"community\": true }";
    private const string Follows = "organization beta: follows Docker Hub's own switches, which may open";

    private readonly ChangeRoom _room = new();

    private static string Document { get; } = ChangeRoom.DocumentWith().Replace("\"beta\", \"enabled\": true", Own, StringComparison.Ordinal);

    private static string Followed { get; } = Document.Replace(Own, Following, StringComparison.Ordinal);

    public async Task InitializeAsync() => await _room.Database.MigrateAsync(default);

    public Task DisposeAsync() => Task.CompletedTask;

    public void Dispose() => _room.Dispose();

    [Theory]
    [InlineData(true)]
    [InlineData(false)] // who switches it off today decides what Docker Hub opens tomorrow
    public async Task To_follow_waits_for_a_second_person_also_where_image_access_is_off(bool enabled)
    {
        string Written(string document) => enabled ? document : document.Replace("\"enabled\": true", "\"enabled\": false", StringComparison.Ordinal);
        await _room.ImportAsync(Written(Document));
        var asked = await _room.ApplyAsync("zoe", Written(Followed));
        Assert.Equal(Follows, Assert.Single(asked.Waiting!.Opens));
        await _room.Desk.ApproveAsync(asked.Waiting.Id, Proxy.Administration.Roles.Actor.Server("root"), default);
        Assert.Equal(Follows, Assert.Single((await _room.VersionsAsync())[0].Opens));
    }

    [Theory]
    [InlineData("\"enabled\": true", "\"enabled\": false", "enabled")]
    [InlineData("\"official\": true", "\"official\": false", "allow.official")] // what closes too: it would be believed and close nothing
    [InlineData("\"official\": true", "\"official\": true, \"verifiedPublisher\": true", "allow.verifiedPublisher")]
    [InlineData("\"enabled\": true, \"allow\": { \"official\": true,", "\"allow\": { \"verifiedPublisher\": true,", "enabled, allow.official, allow.verifiedPublisher")]
    [InlineData("\"allow\": {", "\"registries\": { \"enabled\": true }, \"allow\": {", "registries")]
    public async Task Switches_that_are_followed_cannot_be_changed_here(string before, string after, string changed)
    {
        await _room.ImportAsync(Followed);
        var refusal = $"beta follows Docker Hub's own switches: {changed} cannot be changed here; change it in Docker's Admin Console, or take \"follow\" out of the document in the same change";
        var section = Following.Replace(before, after, StringComparison.Ordinal);
        Assert.Equal(refusal, (await Assert.ThrowsAsync<RefusedChangeException>(() => _room.ApplyAsync("zoe", Followed.Replace(Following, section, StringComparison.Ordinal)))).Message);
        Assert.Equal(refusal, (await Assert.ThrowsAsync<RefusedChangeException>(() => _room.ApplyAsync("nina", $$"""{ "name": {{section}}, "owners": [ "nina", "olga" ] }""", "beta"))).Message);
        Assert.Single(await _room.VersionsAsync());
    }

    [Fact]
    public async Task An_earlier_version_with_other_switches_cannot_be_gone_back_to()
    {
        var closed = Followed.Replace("\"official\": true", "\"official\": false", StringComparison.Ordinal);
        await _room.ImportAsync(closed);
        var first = (await _room.VersionsAsync())[0].Version;
        await ApproveAsync((await _room.ApplyAsync("zoe", Document)).Waiting);
        await ApproveAsync((await _room.ApplyAsync("zoe", Followed)).Waiting);
        foreach (var organization in new[] { null, "beta" })
        {
            var refusal = await Assert.ThrowsAsync<RefusedChangeException>(() => _room.ApplyAsync(
                ChangeRoom.Person("zoe"), new PolicyEdit { Version = first, Organization = organization }));
            Assert.StartsWith("beta follows Docker Hub's own switches: allow.official cannot be changed here;", refusal.Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("\"community\": true", "\"community\": false", null)]
    [InlineData("\"enabled\": true", "\"enabled\": true, \"help\": \"ask\"", null)]
    [InlineData("\"enabled\": true", "\"enabled\": true, \"mode\": \"observe\"", "organization beta: observes instead of enforcing")]
    [InlineData("\"enabled\": true", "\"enabled\": true, \"allowlist\": [ { \"repository\": \"a/b\" } ]", "organization beta: a/b approved, without expiry")]
    public async Task All_else_can_be_changed(string before, string after, string? opens)
    {
        await _room.ImportAsync(Followed);
        Know(enabled: true, official: true, verified: false);
        var outcome = await _room.ApplyAsync("zoe", Followed.Replace(Following, Following.Replace(before, after, StringComparison.Ordinal), StringComparison.Ordinal));
        Assert.Equal(opens, outcome.Waiting?.Opens.Single());
        Assert.Equal(opens is null, outcome.Done is not null);
    }

    /// <summary>Docker Hub says that it is off: what the document would open opens nothing.</summary>
    [Fact]
    public async Task What_a_change_opens_is_judged_by_the_switches_that_hold()
    {
        await _room.ImportAsync(Followed);
        Know(enabled: false, official: true, verified: true);
        var outcome = await _room.ApplyAsync("zoe", Followed.Replace(Following, Following.Replace("\"community\": true", "\"community\": true }, \"allowlist\": [ { \"repository\": \"a/b\" } ], \"roles\": {", StringComparison.Ordinal), StringComparison.Ordinal));
        Assert.NotNull(outcome.Done);
    }

    [Theory]
    [InlineData(true, true, true, null)] // it closes, in one change and by one person: as when Docker Hub's owner is an attacker
    [InlineData(false, true, true, null)]
    [InlineData(true, false, true, "organization beta: official images allowed")]
    [InlineData(true, true, false, null)]
    public async Task To_follow_no_longer_opens_what_the_documents_own_switches_open(bool enabled, bool official, bool verified, string? opens)
    {
        await _room.ImportAsync(Followed);
        Know(enabled, official, verified);
        var outcome = await _room.ApplyAsync("zoe", Document);
        Assert.Equal(opens, outcome.Waiting?.Opens.Single());
        Assert.Equal(opens is null, outcome.Done is not null);
    }

    [Fact]
    public async Task An_attackers_switches_are_closed_by_one_person_in_one_change()
    {
        await _room.ImportAsync(Followed);
        Know(enabled: false, official: true, verified: true);
        var outcome = await _room.ApplyAsync("zoe", Document.Replace("\"official\": true, \"community\": true", "\"community\": false", StringComparison.Ordinal));
        Assert.Contains("organization beta: disabled", outcome.Done!.TakesBack);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("damaged")]
    public async Task Where_nobody_knows_what_Docker_Hub_says_to_follow_no_longer_may_open(string? copy)
    {
        await _room.ImportAsync(Followed);
        if (copy is not null)
            await File.WriteAllTextAsync(Path.Combine(_room.Data, "followed.json"), copy);
        string[] opened = copy is null
            ? ["organization beta: no longer follows Docker Hub's own switches, which are not known here"]
            : ["organization beta: registries are no longer limited", "organization beta: official images allowed"];
        Assert.Equal(opened, (await _room.ApplyAsync("zoe", Document)).Waiting!.Opens);
    }

    private void Know(bool enabled, bool official, bool verified) => File.WriteAllText(
        Path.Combine(_room.Data, "followed.json"),
        $$"""{ "organizations": [ { "organization": "beta", "switches": { "enabled": {{Word(enabled)}}, "allowOfficial": {{Word(official)}}, "allowVerifiedPublisher": {{Word(verified)}} }, "readAt": "2026-06-01T12:00:00Z" } ] }""");

    private static string Word(bool value) => value ? "true" : "false";

    private async Task ApproveAsync(Proxy.Foundation.Database.PendingChangeRow? waiting)
    {
        if (waiting is not null)
            await _room.Desk.ApproveAsync(waiting.Id, Proxy.Administration.Roles.Actor.Server("root"), default);
    }
}
