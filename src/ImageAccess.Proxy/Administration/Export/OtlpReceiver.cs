using System.Buffers;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Encodings.Web;
using System.Text.Json;
using ImageAccess.Proxy.Foundation.DockerHub;

namespace ImageAccess.Proxy.Administration.Export;

/// <summary>
/// A receiver of OTLP logs over HTTP, in the JSON that the protocol has beside protobuf. Its 200 is the confirmation. What it refuses in a way that the
/// protocol calls final (a 401, a 400) waits as well: evidence is not thrown away because a token has ended.
/// </summary>
internal sealed class OtlpReceiver : ITrailReceiver, IDisposable
{
    public static readonly TimeSpan Timeout = TimeSpan.FromSeconds(30);

    private const int MaximumAnswer = 64 * 1024;

    private const string AddressKey = $"{OtlpOptions.Section}:Endpoint";

    private static readonly TimeSpan LongestWait = TimeSpan.FromHours(1);

    private static readonly JsonWriterOptions Format = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly OtlpOptions _options;
    private readonly TimeProvider _time;
    private readonly HttpMessageInvoker _invoker;

    public OtlpReceiver(OtlpOptions options, UpstreamConnections connections, TimeProvider time)
    {
        (_options, _time) = (options, time);
        _invoker = new HttpMessageInvoker(connections.ToReceiver(options.Private));
    }

    public string Name => "otlp";

    public string Section => OtlpOptions.Section;

    public TimeSpan Pause => TimeSpan.FromSeconds(1);

    public async Task<ExportAnswer> SendAsync(IReadOnlyList<ExportedEvent> events, CancellationToken cancellationToken)
    {
        if (_options.ReadHeaders(out var problem) is not { } headers)
            return new ExportAnswer($"is not asked: {problem}");
        using var request = new HttpRequestMessage(HttpMethod.Post, _options.Address);
        request.Headers.UserAgent.Add(UpstreamConnections.OwnUserAgent);
        foreach (var (name, value) in headers)
            request.Headers.TryAddWithoutValidation(name, value);
        request.Content = new ReadOnlyMemoryContent(BodyOf(events, _time.GetUtcNow())) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } };

        using var limit = new CancellationTokenSource(Timeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            using var answer = await _invoker.SendAsync(request, either.Token);
            return answer.StatusCode == HttpStatusCode.OK
                ? ExportAnswer.Taken with { Rejected = Math.Clamp(await RejectedAsync(answer.Content, either.Token), 0, events.Count) }
                : Refused(answer);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return new ExportAnswer($"did not answer within {Timeout.TotalSeconds} s");
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException)
        {
            return new ExportAnswer(AddressRefusedException.IsCauseOf(exception)
                ? "is not asked: its name leads to an address that is not public; where it is your own, say so with Private"
                : $"cannot be reached: {NetworkFailure.Of(exception, _options.Address, AddressKey).Cause}");
        }
    }

    public void Dispose() => _invoker.Dispose();

    /// <summary>An <c>ExportLogsServiceRequest</c>.</summary>
    internal static ReadOnlyMemory<byte> BodyOf(IReadOnlyList<ExportedEvent> events, DateTimeOffset now)
    {
        var body = new ArrayBufferWriter<byte>();
        using var json = new Utf8JsonWriter(body, Format);
        json.WriteStartObject();
        json.WriteStartArray("resourceLogs");
        json.WriteStartObject();
        json.WriteStartObject("resource");
        json.WriteStartArray("attributes");
        WriteAttribute(json, "service.name", "imageaccess");
        WriteAttribute(json, "host.name", Environment.MachineName);
        json.WriteEndArray();
        json.WriteEndObject();
        json.WriteStartArray("scopeLogs");
        json.WriteStartObject();
        json.WriteStartObject("scope");
        json.WriteString("name", "imageaccess.audit");
        json.WriteEndObject();
        json.WriteStartArray("logRecords");
        foreach (var audit in events)
            WriteRecord(json, audit, now);
        json.WriteEndArray();
        json.WriteEndObject();
        json.WriteEndArray();
        json.WriteEndObject();
        json.WriteEndArray();
        json.WriteEndObject();
        json.Flush();
        return body.WrittenMemory;
    }

    private static void WriteRecord(Utf8JsonWriter json, ExportedEvent audit, DateTimeOffset now)
    {
        json.WriteStartObject();
        json.WriteString("timeUnixNano", Nanoseconds(audit.Time));
        json.WriteString("observedTimeUnixNano", Nanoseconds(now));
        json.WriteNumber("severityNumber", audit.IsDenied ? 13 : 9);
        json.WriteString("severityText", audit.IsDenied ? "WARN" : "INFO");
        json.WriteString("eventName", $"imageaccess.audit.{audit.Kind}");
        json.WriteStartObject("body");
        json.WriteString("stringValue", audit.Line);
        json.WriteEndObject();
        json.WriteStartArray("attributes");
        WriteAttribute(json, "log.record.uid", audit.Unique);
        WriteAttribute(json, "imageaccess.event.id", audit.Id);
        WriteAttribute(json, "imageaccess.event.kind", audit.Kind);
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteAttribute(Utf8JsonWriter json, string key, string value)
    {
        json.WriteStartObject();
        json.WriteString("key", key);
        json.WriteStartObject("value");
        json.WriteString("stringValue", value);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    /// <summary>A 64-bit number of OTLP's JSON is a text; before 1970 there is none.</summary>
    private static string Nanoseconds(DateTimeOffset at) =>
        (Math.Max(0, (at - DateTimeOffset.UnixEpoch).Ticks) * (Int128)TimeSpan.NanosecondsPerTick).ToString(CultureInfo.InvariantCulture);

    private ExportAnswer Refused(HttpResponseMessage answer) => (int)answer.StatusCode switch
    {
        413 => new ExportAnswer("answers 413: even a single event is too large for it") { IsTooLarge = true },
        >= 300 and < 400 and var status => new ExportAnswer($"answers {status}, and a redirect is not followed"),
        var status and (401 or 403) => new ExportAnswer($"answers {status}: look at {Section}:HeadersFile", WaitOf(answer)),
        var status => new ExportAnswer($"answers {status}", WaitOf(answer)),
    };

    private TimeSpan? WaitOf(HttpResponseMessage answer)
    {
        var wait = answer.Headers.RetryAfter?.Delta ?? answer.Headers.RetryAfter?.Date - _time.GetUtcNow();
        return wait > LongestWait ? LongestWait : wait;
    }

    /// <summary>How many records a partial success leaves out. The batch is taken whatever else the answer has: it says 200.</summary>
    private static async Task<long> RejectedAsync(HttpContent content, CancellationToken cancellationToken)
    {
        var answer = new byte[MaximumAnswer];
        await using var stream = await content.ReadAsStreamAsync(cancellationToken);
        var length = await stream.ReadAtLeastAsync(answer, answer.Length, throwOnEndOfStream: false, cancellationToken);
        try
        {
            using var json = JsonDocument.Parse(answer.AsMemory(0, length));
            return json.RootElement.TryGetProperty("partialSuccess", out var partial) && partial.TryGetProperty("rejectedLogRecords", out var rejected)
                ? rejected.ValueKind == JsonValueKind.Number ? rejected.GetInt64() : long.Parse(rejected.GetString()!, NumberStyles.None, CultureInfo.InvariantCulture)
                : 0;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or FormatException or ArgumentNullException or OverflowException)
        {
            return 0;
        }
    }
}
