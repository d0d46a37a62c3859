using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace ImageAccess.FakeHubs;

/// <summary>Complete answers with a Content-Length; a HEAD request gets their headers.</summary>
internal static class Answers
{
    public static readonly JsonSerializerOptions Json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Closes the connection in the middle of whatever it is doing.</summary>
    public static void Break(this HttpContext http)
    {
        http.Features.Get<RecordedRequest>()?.Broken = true;
        http.Abort();
    }

    public static Task AnswerEmptyAsync(this HttpContext http, int status)
    {
        http.Response.StatusCode = status;
        if (status is not StatusCodes.Status204NoContent and not StatusCodes.Status304NotModified)
            http.Response.ContentLength = 0;
        return Task.CompletedTask;
    }

    public static Task AnswerJsonAsync(this HttpContext http, int status, object body) =>
        http.AnswerAsync(status, JsonSerializer.SerializeToUtf8Bytes(body, Json), "application/json");

    public static Task AnswerAsync(this HttpContext http, int status, string body, string contentType) =>
        http.AnswerAsync(status, Encoding.UTF8.GetBytes(body), contentType);

    public static async Task AnswerAsync(this HttpContext http, int status, ReadOnlyMemory<byte> body, string contentType)
    {
        http.Response.StatusCode = status;
        http.Response.ContentType = contentType;
        http.Response.ContentLength = body.Length;
        if (!HttpMethods.IsHead(http.Request.Method))
            await http.Response.Body.WriteAsync(body, http.RequestAborted);
    }
}
