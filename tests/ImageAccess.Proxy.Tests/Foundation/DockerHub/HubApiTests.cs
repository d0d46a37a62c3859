using System.Globalization;
using System.Net;
using System.Text;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Foundation.DockerHub;
using ImageAccess.Proxy.Tests.Callers.Identity;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace ImageAccess.Proxy.Tests.Foundation.DockerHub;

public sealed class HubApiTests : IAsyncLifetime, IDisposable
{
    private const string Question = "/v2/orgs/bitnami/";

    private static readonly AnswerLimits Limits = new(1024, TimeSpan.FromSeconds(5));

    private readonly ManualTime _time = new();
    private readonly LogLines _logs = new();
    private FakeHub _hub = null!;
    private ServiceProvider _provider = null!;

    private HubApi Api => _provider.GetRequiredService<HubApi>();

    public async Task InitializeAsync()
    {
        _hub = await FakeHub.StartAsync(options => options.Time = _time);
        _hub.Namespaces.Add("bitnami", "verified_publisher");
        Build(_hub.Hub);
    }

    public async Task DisposeAsync()
    {
        await _provider.DisposeAsync();
        await _hub.DisposeAsync();
    }

    public void Dispose() => _logs.Dispose();

    [Fact]
    public async Task An_answer_is_read_whole_and_the_question_says_who_asks()
    {
        var answer = await AskAsync();
        Assert.Equal((HttpStatusCode.OK, "application/json"), (answer.Status, answer.MediaType));
        Assert.Contains("\"verified_publisher\"", Encoding.UTF8.GetString(answer.Body.Span), StringComparison.Ordinal);
        var asked = Assert.Single(_hub.Requests.Of(Face.Hub));
        Assert.Equal(Question, asked.RawTarget);
        Assert.Equal("ImageAccess.Proxy/0.1", asked.Headers["User-Agent"]);
    }

    [Theory]
    [InlineData(429, "Retry-After", "120", 120, 120)]
    [InlineData(429, "Retry-After", "Mon, 01 Jun 2026 12:02:00 GMT", 120, 120)]
    [InlineData(429, "X-Retry-After", "@120", 120, 120)]
    [InlineData(429, null, "", 60, 60)]
    [InlineData(429, "X-Retry-After", "soon", 60, 60)]
    [InlineData(429, "Retry-After", "0", 5, 5)]
    [InlineData(429, "X-Retry-After", "@-500", 5, 5)]
    [InlineData(429, "Retry-After", "7200", 3600, 7200)]
    [InlineData(429, "Retry-After", "9999999", 3600, 86400)]
    [InlineData(429, "X-Retry-After", "9223372036854775807", 3600, 86400)]
    [InlineData(500, "Retry-After", "30", 30, 30)]
    [InlineData(503, "X-Retry-After", "@30", 30, 30)]
    public async Task A_backoff_lasts_from_five_seconds_to_an_hour_and_its_end_is_told_up_to_a_day(
        int status, string? header, string value, int backoffSeconds, int retrySeconds)
    {
        var now = _time.GetUtcNow();
        if (value.StartsWith('@'))
            value = (now.ToUnixTimeSeconds() + int.Parse(value[1..], CultureInfo.InvariantCulture)).ToString(CultureInfo.InvariantCulture);
        (string, string)[] headers = header is null ? [] : [(header, value)];
        _hub.Faults.Add(Face.Hub, Fault.Status(status, headers: headers), times: 1);

        var told = await Assert.ThrowsAsync<HubBackoffException>(AskAsync);
        Assert.Equal((status, now.AddSeconds(backoffSeconds), now.AddSeconds(retrySeconds)), (told.Status, told.Until, told.RetryAt));
        Assert.Contains(_logs.Lines, line => line.StartsWith("Warning The Hub API asks us to back off until ", StringComparison.Ordinal));

        _time.Advance(TimeSpan.FromSeconds(backoffSeconds - 0.1));
        var kept = await Assert.ThrowsAsync<HubBackoffException>(AskAsync);
        Assert.Equal((null, told.Until, told.Until), (kept.Status, kept.Until, kept.RetryAt));
        Assert.Single(_hub.Requests.Of(Face.Hub));

        _time.Advance(TimeSpan.FromSeconds(0.1));
        Assert.Equal(HttpStatusCode.OK, (await AskAsync()).Status);
    }

    [Fact]
    public async Task Of_two_headers_the_later_moment_counts()
    {
        var now = _time.GetUtcNow();
        var named = now.AddSeconds(90).ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
        foreach (var seconds in new[] { "30", "300" })
        {
            _hub.Faults.Add(Face.Hub, Fault.Status(429, headers: [("Retry-After", seconds), ("X-Retry-After", named)]), times: 1);
            var told = await Assert.ThrowsAsync<HubBackoffException>(AskAsync);
            Assert.Equal(seconds == "30" ? now.AddSeconds(90) : _time.GetUtcNow().AddSeconds(300), told.Until);
            _time.Advance(told.Until - _time.GetUtcNow());
        }
    }

    [Theory]
    [InlineData(404)]
    [InlineData(500)]
    public async Task Of_another_answer_than_200_the_body_is_not_read(int status)
    {
        _hub.Faults.Add(Face.Hub, Fault.Custom(async (http, _) =>
        {
            http.Response.StatusCode = status;
            http.Response.ContentType = "text/html";
            await http.Response.Body.WriteAsync(new byte[100_000]);
        }));
        var answer = await AskAsync();
        Assert.Equal((status, "text/html", 0), ((int)answer.Status, answer.MediaType, answer.Body.Length));
    }

    [Fact]
    public async Task A_redirect_is_told_and_not_followed()
    {
        _hub.Faults.Add(Face.Hub, Fault.Redirect("/v2/users/bitnami/", 308));
        var answer = await AskAsync();
        Assert.Equal((HttpStatusCode.PermanentRedirect, new Uri(_hub.Hub, "/v2/users/bitnami/")), (answer.Status, answer.Location));
        Assert.Single(_hub.Requests.Of(Face.Hub));
    }

    public static TheoryData<Func<Fault>, string> Faults => new()
    {
        { () => Fault.EndlessBody(), "the Hub API's answer is larger than 1 KiB" },
        { () => Fault.Truncate(5), "the Hub API gave no whole answer (HOST: the answer broke off; look at Upstream:Hub)" },
        { Fault.CloseConnection, "the Hub API gave no whole answer (HOST: the answer broke off, Connection reset by peer; look at Upstream:Hub)" },
    };

    [Theory]
    [MemberData(nameof(Faults))]
    public async Task What_does_not_arrive_whole_is_named(Func<Fault> fault, string cause)
    {
        _hub.Faults.Add(Face.Hub, fault());
        var failure = await Assert.ThrowsAsync<UnansweredException>(AskAsync);
        Assert.Equal((cause.Replace("HOST", _hub.Hub.Authority, StringComparison.Ordinal), cause.Contains("larger", StringComparison.Ordinal)), (failure.Cause, failure.IsTooLarge));
    }

    [Fact]
    public async Task An_answer_has_its_time()
    {
        using var fault = _hub.Faults.Add(Face.Hub, Fault.NeverAnswer());
        var asking = AskAsync();
        await Eventually.TrueAsync(() => fault.Hits == 1);
        _time.Advance(Limits.Time);
        Assert.Equal($"the Hub API did not answer within 5 s ({_hub.Hub.Authority}; look at Upstream:Hub)", (await Assert.ThrowsAsync<UnansweredException>(() => asking)).Cause);
    }

    [Fact]
    public async Task Where_nobody_listens_the_cause_is_named()
    {
        await _provider.DisposeAsync();
        Build(new Uri("http://127.0.0.1:1"));
        Assert.Equal("the Hub API cannot be reached (127.0.0.1:1: no connection, Connection refused; look at Upstream:Hub, Upstream:Proxy and the firewall)", (await Assert.ThrowsAsync<UnansweredException>(AskAsync)).Cause);
    }

    private void Build(Uri hub) => _provider = new ServiceCollection()
        .AddSingleton<TimeProvider>(_time)
        .AddLogging(logging => logging.AddProvider(_logs))
        .AddDockerHub(IdentityRoom.Configure(("Upstream:Hub", hub.AbsoluteUri)))
        .BuildServiceProvider(validateScopes: true);

    private async Task<HubAnswer> AskAsync()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(Api.Address, Question));
        return await Api.AskAsync(request, Limits, CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(60));
    }
}
