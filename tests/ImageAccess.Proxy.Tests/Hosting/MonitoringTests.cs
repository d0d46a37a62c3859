using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.RegularExpressions;
using ImageAccess.Proxy.Tests.HouseRules;
using ImageAccess.Proxy.Tests.Walk;
using YamlDotNet.RepresentationModel;

namespace ImageAccess.Proxy.Tests.Hosting;

/// <summary>The alerts and the dashboard of <c>deploy</c>: Prometheus takes them, and they ask for what this program measures.</summary>
public sealed partial class MonitoringTests
{
    private const string Rules = "deploy/prometheus/rules.yml";
    private const string Cases = "deploy/prometheus/rules_test.yml";
    private const string Dashboard = "deploy/grafana/imageaccess.json";

    /// <summary>Words of PromQL that stand alone, and what Prometheus itself makes.</summary>
    private static readonly string[] NoMetrics = ["and", "or", "unless", "offset", "up"];

    [Fact]
    public async Task Prometheus_takes_the_rules() => Assert.Contains("12 rules found", await RunAsync("promtool", "check", "rules", RepositoryRoot.Find(Rules)), StringComparison.Ordinal);

    [Fact]
    public async Task Each_alert_fires_where_it_should_and_not_elsewhere() =>
        Assert.Contains("SUCCESS", await RunAsync("promtool", "test", "rules", RepositoryRoot.Find(Cases)), StringComparison.Ordinal);

    [Fact]
    public void Each_alert_has_both_kinds_of_case_and_says_what_to_do()
    {
        var alerts = Alerts().ToList();
        Assert.NotEmpty(alerts);
        Assert.All(alerts, alert => Assert.All(["summary", "description"], text => Assert.True(((YamlScalarNode)alert["annotations"][text]).Value!.Length > 20)));
        var cases = ((YamlSequenceNode)Read(Cases)["tests"]).SelectMany(test => (YamlSequenceNode)test["alert_rule_test"])
            .Select(one => (Alert: one["alertname"].ToString(), Fires: ((YamlSequenceNode)one["exp_alerts"]).Children.Count > 0))
            .ToHashSet();
        Assert.Equal(alerts.Select(alert => alert["alert"].ToString()).SelectMany(name => new[] { (name, true), (name, false) }).ToHashSet(), cases);
    }

    [Fact]
    public async Task The_dashboard_is_what_its_script_prints() =>
        Assert.Equal(RepositoryRoot.Read(Dashboard), await RunAsync("bash", RepositoryRoot.Find("deploy/grafana/dashboard")));

    [Fact]
    public async Task Prometheus_takes_each_question_of_the_dashboard()
    {
        using var directory = new TemporaryDirectory();
        var file = Path.Combine(directory.Path, "questions.yml");
        var questions = DashboardQuestions();
        Assert.InRange(questions.Count, 40, 200);
        var rules = questions.Select((question, at) => new { record = $"question:{at}", expr = question.Replace("$__rate_interval", "5m", StringComparison.Ordinal) });
        await File.WriteAllTextAsync(file, JsonSerializer.Serialize(new { groups = new[] { new { name = "questions", rules } } }));
        Assert.Contains($"{questions.Count} rules found", await RunAsync("promtool", "check", "rules", file), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Every_metric_that_is_asked_for_is_one_of_the_program()
    {
        await using var here = await Surroundings.StartAsync(settings:
        [
            ("Cache:Enabled", "true"), ("PublicUrl", "https://mirror.example.com"), ("Listen:Gateway", "https://127.0.0.1:0"), ("Listen:ForwardProxy", "http://127.0.0.1:0"),
            ("Notifications:Webhooks:0:Address", "https://hooks.example.com/x"),
        ]);
        foreach (var repository in new[] { "library/nginx", "bitnami/redis", "someuser/custom-image" })
            await here.AskAsync("GET", $"/v2/{repository}/manifests/latest", await here.PullTokenAsync("carol", repository));
        using var admin = Surroundings.NewClient(here.Admin);
        var known = (await admin.GetStringAsync("/metrics")).Split('\n').Where(line => line.Length > 0 && line[0] != '#').Select(line => line.Split('{', ' ')[0]).ToHashSet();

        var asked = DashboardQuestions().Concat(Alerts().Select(alert => alert["expr"].ToString())).SelectMany(MetricsOf).Distinct().Order(StringComparer.Ordinal).ToList();
        Assert.InRange(asked.Count, 30, 200);
        Assert.Empty(asked.Except(known));
    }

    [Fact]
    public async Task Prometheus_scrapes_it_with_exemplars()
    {
        await using var receiver = await OtlpReceiver.StartAsync();
        await using var here = await Surroundings.StartAsync(settings: [("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.Address), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")]);
        await here.AskAsync("GET", "/v2/library/nginx/manifests/latest", await here.PullTokenAsync("bob", "library/nginx"));
        using var directory = new TemporaryDirectory();
        await File.WriteAllTextAsync(directory["prometheus.yml"], $$"""
            rule_files: [ {{RepositoryRoot.Find(Rules)}} ]
            scrape_configs: [ { job_name: imageaccess, scrape_interval: 1s, static_configs: [ { targets: [ "{{here.Admin.Authority}}" ] } ] } ]
            """);
        var address = new Uri($"http://127.0.0.1:{FreePort()}");
        using var prometheus = Process.Start(new ProcessStartInfo("prometheus",
        [
            $"--config.file={directory["prometheus.yml"]}", $"--storage.tsdb.path={directory["data"]}", $"--web.listen-address={address.Authority}", "--enable-feature=exemplar-storage",
        ])
        { RedirectStandardError = true, UseShellExecute = false })!;
        var log = prometheus.StandardError.ReadToEndAsync();
        try
        {
            using var client = Surroundings.NewClient(address);
            await Eventually.TrueAsync(async () => (await AskAsync(client, "query?query=imageaccess_decisions_total>0")).Contains("\"rule\":\"official\"", StringComparison.Ordinal));
            Assert.Contains("\"trace_id\":", await AskAsync(client, "query_exemplars?query=imageaccess_decision_duration_seconds_bucket&start=0&end=99999999999"), StringComparison.Ordinal);
        }
        finally
        {
            prometheus.Kill();
            await prometheus.WaitForExitAsync();
            await log;
        }
    }

    [Theory]
    [InlineData("sum by (le, a_b) (rate(x_y_bucket{z_z=~\"a_a|b\"}[5m])) > 4 * min(c_d offset 30m) and time() - e < 90 * 86400", "x_y_bucket c_d e")]
    public void Metrics_are_found_in_a_question(string question, string metrics) => Assert.Equal(metrics.Split(' '), MetricsOf(question));

    private static IEnumerable<string> MetricsOf(string question) => Names().Matches(Asides().Replace(question, " ")).Select(name => name.Value).Except(NoMetrics);

    private static IEnumerable<YamlNode> Alerts() => ((YamlSequenceNode)Read(Rules)["groups"]).SelectMany(group => (YamlSequenceNode)group["rules"]);

    private static YamlNode Read(string file)
    {
        var yaml = new YamlStream();
        using var reader = new StringReader(RepositoryRoot.Read(file));
        yaml.Load(reader);
        return yaml.Documents.Single().RootNode;
    }

    private static List<string> DashboardQuestions()
    {
        using var json = JsonDocument.Parse(RepositoryRoot.Read(Dashboard));
        return
        [
            .. json.RootElement.GetProperty("panels").EnumerateArray().Where(panel => panel.TryGetProperty("targets", out _))
                .SelectMany(panel => panel.GetProperty("targets").EnumerateArray()).Select(target => target.GetProperty("expr").GetString()!),
        ];
    }

    /// <summary>What Prometheus answers; nothing before it listens.</summary>
    private static async Task<string> AskAsync(HttpClient prometheus, string question)
    {
        try
        {
            return await prometheus.GetStringAsync("/api/v1/" + question);
        }
        catch (HttpRequestException)
        {
            return "";
        }
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    /// <summary>What a program prints, all of it; it must succeed.</summary>
    private static async Task<string> RunAsync(string program, params string[] arguments)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(5));
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false })!;
        var (output, error) = (process.StandardOutput.ReadToEndAsync(limit.Token), process.StandardError.ReadToEndAsync(limit.Token));
        await process.WaitForExitAsync(limit.Token);
        Assert.True(process.ExitCode == 0, await output + await error);
        return await output;
    }

    /// <summary>Texts, labels, ranges, and what is summed by: no metrics are named there.</summary>
    [GeneratedRegex(@"""[^""]*""|\{[^}]*\}|\[[^]]*\]|\bby \([^)]*\)", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Asides();

    [GeneratedRegex(@"(?<![0-9a-zA-Z_])[a-zA-Z_][a-zA-Z0-9_]*(?![a-zA-Z0-9_]|\s*\()", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Names();
}
