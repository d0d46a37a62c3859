using System.Runtime.Versioning;
using ImageAccess.Proxy.Tests.Foundation.Audit;

namespace ImageAccess.Proxy.Tests.Tools.Verbs;

/// <summary><c>imageaccess audit …</c></summary>
[UnsupportedOSPlatform("windows")]
public sealed class AuditCommandTests : IDisposable
{
    private readonly TrailRoom _room = new();

    private string Configuration => _room["imageaccess.json"];

    public AuditCommandTests() => File.WriteAllText(Configuration, """{ "Data": { "Directory": "data" }, "Audit": { "File": "audit.jsonl" } }""");

    [Fact]
    public async Task A_good_trail()
    {
        await _room.ThreeDaysAsync();
        Assert.Equal(
            (0, $"{_room.Trail}: 3 files, 21 lines in the chain, 1 to 21\nsigned  up to line 18, 2026-06-03T12:00:00.000Z\nThe trail is as it was written.\n"),
            Said(await RunAsync("verify")));
        var facts = (await RunAsync("verify", "--json")).Json.GetProperty("trails")[0];
        Assert.Equal((true, 21, 18), (facts.GetProperty("isGood").GetBoolean(), facts.GetProperty("last").GetInt64(), facts.GetProperty("signedUpTo").GetInt64()));
    }

    [Fact]
    public async Task A_trail_that_was_changed()
    {
        await _room.ThreeDaysAsync();
        TrailRoom.Edit(_room.Trail + ".1", lines => lines.Select((line, i) => i == 2 ? line.Replace("bob", "eve", StringComparison.Ordinal) : line));
        Assert.Equal(
            (1, $"""
                {_room.Trail}: 3 files, 21 lines in the chain, 1 to 21
                signed  up to line 18, 2026-06-03T12:00:00.000Z
                fault   {_room.Trail}.1:3 does not follow from the line before it: one of the two was changed (line 11 of the trail)
                The trail is not as it was written: 1 fault.

                """),
            Said(await RunAsync("verify")));
        Assert.Equal(1, (await RunAsync("verify", "--json")).ExitCode);
    }

    [Fact]
    public async Task On_another_machine_the_public_key_is_enough_and_each_replica_has_its_own_trail()
    {
        await _room.ThreeDaysAsync();
        using var other = new TrailRoom();
        await other.ThreeDaysAsync();
        var (own, others) = (_room["own.pem"], _room["others.pem"]);
        File.WriteAllText(own, (await RunAsync("key")).Output);
        File.WriteAllText(others, other.Key.Pem);
        Directory.Delete(_room.Data, recursive: true);

        var both = await RunAsync(["verify", .. _room.Files, .. other.Files, "--key", own, "--key", others]);
        Assert.Equal((0, 2), (both.ExitCode, both.Output.Split("The trail is as it was written.").Length - 1));
        Assert.Equal(1, (await RunAsync(["verify", .. _room.Files, .. other.Files, "--key", own])).ExitCode);
        Assert.Equal(
            (2, $"imageaccess: Audit:KeyFile: {_room.Data}/audit.key is not there: the proxy makes it when it starts; on another machine name the public key with --key\n"),
            Refused(await RunAsync("verify")));
    }

    [Fact]
    public async Task What_cannot_be_read()
    {
        await _room.RestartAsync();
        File.WriteAllText(_room["nonsense"], "nonsense");
        Assert.Equal(
            (2, $"imageaccess: --key: {_room["nonsense"]} does not hold a public key, as imageaccess audit key prints it\n"), Refused(await RunAsync("verify", "--key", _room["nonsense"])));
        Assert.Equal((2, $"imageaccess: --key: {_room["nowhere"]} is not there\n"), Refused(await RunAsync("verify", "--key", _room["nowhere"])));
        Assert.Equal((2, $"imageaccess: Could not find file '{_room["nowhere"]}'.\n"), Refused(await RunAsync("verify", _room["nowhere"])));
        File.Delete(_room.Trail);
        Assert.Equal(
            (2, $"imageaccess: there is no audit trail in {_room.Trail}: the proxy makes it when it starts; name its configuration with --config, or files\n"), Refused(await RunAsync("verify")));
    }

    public void Dispose() => _room.Dispose();

    private static (int, string) Said(CommandLine run) => (run.ExitCode, run.Output + run.Error);

    private static (int, string) Refused(CommandLine run) => (run.ExitCode, run.Error);

    private Task<CommandLine> RunAsync(params string[] arguments) => CommandLine.RunAsync(["audit", .. arguments, "--config", Configuration]);
}
