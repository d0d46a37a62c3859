using System.Text;
using ImageAccess.Proxy.Tests.Walk;

namespace ImageAccess.Proxy.Tests.Hosting;

/// <summary>What a receiver of OTLP gets from the program, by either protocol.</summary>
public sealed class OtlpTests
{
    private const string Password = "dckr_pat_bob";

    [Theory]
    [InlineData("grpc")]
    [InlineData("http/protobuf")]
    public async Task Spans_and_metrics_come_with_the_decision_and_without_a_secret(string protocol)
    {
        await using var receiver = await OtlpReceiver.StartAsync();
        await using var room = await ProgramRoom.OpenAsync("direct");
        room.Hub.Users.Add("bob", "bobs-password", Password);
        room.Push("someuser/custom-image");
        room.Push("library/nginx");
        var address = protocol == "grpc" ? receiver.GrpcAddress : receiver.Address;
        var token = await room.Hub.TokenForAsync("bob", "repository:someuser/custom-image:pull");
        var allowed = await room.Hub.TokenForAsync("bob", "repository:library/nginx:pull");
        await using (var program = await room.StartAsync(command: ["env", $"OTEL_EXPORTER_OTLP_ENDPOINT={address}", $"OTEL_EXPORTER_OTLP_PROTOCOL={protocol}", "OTEL_SERVICE_NAME=images"]))
        {
            using (var denied = await program.AskAsync(HttpMethod.Get, "/v2/someuser/custom-image/manifests/latest", token))
                Assert.Equal(403, (int)denied.StatusCode);
            using (var served = await program.AskAsync(HttpMethod.Get, "/v2/library/nginx/manifests/latest", allowed))
                Assert.Equal(200, (int)served.StatusCode);
            using (var signIn = new HttpRequestMessage(HttpMethod.Get, "/token?service=registry.docker.io&account=bob&scope=repository:library/nginx:pull&password=" + Password))
            {
                signIn.Headers.Add("Authorization", "Basic " + Convert.ToBase64String(Encoding.ASCII.GetBytes("bob:" + Password)));
                using var given = await program.Client.SendAsync(signIn);
                Assert.Equal(200, (int)given.StatusCode);
            }

            await program.StopAsync();
            Assert.Equal(0, (await program.Process.EndAsync()).Code); // the end sends what is left
        }

        Assert.All(room.Hub.Requests.All, request => Assert.DoesNotContain(request.Headers.Keys, name => name is "traceparent" or "tracestate" or "baggage" or "Request-Id"));
        var (traces, metrics) = protocol == "grpc"
            ? (receiver.Read("TraceService/Export"), receiver.Read("MetricsService/Export"))
            : (receiver.Read("/v1/traces"), receiver.Read("/v1/metrics"));
        Assert.All(traces.Concat(metrics).SelectMany(message => message.All(1, 1)), resource => Assert.Equal("images", resource.Attributes(1)["service.name"]));
        AssertSpans([.. traces.SelectMany(message => message.All(1, 2, 2))], token);
        AssertMetrics([.. metrics.SelectMany(message => message.All(1, 2, 2))], [.. traces.SelectMany(message => message.All(1, 2, 2)).Select(span => span.Hex(1))]);
    }

    private static void AssertSpans(List<ProtobufMessage> spans, string token)
    {
        var denied = Assert.Single(spans, span => span.Attributes(9).GetValueOrDefault("url.path") == "/v2/someuser/custom-image/manifests/latest").Attributes(9);
        Assert.Equal(
            ("GET", "403", "deny", "community", "community", "acme"),
            (denied["http.request.method"], denied["http.response.status_code"], denied["imageaccess.outcome"], denied["imageaccess.rule"], denied["imageaccess.category"], denied["imageaccess.organizations"]));

        // What is asked of Docker Hub is a child of what was asked here.
        var served = Assert.Single(spans, span => span.Attributes(9).GetValueOrDefault("url.path") == "/v2/library/nginx/manifests/latest");
        Assert.Equal("allow", served.Attributes(9)["imageaccess.outcome"]);
        Assert.Contains(spans, span => span.Hex(4) == served.Hex(2) && span.Hex(1) == served.Hex(1) && span.Attributes(9).GetValueOrDefault("url.full")?.EndsWith("/v2/library/nginx/manifests/latest", StringComparison.Ordinal) == true);

        Assert.Contains(spans, span => span.Attributes(9).GetValueOrDefault("url.path") == "/token");
        string[] secrets = [Password, token, token.Split('.')[1], Convert.ToBase64String(Encoding.ASCII.GetBytes("bob:" + Password)), "Bearer"];
        Assert.All(spans.SelectMany(span => span.Attributes(9).Values.Append(span.Text(5))), value => Assert.All(secrets, secret => Assert.DoesNotContain(secret, value, StringComparison.Ordinal)));
    }

    private static void AssertMetrics(List<ProtobufMessage> metrics, List<string> traces)
    {
        var points = metrics.Where(metric => metric.Text(1) == "imageaccess.decisions").SelectMany(metric => metric.All(7, 1));
        Assert.Contains(points, point => point.Number(6) == 1 && point.Attributes(7) is var labels && (labels["outcome"], labels["category"], labels["rule"]) == ("deny", "community", "community"));
        Assert.Contains(metrics, metric => metric.Text(1) == "http.server.request.duration");
        var exemplars = metrics.Where(metric => metric.Text(1) == "imageaccess.decision.duration").SelectMany(metric => metric.All(9, 1, 8)).ToList();
        Assert.NotEmpty(exemplars);
        Assert.All(exemplars, exemplar => Assert.Contains(exemplar.Hex(5), traces));
    }
}
