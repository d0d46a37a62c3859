using ImageAccess.FakeHubs;

namespace ImageAccess.EndToEnd.Tests;

/// <summary>Docker Hub's API tells nobody who publishes: what needs no answer is pulled, what needs one waits, and never for long.</summary>
[Collection(nameof(SurroundingsOfFaults))]
public sealed class CatalogOutageTests(Surroundings world)
{
    private const string Unknown = "image access unavailable: the publisher of someuser could not be verified, try again";

    public static TheoryData<string, bool> Outages => new()
    {
        { "dockerd 20.10", false }, { "dockerd 20.10", true }, { "dockerd 28", false }, { "dockerd 28", true }, { "containerd 2", false }, { "podman 5", false },
    };

    [Theory]
    [MemberData(nameof(Outages))]
    public async Task With_the_API_dead_from_the_start_only_what_needs_it_is_refused(string name, bool silent)
    {
        using var dead = world.Hub.Faults.Add(Face.Hub, silent ? Fault.NeverAnswer() : Fault.CloseConnection());
        var proxy = await world.ProxyAsync($"outage-{name}-{silent}".Replace(' ', '-'), Surroundings.Policy);
        var client = await world.ClientAsync(name, proxy);
        world.Hub.Requests.Clear();

        (await client.PullAsync("someuser/custom-image")).FailedSaying(Unknown); // the proxy's own words: the client has not given up first
        Assert.Empty(world.HandedOut("someuser/custom-image"));

        foreach (var image in new[] { "library/hello", "acme/app" })
        {
            (await client.PullAsync(image)).Succeeded();
            await client.RemoveAsync(image);
        }

        Assert.DoesNotContain(world.Hub.Requests.ViaDockerHubNames, request => request.Path.Contains("/library/") || request.Path.Contains("/acme/"));
    }

    [Fact]
    public async Task With_what_was_known_on_disk_a_restart_during_the_outage_changes_nothing()
    {
        var before = await world.ProxyAsync("outage-kept", Surroundings.Policy);
        await JudgesAsync(before);
        Assert.Equal(0, await before.TerminateAsync());

        using var dead = world.Hub.Faults.Add(Face.Hub, Fault.NeverAnswer());
        var after = await world.ProxyAsync("outage-kept", Surroundings.Policy);
        await JudgesAsync(after);
        var asked = (await after.MetricsAsync()).Split('\n').Where(line => line.StartsWith("imageaccess_catalog_requests_total", StringComparison.Ordinal)).ToList();
        Assert.NotEmpty(asked);
        Assert.All(asked, line => Assert.EndsWith(" 0", line, StringComparison.Ordinal)); // nobody was asked

        async Task JudgesAsync(ProxyUnderTest proxy)
        {
            var client = await world.ClientAsync("dockerd 20.10", proxy);
            (await client.PullAsync("bitnami/redis")).Succeeded();
            await client.RemoveAsync("bitnami/redis");
            (await client.PullAsync("someuser/custom-image")).FailedSaying(Surroundings.Denied);
        }
    }
}
