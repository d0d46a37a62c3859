using ImageAccess.FakeHubs;

namespace ImageAccess.EndToEnd.Tests;

/// <summary>A switch in Docker's Admin Console, and a real pull beside it.</summary>
[Collection(nameof(SurroundingsOfDecisions))]
public sealed class FollowTests(Surroundings world)
{
    private const string Denied = "image access denied: verified publisher images not allowed (ask in #platform)";

    /// <summary>The document's own switches allow everything, so that none of them is mistaken for one that was read.</summary>
    private const string Policy = """
        { "organizations": [ { "name": "acme", "follow": "docker-hub", "owners": [ "alice" ], "members": [ "bob" ], "enabled": true,
          "allow": { "official": true, "verifiedPublisher": true, "community": true }, "help": "ask in #platform" } ] }
        """;

    [Theory]
    [InlineData("dockerd 20.10")]
    [InlineData("dockerd 28")]
    public async Task A_switch_of_Docker_Hub_is_in_force_on_a_pull_and_stays_while_Docker_Hub_tells_nothing(string name)
    {
        var acme = world.Hub.Namespaces.Find("acme")!;
        var before = acme.RestrictedImages;
        var folder = $"follow-{name}".Replace(' ', '-');
        try
        {
            acme.RestrictedImages = new FakeRestrictedImages(Enabled: true, AllowOfficialImages: true, AllowVerifiedPublishers: true);
            var proxy = await StartAsync();
            await proxy.UntilAsync(() => ReadsAsync(proxy, ".7"));
            var client = await world.ClientAsync(name, proxy);
            await ComesAsync(client);

            acme.RestrictedImages = new FakeRestrictedImages(Enabled: true, AllowOfficialImages: true, AllowVerifiedPublishers: false);
            await proxy.UntilAsync(() => ReadsAsync(proxy, ".6"));
            (await client.PullAsync("bitnami/redis")).FailedSaying(Denied);

            using (world.Hub.Faults.Add(Face.Hub, "/v2/orgs/acme/settings", Fault.CloseConnection()))
            {
                acme.RestrictedImages = new FakeRestrictedImages(Enabled: false, AllowOfficialImages: true, AllowVerifiedPublishers: true);
                await proxy.UntilAsync(() => SaysAsync(proxy, "and not since"));
                (await client.PullAsync("bitnami/redis")).FailedSaying(Denied);
                Assert.Equal(0, await proxy.TerminateAsync());

                proxy = await StartAsync();
                client = await world.ClientAsync(name, proxy);
                await proxy.UntilAsync(() => SaysAsync(proxy, "and not since"));
                (await client.PullAsync("bitnami/redis")).FailedSaying(Denied);
            }

            using (world.Hub.Faults.Add(Face.Hub, "/v2/orgs/acme/settings", Fault.Status(403, """{"message":"token issued from personal access token"}""")))
            {
                await proxy.UntilAsync(() => SaysAsync(proxy, "Docker Hub refuses the settings of acme to alice (403)"));
                (await client.PullAsync("bitnami/redis")).FailedSaying(Denied);
            }

            await proxy.UntilAsync(() => ReadsAsync(proxy, ".3"));
            await ComesAsync(client);
            await proxy.UntilAsync(() => Task.FromResult(proxy.AuditText().Contains("\"event\":\"follow\",\"organization\":\"acme\"", StringComparison.Ordinal)));
            Assert.DoesNotContain(Canaries.PasswordOf("alice"), proxy.Log + proxy.AuditText() + await proxy.ReadinessAsync(), StringComparison.Ordinal);
            Assert.All(
                proxy.KeptFiles().Where(file => Path.GetFileName(file) != "hub-secret" && !file.EndsWith(".db", StringComparison.Ordinal)),
                file => Assert.DoesNotContain(Canaries.PasswordOf("alice"), File.ReadAllText(file), StringComparison.Ordinal));
        }
        finally
        {
            acme.RestrictedImages = before;
        }

        Task<ProxyUnderTest> StartAsync() => world.ProxyAsync(folder, Policy, new ProxySetup { Follows = "alice" });
    }

    private static async Task ComesAsync(Clients.IClient client)
    {
        (await client.PullAsync("bitnami/redis")).Succeeded();
        await client.RemoveAsync("bitnami/redis");
    }

    /// <summary>Whether the switches are those, as the policy's version tells them.</summary>
    private static async Task<bool> ReadsAsync(ProxyUnderTest proxy, string mark) => (await proxy.ReadinessAsync()).Contains($"{mark}\"", StringComparison.Ordinal);

    private static async Task<bool> SaysAsync(ProxyUnderTest proxy, string text) => (await proxy.ReadinessAsync()).Contains(text, StringComparison.Ordinal);
}
