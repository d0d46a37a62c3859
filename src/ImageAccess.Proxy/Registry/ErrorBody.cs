using System.Buffers;
using System.Globalization;
using System.Text.Json;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Callers.Identity;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.AspNetCore.Http.Features;

namespace ImageAccess.Proxy.Registry;

/// <summary>Writes <c>{"errors":[{"code":…,"message":…,"detail":…}]}</c>, and the message in the reason phrase as well.</summary>
internal static class ErrorBody
{
    /// <summary>How many characters a reason phrase has at most. Kestrel itself sets no limit and sends line ends too.</summary>
    public const int MaximumPhrase = 200;

    /// <summary>Each thread writes all its errors with the same two objects, because denials may come in large numbers.</summary>
    [ThreadStatic]
    private static ArrayBufferWriter<byte>? _buffer;

    [ThreadStatic]
    private static Utf8JsonWriter? _json;

    public static Task WriteAsync(HttpContext http, RegistryError error, Action<Utf8JsonWriter>? detail = null)
    {
        if (error.Allow is not null)
            http.Response.Headers.Allow = error.Allow;
        SetPhrase(http, error.Message);
        return WriteAsync(http, error.Status, error.Code, error.Message, detail);
    }

    public static Task WriteAsync(HttpContext http, SignInRefusal refusal)
    {
        http.Response.Headers.RetryAfter = refusal.RetryAfter.TotalSeconds.ToString(CultureInfo.InvariantCulture);
        return WriteAsync(http, refusal.Error);
    }

    public static Task WriteAsync(HttpContext http, int status, string code, string message, Action<Utf8JsonWriter>? detail)
    {
        _buffer ??= new ArrayBufferWriter<byte>(1024);
        _buffer.ResetWrittenCount();
        _json ??= new Utf8JsonWriter(_buffer, ReadableJson.Compact);
        _json.Reset(_buffer);
        Write(_json, code, message, detail);
        return WriteAsync(http, status, "application/json", _buffer.WrittenSpan.ToArray());
    }

    private static void Write(Utf8JsonWriter json, string code, string message, Action<Utf8JsonWriter>? detail)
    {
        json.WriteStartObject();
        json.WriteStartArray("errors"u8);
        json.WriteStartObject();
        json.WriteString("code"u8, code);
        json.WriteString("message"u8, message);
        if (detail is not null)
        {
            json.WritePropertyName("detail"u8);
            detail(json);
        }

        json.WriteEndObject();
        json.WriteEndArray();
        json.WriteEndObject();
        json.Flush();
    }

    /// <summary>Writes an answer of the proxy's own: never cached, always with its length, with a body unless the method is HEAD.</summary>
    public static async Task WriteAsync(HttpContext http, int status, string contentType, ReadOnlyMemory<byte> body)
    {
        http.Response.StatusCode = status;
        http.Response.ContentType = contentType;
        http.Response.ContentLength = body.Length;
        http.Response.Headers.CacheControl = "no-store";
        if (!HttpMethods.IsHead(http.Request.Method))
            await http.Response.BodyWriter.WriteAsync(body, http.RequestAborted);
    }

    /// <summary>Sets the reason phrase, the only part of a HEAD answer that most clients show: printable ASCII, cut so that the suffix fits.</summary>
    public static void SetPhrase(HttpContext http, string message, string suffix = "") =>
        http.Features.GetRequiredFeature<IHttpResponseFeature>().ReasonPhrase = Printable(message, MaximumPhrase - suffix.Length) + suffix;

    /// <summary>The beginning of a text as an answer's head can have it: a question mark stands for what is not printable ASCII, line ends too.</summary>
    public static string Printable(string text, int maximumLength) => string.Create(Math.Min(text.Length, maximumLength), text, static (span, text) =>
    {
        for (var i = 0; i < span.Length; i++)
            span[i] = text[i] is >= ' ' and <= '~' ? text[i] : '?';
    });
}
