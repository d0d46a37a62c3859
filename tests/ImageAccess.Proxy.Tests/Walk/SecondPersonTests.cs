using System.Globalization;
using System.Runtime.Versioning;
using System.Text.Json;
using System.Text.RegularExpressions;
using ImageAccess.Core.Hosts;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Connections.Ingress.Egress;
using ImageAccess.Proxy.Tests.Administration.Api;
using ImageAccess.Proxy.Tests.Administration.DockerApi;
using ImageAccess.Proxy.Tests.Tools.Verbs;
using Microsoft.EntityFrameworkCore;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>
/// Where the policy demands two persons, no way to open something does without the second: the API, the document, a request, a token, Docker's own API, the
/// verbs on the server, and Docker Hub's own switches. Each is asked for twice, and approved by its asker in vain, before another person does it.
/// </summary>
[SupportedOSPlatform("linux")]
public sealed partial class SecondPersonTests : IAsyncLifetime, IDisposable
{
    private const string Policy =
        """
        {
          "changes": { "approvals": 2 },
          "companyOwners": [ "carol", "cora" ],
          "organizations": [
            { "name": "acme", "owners": [ "alice", "ann" ], "members": [ "bob", "dan" ], "roles": { "administrators": [ "dan" ], "approvers": [ "kim" ] }, "enabled": true, "allow": { "official": true },
              "registries": { "enabled": true, "custom": [ { "address": "ghcr.io", "allowed": true } ] } }
          ]
        }
        """;

    private const string Official = "\"allow\": { \"official\": true }";
    private const string WithCommunity = "\"allow\": { \"official\": true, \"community\": true }";
    private const string CommunityOpens = "organization acme: community images allowed";
    private const string Community = "someuser/custom-image";
    private const string Nginx = "library/nginx";
    private const string Password = "canary-alices-password";

    private readonly ApiRoom _room = new();
    private readonly TemporaryDirectory _directory = new();

    private static string Section { get; } = JsonSerializer.Serialize(JsonSerializer.Deserialize<JsonElement>(Policy).GetProperty("organizations")[0]);

    private static string SectionWithCommunity { get; } = Section.Replace("\"official\":true", "\"official\":true,\"community\":true", StringComparison.Ordinal);

    public async Task InitializeAsync()
    {
        var secret = _directory["secret"];
        await File.WriteAllTextAsync(secret, Password);
        File.SetUnixFileMode(secret, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        await _room.StartAsync(("Follow:Username", "alice"), ("Follow:SecretFile", secret), ("Follow:Interval", "00:00:01"));
        _room.Here.Hub.Users.Find("alice")!.Password = Password;
        await _room.ImportAsync(Policy);
        await File.WriteAllTextAsync(_directory["imageaccess.json"], $$"""
            { "Data": { "Directory": "{{_room.Here.DataDirectory}}" }, "Listen": { "Admin": "{{_room.Here.Admin.GetLeftPart(UriPartial.Authority)}}" } }
            """);
    }

    public Task DisposeAsync() => _room.DisposeAsync();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public Task A_section_by_the_API() => WaitsAsync(
        Community, "dan", "alice", async () => await SectionAsync("dan", SectionWithCommunity), $"202 {CommunityOpens}", "409 the change 1 of dan waits for the same already");

    [Fact]
    public Task An_exception_by_the_API() => WaitsAsync(
        Community,
        "dan",
        "alice",
        () => SendAsync("POST", "/api/v1/exceptions", "dan", $$"""{ "organization": "acme", "image": "{{Community}}", "reason": "a trial" }"""),
        $"202 {Community} to acme without an end",
        "409 the change 1 of dan waits for the same already");

    [Fact]
    public async Task A_block_that_is_lifted_by_the_API()
    {
        var block = (await _room.SendAsync("POST", "/api/v1/blocks", await TokenAsync("dan"), $$"""{ "image": "{{Nginx}}", "reason": "malware" }""")).Json.GetProperty("id").GetInt64();
        await WaitsAsync(
            Nginx, "dan", "alice", () => SendAsync("POST", $"/api/v1/blocks/{block}/lift", "dan", """{ "reason": "cleaned" }"""), "202 nginx is blocked no longer", "409 the change 1 of dan waits for the same already");
    }

    [Fact]
    public Task A_document_by_the_API() => WaitsAsync(
        Community,
        "carol",
        "cora",
        async () => await SendAsync("PUT", "/api/v1/policy?reason=a-trial", "carol", Policy.Replace(Official, WithCommunity, StringComparison.Ordinal), (await _room.SendAsync("GET", "/api/v1/policy", await TokenAsync("carol"))).Tag),
        $"202 {CommunityOpens}",
        "409 the change 1 of carol waits for the same already");

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public async Task A_document_by_a_verb(bool elsewhere, bool isSection)
    {
        var (file, asker) = (_directory["document"], isSection ? "dan" : "carol");
        await File.WriteAllTextAsync(file, isSection ? SectionWithCommunity : Policy.Replace(Official, WithCommunity, StringComparison.Ordinal));
        string[] arguments = ["policy", "apply", file, "--reason", "a trial", .. isSection ? ["--organization", "acme"] : Array.Empty<string>()];
        await WaitsAsync(
            Community,
            asker,
            isSection ? "alice" : "cora",
            async () => elsewhere ? await ElsewhereAsync(asker, arguments) : await VerbAsync([.. arguments, "--by", asker]),
            $"0 opens: {CommunityOpens}\nthe change 1 waits for a second person, until TIME: {CommunityOpens}; imageaccess changes approve 1",
            $"2 {(elsewhere ? $"imageaccess: the proxy at {Server}: " : $"opens: {CommunityOpens}\nimageaccess: ")}the change 1 of {asker} waits for the same already");
    }

    [Fact]
    public Task An_exception_by_a_verb() => WaitsAsync(
        Community,
        "dan",
        "alice",
        () => VerbAsync("exceptions", "add", Community, "--organization", "acme", "--reason", "a trial", "--by", "dan"),
        $"0 the change 1 waits for a second person, until TIME: {Community} to acme without an end; imageaccess changes approve 1",
        "2 imageaccess: the change 1 of dan waits for the same already");

    [Fact]
    public async Task A_block_that_is_lifted_by_a_verb()
    {
        Assert.StartsWith("0 nginx is blocked ", await VerbAsync("block", "nginx", "--reason", "malware", "--by", "dan"), StringComparison.Ordinal);
        await Eventually.TrueAsync(async () => await PullAsync(Nginx) == 403);
        await WaitsAsync(
            Nginx,
            "dan",
            "alice",
            () => VerbAsync("unblock", "nginx", "--reason", "cleaned", "--by", "dan"),
            "0 the change 1 waits for a second person, until TIME: nginx is blocked no longer; imageaccess changes approve 1",
            "2 imageaccess: the change 1 of dan waits for the same already");
    }

    [Fact]
    public async Task An_exception_by_request()
    {
        Assert.Equal(201, (await _room.SendAsync("POST", "/api/v1/requests", await TokenAsync("bob"), $$"""{ "image": "{{Community}}", "reason": "for the build", "days": 3 }""")).Status);
        await WaitsAsync(
            Community,
            "kim",
            "alice",
            async () =>
            {
                var answer = await _room.SendAsync("POST", "/api/v1/requests/1/approve", await TokenAsync("kim"), "{}");
                return $"{answer.Status} {(answer.Status == 202 ? answer.Json.GetProperty("answers")[0].GetProperty("state").GetString() : answer.Detail)}";
            },
            "202 waiting",
            "409 kim has approved the request 1 for acme already, and it waits for a second person: change 1");
        var decided = await _room.SendAsync("GET", "/api/v1/requests/1", await TokenAsync("bob"));
        Assert.Equal("kim and alice", decided.Json.GetProperty("answers")[0].GetProperty("by").GetString());
    }

    [Fact]
    public async Task A_request_that_is_approved_by_a_verb()
    {
        await _room.SendAsync("POST", "/api/v1/requests", await TokenAsync("bob"), $$"""{ "image": "{{Community}}", "reason": "for the build", "days": 3 }""");
        await WaitsAsync(
            Community,
            "kim",
            "alice",
            () => VerbAsync("requests", "approve", "1", "--by", "kim"),
            "0 the request 1 is open: acme waits for a second person; imageaccess changes approve 1",
            "2 imageaccess: kim has approved the request 1 for acme already, and it waits for a second person: change 1");
    }

    /// <summary>Who asked for access is not the second person either.</summary>
    [Fact]
    public async Task Who_asks_for_access_is_not_the_second_person()
    {
        await _room.SendAsync("POST", "/api/v1/requests", await TokenAsync("dan"), $$"""{ "image": "{{Community}}", "reason": "for the build", "days": 3 }""");
        await _room.SendAsync("POST", "/api/v1/requests/1/approve", await TokenAsync("kim"), "{}");
        var own = await ApproveAsync("dan");
        Assert.Equal((403, "dan has asked for the request 1: another person has to approve the change 1"), (own.Status, own.Detail));
        Assert.Equal(403, await PullAsync(Community));
    }

    [Fact]
    public Task The_settings_of_Dockers_own_API()
    {
        var terraform = new DockerClient(_room, "alice", "dckr_pat_alice");
        return WaitsAsync(
            "bitnami/redis",
            "alice",
            "ann",
            async () => Told(await terraform.SetImagesAsync(enabled: true, official: true, verifiedPublishers: true)),
            "403 not done yet: it opens something (organization acme: verified publisher images allowed), and the change 1 waits for a second person to approve it",
            "409 the change 1 of alice waits for the same already");
    }

    [Fact]
    public Task Image_access_switched_off_by_Dockers_own_API_with_a_token_of_ours() => WaitsAsync(
        Community,
        "dan",
        "alice",
        async () => Told(await new DockerClient(_room, "anything", await TokenAsync("dan")).DeleteImagesAsync()),
        "403 not done yet: it opens something (image access is off, organization acme: disabled, organization acme: verified publisher images allowed), and the change 1 waits for a second person to approve it",
        "409 the change 1 of dan waits for the same already");

    [Fact]
    public Task The_registries_of_Dockers_own_API()
    {
        var terraform = new DockerClient(_room, "alice", "dckr_pat_alice");
        var egress = _room.Service<EgressPolicy>();
        return WaitsAsync(
            () => Task.FromResult(egress.Decide(HostName.Parse("quay.io"), 443).Verdict.ToString() == "Tunnel"),
            "alice",
            "ann",
            async () => Told(await terraform.SetRegistriesAsync(true, ("ghcr.io", "", true), ("quay.io", "", true))),
            "403 not done yet: it opens something (organization acme: registry quay.io allowed), and the change 1 waits for a second person to approve it",
            "409 the change 1 of alice waits for the same already");
    }

    /// <summary>And when it is approved it is still its maker's: it approves nothing that they have asked for.</summary>
    [Fact]
    public async Task A_token_by_the_API()
    {
        const string Wanted = """{ "role": "administrator", "label": "ci" }""";
        var made = (await _room.SendAsync("POST", "/api/v1/tokens", await TokenAsync("dan"), Wanted)).Json;
        var secret = made.GetProperty("secret").GetString()!;
        Assert.Equal("a token 'ci' with the role administrator of acme for dan", made.GetProperty("waiting").GetProperty("opens")[0].GetString());
        await WaitsAsync(
            async () => (await _room.SendAsync("GET", "/api/v1/status", secret)).Status == 200,
            "dan",
            "alice",
            () => SendAsync("POST", "/api/v1/tokens", "dan", Wanted),
            told: "409 the change 1 of dan waits for the same already",
            again: "409 the change 1 of dan waits for the same already");

        await SendAsync("POST", "/api/v1/exceptions", "dan", $$"""{ "organization": "acme", "image": "{{Community}}", "reason": "a trial" }""");
        var own = await _room.SendAsync("POST", "/api/v1/changes/2/approve", secret);
        Assert.Equal((403, "dan asked for the change 2: another person has to approve it"), (own.Status, own.Detail));
        Assert.Equal(403, await PullAsync(Community));
    }

    /// <summary>A token that is nobody's opens nothing as the second hand of who made it.</summary>
    [Fact]
    public async Task A_token_by_a_verb()
    {
        string[] arguments = ["tokens", "create", "--role", "administrator", "--organization", "acme", "--label", "ci", "--by", "dan"];
        var made = await CommandLine.RunAsync([.. arguments, "--config", _directory["imageaccess.json"]]);
        Assert.EndsWith("it is good once a second person has approved it: imageaccess changes approve 1\n", made.Error, StringComparison.Ordinal);
        var secret = made.Output.Trim();
        await WaitsAsync(
            async () => (await _room.SendAsync("GET", "/api/v1/status", secret)).Status == 200,
            "dan",
            "alice",
            () => VerbAsync(arguments),
            told: "2 imageaccess: the change 1 of dan waits for the same already",
            again: "2 imageaccess: the change 1 of dan waits for the same already");

        await SendAsync("POST", "/api/v1/exceptions", "dan", $$"""{ "organization": "acme", "image": "{{Community}}", "reason": "a trial" }""");
        var nobody = await _room.SendAsync("POST", "/api/v1/changes/2/approve", secret);
        Assert.Equal((403, "a change is approved by a person, and this token is nobody's"), (nobody.Status, nobody.Detail));
        Assert.Equal(403, await PullAsync(Community));
    }

    [Fact]
    public async Task Docker_Hubs_own_switches()
    {
        _room.Here.Hub.Namespaces.Find("acme")!.RestrictedImages = new FakeRestrictedImages(Enabled: true, AllowOfficialImages: true, AllowVerifiedPublishers: true);
        await WaitsAsync(
            "bitnami/redis",
            "dan",
            "alice",
            () => SectionAsync("dan", Section.Replace("\"name\":\"acme\"", "\"name\":\"acme\",\"follow\":\"docker-hub\"", StringComparison.Ordinal)),
            "202 organization acme: follows Docker Hub's own switches, which may open",
            "409 the change 1 of dan waits for the same already");
    }

    [Fact]
    public async Task An_import_does_not_go_round_it()
    {
        var file = _directory["document"];
        await File.WriteAllTextAsync(file, Policy.Replace(Official, WithCommunity, StringComparison.Ordinal).Replace("\"approvals\": 2", "\"approvals\": 1", StringComparison.Ordinal));
        Assert.Equal(
            "2 imageaccess: the document opens something, which takes two persons (changes.approvals): import the policy as it is, then change it with imageaccess policy apply",
            await VerbAsync("policy", "import", file, "--reason", "a trial", "--by", "dan"));
        Assert.Equal(403, await PullAsync(Community));
    }

    private string Server => _room.Here.Further[^1].GetLeftPart(UriPartial.Authority);

    private Task WaitsAsync(string repository, string asker, string other, Func<Task<string>> ask, string told, string again) =>
        WaitsAsync(async () => await PullAsync(repository) == 200, asker, other, ask, told, again);

    /// <param name="isOpen">Whether what is asked for can be had.</param>
    /// <param name="asker">Who asks.</param>
    /// <param name="other">Another person, who may do the same.</param>
    /// <param name="ask">Asks for it; what is answered.</param>
    /// <param name="told">What the first is told.</param>
    /// <param name="again">What is told afterwards.</param>
    private async Task WaitsAsync(Func<Task<bool>> isOpen, string asker, string other, Func<Task<string>> ask, string told, string again)
    {
        Assert.False(await isOpen());
        Assert.Equal(told, await ask());
        Assert.False(await isOpen());
        Assert.Equal(again, await ask());
        foreach (var label in new[] { "a test", "another" })
        {
            var own = await ApproveAsync(asker, label);
            Assert.Equal((403, $"{asker} asked for the change 1: another person has to approve it"), (own.Status, own.Detail));
        }

        foreach (var name in new[] { asker, asker.ToUpperInvariant() })
            Assert.Equal($"2 imageaccess: {name} asked for the change 1: another person has to approve it", await VerbAsync("changes", "approve", "1", "--by", name));
        Assert.Equal(403, (await ApproveAsync("bob")).Status);
        Assert.Equal(again, await ask());
        Assert.Equal(1, await _room.Database.ReadAsync(context => context.PendingChanges.CountAsync(), default));
        Assert.False(await isOpen());

        var done = await ApproveAsync(other);
        Assert.Equal((200, "done", asker, other), (done.Status, done.Json.GetProperty("state").GetString(), done.Json.GetProperty("by").GetString(), done.Json.GetProperty("decidedBy").GetString()));
        await Eventually.TrueAsync(isOpen);
    }

    private async Task<ApiAnswer> ApproveAsync(string person, string label = "a test") => await _room.SendAsync("POST", "/api/v1/changes/1/approve", await TokenAsync(person, label));

    private Task<string> TokenAsync(string person, string label = "a test") => person switch
    {
        "carol" or "cora" => _room.TokenAsync("company-owner", null, person, label),
        "alice" or "ann" => _room.TokenAsync("owner", "acme", person, label),
        "bob" => _room.TokenAsync("member", "acme", person, label),
        "kim" => _room.TokenAsync("approver", "acme", person, label),
        _ => _room.TokenAsync("administrator", "acme", person, label),
    };

    private async Task<string> SectionAsync(string person, string section)
    {
        var tag = (await _room.SendAsync("GET", "/api/v1/organizations/acme/policy", await TokenAsync(person))).Tag;
        return await SendAsync("PUT", "/api/v1/organizations/acme/policy?reason=a-trial", person, section, tag);
    }

    private async Task<string> SendAsync(string method, string target, string person, string body, string? ifMatch = null)
    {
        var answer = await _room.SendAsync(method, target, await TokenAsync(person), body, ifMatch);
        if (answer.Status != 202)
            return Told(answer);
        var waiting = answer.Json.GetProperty("waiting");
        Assert.Equal(string.Create(CultureInfo.InvariantCulture, $"/api/v1/changes/{waiting.GetProperty("id").GetInt64()}"), answer.Location);
        return $"{answer.Status} {waiting.GetProperty("opens")[0].GetString()}";
    }

    private static string Told(ApiAnswer answer) => $"{answer.Status} {(answer.Status < 400 ? answer.Text : answer.Detail)}";

    private async Task<string> ElsewhereAsync(string person, params string[] arguments)
    {
        var file = _directory[person];
        await File.WriteAllTextAsync(file, await TokenAsync(person) + "\n");
        File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return Told(await CommandLine.RunAsync([.. arguments, "--server", Server, "--token-file", file]));
    }

    private async Task<string> VerbAsync(params string[] arguments) => Told(await CommandLine.RunAsync([.. arguments, "--config", _directory["imageaccess.json"]]));

    private static string Told(CommandLine command) => EndTime().Replace(
        string.Create(CultureInfo.InvariantCulture, $"{command.ExitCode} {command.Output}{command.Error}").TrimEnd('\n'), "until TIME");

    [GeneratedRegex("until [-0-9]{10} [:0-9]{5}Z", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex EndTime();

    private async Task<int> PullAsync(string repository) =>
        (await _room.Here.AskAsync("GET", $"/v2/{repository}/manifests/latest", await _room.Here.PullTokenAsync("bob", repository), "curl/8")).Status;
}
