using System.Runtime.Versioning;
using ImageAccess.Proxy.Administration.Tokens;
using ImageAccess.Proxy.Administration.Usage;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Store;
using ImageAccess.Proxy.Tests.Administration.Api;
using ImageAccess.Proxy.Tests.Administration.Usage;
using Microsoft.EntityFrameworkCore;

namespace ImageAccess.Proxy.Tests.Tools.Verbs;

/// <summary>The verbs that ask a proxy elsewhere by its API, and those that make its tokens on the server.</summary>
[SupportedOSPlatform("linux")]
public sealed class ServerVerbTests(ApiRoom room) : IClassFixture<ApiRoom>, IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    private string Server => room.Here.Further[^1].GetLeftPart(UriPartial.Authority);

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task An_exception_is_added_listed_and_ended_from_another_machine()
    {
        var token = await TokenFileAsync(await room.TokenAsync("approver"));
        var added = await RunAsync(token, "exceptions", "add", "elsewhere/tool", "--organization", "acme", "--reason", "for the build", "--for", "30d");
        Assert.Equal(0, added.ExitCode);
        Assert.Matches("^the exception [0-9]+ opens elsewhere/tool to acme until .*: a running proxy has it within a second\n$", added.Output);
        var id = added.Output.Split(' ')[2];

        var again = await RunAsync(token, "exceptions", "add", "elsewhere/tool", "--organization", "acme", "--reason", "for the build", "--for", "30d");
        Assert.Equal(2, again.ExitCode);
        Assert.StartsWith($"imageaccess: the proxy at {Server}: acme has an exception for elsewhere/tool already: {id}, until ", again.Error, StringComparison.Ordinal);

        var listed = await RunAsync(token, "exceptions", "list", "--json");
        Assert.Contains(listed.Json.GetProperty("exceptions").EnumerateArray(), one => one.GetProperty("image").GetString() == "elsewhere/tool");
        var ended = await RunAsync(token, "exceptions", "end", id, "--reason", "done");
        Assert.Equal($"the exception {id} opens elsewhere/tool to acme no longer: a running proxy has it within a second\n", ended.Output);
        var over = await RunAsync(token, "exceptions", "list", "--ended");
        Assert.Contains("elsewhere/tool", over.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_image_is_blocked_from_another_machine_and_the_block_is_lifted()
    {
        var token = await TokenFileAsync(await room.TokenAsync("company-owner", null));
        var blocked = await RunAsync(token, "block", "evil/tool", "--reason", "malware");
        Assert.Matches($"^evil/tool is blocked \\(block [0-9]+ of the proxy at {Server}\\): a running proxy enforces it within a second\n$", blocked.Output);
        await Eventually.TrueAsync(() => room.Service<IPolicyStore>().Current.Blocks.Count > 0);
        Assert.Contains("evil/tool", (await RunAsync(token, "block", "list")).Output, StringComparison.Ordinal);
        Assert.StartsWith("evil/tool is blocked no longer (block ", (await RunAsync(token, "unblock", "evil/tool", "--reason", "cleaned")).Output, StringComparison.Ordinal);
        await Eventually.TrueAsync(() => room.Service<IPolicyStore>().Current.Blocks.Count == 0);
        Assert.Equal($"imageaccess: evil/tool is not blocked at the proxy at {Server}; imageaccess block list names what is\n", (await RunAsync(token, "unblock", "evil/tool", "--reason", "cleaned")).Error);
    }

    [Fact]
    public async Task Pulls_are_counted_from_another_machine()
    {
        var now = TimeProvider.System.GetUtcNow();
        UsageEvent[] decisions =
        [
            UsageRoom.Read(UsageRoom.Line("a1", now, caller: "bob")), UsageRoom.Read(UsageRoom.Line("a2", now, caller: "dora", outcome: "deny", repository: "evil/tool")),
            UsageRoom.Read(UsageRoom.Line("a3", now, caller: "hank", organizations: ["globex"])),
        ];
        await room.Service<UsageStore>().AddAsync(decisions, null, UsageDays.At(now, new UsageOptions()), default);
        var (auditor, member) = (await TokenFileAsync(await room.TokenAsync("auditor")), await TokenFileAsync(await room.TokenAsync("member", "globex", "hank")));
        Assert.Equal("caller,decisions,pulls\r\nbob,1,1\r\ndora,1,1\r\n", (await RunAsync(auditor, "usage", "--by", "caller", "--csv")).Output);
        Assert.Equal("DECISIONS  PULLS  REPOSITORY\n        1      1  evil/tool\n    1 decision and 1 pull in all\n", (await RunAsync(auditor, "usage", "--denied", "--since", "12h")).Output);
        Assert.Equal("caller,decisions,pulls\r\nhank,1,1\r\n", (await RunAsync(member, "usage", "--by", "caller", "--csv")).Output);
        var refused = await RunAsync(auditor, "usage", "--by", "owner");
        Assert.Equal((2, $"imageaccess: the proxy at {Server}: by is 'owner': choose repository, digest, caller, type, rule, client, day, outcome\n"), (refused.ExitCode, refused.Error));
        var others = await RunAsync(auditor, "usage", "--organization", "globex");
        Assert.Equal((2, $"imageaccess: the proxy at {Server}: there is no organization globex\n"), (others.ExitCode, others.Error));
    }

    [Fact]
    public async Task Denials_are_listed_and_shown_from_another_machine_as_on_the_server()
    {
        var id = await room.DenyAsync("bob");
        await room.DenyAsync("hank", "globex");
        var (auditor, member) = (await TokenFileAsync(await room.TokenAsync("auditor")), await TokenFileAsync(await room.TokenAsync("member", "globex", "hank")));
        var configuration = _directory["imageaccess.json"];
        await File.WriteAllTextAsync(configuration, $$"""{ "Data": { "Directory": "{{room.Here.DataDirectory}}" } }""");
        var here = await CommandLine.RunAsync("denials", "show", id, "--config", configuration);
        Assert.Equal((0, here.Output), ((await RunAsync(auditor, "denials", "show", id)).ExitCode, (await RunAsync(auditor, "denials", "show", id)).Output));
        Assert.Contains(id, (await RunAsync(auditor, "denials", "list", "--caller", "bob")).Output, StringComparison.Ordinal);
        Assert.Equal(
            (await CommandLine.RunAsync("denials", "list", "--organization", "acme", "--json", "--config", configuration)).Output, (await RunAsync(auditor, "denials", "list", "--json")).Output);
        Assert.Single((await RunAsync(auditor, "denials", "list", "--last", "1", "--json")).Json.GetProperty("denials").EnumerateArray());

        var hidden = await RunAsync(member, "denials", "show", id); // of another organization
        Assert.Equal(1, hidden.ExitCode);
        Assert.StartsWith($"imageaccess: no denial {id} is kept", hidden.Error, StringComparison.Ordinal);
        Assert.Equal("no denial is kept\n", (await RunAsync(auditor, "denials", "list", "--caller", "nobody")).Output);
        Assert.Equal(2, (await RunAsync(auditor, "denials", "list", "--organization", "globex")).ExitCode);
        Assert.Equal(2, (await RunAsync(auditor, "denials", "list", "--config", configuration)).ExitCode);
    }

    [Fact]
    public async Task An_image_is_checked_at_another_machine()
    {
        var token = await TokenFileAsync(await room.TokenAsync("auditor"));
        var run = await RunAsync(token, "check", "nginx:1.27", "bitnami/redis");
        Assert.Equal(1, run.ExitCode);
        Assert.Contains($"of the proxy at {Server}", run.Output, StringComparison.Ordinal);
        Assert.Contains("1 allowed, 1 denied", run.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Files_are_scanned_against_another_machine_that_knows_the_publishers()
    {
        var token = await TokenFileAsync(await room.TokenAsync("auditor"));
        await File.WriteAllTextAsync(_directory["Dockerfile"], "FROM nginx:1.27\nFROM bitnami/redis\nFROM someuser/custom-image\nFROM ghcr.io/x/y\n");
        var run = await RunAsync(token, "scan", _directory["Dockerfile"], "--as", "bob");
        Assert.Equal((1, ""), (run.ExitCode, run.Error));
        var version = room.Service<IPolicyStore>().Current.Version;
        Assert.Equal(
            $"""
            as bob, a member of acme, by policy {version} of the proxy at {Server}

            WHERE         VERDICT  RULE                IMAGE
            DOCKERFILE:1  allow    official            nginx:1.27
            DOCKERFILE:2  deny     verified-publisher  bitnami/redis
                FROM: image access denied: verified publisher images not allowed
            DOCKERFILE:3  deny     community           someuser/custom-image
                FROM: image access denied: community images not allowed
            DOCKERFILE:4  outside  -                   ghcr.io/x/y
                FROM: ghcr.io is not Docker Hub: outside this policy

            4 images in 1 file: 1 allowed, 2 denied, 1 outside the policy

            """,
            run.Output.Replace(_directory["Dockerfile"], "DOCKERFILE", StringComparison.Ordinal).Replace("WHERE" + new string(' ', _directory["Dockerfile"].Length - 1), "WHERE         ", StringComparison.Ordinal));
        var facts = (await RunAsync(token, "scan", _directory["Dockerfile"], "--json")).Json;
        Assert.Equal($"the proxy at {Server}", facts.GetProperty("source").GetString());
        Assert.Equal((2, "", "imageaccess: --offline is about this machine and does not go with --server\n"), Said(await RunAsync(token, "scan", _directory["Dockerfile"], "--offline")));
        Assert.Equal((2, "", $"imageaccess: the proxy at {Server}: there is no organization globex\n"), Said(await RunAsync(token, "scan", _directory["Dockerfile"], "--organization", "globex")));
    }

    [Fact]
    public async Task One_tag_may_be_blocked_and_another_not()
    {
        var token = await TokenFileAsync(await room.TokenAsync("company-owner", null));
        Assert.Equal(0, (await RunAsync(token, "block", "nginx:1.25", "--reason", "CVE")).ExitCode);
        await Eventually.TrueAsync(() => room.Service<IPolicyStore>().Current.Blocks.All.Any(block => block.Pattern.ToString() == "nginx:1.25"));
        await File.WriteAllTextAsync(_directory["Dockerfile"], "FROM nginx:1.27\nFROM nginx:1.25\n");
        var run = await RunAsync(token, "scan", _directory["Dockerfile"], "--organization", "acme", "--json");
        Assert.Equal(["official", "block"], run.Json.GetProperty("images").EnumerateArray().Select(image => image.GetProperty("rule").GetString()));
        Assert.Equal(0, (await RunAsync(token, "unblock", "nginx:1.25", "--reason", "over")).ExitCode);
        await Eventually.TrueAsync(() => room.Service<IPolicyStore>().Current.Blocks.All.All(block => block.Pattern.ToString() != "nginx:1.25"));
    }

    [Fact]
    public async Task A_token_that_is_over_or_of_another_organization_opens_nothing()
    {
        var (id, secret) = await room.MakeAsync("auditor");
        await room.Database.WriteAsync(context => context.ApiTokens.Where(row => row.Id == id).ExecuteUpdateAsync(set => set.SetProperty(row => row.ExpiresMilliseconds, 1)), default);
        var over = await TokenFileAsync(secret);
        foreach (string[] verb in (string[][])[["exceptions", "list"], ["changes", "list"], ["policy", "history"], ["policy", "export"], ["check", "nginx"], ["tokens", "list"], ["block", "list"]])
            Assert.Equal((2, "", $"imageaccess: the proxy at {Server}: no API token, or none that is good: send Authorization: Bearer TOKEN\n"), Said(await RunAsync(over, verb)));
        var acme = await TokenFileAsync(await room.TokenAsync("administrator"));
        foreach (string[] verb in (string[][])[["exceptions", "list"], ["exceptions", "add", "a/b", "--reason", "r"], ["policy", "history"], ["check", "nginx"]])
            Assert.Equal((2, "", $"imageaccess: the proxy at {Server}: there is no organization globex\n"), Said(await RunAsync(acme, [.. verb, "--organization", "globex"])));
    }

    [Theory]
    [InlineData("images.example.com")]
    [InlineData("ftp://images.example.com")]
    [InlineData("https://carol@images.example.com")]
    [InlineData("https://images.example.com/console")]
    [InlineData("https://images.example.com/?a=b")]
    [InlineData("https://")]
    [InlineData("")]
    public async Task What_is_no_address_is_asked_nothing(string server)
    {
        var token = await TokenFileAsync(TokenSecret.Make());
        Assert.Equal($"imageaccess: --server: '{server}' is not an address, as https://images.example.com\n", await ErrorAsync("--server", server, "--token-file", token));
    }

    [Fact]
    public async Task Tokens_are_made_on_the_server_listed_and_revoked_from_anywhere()
    {
        var configuration = _directory["imageaccess.json"];
        await File.WriteAllTextAsync(configuration, $$"""{ "Data": { "Directory": "{{room.Here.DataDirectory}}" } }""");
        var made = await CommandLine.RunAsync("tokens", "create", "--role", "administrator", "--organization", "acme", "--label", "the deployment", "--expires", "30d", "--by", "root", "--config", configuration);
        Assert.Equal(0, made.ExitCode);
        var secret = made.Output.TrimEnd();
        Assert.True(TokenSecret.IsOne(secret));
        Assert.Matches("^token [0-9]+: administrator of acme, until .*; it is shown this once\n$", made.Error);
        Assert.Equal(200, (await room.SendAsync("GET", "/api/v1/tokens", secret)).Status);

        var token = await TokenFileAsync(secret);
        var listed = await RunAsync(token, "tokens", "list");
        Assert.Contains("the deployment", listed.Output, StringComparison.Ordinal);
        Assert.DoesNotContain(secret, listed.Output, StringComparison.Ordinal);
        var other = await room.MakeAsync("auditor", label: "the report");
        Assert.Equal($"the token {other.Id} (the report) is revoked\n", (await RunAsync(token, "tokens", "revoke", $"{other.Id}")).Output);
        var onServer = await CommandLine.RunAsync("tokens", "revoke", $"{other.Id}", "--config", configuration);
        Assert.Equal(2, onServer.ExitCode);
        Assert.StartsWith($"imageaccess: the token {other.Id} was revoked already, ", onServer.Error, StringComparison.Ordinal);
        Assert.Contains("revoked", (await CommandLine.RunAsync("tokens", "list", "--config", configuration)).Output, StringComparison.Ordinal);

        room.Service<DatabaseState>().Wake();
        await Eventually.TrueAsync(() => room.Database.ReadAsync(context => context.ApiTokens.AllAsync(row => row.Told > 0), default));
        await Eventually.TrueAsync(async () => (await room.Here.AuditAsync(1)).Any(
            line => line.TryGetProperty("reason", out var reason) && reason.GetString() == "the deployment" && line.GetProperty("user").GetString() == "root"));
    }

    [Theory]
    [InlineData("--role emperor", "--role 'emperor' is not one of member, auditor, approver, administrator, owner, on-call, company-owner, reporter")]
    [InlineData("--role auditor --organization nobody", "--organization 'nobody' is not in the policy")]
    [InlineData("--role auditor --for Not@aName", "--for 'not@aname' is no user name of Docker Hub")]
    [InlineData("--role auditor --expires 366d", "--expires must be 1 to 365 days from now")]
    [InlineData("--role auditor --expires soon", "--expires 'soon' is not a duration, as 30s, 5m, 12h or 7d")]
    public async Task A_token_that_makes_no_sense_is_refused(string arguments, string error)
    {
        var configuration = _directory["imageaccess.json"];
        await File.WriteAllTextAsync(configuration, $$"""{ "Data": { "Directory": "{{room.Here.DataDirectory}}" } }""");
        var run = await CommandLine.RunAsync(["tokens", "create", .. arguments.Split(' '), "--config", configuration]);
        Assert.Equal((2, $"imageaccess: {error}\n"), (run.ExitCode, run.Error));
    }

    [Fact]
    public async Task The_token_is_sent_to_nobody_whom_it_does_not_concern()
    {
        var token = await TokenFileAsync(await room.TokenAsync("auditor"));
        Assert.Equal("imageaccess: --server: http://images.example.com/ would be sent the token in the clear: use https\n", await ErrorAsync("--server", "http://images.example.com", "--token-file", token));
        Assert.Equal("imageaccess: --server needs an API token: name a file that holds one with --token-file\n", await ErrorAsync("--server", Server));
        Assert.Equal("imageaccess: --token-file goes with --server\n", await ErrorAsync("--token-file", token));
        Assert.Equal("imageaccess: --config is about this machine and does not go with --server\n", await ErrorAsync("--server", Server, "--token-file", token, "--config", "x.json"));
        File.SetUnixFileMode(token, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.OtherRead);
        Assert.Equal($"imageaccess: --token-file: {token} can be read by others than its owner: chmod 600 {token}\n", await ErrorAsync("--server", Server, "--token-file", token));
        var nonsense = await TokenFileAsync("hello");
        Assert.Equal($"imageaccess: --token-file: {nonsense} does not hold an API token, as imageaccess tokens create prints it\n", await ErrorAsync("--server", Server, "--token-file", nonsense));
        var unknown = await TokenFileAsync(TokenSecret.Make());
        Assert.Equal($"imageaccess: the proxy at {Server}: no API token, or none that is good: send Authorization: Bearer TOKEN\n", await ErrorAsync("--server", Server, "--token-file", unknown));
        var admin = room.Here.Admin.GetLeftPart(UriPartial.Authority);
        Assert.Equal($"imageaccess: the proxy at {admin} is not the console of this program, or not of this version\n", await ErrorAsync("--server", admin, "--token-file", unknown));
    }

    private static (int ExitCode, string Output, string Error) Said(CommandLine run) => (run.ExitCode, run.Output, run.Error);

    private static async Task<string> ErrorAsync(params string[] options)
    {
        var run = await CommandLine.RunAsync(["exceptions", "list", .. options]);
        Assert.Equal(2, run.ExitCode);
        return run.Error;
    }

    private Task<CommandLine> RunAsync(string token, params string[] arguments) => CommandLine.RunAsync([.. arguments, "--server", Server, "--token-file", token]);

    private async Task<string> TokenFileAsync(string token)
    {
        var file = _directory[$"token{room.Next()}"];
        await File.WriteAllTextAsync(file, token + "\n");
        File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return file;
    }
}
