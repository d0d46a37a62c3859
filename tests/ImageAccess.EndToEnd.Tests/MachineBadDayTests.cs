using ImageAccess.EndToEnd.Tests.Clients;
using ImageAccess.FakeHubs;

namespace ImageAccess.EndToEnd.Tests;

/// <summary>
/// The bad day of the proxy's own machine: its disk, its ports, and who sends signals to it. Real clients have it as their mirror, and Docker Hub
/// is reachable beside it. <c>tests/bad-day</c> tries every client with each fault; here it is one.
/// </summary>
[Collection(nameof(SurroundingsOfFaults))]
public sealed class MachineBadDayTests(Surroundings world)
{
    private const string Denied = "someuser/custom-image";
    private const string Healthy = "\"degraded\": {}";

    private static readonly string[] Clients = ["dockerd 20.10", "dockerd 28", "containerd 2"];

    public static TheoryData<string> Full => Some(0);

    public static TheoryData<string> Terminated => Some(1);

    public static TheoryData<string> HungUp => Some(2);

    /// <summary>The audit trail and the cache are on it.</summary>
    [Theory]
    [MemberData(nameof(Full))]
    public async Task While_the_disk_is_full_denials_hold_and_pulls_go_on(string name)
    {
        await using var proxy = await world.ProxyAsync($"disk full {name}".Replace(' ', '_'), Surroundings.Policy, new ProxySetup { Disk = "256m", Keeps = true });
        await using var client = await world.ClientAsync(name, proxy);
        await FillAsync();

        await IsHeldAsync(client);
        await PullsAsync(client);
        await proxy.UntilAsync(async () =>
        {
            await FillAsync(); // the database gives space back, and takes it, each time that it is read
            await PullsAsync(client); // a line for each; denials of a minute are one
            return (await proxy.ReadinessAsync()).Contains("\"audit\":", StringComparison.Ordinal);
        });
        Assert.Contains("The audit trail cannot be written", proxy.Log, StringComparison.Ordinal);

        await proxy.OnItsDiskAsync("rm fill");
        await proxy.UntilAsync(async () => (await proxy.ReadinessAsync()).Contains(Healthy, StringComparison.Ordinal));
        await IsHeldAsync(client);
        Assert.DoesNotContain("   at ", proxy.Log, StringComparison.Ordinal); // no stack trace
        Assert.Equal(0, await proxy.TerminateAsync());

        Task FillAsync() => proxy.OnItsDiskAsync("dd if=/dev/zero of=fill bs=4k count=100000 oflag=append conv=notrunc 2>/dev/null; true");
    }

    /// <summary>A second one on the same ports says which is taken, and ends; the first goes on.</summary>
    [Fact]
    public async Task A_second_proxy_on_the_same_port_ends_and_the_first_goes_on()
    {
        await using var proxy = await world.ProxyAsync("port taken", Surroundings.Policy);
        await using var client = await world.ClientAsync(Clients[0], proxy);

        var second = await proxy.StartAgainAsync();

        Assert.Equal(2, second.ExitCode);
        Assert.Equal(
            new[] { ("Admin", proxy.Admin), ("Mirror", proxy.Mirror) }.Select(taken =>
                $"imageaccess: Listen:{taken.Item1}: http://{taken.Item2.Authority}: address already in use: stop the other program, or choose another port"),
            second.Text.Trim().Split('\n').Order(StringComparer.Ordinal));
        await IsHeldAsync(client);
    }

    [Theory]
    [MemberData(nameof(Terminated))]
    public async Task A_pull_that_is_under_way_ends_after_SIGTERM_and_so_does_the_proxy(string name)
    {
        await using var proxy = await world.ProxyAsync($"SIGTERM {name}".Replace(' ', '_'), Surroundings.Policy);
        await using var client = await world.ClientAsync(name, proxy);
        using var held = await HoldLayerAsync();
        var pull = await held.PullAsync(proxy, client);

        var ending = proxy.TerminateAsync();
        await proxy.UntilAsync(async () => !await proxy.ListensAsync());
        held.Release();

        (await pull).Succeeded();
        Assert.Equal(0, await ending);
        Assert.Empty(world.Hub.Requests.ViaDockerHubNames);
    }

    [Theory]
    [MemberData(nameof(HungUp))]
    public async Task A_pull_that_is_under_way_goes_on_after_SIGHUP_and_the_proxy_too(string name)
    {
        await using var proxy = await world.ProxyAsync($"SIGHUP {name}".Replace(' ', '_'), Surroundings.Policy);
        await using var client = await world.ClientAsync(name, proxy);
        using var held = await HoldLayerAsync();
        var pull = await held.PullAsync(proxy, client);

        await proxy.SignalAsync("HUP");
        await proxy.UntilAsync(() => Task.FromResult(proxy.Log.Contains("Read again on SIGHUP: the policy", StringComparison.Ordinal)));
        held.Release();

        (await pull).Succeeded();
        await IsHeldAsync(client);
        Assert.Equal(0, await proxy.TerminateAsync());
    }

    /// <summary>An image whose only layer does not come before it is released.</summary>
    private async Task<HeldLayer> HoldLayerAsync()
    {
        await world.Hub.PushAsync("library/held", "latest", new ImageBuilder().AddFile("held.txt", Guid.NewGuid().ToString()).WithDockerMediaTypes().Build());
        world.Hub.Requests.Clear();
        return new HeldLayer(world.Hub);
    }

    private static TheoryData<string> Some(int number) =>
        Environment.GetEnvironmentVariable("BAD_DAY") == "whole" ? [.. Clients] : [Clients[number]];

    private async Task IsHeldAsync(IClient client)
    {
        world.Hub.Requests.Clear();
        (await client.PullAsync(Denied)).FailedSaying(Surroundings.Denied);
        Assert.False(await client.HasAsync(Denied));
        Assert.Empty(world.HandedOut(Denied));
    }

    private static async Task PullsAsync(IClient client)
    {
        (await client.PullAsync("library/hello")).Succeeded();
        await client.RemoveAsync("library/hello");
    }

    private sealed class HeldLayer : IDisposable
    {
        private readonly TaskCompletionSource _release = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly ArmedFault _fault;
        private int _asked;

        /// <summary>Of an image's two contents the configuration is asked for first, or both at once: the second that is asked for is held.</summary>
        public HeldLayer(FakeHub hub) => _fault = hub.Faults.Add(
            Face.Cdn, request => !request.ViaDockerHubNames && Interlocked.Increment(ref _asked) == 2, Fault.HoldUntil(_release.Task));

        /// <summary>Begins to pull; returns the pull when it is held.</summary>
        public async Task<Task<Outcome>> PullAsync(ProxyUnderTest proxy, IClient client)
        {
            var pull = client.PullAsync("library/held");
            await proxy.UntilAsync(() => Task.FromResult(_fault.Hits > 0 || pull.IsCompleted));
            Assert.False(pull.IsCompleted, pull.IsCompleted ? (await pull).Text : "");
            return pull;
        }

        public void Release() => _release.SetResult();

        public void Dispose()
        {
            _release.TrySetResult();
            _fault.Dispose();
        }
    }
}
