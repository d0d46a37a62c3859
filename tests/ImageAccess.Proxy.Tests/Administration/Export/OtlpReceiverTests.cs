using System.Globalization;
using System.Runtime.Versioning;
using ImageAccess.Proxy.Administration.Export;
using ImageAccess.Proxy.Tests.Administration.Notifications;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace ImageAccess.Proxy.Tests.Administration.Export;

[UnsupportedOSPlatform("windows")]
public sealed class OtlpReceiverTests : IAsyncLifetime
{
    private const string Host = "collector.example.com";

    private readonly List<OtlpReceiver> _receivers = [];
    private ExportRoom _room = null!;
    private WebhookServer _server = null!;

    public async Task InitializeAsync() => (_room, _server) = (new ExportRoom(), await WebhookServer.StartAsync());

    public async Task DisposeAsync()
    {
        _receivers.ForEach(receiver => receiver.Dispose());
        await _server.DisposeAsync();
        _room.Dispose();
    }

    [Fact]
    public async Task A_batch_is_a_request_of_the_protocol_in_JSON()
    {
        ExportedEvent[] events =
        [
            new("1f", new DateTimeOffset(2026, 6, 1, 12, 0, 0, 5, TimeSpan.Zero), "decision", IsDenied: true, """{"id":"1f","x":"\u00e4"}"""u8.ToArray()),
            new("1f", new DateTimeOffset(2026, 6, 1, 12, 1, 0, TimeSpan.Zero), "denials", IsDenied: false, "{}"u8.ToArray()),
        ];
        Assert.Equal(ExportAnswer.Taken, await Receiver().SendAsync(events, default));
        var request = Assert.Single(_server.Requests);
        Assert.Equal(("/v1/logs", "application/json"), (request.Path, request.ContentType));
        var logs = Assert.Single(request.Json.GetProperty("resourceLogs").EnumerateArray());
        Assert.Equal(
            $$$"""{"attributes":[{"key":"service.name","value":{"stringValue":"imageaccess"}},{"key":"host.name","value":{"stringValue":"{{{Environment.MachineName}}}"}}]}""",
            logs.GetProperty("resource").GetRawText());
        var scope = Assert.Single(logs.GetProperty("scopeLogs").EnumerateArray());
        Assert.Equal("""{"name":"imageaccess.audit"}""", scope.GetProperty("scope").GetRawText());
        Assert.Equal(
            [
                """{"timeUnixNano":"1780315200005000000","observedTimeUnixNano":"NOW","severityNumber":13,"severityText":"WARN","eventName":"imageaccess.audit.decision","body":"""
                + """{"stringValue":"{\"id\":\"1f\",\"x\":\"\\u00e4\"}"},"attributes":[{"key":"log.record.uid","value":{"stringValue":"1f"}},"""
                + """{"key":"imageaccess.event.id","value":{"stringValue":"1f"}},{"key":"imageaccess.event.kind","value":{"stringValue":"decision"}}]}""",
                """{"timeUnixNano":"1780315260000000000","observedTimeUnixNano":"NOW","severityNumber":9,"severityText":"INFO","eventName":"imageaccess.audit.denials","body":"""
                + """{"stringValue":"{}"},"attributes":[{"key":"log.record.uid","value":{"stringValue":"1f-denials"}},"""
                + """{"key":"imageaccess.event.id","value":{"stringValue":"1f"}},{"key":"imageaccess.event.kind","value":{"stringValue":"denials"}}]}""",
            ],
            scope.GetProperty("logRecords").EnumerateArray().Select(record => record.GetRawText().Replace($"{_room.Time.GetUtcNow().ToUnixTimeMilliseconds()}000000", "NOW", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData(429, "answers 429")]
    [InlineData(503, "answers 503")]
    [InlineData(400, "answers 400")]
    [InlineData(307, "answers 307, and a redirect is not followed")]
    [InlineData(401, "answers 401: look at Audit:Export:Otlp:HeadersFile")]
    [InlineData(202, "answers 202")]
    public async Task Whatever_is_no_200_comes_again_when_the_receiver_says_so(int status, string cause)
    {
        _server.AnswerStatus(status, retryAfter: "7200");
        await _room.Trail.WriteAsync();
        _room.Restart(Receiver());
        await _room.LookAsync();
        Assert.Equal([$"The audit trail is not exported: Audit:Export:Otlp {cause}; events wait in the audit files, trying again"], _room.Log.All);
        if (status != 307)
            Assert.Equal(TimeSpan.FromHours(1), _room.Exporter.Wait); // and no longer
        _server.AnswerStatus(status, retryAfter: _room.Time.GetUtcNow().AddMinutes(6).ToString("r", CultureInfo.InvariantCulture));
        await _room.LookAsync();
        if (status != 307)
            Assert.Equal(TimeSpan.FromMinutes(5), _room.Exporter.Wait);
        _server.Answer = _ => Task.CompletedTask;
        await _room.LookAsync();
        Assert.Equal(_room.Kept, Ids(_server.Requests[^1]));
    }

    [Theory]
    [InlineData("""{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"canary"}}""", 2)]
    [InlineData("""{"partialSuccess":{"rejectedLogRecords":2}}""", 2)]
    [InlineData("""{"partialSuccess":{"rejectedLogRecords":"99999999999999999999"}}""", 0)]
    [InlineData("""{"partialSuccess":{"rejectedLogRecords":1000}}""", 4)]
    [InlineData("""{"partialSuccess":{"rejectedLogRecords":"0","errorMessage":"canary"}}""", 0)]
    [InlineData("""{"partialSuccess":[]}""", 0)]
    [InlineData("""{"partialSuccess":null}""", 0)]
    [InlineData("{}", 0)]
    [InlineData("", 0)]
    [InlineData("no JSON", 0)]
    public async Task A_partial_success_is_counted_told_and_not_repeated(string answer, int rejected)
    {
        _server.Answer = http => http.Response.WriteAsync(answer);
        await _room.Trail.WriteAsync();
        _room.Restart(Receiver());
        await _room.LookAsync();
        await _room.LookAsync();
        Assert.Single(_server.Requests);
        Assert.Equal((4 - rejected, rejected), (_room.Counts["imageaccess.export.sent"], _room.Counts["imageaccess.export.rejected"]));
        string[] told = rejected == 0 ? [] : [$"Audit:Export:Otlp has refused {rejected} events of the audit trail for good; they stay in the audit files"];
        Assert.Equal(told, _room.Log.All);
    }

    [Fact]
    public async Task A_receiver_that_answers_in_the_middle_of_a_long_outage_misses_nothing()
    {
        var answers = 0;
        _server.Answer = http =>
        {
            http.Response.StatusCode = answers++ % 3 == 0 ? 200 : 503;
            return Task.CompletedTask;
        };
        _room.Restart(Receiver());
        for (var day = 0; day < 6; day++)
        {
            await _room.Trail.WriteAsync(400);
            await _room.LookAsync();
            _room.Time.Advance(TimeSpan.FromHours(13));
        }

        _server.Answer = _ => Task.CompletedTask;
        await _room.LookAsync();
        Assert.Equal(_room.Kept, _server.Taken.SelectMany(Ids));
    }

    [Fact]
    public async Task One_that_hangs_or_aborts_gets_it_again()
    {
        await _room.Trail.WriteAsync();
        _room.Restart(Receiver());
        _server.Hang();
        var looking = _room.LookAsync();
        await Eventually.TrueAsync(() => _server.Requests.Count == 1);
        _room.Time.Advance(OtlpReceiver.Timeout);
        await looking;
        Assert.Equal(["The audit trail is not exported: Audit:Export:Otlp did not answer within 30 s; events wait in the audit files, trying again"], _room.Log.All);
        _server.Answer = http =>
        {
            http.Abort();
            return Task.CompletedTask;
        };
        await _room.LookAsync();
        _server.Answer = _ => Task.CompletedTask;
        await _room.LookAsync();
        Assert.Equal(3, _server.Requests.Count);
        Assert.Equal(_room.Kept, Ids(_server.Requests[^1]));
        Assert.Equal(2, _room.Counts["imageaccess.export.failures"]);
    }

    [Fact]
    public async Task Headers_come_from_a_file_that_is_read_anew_and_never_told()
    {
        var seen = new List<string>();
        _server.Answer = http =>
        {
            seen.Add($"{http.Request.Headers.Authorization} {http.Request.Headers["X-Tenant"]}");
            http.Response.StatusCode = seen.Count == 1 ? 401 : 200;
            return Task.CompletedTask;
        };
        var file = _room.Trail["headers"];
        await File.WriteAllTextAsync(file, "Authorization=Bearer%20canary-1, X-Tenant=acme\n");
        _room.Restart(Receiver(headers: file));
        await _room.Trail.WriteAsync();
        await _room.LookAsync();
        await File.WriteAllTextAsync(file, "Authorization=Bearer%20canary-2");
        await _room.LookAsync();
        Assert.Equal(["Bearer canary-1 acme", "Bearer canary-2 "], seen);
        await File.WriteAllTextAsync(file, "canary-3");
        await _room.Trail.WriteAsync();
        await _room.LookAsync();
        Assert.Contains($"Audit:Export:Otlp is not asked: {file} holds no headers as name=value,name=value", _room.Log.At(LogLevel.Error)[^1], StringComparison.Ordinal);
        Assert.DoesNotContain(_room.Log.Lines, line => line.Contains("canary", StringComparison.Ordinal));
    }

    [Fact]
    public async Task One_at_an_address_that_is_not_public_is_asked_only_where_the_configuration_says_so()
    {
        ExportedEvent[] events = [new("1f", DateTimeOffset.UnixEpoch, "decision", IsDenied: true, "{}"u8.ToArray())];
        Assert.Equal(
            "is not asked: its name leads to an address that is not public; where it is your own, say so with Private",
            (await Receiver(isPrivate: false).SendAsync(events, default)).Cause);
        Assert.Empty(_server.Requests);
        var receiver = Receiver();
        await _server.DisposeAsync();
        Assert.StartsWith($"cannot be reached: {Host}:", (await receiver.SendAsync(events, default)).Cause, StringComparison.Ordinal);
    }

    internal static IEnumerable<string> Ids(WebhookRequest request) => request.Json.GetProperty("resourceLogs")[0].GetProperty("scopeLogs")[0].GetProperty("logRecords").EnumerateArray()
        .Select(record => ExportRoom.IdOf(record.GetProperty("body").GetProperty("stringValue").GetString()!));

    private OtlpReceiver Receiver(bool isPrivate = true, string? headers = null)
    {
        var options = new OtlpOptions { Endpoint = new Uri(_server.Address(Host, "")), Private = isPrivate, HeadersFile = headers };
        var receiver = new OtlpReceiver(options, _room.Connections(host: Host), _room.Time);
        _receivers.Add(receiver);
        return receiver;
    }
}
