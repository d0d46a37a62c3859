using ImageAccess.EndToEnd.Tests.Clients;
using ImageAccess.FakeHubs;

namespace ImageAccess.EndToEnd.Tests;

/// <summary>
/// The proxy itself is at fault, and Docker Hub is fully reachable beside it: no client goes there for a denied image, and each says why.
/// </summary>
[Collection(nameof(SurroundingsOfFaults))]
public sealed class OwnFaultTests(Surroundings world)
{
    private const string Denied = "someuser/custom-image";
    private const string Clock = "image access unavailable: the proxy's clock differs from Docker Hub's, tell its administrator";
    private const string NoToken = "image access unavailable: the token service of Docker Hub cannot be reached, try again";
    private const string NoKey = "image access unavailable: tokens cannot be verified at the moment, try again";

    public static TheoryData<string, int> Clocks => new()
    {
        { "dockerd 20.10", 60 }, { "dockerd 20.10", -60 }, { "dockerd 28", 60 }, { "dockerd 28", -60 }, { "containerd 2", 60 }, { "containerd 2", -60 },
    };

    public static TheoryData<string, string> Outages => new()
    {
        { "dockerd 20.10", "refused" }, { "dockerd 20.10", "500" }, { "dockerd 28", "refused" }, { "dockerd 28", "500" }, { "containerd 2", "refused" }, { "containerd 2", "429" },
    };

    [Theory]
    [MemberData(nameof(Clocks))]
    public async Task With_a_wrong_clock_nothing_comes(string name, int minutes)
    {
        await using var proxy = await world.ProxyAsync($"clock {name} {minutes}".Replace(' ', '_'), Surroundings.Policy);
        await using var client = await world.ClientAsync(name, proxy);
        using var shifted = world.HubTime.Shift(TimeSpan.FromMinutes(minutes));
        await AssertHeldAsync(client, Clock);
    }

    [Theory]
    [MemberData(nameof(Outages))]
    public async Task Without_a_token_nothing_comes(string name, string how)
    {
        await using var proxy = await world.ProxyAsync($"no token {name} {how}".Replace(' ', '_'), Surroundings.Policy);
        await using var client = await world.ClientAsync(name, proxy);
        using (Fail(how, request => !request.ViaDockerHubNames))
            await AssertHeldAsync(client, NoToken);

        (await client.PullAsync("library/hello")).Succeeded(); // it is over
        await client.RemoveAsync("library/hello");
    }

    /// <summary>The clients have a token, because the token service answers them and not the proxy's own question.</summary>
    [Theory]
    [InlineData("dockerd 20.10")]
    [InlineData("dockerd 28")]
    [InlineData("containerd 2")]
    public async Task Without_a_key_nothing_comes(string name)
    {
        await using var proxy = await world.ProxyAsync($"no key {name}".Replace(' ', '_'), Surroundings.Policy);
        await using var client = await world.ClientAsync(name, proxy);
        using var dead = Fail("refused", request => !request.ViaDockerHubNames && request.RawTarget.Contains("hello-world", StringComparison.Ordinal));
        using var unsigned = new Unsigned(world.Hub);
        await AssertHeldAsync(client, NoKey);
    }

    private async Task AssertHeldAsync(IClient client, string says)
    {
        world.Hub.Requests.Clear();
        (await client.PullAsync(Denied)).FailedSaying(says);
        Assert.False(await client.HasAsync(Denied));
        Assert.Empty(world.HandedOut(Denied));
    }

    private ArmedFault Fail(string how, Func<RecordedRequest, bool> when) => world.Hub.Faults.Add(
        Face.Auth, when, how == "refused" ? Fault.CloseConnection() : Fault.Status(int.Parse(how, System.Globalization.CultureInfo.InvariantCulture)));

    /// <summary>While it lasts, the token service's tokens bring no certificate, so that no key can be learnt from those that pass.</summary>
    private sealed class Unsigned : IDisposable
    {
        private readonly FakeHub _hub;

        public Unsigned(FakeHub hub)
        {
            _hub = hub;
            _hub.ShapeToken = draft => draft.X5c = [];
        }

        public void Dispose() => _hub.ShapeToken = null;
    }
}
