using System.Collections.Concurrent;
using System.Diagnostics;

namespace ImageAccess.Proxy.Tests.Walk;

public sealed class TelemetryTests
{
    [Fact]
    public async Task A_requests_span_carries_its_decision()
    {
        await using var surroundings = await Surroundings.StartAsync();
        var spans = new ConcurrentQueue<Activity>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == "Microsoft.AspNetCore",
            Sample = (ref _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = spans.Enqueue,
        };
        ActivitySource.AddActivityListener(listener);

        var token = await surroundings.PullTokenAsync("bob", "someuser/custom-image");
        await surroundings.AskAsync("GET", "/v2/someuser/custom-image/manifests/latest", token);

        // The span ends behind the answer.
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(10));
        while (!spans.Any(Carries) && !limit.IsCancellationRequested)
            await Task.Yield();
        Assert.Contains(spans, Carries);

        static bool Carries(Activity span) =>
            span.GetTagItem("imageaccess.outcome") as string == "deny" && span.GetTagItem("imageaccess.rule") as string == "community";
    }
}
