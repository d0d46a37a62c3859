using System.Collections.Concurrent;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace ImageAccess.Proxy.Tests.Administration.Notifications;

/// <summary>A receiver of webhooks that answers as a test says, and checks signatures as the documentation tells.</summary>
public sealed class WebhookServer : IAsyncDisposable
{
    public const string Secret = "webhook-secret-canary-0123456789";

    private readonly WebApplication _app;
    private readonly ConcurrentQueue<WebhookRequest> _requests = new();

    private WebhookServer()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        _app = builder.Build();
        _app.Run(HandleAsync);
    }

    public int Port => new Uri(_app.Urls.First()).Port;

    public IReadOnlyList<WebhookRequest> Requests => [.. _requests];

    /// <summary>Those that were answered with 200.</summary>
    public IReadOnlyList<WebhookRequest> Taken => [.. _requests.Where(request => request.IsTaken)];

    public Func<HttpContext, Task> Answer { get; set; } = _ => Task.CompletedTask;

    public static async Task<WebhookServer> StartAsync()
    {
        var server = new WebhookServer();
        await server._app.StartAsync();
        return server;
    }

    public void AnswerStatus(int status, string? location = null, string? retryAfter = null) => Answer = http =>
    {
        http.Response.StatusCode = status;
        if (location is not null)
            http.Response.Headers.Location = location;
        if (retryAfter is not null)
            http.Response.Headers.RetryAfter = retryAfter;
        return Task.CompletedTask;
    };

    /// <summary>Until whoever asks has gone.</summary>
    public void Hang() => Answer = http => Task.Delay(Timeout.Infinite, http.RequestAborted);

    public string Address(string host, string path = "/hook") => string.Create(CultureInfo.InvariantCulture, $"http://{host}:{Port}{path}");

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private async Task HandleAsync(HttpContext http)
    {
        using var body = new MemoryStream();
        await http.Request.Body.CopyToAsync(body);
        var request = new WebhookRequest(http.Request.Path, http.Request.ContentType, http.Request.Headers["X-ImageAccess-Signature"].ToString(), body.ToArray());
        _requests.Enqueue(request);
        await Answer(http);
        request.IsTaken = http.Response.StatusCode is >= 200 and < 300;
    }
}

public sealed record WebhookRequest(string Path, string? ContentType, string Signature, byte[] Body)
{
    public bool IsTaken { get; set; }

    public JsonElement Json => JsonSerializer.Deserialize<JsonElement>(Body);

    public string Id => Json.GetProperty("id").GetString()!;

    public string Kind => Json.GetProperty("kind").GetString()!;

    public string Text => Json.GetProperty("text").GetString()!;

    /// <summary>As docs/notifications.md tells a receiver to.</summary>
    public bool IsSignedWith(string secret, DateTimeOffset now)
    {
        var parts = Signature.Split(',').Select(part => part.Split('=', 2)).ToDictionary(part => part[0], part => part[1]);
        var time = DateTimeOffset.FromUnixTimeSeconds(long.Parse(parts["t"], CultureInfo.InvariantCulture));
        byte[] signed = [.. Encoding.UTF8.GetBytes(parts["t"] + "."), .. Body];
        var expected = HMACSHA256.HashData(Encoding.UTF8.GetBytes(secret), signed);
        return CryptographicOperations.FixedTimeEquals(expected, Convert.FromHexString(parts["v1"])) && (now - time).Duration() < TimeSpan.FromMinutes(5);
    }
}
