using System.Runtime.Versioning;
using System.Text.Json;
using ImageAccess.FakeHubs;

namespace ImageAccess.EndToEnd.Tests;

/// <summary>Access is asked for with real clients: denied, asked for by the denial's id over the API, approved by each organization that denies, pulled, expired, and denied again.</summary>
[Collection(nameof(SurroundingsOfDecisions))]
[SupportedOSPlatform("linux")]
public sealed class RequestTests(Surroundings world)
{
    /// <summary>dora is a member of both.</summary>
    private const string Policy = """
        {
          "organizations": [
            { "name": "acme", "owners": [ "alice" ], "members": [ "bob", "dora" ], "enabled": true, "allow": { "community": false }, "help": "ask in #platform" },
            { "name": "beta", "owners": [ "nina" ], "members": [ "dora" ], "enabled": true, "allow": { "community": false }, "help": "ask in #platform" }
          ]
        }
        """;

    /// <summary>For how long the second organization approves: a pull takes a small part of it.</summary>
    private static readonly TimeSpan Long = TimeSpan.FromMinutes(1);

    [Theory]
    [InlineData("dockerd 28")]
    [InlineData("containerd 2")]
    public async Task What_is_denied_is_asked_for_by_its_id_approved_pulled_and_denied_again_once_that_has_expired(string name)
    {
        var repository = $"someuser/asked-for-by-{name.Replace(' ', '-')}";
        await world.Hub.PushAsync(repository, "7", new ImageBuilder().AddFile("asked.txt", $"{repository}\n").Build());
        var console = new Uri($"http://127.0.0.1:{Ports.Free()}");
        await using var proxy = await world.ProxyAsync($"requests {name}".Replace(' ', '-'), Policy, new ProxySetup { Console = console });
        await proxy.UntilAsync(async () => (await proxy.VerbAsync("database", "status")).ExitCode == 0);
        var client = await world.ClientAsync(name, proxy);
        var (dora, alice, nina) = (await TokenAsync(proxy, "dora", "member", "acme"), await TokenAsync(proxy, "alice", "owner", "acme"), await TokenAsync(proxy, "nina", "owner", "beta"));

        (await client.PullAsync($"{repository}:7")).FailedSaying(Surroundings.Denied);
        var denial = "";
        await proxy.UntilAsync(() => Task.FromResult((denial = DenialOf(proxy, repository)).Length > 0));
        var asked = default(Outcome)!;
        await proxy.UntilAsync(async () => (asked = await AskAsync(dora, "create", "--denial", denial, "--reason", "for the build", "--days", "20")).ExitCode == 0);
        asked.Saying($"the request 1 asks acme and beta for {repository}:7");

        (await AskAsync(dora, "approve", "1", "--follow")).Failed();
        (await AskAsync(alice, "approve", "1", "--follow")).Succeeded().Saying("beta has not answered");
        await InForceAsync(proxy, 1);
        (await client.PullAsync($"{repository}:7")).FailedSaying(Surroundings.Denied); // one of two has approved

        (await AskAsync(nina, "approve", "1", "--follow", "--for", "1m")).Succeeded().Saying("the request 1 is approved");
        var end = TimeProvider.System.GetUtcNow() + Long; // or some moments earlier
        await InForceAsync(proxy, 2);
        (await client.PullAsync($"{repository}:7")).Succeeded();
        Assert.True(await client.HasAsync($"{repository}:7"));
        await client.RemoveAsync($"{repository}:7"); // what the engine has it asks nobody for

        await proxy.UntilAsync(() => Task.FromResult(TimeProvider.System.GetUtcNow() > end));
        world.Hub.Requests.Clear();
        (await client.PullAsync($"{repository}:7")).FailedSaying(Surroundings.Denied);
        Assert.False(await client.HasAsync($"{repository}:7"));
        Assert.DoesNotContain(world.HandedOut(repository), request => request.ViaDockerHubNames);
        Assert.DoesNotContain("exception-ended", proxy.AuditText(), StringComparison.Ordinal); // nobody has ended it
        (await AskAsync(dora, "create", $"{repository}:7", "--reason", "once more", "--days", "20")).FailedSaying($"acme does not deny {repository}:7"); // beta alone does

        Task<Outcome> AskAsync(string token, params string[] verb) =>
            ProxyUnderTest.RunAsync(Path.GetTempPath(), ["requests", .. verb, "--server", console.GetLeftPart(UriPartial.Authority), "--token-file", token]);
    }

    /// <summary>A file with a token of a person.</summary>
    private static async Task<string> TokenAsync(ProxyUnderTest proxy, string person, string role, string organization)
    {
        var made = (await proxy.VerbAsync("tokens", "create", "--role", role, "--organization", organization, "--for", person, "--label", "a test", "--expires", "1d")).Succeeded();
        return proxy.WriteSecret($"{person}.token", made.Text.Split('\n').Single(line => line.StartsWith("imageaccess_", StringComparison.Ordinal)) + "\n");
    }

    /// <summary>The id of the first denial of a tag, as the client was told it.</summary>
    private static string DenialOf(ProxyUnderTest proxy, string repository)
    {
        var text = proxy.AuditText();
        foreach (var line in text[..(text.LastIndexOf('\n') + 1)].Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            using var audit = JsonDocument.Parse(line);
            if (audit.RootElement.TryGetProperty("repository", out var denied) && denied.GetString() == repository && audit.RootElement.GetProperty("reference").GetString() == "7")
                return audit.RootElement.GetProperty("id").GetString()!;
        }

        return "";
    }

    private static Task InForceAsync(ProxyUnderTest proxy, int count) =>
        proxy.UntilAsync(async () => (await proxy.ReadinessAsync()).Contains($"\"exceptions\": {count}", StringComparison.Ordinal));
}
