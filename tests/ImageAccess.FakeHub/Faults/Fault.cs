using System.Globalization;
using System.Text;

namespace ImageAccess.FakeHubs;

/// <summary>One way in which an answer goes wrong.</summary>
public sealed class Fault
{
    private readonly Func<HttpContext, Func<Task>, Task> _act;

    private Fault(Func<HttpContext, Func<Task>, Task> act) => _act = act;

    /// <summary>Anything else: the request, and the undisturbed answer to call or not.</summary>
    public static Fault Custom(Func<HttpContext, Func<Task>, Task> _act) => new(_act);

    public static Fault Status(
        int status,
        string body = "",
        string contentType = "application/json",
        params (string Name, string Value)[] headers) => new((http, _) =>
    {
        foreach (var (name, value) in headers)
            http.Response.Headers[name] = value;
        return http.AnswerAsync(status, body, contentType);
    });

    /// <summary>The registry's 429.</summary>
    public static Fault TooManyRequests(int retryAfterSeconds) => new((http, _) =>
    {
        http.Response.Headers.RetryAfter = retryAfterSeconds.ToString(CultureInfo.InvariantCulture);
        return http.TooManyRequestsAsync();
    });

    /// <summary>The Hub API's 429.</summary>
    public static Fault TooManyHubRequests(DateTimeOffset retryAt) => Status(
        429,
        """{"detail":"Rate limit exceeded","error":false}""",
        headers: ("X-Retry-After", retryAt.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture)));

    public static Fault MalformedJson() => Status(200, "{\"token\": \"unfinished, \"access_token\": ]");

    public static Fault Redirect(string location, int status = 307) => Status(status, headers: ("Location", location));

    /// <summary>A blob's redirect leads through this many more redirects before the bytes.</summary>
    public static Fault RedirectHops(int hops) => new((http, answer) =>
    {
        http.Response.OnStarting(() =>
        {
            http.Response.Headers.Location += string.Create(CultureInfo.InvariantCulture, $"&hops={hops}");
            return Task.CompletedTask;
        });
        return answer();
    });

    /// <summary>The right answer with a header added or replaced; a null value removes it.</summary>
    public static Fault WithHeader(string name, string? value) => new((http, answer) =>
    {
        http.Response.OnStarting(() =>
        {
            http.Response.Headers[name] = value;
            return Task.CompletedTask;
        });
        return answer();
    });

    /// <summary>The right answer, later.</summary>
    public static Fault Delay(TimeSpan delay) => new(async (http, answer) =>
    {
        await Task.Delay(delay, TimeProvider.System, http.RequestAborted);
        await answer();
    });

    /// <summary>The right answer once this task is done: for tests that decide the moment.</summary>
    public static Fault HoldUntil(Task release) => new(async (http, answer) =>
    {
        await release.WaitAsync(http.RequestAborted);
        await answer();
    });

    /// <summary>No answer until the client gives up.</summary>
    public static Fault NeverAnswer() => new((http, _) => Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, http.RequestAborted));

    public static Fault CloseConnection() => new((http, _) =>
    {
        http.Break();
        return Task.CompletedTask;
    });

    /// <summary>The right headers, the first bytes of the body, and then the connection ends.</summary>
    public static Fault Truncate(int afterBytes) => new(async (http, answer) =>
    {
        var left = afterBytes;
        await AnswerThroughAsync(http, answer, (piece, next, cancel) =>
        {
            var send = Math.Min(left, piece.Length);
            left -= send;
            return next.WriteAsync(piece[..send], cancel);
        });
        await http.Response.Body.FlushAsync(http.RequestAborted);

        // The server closes after what it has sent, and so the client sees exactly these bytes; a reset could overtake them.
        throw new IOException("the rest of the body is withheld");
    });

    /// <summary>The right headers, and a body of the right length whose first byte is wrong.</summary>
    public static Fault Corrupt() => new((http, answer) =>
    {
        var done = false;
        return AnswerThroughAsync(http, answer, (piece, next, cancel) =>
        {
            if (done || piece.IsEmpty)
                return next.WriteAsync(piece, cancel);
            done = true;
            var wrong = piece.ToArray();
            wrong[0] ^= 0xFF;
            return next.WriteAsync(wrong, cancel);
        });
    });

    /// <summary>The right answer in small pieces with a pause after each.</summary>
    public static Fault Drip(int bytes, TimeSpan pause) => new((http, answer) =>
        AnswerThroughAsync(http, answer, async (piece, next, cancel) =>
        {
            for (var at = 0; at < piece.Length; at += bytes)
            {
                await next.WriteAsync(piece.Slice(at, Math.Min(bytes, piece.Length - at)), cancel);
                await next.FlushAsync(cancel);
                await Task.Delay(pause, TimeProvider.System, cancel);
            }
        }));

    /// <summary>200 and a body without length that never ends.</summary>
    public static Fault EndlessBody(string start = "", string contentType = "application/json") => new(async (http, _) =>
    {
        http.Response.ContentType = contentType;
        await http.Response.Body.WriteAsync(Encoding.UTF8.GetBytes(start), http.RequestAborted);
        var piece = Enumerable.Repeat((byte)'a', 16 * 1024).ToArray();
        while (true)
            await http.Response.Body.WriteAsync(piece, http.RequestAborted);
    });

    internal Task ActAsync(HttpContext http, Func<Task> answer) => _act(http, answer);

    private static Task AnswerThroughAsync(
        HttpContext http,
        Func<Task> answer,
        Func<ReadOnlyMemory<byte>, Stream, CancellationToken, ValueTask> step)
    {
        http.Response.Body = new ResponseStream(http.Response.Body, step);
        return answer();
    }
}
