using System.Diagnostics.Metrics;
using ImageAccess.Proxy.Content.Upstream;
using ImageAccess.Proxy.Foundation.DockerHub;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Tests.Content.Upstream;

/// <summary>Only that time counts in which something is meant to flow.</summary>
public sealed class IdleLimitTests : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(3);

    private readonly ManualTime _time = new(DateTimeOffset.UnixEpoch);
    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();

    public void Dispose() => _services.Dispose();

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    [InlineData(100)]
    public void A_pause_does_not_count(int seconds)
    {
        using var limit = Begin();
        _time.Advance(Limit / 2);
        limit.Pause();
        _time.Advance(TimeSpan.FromSeconds(seconds));
        Assert.False(limit.IsReached);
        limit.Restart();
        _time.Advance(Limit / 2);
        Assert.False(limit.IsReached);
        _time.Advance(Limit / 2);
        Assert.True(limit.IsReached);
    }

    private IdleLimit Begin() => new IdleLimits(
        Options.Create(new UpstreamOptions { IdleTimeout = Limit }), new UpstreamMetrics(_services.GetRequiredService<IMeterFactory>()), _time).Begin(CancellationToken.None);
}
