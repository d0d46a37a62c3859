using System.Buffers;
using System.Globalization;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using ImageAccess.Proxy.Foundation.DockerHub;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Administration.Notifications;

/// <summary>
/// A webhook: one POST of JSON, signed with the receiver's secret. Its <c>text</c> is what Slack and its like show. Redirects are not followed, and of
/// an answer its status alone is read.
/// </summary>
internal sealed class WebhookReceiver : IReceiver, IDisposable
{
    public const string SignatureHeader = "X-ImageAccess-Signature";

    private const string AddressKey = "the webhook's address";

    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan LongestWait = TimeSpan.FromHours(1);

    private readonly WebhookOptions _options;
    private readonly NotificationOptions _all;
    private readonly TimeProvider _time;
    private readonly HttpMessageInvoker _invoker;

    public WebhookReceiver(string name, NotificationOptions all, WebhookOptions options, UpstreamConnections connections, TimeProvider time)
    {
        (Name, _options, _all, _time) = (name, options, all, time);
        _invoker = new HttpMessageInvoker(connections.ToReceiver(options.Private));
    }

    public string Name { get; }

    public bool Wants(Notice notice) => notice.Requester is null && NoticeKinds.Mean(_options.Kinds, notice.Kind);

    public async Task<Refusal?> SendAsync(Notice notice, CancellationToken cancellationToken)
    {
        if (_options.ReadAddress(out var problem) is not { } address)
            return new Refusal($"cannot be asked: its address {problem}");
        using var request = new HttpRequestMessage(HttpMethod.Post, address);
        request.Headers.UserAgent.Add(UpstreamConnections.OwnUserAgent);
        var body = BodyOf(notice, _all.LinkTo(notice.Path));
        request.Content = new ByteArrayContent(body) { Headers = { ContentType = new MediaTypeHeaderValue("application/json", "utf-8") } };
        if (_options.SecretFile is { } file)
        {
            if (SecretFile.Read(file, "secret", out problem) is not { } secret)
                return new Refusal($"cannot be asked: {problem}");
            request.Headers.Add(SignatureHeader, Sign(body, secret, _time.GetUtcNow()));
        }

        return await SendAsync(request, address, cancellationToken);
    }

    public void Dispose() => _invoker.Dispose();

    /// <summary><c>t=UNIX,v1=HEX</c>: HMAC-SHA256 over the time, a dot and the body.</summary>
    public static string Sign(ReadOnlySpan<byte> body, string secret, DateTimeOffset now)
    {
        var time = now.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
        byte[] signed = [.. Encoding.ASCII.GetBytes($"{time}."), .. body];
        return $"t={time},v1={Convert.ToHexStringLower(HMACSHA256.HashData(Encoding.UTF8.GetBytes(secret), signed))}";
    }

    /// <summary>
    /// Text as Slack shows it and nothing else: no link, mention or mark can be made of what a person wrote. An <c>@</c> that could begin a mention where
    /// others read it is kept apart from the name behind it; the one of a digest is not.
    /// </summary>
    public static string Escape(string text)
    {
        var escaped = new StringBuilder(text.Length);
        for (var i = 0; i < text.Length; i++)
        {
            escaped.Append(text[i] switch
            {
                '&' => "&amp;",
                '<' => "&lt;",
                '>' => "&gt;",
                '@' when i == 0 || !char.IsLetterOrDigit(text[i - 1]) => "@\u2060",
                var other => other.ToString(),
            });
        }

        return escaped.ToString();
    }

    internal static byte[] BodyOf(Notice notice, string? link)
    {
        var bytes = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(bytes))
        {
            json.WriteStartObject();
            json.WriteString("id", notice.Id);
            json.WriteString("kind", notice.Kind);
            json.WriteString("organization", notice.Organization);
            json.WriteString("time", notice.Time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture));
            json.WriteString("text", Escape(notice.Text) + (link is null ? "" : $" {Escape(link)}"));
            json.WriteBoolean("mrkdwn", false);
            json.WriteString("link", link);
            json.WritePropertyName("facts");
            if (notice.Facts.ValueKind == JsonValueKind.Undefined)
                json.WriteNullValue();
            else
                notice.Facts.WriteTo(json);
            json.WriteEndObject();
        }

        return bytes.WrittenSpan.ToArray();
    }

    private async Task<Refusal?> SendAsync(HttpRequestMessage request, Uri address, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(Timeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            using var answer = await _invoker.SendAsync(request, either.Token);
            return (int)answer.StatusCode switch
            {
                >= 200 and < 300 => null,
                >= 300 and < 400 and var status => new Refusal($"answers {status}, and a redirect is not followed"),
                var status => new Refusal($"answers {status}", WaitOf(answer)),
            };
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return new Refusal($"did not answer within {Timeout.TotalSeconds} s");
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException)
        {
            return new Refusal(AddressRefusedException.IsCauseOf(exception)
                ? "is not asked: its name leads to an address that is not public; where it is your own, say so with Private"
                : $"cannot be reached: {NetworkFailure.Of(exception, address, AddressKey).Cause}");
        }
    }

    private static TimeSpan? WaitOf(HttpResponseMessage answer) => answer.Headers.RetryAfter?.Delta is { } wait ? TimeSpan.FromTicks(Math.Min(wait.Ticks, LongestWait.Ticks)) : null;
}
