using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using ImageAccess.FakeHubs;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>The admin listener: alive, ready, measured; and nothing of the registry.</summary>
public abstract partial class ReadinessTests(string transport) : WalkTests(transport), IAsyncLifetime
{
    private Surroundings _surroundings = null!;
    private HttpClient _admin = null!;

    public async Task InitializeAsync()
    {
        _surroundings = await StartAsync();
        _admin = Surroundings.NewClient(_surroundings.Admin);
    }

    public async Task DisposeAsync()
    {
        _admin.Dispose();
        await _surroundings.DisposeAsync();
    }

    [Fact]
    public async Task It_is_alive() => Assert.Equal("alive\n", await _admin.GetStringAsync("/livez"));

    [Fact]
    public async Task Readiness_names_the_policy_and_the_mode_of_each_organization()
    {
        var answer = await _admin.GetAsync("/readyz");
        var body = JsonNode.Parse(await answer.Content.ReadAsStringAsync())!;

        Assert.Equal((HttpStatusCode.OK, "application/json"), (answer.StatusCode, answer.Content.Headers.ContentType?.MediaType));
        Assert.Equal(("ready", "on", "enforce"), (Text(body, "status"), Text(body, "imageAccess"), body["organizations"]!["acme"]!.GetValue<string>()));
        Assert.Matches("^[0-9a-f]{12}$", Text(body, "policyVersion"));
        Assert.Empty(body["degraded"]!.AsObject());
    }

    [Fact]
    public async Task That_image_access_is_off_is_said()
    {
        await using var off = await StartAsync("""{ "organizations": [ { "name": "acme" } ] }""");
        using var admin = Surroundings.NewClient(off.Admin);
        var body = JsonNode.Parse(await admin.GetStringAsync("/readyz"))!;
        Assert.Equal(("off", "off"), (Text(body, "imageAccess"), body["organizations"]!["acme"]!.GetValue<string>()));
    }

    [Fact]
    public async Task It_stays_ready_while_Docker_Hub_is_down_and_says_what_is_missing()
    {
        Assert.Equal(200, (await _surroundings.AskAsync("GET", "/v2/", await _surroundings.TokenAsync("bob"))).Status);
        var faults = new[] { Face.Registry, Face.Hub }.Select(face => _surroundings.Hub.Faults.Add(face, Fault.CloseConnection())).ToList();
        await AskAsync("library/nginx");
        await using var permissive = await StartAsync("""{ "organizations": [ { "name": "acme", "enabled": true, "allow": { "verifiedPublisher": true } } ] }""");
        permissive.Hub.Faults.Add(Face.Hub, Fault.CloseConnection());
        permissive.Hub.Faults.Add(Face.Registry, Fault.CloseConnection());
        await permissive.AskAsync("GET", "/v2/bitnami/redis/manifests/latest", await permissive.PullTokenAsync("bob", "bitnami/redis"));
        permissive.Hub.Faults.Clear();
        using var admin = Surroundings.NewClient(permissive.Admin);

        var here = await ReadAsync(_admin);
        Assert.Equal((200, "degraded", "upstream"), (here.Status, Text(here.Body, "status"), Assert.Single(here.Body["degraded"]!.AsObject()).Key));
        var there = await ReadAsync(admin);
        Assert.Equal((200, "degraded", "catalog"), (there.Status, Text(there.Body, "status"), Assert.Single(there.Body["degraded"]!.AsObject()).Key));

        faults.ForEach(fault => fault.Dispose());
        Assert.Equal(200, (await AskAsync("library/nginx")).Status);
        Assert.Equal("ready", Text((await ReadAsync(_admin)).Body, "status"));
    }

    [Fact]
    public async Task Without_a_key_it_says_so_and_stays_ready()
    {
        _surroundings.Hub.Faults.Add(Face.Auth, Fault.Status(500));
        await AskAsync("library/nginx");
        var (status, body) = await ReadAsync(_admin);
        Assert.Equal((200, "degraded", "identity"), (status, Text(body, "status"), Assert.Single(body["degraded"]!.AsObject()).Key));
    }

    [Fact]
    public async Task Decisions_are_counted_in_valid_exposition_text()
    {
        await AskAsync("library/nginx");
        await AskAsync("someuser/custom-image");
        await AskAsync("someuser/custom-image");
        var lines = (await _admin.GetStringAsync("/metrics")).Split('\n', StringSplitOptions.RemoveEmptyEntries);

        // Meters are the process's: proxies of other tests may have counted as well.
        Assert.InRange(Value(lines, "imageaccess_decisions_total{category=\"community\",outcome=\"deny\",rule=\"community\"}"), 2, double.MaxValue);
        Assert.InRange(Value(lines, "imageaccess_decisions_total{category=\"official\",outcome=\"allow\",rule=\"official\"}"), 1, double.MaxValue);
        Assert.InRange(Value(lines, "imageaccess_upstream_requests_total{kind=\"registry\",status=\"200\"}"), 1, double.MaxValue);
        Assert.All(lines, line => Assert.True(Exposition.IsMatch(line), line));

        var samples = lines.Where(line => line[0] != '#').Select(line => line[..line.LastIndexOf(' ')]).ToList();
        Assert.Equal(samples.Count, samples.Distinct(StringComparer.Ordinal).Count());
        var types = lines.Where(line => line.StartsWith("# TYPE ", StringComparison.Ordinal)).Select(line => line.Split(' ')[2]).ToList();
        Assert.Equal(types.Count, types.Distinct(StringComparer.Ordinal).Count());
        Assert.All(samples, sample => Assert.Contains(types, type => sample.StartsWith(type, StringComparison.Ordinal)));
    }

    [Fact]
    public async Task A_histogram_ends_with_all_of_its_values()
    {
        await AskAsync("library/nginx");
        var lines = (await _admin.GetStringAsync("/metrics")).Split('\n');
        var counts = lines.Where(line => line.StartsWith("imageaccess_decision_duration_seconds_bucket{outcome=\"allow\",", StringComparison.Ordinal))
            .Select(line => double.Parse(line.Split(' ')[^1], CultureInfo.InvariantCulture)).ToList();

        Assert.Equal(counts.Order(), counts);
        Assert.InRange(counts[^1], 1, double.MaxValue);
        Assert.Equal(counts[^1], Value(lines, "imageaccess_decision_duration_seconds_bucket{outcome=\"allow\",le=\"+Inf\"}"));
        Assert.Equal(counts[^1], Value(lines, "imageaccess_decision_duration_seconds_count{outcome=\"allow\"}"));
    }

    [Theory]
    [InlineData("GET", "/")]
    [InlineData("GET", "/v2/")]
    [InlineData("GET", "/v2/library/nginx/manifests/latest")]
    [InlineData("GET", "/token?service=registry.docker.io")]
    [InlineData("GET", "/Metrics")]
    [InlineData("GET", "/livez/x")]
    [InlineData("POST", "/livez")]
    [InlineData("DELETE", "/metrics")]
    public async Task What_is_not_the_admins_is_not_found(string method, string target)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), target);
        request.Headers.Add("Authorization", "Bearer " + await _surroundings.PullTokenAsync("bob", "library/nginx"));
        using var answer = await _admin.SendAsync(request);
        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
        Assert.Empty(_surroundings.Hub.Requests.All);
    }

    [Theory]
    [InlineData("/livez")]
    [InlineData("/readyz")]
    [InlineData("/metrics")]
    public async Task The_admins_are_not_on_the_mirror(string target) => Assert.Equal(404, (await _surroundings.AskAsync("GET", target)).Status);

    private static string Text(JsonNode body, string name) => body[name]!.GetValue<string>();

    private static double Value(IEnumerable<string> lines, string sample) =>
        double.Parse(Assert.Single(lines, line => line.StartsWith(sample + " ", StringComparison.Ordinal))[(sample.Length + 1)..], CultureInfo.InvariantCulture);

    private static async Task<(int Status, JsonNode Body)> ReadAsync(HttpClient admin)
    {
        using var answer = await admin.GetAsync("/readyz");
        return ((int)answer.StatusCode, JsonNode.Parse(await answer.Content.ReadAsStringAsync())!);
    }

    private async Task<RawAnswer> AskAsync(string repository) =>
        await _surroundings.AskAsync("GET", $"/v2/{repository}/manifests/latest", await _surroundings.PullTokenAsync("bob", repository));

    [GeneratedRegex(
        """^(# HELP [a-zA-Z_:][a-zA-Z0-9_:]* .*|# TYPE [a-zA-Z_:][a-zA-Z0-9_:]* (counter|gauge|histogram|untyped)|[a-zA-Z_:][a-zA-Z0-9_:]*(\{([a-zA-Z_][a-zA-Z0-9_]*="([^"\\]|\\[n"\\])*"(,(?=[a-zA-Z_])|(?=\})))+\})? (-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?|NaN|[+-]Inf))$""",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000)]
    private static partial Regex Exposition { get; }
}

public sealed class ReadinessTests_direct() : ReadinessTests(Direct);

public sealed class ReadinessTests_kestrel() : ReadinessTests(Kestrel);
