using System.Collections.Concurrent;
using System.Diagnostics;
using ImageAccess.Proxy.Foundation.DockerHub;
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

    /// <summary>Names and values are the same in both; who asks for OpenMetrics gets a trace for a bucket besides.</summary>
    [Fact]
    public async Task Whoever_asks_for_OpenMetrics_gets_it_with_exemplars()
    {
        await using var receiver = await OtlpReceiver.StartAsync();
        await using var surroundings = await StartAsync(settings: [("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.Address), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")]);
        await surroundings.AskAsync("GET", "/v2/someuser/custom-image/manifests/latest", await surroundings.PullTokenAsync("bob", "someuser/custom-image"));
        using var admin = Surroundings.NewClient(surroundings.Admin);

        var (type, open) = await ReadAsync("application/openmetrics-text;version=1.0.0;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.1");
        Assert.Equal("application/openmetrics-text; version=1.0.0; charset=utf-8", type);
        Assert.EndsWith("\n# EOF\n", open, StringComparison.Ordinal);
        Assert.Contains("\n# TYPE imageaccess_decisions counter\n", open, StringComparison.Ordinal);
        Assert.Contains("\nimageaccess_decisions_total{category=\"community\",outcome=\"deny\",rule=\"community\"} 1\n", open, StringComparison.Ordinal);
        Assert.Matches("\nimageaccess_decision_duration_seconds_bucket\\{outcome=\"deny\",le=\"[0-9.+Inf]+\"\\} 1 # \\{trace_id=\"[0-9a-f]{32}\",span_id=\"[0-9a-f]{16}\"\\} [0-9.E-]+ [0-9.]+\n", open);

        foreach (var accept in new[] { "", "text/plain", "*/*", "text/plain, application/openmetrics-text;q=0.5", "application/openmetrics-text;q=0", "no media type" })
        {
            var (plainType, plain) = await ReadAsync(accept);
            Assert.Equal("text/plain; version=0.0.4; charset=utf-8", plainType);
            Assert.Contains("\n# TYPE imageaccess_decisions_total counter\n", plain, StringComparison.Ordinal);
            Assert.DoesNotContain("trace_id", plain, StringComparison.Ordinal);
            Assert.DoesNotContain("# EOF", plain, StringComparison.Ordinal);
        }

        async Task<(string Type, string Text)> ReadAsync(string accept)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "/metrics");
            if (accept.Length > 0)
                request.Headers.TryAddWithoutValidation("Accept", accept);
            using var answer = await admin.SendAsync(request);
            return (answer.Content.Headers.ContentType!.ToString(), await answer.Content.ReadAsStringAsync());
        }
    }

    /// <summary>The path of a webhook's address is often its secret.</summary>
    [Fact]
    public async Task What_is_sent_to_receivers_of_notifications_makes_no_span()
    {
        await using var surroundings = await StartAsync();
        using var handler = Assert.IsType<SocketsHttpHandler>(surroundings.Proxy.Services.GetRequiredService<UpstreamConnections>().ToReceiver(isPrivate: false));
        Assert.Null(handler.ActivityHeadersPropagator);
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
