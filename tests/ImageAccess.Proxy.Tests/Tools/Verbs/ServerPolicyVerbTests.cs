using System.Runtime.Versioning;
using ImageAccess.Proxy.Policies.Store;
using ImageAccess.Proxy.Tests.Administration.Api;
using ImageAccess.Proxy.Tests.Policies.Store;

namespace ImageAccess.Proxy.Tests.Tools.Verbs;

/// <summary>The policy of a proxy elsewhere, whose home is its database: with the words and the exit codes of the verb on the server.</summary>
[SupportedOSPlatform("linux")]
public sealed class ServerPolicyVerbTests : IAsyncLifetime, IDisposable
{
    private const string Opens = "opens: organization acme: community images allowed\n";
    private const string Effect = "a running proxy has it within a second\n";
    private const string Strict = """
        {
          "companyOwners": [ "carol" ],
          "organizations": [
            { "name": "acme", "owners": [ "alice" ], "roles": { "administrators": [ "dan" ] }, "enabled": true, "allow": { "community": false } },
            { "name": "globex", "owners": [ "gail" ], "enabled": true }
          ]
        }
        """;

    private static readonly string Lax = Strict.Replace("false", "true", StringComparison.Ordinal);
    private static readonly string A = PolicyFixture.VersionOf(Strict);
    private static readonly string B = PolicyFixture.VersionOf(Lax);

    private readonly ApiRoom _room = new();
    private readonly TemporaryDirectory _directory = new();

    private string Server => _room.Here.Further[^1].GetLeftPart(UriPartial.Authority);

    public async Task InitializeAsync()
    {
        await _room.InitializeAsync();
        await File.WriteAllTextAsync(_directory["imageaccess.json"], $$"""{ "Data": { "Directory": "{{_room.Here.DataDirectory}}" } }""");
        await File.WriteAllTextAsync(_directory["strict.json"], Strict);
        await File.WriteAllTextAsync(_directory["lax.json"], Lax);
    }

    public Task DisposeAsync() => _room.DisposeAsync();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task It_is_exported_changed_and_put_back()
    {
        await ImportAsync("strict.json");
        var carol = await TokenFileAsync("company-owner", null, "carol");
        Assert.Equal((0, Strict, ""), Said(await RunAsync(carol, "policy", "export")));
        var facts = (await RunAsync(carol, "policy", "export", "--json")).Json;
        Assert.Equal((A, Strict), (facts.GetProperty("version").GetString(), facts.GetProperty("document").GetString()));

        Assert.Equal((0, $"{Opens}policy {B} is in force (before: {A}): {Effect}", ""), Said(await RunAsync(carol, "policy", "apply", _directory["lax.json"], "--reason", "a trial")));
        await InForceAsync(B);
        Assert.Equal((0, $"the policy is {B} already: nothing is to change\n", ""), Said(await RunAsync(carol, "policy", "apply", _directory["lax.json"], "--reason", "again")));
        var late = await RunAsync(carol, "policy", "apply", _directory["strict.json"], "--reason", "r", "--if-version", A);
        Assert.Equal((2, ""), (late.ExitCode, late.Output));
        Assert.Matches(
            $"^imageaccess: the proxy at {Server}: the policy is {B} by now: carol changed it [0-9-]{{10}} [0-9:]{{5}}Z \\(a trial\\): opens: organization acme: community images allowed\\. Look at it, and change it from there\n$",
            late.Error);
        var lateToo = await RunAsync(carol, "policy", "revert", A, "--reason", "r", "--if-version", A);
        Assert.Equal((2, late.Error), (lateToo.ExitCode, lateToo.Error));

        var reverted = await RunAsync(carol, "policy", "revert", A, "--reason", "it broke", "--ticket", "OPS-1", "--if-version", B, "--json");
        Assert.Equal((0, ""), (reverted.ExitCode, reverted.Error));
        var applied = reverted.Json.GetProperty("applied");
        Assert.Equal((A, B, "carol", "OPS-1"), (applied.GetProperty("version").GetString(), applied.GetProperty("previousVersion").GetString(), applied.GetProperty("who").GetString(), applied.GetProperty("ticket").GetString()));
        Assert.Equal((0, Lax, ""), Said(await RunAsync(carol, "policy", "export", B)));
        Assert.Equal((0, Lax, ""), Said(await RunAsync(carol, "policy", "history", B)));

        foreach (string[] verb in (string[][])[["history"], ["history", "--json"], ["history", "--last", "2"], ["history", B, "--json"], ["history", "--organization", "acme"], ["history", B, "--organization", "acme"]])
            Assert.Equal(Said(await OnServerAsync(["policy", .. verb])), Said(await RunAsync(carol, ["policy", .. verb])));
    }

    [Fact]
    public async Task A_section_is_its_administrators()
    {
        await ImportAsync("strict.json");
        var dan = await TokenFileAsync("administrator", "acme", "dan");
        var section = await RunAsync(dan, "policy", "export", "--organization", "acme");
        Assert.Equal(Said(await OnServerAsync("policy", "export", "--organization", "acme")), Said(section));
        var tag = (await RunAsync(dan, "policy", "export", "--organization", "acme", "--json")).Json.GetProperty("tag").GetString()!;
        await File.WriteAllTextAsync(_directory["section.json"], section.Output.Replace("false", "true", StringComparison.Ordinal));

        var applied = await RunAsync(dan, "policy", "apply", _directory["section.json"], "--organization", "acme", "--reason", "a trial");
        Assert.Equal((0, ""), (applied.ExitCode, applied.Error));
        Assert.Matches($"^{Opens}policy [0-9a-f]{{12}} is in force \\(before: {A}\\): {Effect}$", applied.Output);
        var version = applied.Output.Split('\n')[1].Split(' ')[1];
        await InForceAsync(version);
        Assert.Equal(
            (0, $"the policy is {version} already: nothing is to change\n", ""), Said(await RunAsync(dan, "policy", "apply", _directory["section.json"], "--organization", "acme", "--reason", "r")));
        var late = await RunAsync(dan, "policy", "apply", _directory["section.json"], "--organization", "acme", "--reason", "r", "--if-version", tag);
        Assert.StartsWith($"imageaccess: the proxy at {Server}: the section of acme is ", late.Error, StringComparison.Ordinal);
        Assert.Contains(" by now: dan changed it ", late.Error, StringComparison.Ordinal);

        var history = await RunAsync(dan, "policy", "history", "--organization", "acme");
        Assert.Equal(Said(await OnServerAsync("policy", "history", "--organization", "acme")), Said(history));
        Assert.Equal((0, section.Output, ""), Said(await RunAsync(dan, "policy", "export", A, "--organization", "acme")));
        var reverted = await RunAsync(dan, "policy", "revert", A, "--organization", "acme", "--reason", "it broke");
        Assert.Equal((0, ""), (reverted.ExitCode, reverted.Error));
        Assert.StartsWith("takes back: organization acme: community images allowed\npolicy ", reverted.Output, StringComparison.Ordinal);

        Assert.Equal((2, "", $"imageaccess: the proxy at {Server}: there is no organization globex\n"), Said(await RunAsync(dan, "policy", "export", "--organization", "globex")));
        Assert.Equal((2, "", $"imageaccess: the proxy at {Server}: there is no organization globex\n"), Said(await RunAsync(dan, "policy", "revert", A, "--organization", "globex", "--reason", "r")));
        Assert.Equal((1, "", $"imageaccess: the proxy at {Server}: there is no version abc of the policy\n"), Said(await RunAsync(dan, "policy", "history", "abc", "--organization", "acme")));
        const string Alone = "the token is for acme alone, and this is about every organization: ask for organizations/acme/policy";
        foreach (string[] verb in (string[][])[["export"], ["history"], ["apply", _directory["lax.json"], "--reason", "r"]])
            Assert.Equal((2, "", $"imageaccess: the proxy at {Server}: {Alone}\n"), Said(await RunAsync(dan, ["policy", .. verb])));
        Assert.Equal((2, "", $"imageaccess: the proxy at {Server}: the token's role does not allow this\n"), Said(await RunAsync(dan, "policy", "revert", A, "--reason", "r")));
    }

    [Fact]
    public async Task What_waits_is_told_as_on_the_server_and_decided_by_another()
    {
        var careful = Strict.Replace("\"companyOwners\": [ \"carol\" ]", "\"changes\": { \"approvals\": 2 }", StringComparison.Ordinal)
            .Replace("""{ "name": "globex", "owners": [ "gail" ], "enabled": true }""", "", StringComparison.Ordinal).Replace("} },", "} }", StringComparison.Ordinal);
        await File.WriteAllTextAsync(_directory["careful.json"], careful);
        await ImportAsync("careful.json");
        var (dan, alice) = (await TokenFileAsync("administrator", "acme", "dan"), await TokenFileAsync("owner", "acme", "alice"));
        await File.WriteAllTextAsync(_directory["section.json"], (await RunAsync(dan, "policy", "export", "--organization", "acme")).Output.Replace("false", "true", StringComparison.Ordinal));

        string[] apply = ["policy", "apply", _directory["section.json"], "--organization", "acme", "--reason", "a trial"];
        var waits = await RunAsync(dan, apply);
        Assert.Equal((0, ""), (waits.ExitCode, waits.Error));
        Assert.Matches($"^{Opens}the change 1 waits for a second person, until [0-9-]+ [0-9:]+Z: organization acme: community images allowed; imageaccess changes approve 1\n$", waits.Output);
        Assert.Equal($"imageaccess: the proxy at {Server}: the change 1 of dan waits for the same already\n", (await RunAsync(alice, apply)).Error);
        Assert.Matches("^the change 2 waits for a second person, until .*: elsewhere/tool to acme without an end; imageaccess changes approve 2\n$",
            (await RunAsync(dan, "exceptions", "add", "elsewhere/tool", "--organization", "acme", "--reason", "r")).Output);
        Assert.Equal("waiting", (await RunAsync(dan, "exceptions", "add", "elsewhere/other", "--organization", "acme", "--reason", "r", "--json")).Json.GetProperty("waiting").GetProperty("state").GetString());
        foreach (string[] list in (string[][])[["list"], ["list", "--json"], ["list", "--organization", "acme"], ["list", "--organization", "nobody"]])
            Assert.Equal(Said(await OnServerAsync(["changes", .. list])), Said(await RunAsync(alice, ["changes", .. list])));

        Assert.Equal((2, "", $"imageaccess: the proxy at {Server}: dan asked for the change 1: another person has to approve it\n"), Said(await RunAsync(dan, "changes", "approve", "1")));
        Assert.Equal((2, "", $"imageaccess: the proxy at {Server}: there is no change 9 that waits\n"), Said(await RunAsync(alice, "changes", "approve", "9")));
        Assert.Equal((0, "the change 1 is done: organization acme: community images allowed\n", ""), Said(await RunAsync(alice, "changes", "approve", "1")));
        Assert.Equal((0, "the change 2 is declined: elsewhere/tool to acme without an end\n", ""), Said(await RunAsync(alice, "changes", "decline", "2", "--reason", "use valkey")));
        var declined = (await RunAsync(alice, "changes", "decline", "3", "--reason", "no", "--json")).Json.GetProperty("change");
        Assert.Equal(("declined", "alice", "no"), (declined.GetProperty("state").GetString(), declined.GetProperty("decidedBy").GetString(), declined.GetProperty("decidedReason").GetString()));
        Assert.Equal((0, "no change waits\n", ""), Said(await RunAsync(alice, "changes", "list")));

        Assert.Equal(0, (await RunAsync(dan, "block", "evil/tool", "--reason", "malware")).ExitCode);
        await Eventually.TrueAsync(() => _room.Service<IPolicyStore>().Current.Blocks.Count == 1);
        Assert.Matches("^the change 4 waits for a second person, until .*: evil/tool is blocked no longer; imageaccess changes approve 4\n$",
            (await RunAsync(dan, "unblock", "evil/tool", "--reason", "cleaned")).Output);
    }

    [Fact]
    public async Task A_file_there_is_not_changed_from_elsewhere()
    {
        var carol = await TokenFileAsync("company-owner", null, "carol");
        Assert.Equal(
            (2, "", $"imageaccess: the proxy at {Server}: the policy document is the file {_room.Here.PolicyFile}: change that file, or bring it into the database with imageaccess policy import\n"),
            Said(await RunAsync(carol, "policy", "apply", _directory["lax.json"], "--reason", "r")));
        foreach (var (odd, verb) in new (string, string[])[] { ("..", ["export", "--organization", ".."]), ("..", ["export", ".."]), ("", ["history", ""]), ("a b\"", ["revert", A, "--reason", "r", "--if-version", "a b\""]) })
            Assert.Equal((2, "", $"imageaccess: '{odd}' is no {(verb.Contains("revert") ? "version" : "name")}\n"), Said(await RunAsync(carol, ["policy", .. verb])));
        Assert.Equal((2, "", "imageaccess: --by is about this machine and does not go with --server\n"), Said(await RunAsync(carol, "policy", "apply", _directory["lax.json"], "--reason", "r", "--by", "alice")));
        await File.WriteAllTextAsync(_directory["none.json"], "{");
        Assert.Equal(2, (await RunAsync(carol, "policy", "apply", _directory["none.json"], "--reason", "r")).ExitCode);
        Assert.Equal((2, "", $"imageaccess: {_directory["away.json"]} does not exist\n"), Said(await RunAsync(carol, "policy", "apply", _directory["away.json"], "--reason", "r")));
    }

    private async Task ImportAsync(string file)
    {
        Assert.Equal(0, (await OnServerAsync("policy", "import", _directory[file], "--reason", "one home")).ExitCode);
        await Eventually.TrueAsync(() => _room.Service<PolicyStore>().Source == PolicySource.Database);
        await InForceAsync(PolicyFixture.VersionOf(await File.ReadAllTextAsync(_directory[file])));
    }

    private Task InForceAsync(string version) => Eventually.TrueAsync(() => _room.Service<IPolicyStore>().Current.Version == version);

    private static (int ExitCode, string Output, string Error) Said(CommandLine run) => (run.ExitCode, run.Output, run.Error);

    private Task<CommandLine> OnServerAsync(params string[] arguments) => CommandLine.RunAsync([.. arguments, "--config", _directory["imageaccess.json"]]);

    private Task<CommandLine> RunAsync(string token, params string[] arguments) => CommandLine.RunAsync([.. arguments, "--server", Server, "--token-file", token]);

    private async Task<string> TokenFileAsync(string role, string? organization, string person)
    {
        var file = _directory[$"token{_room.Next()}"];
        await File.WriteAllTextAsync(file, (await _room.MakeAsync(role, organization, person)).Secret + "\n");
        File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return file;
    }
}
