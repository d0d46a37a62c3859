using System.Collections.Concurrent;
using System.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using OpenTelemetry.Trace;

namespace ImageAccess.Proxy.Tests.Walk;

public abstract class TelemetryTests(string transport) : WalkTests(transport)
{
    [Fact]
    public async Task A_requests_span_carries_its_decision()
    {
        await using var surroundings = await StartAsync();
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
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (!spans.Any(Carries) && !limit.IsCancellationRequested)
            await Task.Yield();
        Assert.Contains(spans, Carries);

        static bool Carries(Activity span) =>
            span.GetTagItem("imageaccess.outcome") as string == "deny" && span.GetTagItem("imageaccess.rule") as string == "community";
    }

    [Fact]
    public async Task What_a_receiver_gets_has_the_requests_attributes_its_decision_and_our_metrics()
    {
        await using var receiver = await OtlpReceiver.StartAsync();
        await using (var surroundings = await StartAsync(settings: [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.Address), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"), ("OTEL_SERVICE_NAME", "named-by-its-owner")]))
        {
            await surroundings.AskAsync("GET", "/v2/someuser/custom-image/manifests/latest", await surroundings.PullTokenAsync("bob", "someuser/custom-image"));
        }

        // The end sends what is left.
        string[] expected =
            ["named-by-its-owner", "http.request.method", "http.response.status_code", "/v2/someuser/custom-image/manifests/latest", "imageaccess.outcome", "deny", "imageaccess.rule", "community"];
        Assert.Contains(receiver.At("/v1/traces"), spans => expected.All(word => spans.Contains(word, StringComparison.Ordinal)));
        Assert.Contains(receiver.At("/v1/metrics"), metrics => metrics.Contains("imageaccess.decisions", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Without_a_receiver_nothing_traces()
    {
        await using var surroundings = await StartAsync();
        Assert.Null(surroundings.Proxy.Services.GetService<TracerProvider>());
    }
}

public sealed class TelemetryTests_direct() : TelemetryTests(Direct);

public sealed class TelemetryTests_kestrel() : TelemetryTests(Kestrel);
