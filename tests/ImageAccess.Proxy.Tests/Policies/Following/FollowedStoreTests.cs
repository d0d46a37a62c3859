using System.Runtime.Versioning;
using ImageAccess.FakeHubs;
using Microsoft.Extensions.Logging;

namespace ImageAccess.Proxy.Tests.Policies.Following;

/// <summary>What was read outlives a restart, is an event where it changes the policy, and is forgotten where nobody follows.</summary>
[UnsupportedOSPlatform("windows")]
public sealed class FollowedStoreTests : IAsyncLifetime
{
    private const string Own = "on, official images denied, verified publisher images allowed";
    private const string Read = "on, official images allowed, verified publisher images denied";
    private const string Closed = "on, official images denied, verified publisher images denied";

    private const string First =
        """{"event":"follow","organization":"acme","policyVersion":"V.6","previousVersion":"V.-","switches":"on, official images allowed, verified publisher images denied","opens":["organization acme: official images allowed"],"closes":["organization acme: verified publisher images allowed"]}""";

    private FollowRoom _room = null!;

    public async Task InitializeAsync() => _room = await FollowRoom.OpenAsync();

    public async Task DisposeAsync() => await _room.DisposeAsync();

    [Fact]
    public async Task They_hold_over_a_restart_whether_or_not_Docker_Hub_answers()
    {
        await _room.ReadAsync();
        Assert.Contains(First, _room.Told());
        _room.Time.Advance(TimeSpan.FromMinutes(90));
        _room.Restart();
        Assert.Equal((Read, ".6"), (_room.Holds, _room.Mark));
        Assert.Empty(_room.Told()); // nothing has changed
        Assert.Null(await _room.ConcernAsync());
        using (_room.Hub.Faults.Add(Face.Hub, Fault.CloseConnection()))
        {
            await _room.ReadAsync();
            Assert.StartsWith("Docker Hub's own switches of acme were read 90 minutes ago and not since: the Hub API ", await _room.ConcernAsync(), StringComparison.Ordinal);
            Assert.Equal(Read, _room.Holds);
            _room.Restart();
            Assert.Equal(Read, _room.Holds);
        }

        Assert.DoesNotContain(FollowRoom.Password, string.Concat(Directory.EnumerateFiles(_room.Fixture.Data).Select(File.ReadAllText)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{}")]
    [InlineData("""{ "organizations": [ null ] }""")]
    [InlineData("""{ "organizations": [ { "organization": "acme", "switches": { "enabled": false } } ] }""")]
    [InlineData("""{ "organizations": [ { "organization": "acme", "switches": null } ] }""")]
    [InlineData("""{ "organizations": [ { "organization": "acme", "switches": { "enabled": true, "allowOfficial": true, "allowVerifiedPublisher": true, "registries": { "enabled": true, "custom": [ { "address": "a/b", "name": "", "allowed": true } ] } } } ] }""")]
    [InlineData("""{ "organizations": [ { "organization": "acme", "switches": { "enabled": true, "allowOfficial": true, "allowVerifiedPublisher": true, "registries": { "enabled": true, "custom": [ null ] } } } ] }""")]
    [InlineData("""{ "organizations": [ { "organization": "acme", "switches": { "enabled": true, "allowOfficial": true, "allowVerifiedPublisher": true, "registries": { "enabled": true, "custom": null } } } ] }""")]
    [InlineData("""{ "organizations": [ { "organization": "../acme", "switches": { "enabled": true, "allowOfficial": true, "allowVerifiedPublisher": true } } ] }""")]
    [InlineData("""{ "organizations": [ { "organization": "acme", "switches": { "enabled": "no", "allowOfficial": true, "allowVerifiedPublisher": true } } ] }""")]
    public async Task Where_what_was_read_is_damaged_nothing_is_allowed_that_it_could_allow(string content)
    {
        await _room.ReadAsync();
        await File.WriteAllTextAsync(_room.Copy, content);
        _room.Logs.Clear();
        _room.Restart();

        Assert.Equal((Closed, ".4.77a16f2a", "no"), (_room.Holds, _room.Mark, _room.Reaches("ghcr.io")));
        Assert.StartsWith($"The copy of Docker Hub's own switches cannot be used: {_room.Copy} is refused: it is not what was written; until they are read,", Assert.Single(_room.Logs.At(LogLevel.Error)), StringComparison.Ordinal);
        Assert.Equal(
            "Docker Hub's own switches of acme have not been read yet; what was read before is lost: until they are read, official and verified publisher images are denied, and other registries", await _room.ConcernAsync());

        await _room.ReadAsync();
        Assert.Equal(Read, _room.Holds);
        _room.Restart();
        Assert.Equal(Read, _room.Holds);
    }

    /// <summary>What is lost of one organization stays lost after another's was read.</summary>
    [Fact]
    public async Task What_is_lost_is_not_forgotten_before_it_is_read_again()
    {
        await using var room = await FollowRoom.OpenAsync(
            """{ "organizations": [ { "name": "acme", "follow": "docker-hub", "enabled": true, "allow": { "official": true } }, { "name": "beta", "follow": "docker-hub" } ] }""");
        await room.ReadAsync();
        await File.WriteAllTextAsync(room.Copy, "damaged");
        using var fault = room.Hub.Faults.Add(Face.Hub, FollowRoom.Settings, Fault.Status(500));
        room.Restart();
        await room.ReadAsync();
        room.Restart();
        Assert.Equal((Closed, ".43.77a16f2a"), (room.Holds, room.Mark));
    }

    [Fact]
    public async Task Without_the_file_it_begins_anew_and_one_that_others_can_change_is_not_believed()
    {
        await _room.ReadAsync();
        File.SetUnixFileMode(_room.Copy, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.OtherWrite);
        _room.Restart();
        Assert.Equal(Closed, _room.Holds);
        File.Delete(_room.Copy);
        _room.Restart();
        Assert.Equal((Own, ".-"), (_room.Holds, _room.Mark));
    }

    [Fact]
    public async Task What_cannot_be_kept_is_said_and_tried_again()
    {
        Directory.CreateDirectory(_room.Copy);
        await File.WriteAllTextAsync(Path.Combine(_room.Copy, "in-the-way"), "");
        await _room.ReadAsync();
        Assert.Equal(Read, _room.Holds);
        Assert.StartsWith("Docker Hub's own switches could not be kept for a restart: ", await _room.ConcernAsync(), StringComparison.Ordinal);
        Directory.Delete(_room.Copy, recursive: true);
        await _room.ReadAsync();
        Assert.Null(await _room.ConcernAsync());
        Assert.True(File.Exists(_room.Copy));
    }

    [Fact]
    public async Task Each_opening_is_an_event_and_flapping_switches_are_merged()
    {
        await _room.ReadAsync();
        _room.Told();
        for (var minute = 0; minute < 50; minute++)
        {
            _room.Time.Advance(TimeSpan.FromMinutes(1));
            _room.Switches = (true, true, minute % 2 == 0);
            await _room.ReadAsync();
            _room.Store.Refresh();
        }

        const string Opens = """{"event":"follow","organization":"acme","policyVersion":"V.7","previousVersion":"V.6","switches":"on, official images allowed, verified publisher images allowed","opens":["organization acme: verified publisher images allowed"],"closes":[]""";
        const string Closes = """{"event":"follow","organization":"acme","policyVersion":"V.6","previousVersion":"V.7","switches":"on, official images allowed, verified publisher images denied","opens":[],"closes":["organization acme: verified publisher images allowed"]""";
        Assert.Equal([Opens + "}", Closes + "}"], _room.Told());

        _room.Switches = (false, true, false); // another opening is told at once
        await _room.ReadAsync();
        Assert.Equal(
            """{"event":"follow","organization":"acme","policyVersion":"V.2","previousVersion":"V.6","switches":"off","opens":["image access is off","organization acme: disabled"],"closes":[]}""",
            Assert.Single(_room.Told()));

        _room.Time.Advance(TimeSpan.FromMinutes(30));
        _room.Store.Refresh();
        Assert.Equal(
            [$"{Opens},\"count\":24,\"last\":\"2026-06-01T12:49:00.000Z\"}}", $"{Closes},\"count\":24,\"last\":\"2026-06-01T12:50:00.000Z\"}}"], _room.Told());
        Assert.Empty(_room.Told());
    }

    [Fact]
    public async Task What_was_merged_is_told_at_the_end_of_the_program()
    {
        for (var i = 0; i < 4; i++)
        {
            _room.Switches = (true, true, i % 2 == 0);
            await _room.ReadAsync();
        }

        _room.Told();
        _room.Store.End();
        Assert.Equal(1, _room.Told().Count(line => line.Contains("\"count\":1", StringComparison.Ordinal) && line.Contains("V.6\",\"previousVersion\":\"V.7", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task A_document_that_follows_no_longer_has_its_own_switches_and_the_change_says_what_that_opens()
    {
        await _room.ReadAsync();
        _room.Told();
        await _room.WriteAsync(FollowRoom.Document.Replace("\"follow\": \"docker-hub\", ", "", StringComparison.Ordinal));
        Assert.Equal((Own, ""), (_room.Holds, _room.Mark));
        Assert.Contains("\"opens\":[\"organization acme: verified publisher images allowed\"]", Assert.Single(_room.Told()), StringComparison.Ordinal);
        await _room.ReadAsync();
        Assert.DoesNotContain("acme", await File.ReadAllTextAsync(_room.Copy), StringComparison.Ordinal);

        await _room.WriteAsync(FollowRoom.Document); // what was known long ago does not count
        Assert.Equal((Own, ".-"), (_room.Holds, _room.Mark));
        Assert.Contains("\"opens\":[\"organization acme: follows Docker Hub's own switches, which may open\"]", Assert.Single(_room.Told()), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_that_changes_the_switches_while_they_are_followed_changes_nothing_else()
    {
        await _room.ReadAsync();
        await _room.WriteAsync(FollowRoom.Document.Replace("\"verifiedPublisher\": true, \"community\": true", "\"official\": false, \"verifiedPublisher\": true, \"community\": false", StringComparison.Ordinal));
        Assert.Equal((Read, ".6", false), (_room.Holds, _room.Mark, _room.Store.Current.Organizations[0].AllowsCommunity));
    }
}
