using System.Net;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Hosting;
using ImageAccess.Proxy.Tests.Walk;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace ImageAccess.Proxy.Tests.Hosting;

/// <summary>What a person reads of the admin listener and of its polls: JSON without escapes, with a line's end, and one line of the log for a change.</summary>
public sealed class ReadableAnswersTests : IAsyncLifetime
{
    private const string Quoting = """
        { "organizations": [ { "name": "acme", "enabled": true, "allow": { "official": true }, "help": "it's at <https://wiki> & \"free\" – 请" } ] }
        """;

    private Surroundings _here = null!;
    private HttpClient _admin = null!;

    public async Task InitializeAsync()
    {
        _here = await Surroundings.StartAsync(Quoting);
        _admin = Surroundings.NewClient(_here.Admin);
    }

    public async Task DisposeAsync()
    {
        _admin.Dispose();
        await _here.DisposeAsync();
    }

    [Fact]
    public async Task However_often_it_is_polled_each_change_is_one_line()
    {
        var fault = _here.Hub.Faults.Add(Face.Registry, Fault.CloseConnection());
        await PullAsync();
        for (var poll = 0; poll < 5; poll++)
            Assert.Contains("\"degraded\"", await _admin.GetStringAsync("/readyz"), StringComparison.Ordinal);
        fault.Dispose();
        await PullAsync();
        for (var poll = 0; poll < 5; poll++)
            Assert.Contains("\"ready\"", await _admin.GetStringAsync("/readyz"), StringComparison.Ordinal);
        _here.Hub.Faults.Add(Face.Registry, Fault.CloseConnection());
        await PullAsync();
        await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => _admin.GetStringAsync("/readyz")));

        var lines = _here.Log.ToString().Split('\n');
        Assert.Equal(2, lines.Count(line => line.Contains("upstream is degraded: ", StringComparison.Ordinal)));
        Assert.Equal(1, lines.Count(line => line.Contains("upstream works again", StringComparison.Ordinal)));
        Assert.DoesNotContain(lines, line => line.Contains("Health check", StringComparison.Ordinal));
    }

    [Fact]
    public async Task While_it_stops_it_is_not_ready()
    {
        _here.Proxy.Lifetime.StopApplication();
        using var answer = await _admin.GetAsync("/readyz");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        Assert.Contains("\"status\": \"stopping\"", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Readiness_has_quotes_as_they_are_and_ends_its_line()
    {
        await File.WriteAllTextAsync(Path.Combine(Path.GetDirectoryName(_here.AuditFile)!, "policy.json"), """{ "organizations": [ { "name": "acme", "it's <wrong> & more": 1 } ] }""");
        var text = "";
        for (var tries = 0; tries < 500 && !text.Contains("it's <wrong> & more", StringComparison.Ordinal); tries++)
        {
            text = await _admin.GetStringAsync("/readyz");
            await Task.Delay(20);
        }

        Assert.Contains("it's <wrong> & more", text, StringComparison.Ordinal);
        AssertReadable(text);
    }

    [Theory]
    [InlineData("GET", "/check?image=library/nginx")]
    [InlineData("GET", "/check?image=someuser/custom-image&as=o'brien")]
    [InlineData("GET", "/check?image=a'b")]
    [InlineData("DELETE", "/api/v1/cache?image=library/never&by='me'")]
    [InlineData("DELETE", "/api/v1/cache?image=it's")]
    [InlineData("DELETE", "/api/v1/cache?it's=1")]
    public async Task Other_answers_are_as_readable(string method, string target)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), target);
        using var answer = await _admin.SendAsync(request);
        var text = await answer.Content.ReadAsStringAsync();
        Assert.StartsWith("{", text, StringComparison.Ordinal);
        AssertReadable(text);
    }

    [Fact]
    public async Task A_denial_that_a_client_prints_is_readable()
    {
        var answer = await _here.AskAsync("GET", "/v2/someuser/custom-image/manifests/latest", await _here.PullTokenAsync(null, "someuser/custom-image"), "curl/8");
        Assert.Contains("it's at <https://wiki> & \\\"free\\\"", answer.Body, StringComparison.Ordinal);
        Assert.DoesNotContain("\\u", answer.Body, StringComparison.Ordinal);
    }

    /// <summary>A part that works in the background and fails is no success: a service manager starts the program again.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_part_that_fails_stops_the_program_with_a_failure(bool hasStarted)
    {
        using var directory = new TemporaryDirectory();
        await using var proxy = ProxyHost.Build(
            new Microsoft.Extensions.Configuration.ConfigurationManager
            {
                ["Listen:Mirror"] = "http://127.0.0.1:0",
                ["Listen:Admin"] = "http://127.0.0.1:0",
                ["Data:Directory"] = directory.Path,
                ["Cache:Enabled"] = "false",
            },
            builder =>
            {
                builder.Logging.ClearProviders();
                builder.Services.AddHostedService(provider => new FailingPart(hasStarted ? provider.GetRequiredService<IHostApplicationLifetime>() : null));
            });
        try
        {
            await proxy.StartAsync();
            await proxy.WaitForShutdownAsync().WaitAsync(TimeSpan.FromSeconds(60));
        }
        catch (OperationCanceledException) when (!hasStarted)
        {
            // It stopped before it had started, if it was fast enough.
        }

        Assert.Equal("out of order", proxy.Failure()?.GetBaseException().Message);
        Assert.Null(_here.Proxy.Failure());
    }

    private static void AssertReadable(string text)
    {
        Assert.DoesNotContain("\\u", text, StringComparison.Ordinal);
        Assert.EndsWith("}\n", text, StringComparison.Ordinal);
        Assert.False(text.EndsWith("\n\n", StringComparison.Ordinal));
    }

    private async Task PullAsync() => await _here.AskAsync("GET", "/v2/library/nginx/manifests/latest", await _here.PullTokenAsync("bob", "library/nginx"));

    /// <param name="lifetime">Where it is to fail once the program has started.</param>
    private sealed class FailingPart(IHostApplicationLifetime? lifetime) : BackgroundService
    {
        protected override async Task ExecuteAsync(CancellationToken stoppingToken)
        {
            if (lifetime is null)
                throw new InvalidOperationException("out of order");
            var started = new TaskCompletionSource();
            await using var registration = lifetime.ApplicationStarted.Register(started.SetResult);
            await started.Task;
            throw new InvalidOperationException("out of order");
        }
    }
}
