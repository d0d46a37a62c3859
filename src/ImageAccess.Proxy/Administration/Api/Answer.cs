using System.Reflection;
using Microsoft.AspNetCore.Http.Metadata;

namespace ImageAccess.Proxy.Administration.Api;

/// <summary>An answer in JSON, which the description of the API knows by its type.</summary>
internal class Answer<T>(T value) : IResult, IEndpointMetadataProvider
{
    public int Status { get; init; } = StatusCodes.Status200OK;

    /// <summary>The version, without quotation marks.</summary>
    public string? Tag { get; init; }

    public string? Location { get; init; }

    public static void PopulateMetadata(MethodInfo method, EndpointBuilder builder) =>
        builder.Metadata.Add(new ProducesResponseTypeMetadata(StatusCodes.Status200OK, typeof(T), ["application/json"]));

    public virtual Task ExecuteAsync(HttpContext httpContext)
    {
        var response = httpContext.Response;
        response.StatusCode = Status;
        if (Tag is not null)
            response.Headers.ETag = $"\"{Tag}\"";
        if (Location is not null)
            response.Headers.Location = Location;
        return value is ReadOnlyMemory<byte> bytes
            ? WriteAsync(response, bytes)
            : response.WriteAsJsonAsync(value, JsonBody.Options, "application/json", httpContext.RequestAborted);
    }

    private static async Task WriteAsync(HttpResponse response, ReadOnlyMemory<byte> json)
    {
        response.ContentType = "application/json";
        response.ContentLength = json.Length;
        await response.Body.WriteAsync(json, response.HttpContext.RequestAborted);
    }
}

/// <summary>Shorter than the constructors.</summary>
internal static class Answer
{
    public static Answer<T> Of<T>(T value, string? tag = null) => new(value) { Tag = tag };

    public static Answer<T> Made<T>(T value, string location) => new(value) { Status = StatusCodes.Status201Created, Location = location };

    /// <summary>It waits for a second person.</summary>
    public static Answer<T> Waiting<T>(T value, long change) => new(value) { Status = StatusCodes.Status202Accepted, Location = $"{ApiRoutes.Root}/changes/{change}" };
}

/// <summary>A part of a list.</summary>
/// <param name="Items">The entries.</param>
internal sealed record Page<T>(IReadOnlyList<T> Items)
{
    /// <summary>What to give as <c>cursor</c> for the next part; null where this is the last one.</summary>
    public string? Next { get; init; }
}
