using System.Text.Json;
using System.Text.Json.Serialization;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http.Features;

namespace ImageAccess.Proxy.Administration.Api;

/// <summary>The body of a request. What it does not know it refuses: a misspelt member must not be taken for one that is not there.</summary>
internal static class JsonBody
{
    /// <summary>What a body may measure, in bytes.</summary>
    public const int MaximumSize = 2 * 1024 * 1024;

    public const string MediaType = "application/json";

    public static JsonSerializerOptions Options { get; } = new(ReadableJson.Web)
    {
        AllowDuplicateProperties = false,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        MaxDepth = 16,
        PropertyNameCaseInsensitive = false,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    };

    public static async Task<T> ReadAsync<T>(HttpContext http)
        where T : class
    {
        var bytes = await ReadBytesAsync(http);
        try
        {
            return JsonSerializer.Deserialize<T>(bytes.Span, Options) ?? throw ProblemException.Bad("the body is null: write an object");
        }
        catch (JsonException exception)
        {
            throw ProblemException.Bad($"the body {Describe(bytes.Span, exception)}");
        }
    }

    /// <summary>Of what takes no body: none, or an object without members. Whoever writes something into it is told that it does nothing.</summary>
    public static async Task ReadNothingAsync(HttpContext http)
    {
        if (http.Features.Get<IHttpRequestBodyDetectionFeature>() is { CanHaveBody: true })
            await ReadAsync<Nothing>(http);
    }

    /// <summary>A document as it is, byte for byte.</summary>
    public static async Task<ReadOnlyMemory<byte>> ReadBytesAsync(HttpContext http)
    {
        if (!http.Request.HasJsonContentType())
            throw new ProblemException(new Problem(415, $"the body must be JSON: Content-Type: {MediaType}"));
        using var buffer = new MemoryStream();
        try
        {
            await http.Request.Body.CopyToAsync(buffer, http.RequestAborted);
        }
        catch (IOException exception) when (exception is not (BadHttpRequestException or ConnectionResetException))
        {
            throw ProblemException.Bad($"the body cannot be read: {PrintableText.Of(exception.Message)}"); // so Kestrel says that a chunk's size is none
        }

        return buffer.GetBuffer().AsMemory(0, (int)buffer.Length);
    }

    private sealed record Nothing;

    /// <summary>A mistake of a member has its path; one of the JSON itself its line.</summary>
    private static string Describe(ReadOnlySpan<byte> body, JsonException exception)
    {
        if (exception.InnerException is JsonException)
            return JsonMistake.Describe(body, exception);
        var (message, path) = (exception.Message, PrintableText.Of((exception.Path ?? "").TrimStart('$', '.')));
        return message.Contains("could not be mapped", StringComparison.Ordinal) ? $"has a member that is not known: {path}"
            : message.Contains("missing required", StringComparison.Ordinal) ? $"lacks a member: {PrintableText.Of(message[(message.LastIndexOf(": ", StringComparison.Ordinal) + 2)..])}"
            : message.StartsWith("Duplicate", StringComparison.Ordinal) ? $"has a member twice: {path}"
            : path.Length == 0 ? "has a wrong value: write an object"
            : $"has a wrong value at {path}";
    }
}
