using System.Globalization;
using System.Net;
using ImageAccess.FakeHubs;

namespace ImageAccess.EndToEnd.Tests.Attack;

/// <summary>
/// Everything that somebody without an account can do to wear the proxy out, all at once and from one address, beside people who pull.
/// A minute by default; <c>tests/attack</c> takes ten.
/// </summary>
[Collection(nameof(SurroundingsOfFaults))]
public sealed class MixedAttackTests(Surroundings world)
{
    /// <summary>A user of the forward proxy, whose password the attackers guess at.</summary>
    public const string Username = "runner";

    private const string Users = Username + ":$2y$10$8ktswtHiHAveX/X2q4uoL.P5hhSgloXI3WsYG7blamPcgy9XcPxpK\n";
    private const long MostMemory = 400L * 1024 * 1024;
    private const int MostLog = 1024 * 1024;

    /// <summary>Connections that the honest clients keep open.</summary>
    private const int Pooled = 40;

    /// <summary>Of a program at rest, those and its connections to Docker Hub that are kept for a while.</summary>
    private const int MostDescriptors = 600;

    private static readonly TimeSpan Length = TimeSpan.FromSeconds(
        int.Parse(Environment.GetEnvironmentVariable("ATTACK_SECONDS") is { Length: > 0 } given ? given : "60", CultureInfo.InvariantCulture));

    private static readonly TimeSpan Period = TimeSpan.FromSeconds(5);

    /// <summary>From the first half to the second, in bytes: what was fed for minutes has its size.</summary>
    private static readonly long MostGrowth = (Length > TimeSpan.FromMinutes(5) ? 50L : 100L) * 1024 * 1024;

    [Fact]
    public async Task Honest_pulls_go_on_and_nothing_grows_without_bound()
    {
        var large = new ImageBuilder().AddFile("large.bin", Noise(8 * 1024 * 1024)).Build();
        await world.Hub.PushAsync("library/large", "latest", large);
        var ways = new Intercepting(Surroundings.OwnAddress(32), new Uri($"http://{Surroundings.OwnAddress(32)}:3128"));
        var proxy = await world.ProxyAsync("attacked", Surroundings.Policy, new ProxySetup { Intercepting = ways, Keeps = true, ProxyUsers = Users });
        var target = new Target(
            proxy.Mirror, proxy.Admin, new IPEndPoint(ways.Gateway, 443), ways.ForwardProxy,
            FakeRegistry.DigestOf(large.Blobs.MaxBy(blob => blob.Length).Span));
        var client = await world.DockerAsync("dockerd 20.10", proxy);
        using var people = new HonestPulls(proxy.Mirror, IPAddress.Parse("127.0.0.20"), "bob", Canaries.TokenOf("bob"), "library/hello");
        await people.PullAsync();
        await ClientPullsAsync();
        world.Hub.Requests.Clear();
        var memory = new List<long>();
        using (var end = new CancellationTokenSource(Length))
        {
            var attack = Attackers.RunAsync(target, end.Token);
            var pulls = people.RunAsync(perSecond: 20, end.Token);
            using var tick = new PeriodicTimer(Period);
            while (!end.IsCancellationRequested)
            {
                await ClientPullsAsync();
                memory.Add(proxy.Vitals().Memory);
                await tick.WaitForNextTickAsync(CancellationToken.None);
            }

            await Task.WhenAll(pulls, attack);
        }

        Assert.True(people.Failures.IsEmpty, string.Join('\n', people.Failures.Take(20)));
        Assert.Empty(world.HandedOut("someuser/custom-image"));
        var after = proxy.Vitals();
        Assert.InRange(after.PeakMemory, 1, MostMemory);
        var (before, since) = (memory[..(memory.Count / 2)], memory[(memory.Count / 2)..]);
        Assert.True(since.Max() <= before.Max() + MostGrowth, "It grows, in MiB: " + string.Join(' ', memory.Select(bytes => bytes >> 20)));
        Assert.InRange(proxy.Log.Length, 0, MostLog);
        Assert.Contains("imageaccess_limited_total{", await proxy.MetricsAsync(), StringComparison.Ordinal);
        await proxy.UntilAsync(async () => await proxy.MeterAsync("""imageaccess_limit_used{what="connections"}""") <= Pooled);
        Assert.InRange(proxy.Vitals().Descriptors, 1, MostDescriptors);
        Assert.Equal(0, await proxy.TerminateAsync());
        Assert.Equal(people.Manifests, proxy.AuditText().Split('\n').Count(line => line.Contains(HonestPulls.UserAgent, StringComparison.Ordinal)));

        async Task ClientPullsAsync()
        {
            (await client.PullAsync("library/hello")).Succeeded();
            await client.RemoveAsync("library/hello");
            (await client.PullAsync("someuser/custom-image")).FailedSaying(Surroundings.Denied);
        }
    }

    /// <summary>What no layer's compression makes small.</summary>
    private static byte[] Noise(int length)
    {
        var noise = new byte[length];
        new Random(length).NextBytes(noise);
        return noise;
    }
}
