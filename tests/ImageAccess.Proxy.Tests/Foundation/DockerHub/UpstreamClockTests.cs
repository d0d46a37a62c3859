using ImageAccess.Proxy.Foundation.DockerHub;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;

namespace ImageAccess.Proxy.Tests.Foundation.DockerHub;

/// <summary>How far the clock is off, as the dates of several services say.</summary>
public sealed class UpstreamClockTests : IDisposable
{
    private readonly ManualTime _time = new();
    private readonly LogLines<UpstreamClock> _log = new();
    private readonly UpstreamClock _clock;

    public UpstreamClockTests() => _clock = new UpstreamClock(_time, _log);

    public void Dispose() => _log.Dispose();

    /// <summary>By how many seconds each service's date is ahead of this clock, and how far this clock is said to be ahead.</summary>
    [Theory]
    [InlineData("registry:0", 0)]
    [InlineData("registry:20", 0)]
    [InlineData("registry:-20", 0)]
    [InlineData("token:21", -21)]
    [InlineData("hub:-7200", 7200)]
    [InlineData("registry:3600 token:0", 0)] // one alone does not count beside a right one
    [InlineData("registry:-3600 token:-90000", 3600)]
    [InlineData("registry:3600 token:-3600", 0)]
    [InlineData("registry:3600 token:3601 hub:0", -3600)]
    [InlineData("registry:0 token:1 hub:-86400", 0)]
    [InlineData("registry:500 registry:0", 0)] // what a service said last counts
    [InlineData("registry:-30 token:-40 hub:-50 search:-60", 40)]
    public async Task The_difference_is_what_most_of_them_say(string dates, int ahead)
    {
        foreach (var one in dates.Split(' '))
            Read(one.Split(':')[0], int.Parse(one.Split(':')[1], System.Globalization.CultureInfo.InvariantCulture));
        Assert.Equal(TimeSpan.FromSeconds(ahead), _clock.Skew);
        Assert.Equal(ahead == 0 ? HealthStatus.Healthy : HealthStatus.Degraded, (await _clock.CheckHealthAsync(new HealthCheckContext())).Status);
    }

    [Theory]
    [InlineData(3725, "1:02:05 ahead of")]
    [InlineData(-59, "0:00:59 behind")]
    [InlineData(-31 * 86400 - 1, "31.00:00:01 behind")]
    public async Task It_is_told_once_an_hour_while_it_lasts_and_when_it_is_over(int ahead, string difference)
    {
        for (var seconds = 0; seconds < 3600; seconds += 300, _time.Advance(TimeSpan.FromMinutes(5)))
            Read("token", -ahead);
        Assert.Equal([$"This machine's clock is {difference} Docker Hub's, by the dates of its answers: set the clock, because tokens look expired or not yet valid"], _log.At(LogLevel.Warning));
        Assert.Equal($"this machine's clock is {difference} Docker Hub's: set it; tokens look expired or not yet valid", (await _clock.CheckHealthAsync(new HealthCheckContext())).Description);
        Read("token", -ahead);
        Assert.Equal(2, _log.At(LogLevel.Warning).Count);

        Read("token", 0);
        Read("token", 0);
        Assert.Equal(["This machine's clock agrees with Docker Hub's again"], _log.At(LogLevel.Information));
    }

    [Fact]
    public void An_answer_that_took_long_is_no_difference()
    {
        var sent = _time.GetUtcNow();
        var made = sent.AddSeconds(2);
        _time.Advance(TimeSpan.FromSeconds(55));
        _clock.Read("registry", made, sent);
        Assert.Equal(TimeSpan.Zero, _clock.Skew);
    }

    [Fact]
    public void What_was_said_long_ago_or_not_at_all_does_not_count()
    {
        Read("hub", 7200);
        _clock.Read("registry", null, _time.GetUtcNow());
        Assert.Equal(TimeSpan.FromHours(-2), _clock.Skew);
        _time.Advance(UpstreamClock.MaximumAge);
        Assert.Equal(TimeSpan.Zero, _clock.Skew);
    }

    private void Read(string kind, int ahead) => _clock.Read(kind, _time.GetUtcNow().AddSeconds(ahead), _time.GetUtcNow());
}
