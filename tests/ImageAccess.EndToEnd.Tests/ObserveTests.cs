using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Runtime.Versioning;
using System.Text;
using System.Text.Json;
using ImageAccess.FakeHubs;

namespace ImageAccess.EndToEnd.Tests;

/// <summary>From observing to enforcing with real clients: what was used is taken into the allowlist by one call, and what is new is denied.</summary>
[Collection(nameof(SurroundingsOfDecisions))]
[SupportedOSPlatform("linux")]
public sealed class ObserveTests(Surroundings world)
{
    private const string Section = "/api/v1/organizations/acme/policy";

    private const string Policy = """
        {
          "organizations": [ {
            "name": "acme", "owners": [ "alice" ], "members": [ "bob" ], "enabled": true, "mode": "observe",
            "allow": { "official": true, "community": false }, "help": "ask in #platform"
          } ]
        }
        """;

    [Theory]
    [InlineData("dockerd 20.10")]
    [InlineData("dockerd 28")]
    public async Task What_was_pulled_while_it_observed_comes_afterwards_and_what_is_new_does_not(string name)
    {
        var mark = name.Replace(' ', '-');
        string[] used = [.. Enumerable.Range(1, 3).Select(number => $"someuser/used-{number}-by-{mark}")];
        var fresh = $"someuser/new-by-{mark}";
        foreach (var repository in used.Append(fresh))
            await world.Hub.PushAsync(repository, "7", new ImageBuilder().AddFile("image.txt", $"{repository}\n").Build());
        var console = new Uri($"http://127.0.0.1:{Ports.Free()}");
        await using var proxy = await world.ProxyAsync($"observe-{mark}", Policy, new ProxySetup { Console = console, ImportsPolicy = true });
        await proxy.UntilAsync(async () => (await proxy.VerbAsync("policy", "import", "policy.json", "--reason", "a trial")).ExitCode == 0);
        await proxy.UntilAsync(() => Task.FromResult(proxy.Log.Contains("The policy document is that of ", StringComparison.Ordinal)));
        using var api = await ApiAsync(proxy, console);
        var client = await world.ClientAsync(name, proxy);

        (await client.PullAsync("library/hello")).Succeeded(); // which nobody has to list
        foreach (var repository in used)
            (await client.PullAsync($"{repository}:7")).Succeeded();
        string[] found = [];
        await proxy.UntilAsync(async () => (found = await UsedAsync(api)).Length == used.Length); // they come to the database within seconds
        Assert.Equal(used, found);

        using var listed = await api.PostAsJsonAsync($"{Section}/allowlist", new { repositories = found, reason = "used while it observed" });
        Assert.True(listed.IsSuccessStatusCode, await listed.Content.ReadAsStringAsync());
        await EnforceAsync(api);
        await proxy.UntilAsync(async () => (await api.GetStringAsync("/api/v1/organizations/acme/image-access")).Contains("\"enforce\"", StringComparison.Ordinal));

        foreach (var repository in used)
        {
            await client.RemoveAsync($"{repository}:7"); // what the engine has it asks nobody for
            (await client.PullAsync($"{repository}:7")).Succeeded();
        }

        (await client.PullAsync($"{fresh}:7")).FailedSaying(Surroundings.Denied);
        Assert.False(await client.HasAsync($"{fresh}:7"));
        Assert.DoesNotContain(world.HandedOut(fresh), request => request.ViaDockerHubNames);
    }

    /// <summary>As an owner.</summary>
    private static async Task<HttpClient> ApiAsync(ProxyUnderTest proxy, Uri console)
    {
        var made = (await proxy.VerbAsync("tokens", "create", "--role", "owner", "--organization", "acme", "--for", "alice", "--label", "a test", "--expires", "1d")).Succeeded();
        var token = made.Text.Split('\n').Single(line => line.StartsWith("imageaccess_", StringComparison.Ordinal));
        var api = new HttpClient { BaseAddress = console };
        api.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
        return api;
    }

    private static async Task<string[]> UsedAsync(HttpClient api)
    {
        using var review = JsonDocument.Parse(await api.GetStringAsync("/api/v1/usage/community?organization=acme"));
        return [.. review.RootElement.GetProperty("items").EnumerateArray().Select(item => item.GetProperty("repository").GetString()!).Order(StringComparer.Ordinal)];
    }

    private static async Task EnforceAsync(HttpClient api)
    {
        using var section = await api.GetAsync(Section);
        using var request = new HttpRequestMessage(HttpMethod.Put, $"{Section}?reason=the-trial-is-over");
        request.Content = new StringContent((await section.Content.ReadAsStringAsync()).Replace("\"observe\"", "\"enforce\"", StringComparison.Ordinal), Encoding.UTF8, "application/json");
        request.Headers.IfMatch.Add(section.Headers.ETag!);
        using var changed = await api.SendAsync(request);
        Assert.True(changed.IsSuccessStatusCode, await changed.Content.ReadAsStringAsync());
    }
}
