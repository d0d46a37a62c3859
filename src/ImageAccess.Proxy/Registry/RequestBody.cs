using System.Diagnostics.CodeAnalysis;
using ImageAccess.Core.Oci;
using Microsoft.AspNetCore.Http.Features;

namespace ImageAccess.Proxy.Registry;

/// <summary>Which requests have a body, and how large one may be.</summary>
internal static class RequestBody
{
    /// <summary>What a pushed manifest may measure, in bytes (OCI distribution specification v1.1, "Pushing Manifests").</summary>
    public const long MaximumManifest = 4 * 1024 * 1024;

    /// <summary>
    /// Two parsers may see such a request's end in different places: a Content-Length beside a Transfer-Encoding, which Kestrel
    /// renames, or any transfer coding but one <c>chunked</c> (RFC 9112, section 6.1).
    /// </summary>
    public static bool IsAmbiguous(HttpRequest request) =>
        request.Headers.ContainsKey("X-Content-Length")
        || (request.Headers.TransferEncoding is { Count: > 0 } codings
            && (codings.Count > 1 || !string.Equals(codings[0], "chunked", StringComparison.OrdinalIgnoreCase)));

    /// <summary>Answers a request whose framing is not to be trusted, and ends its connection: what follows may be no request.</summary>
    public static Task RefuseAsync(HttpContext http, RegistryError error)
    {
        http.Response.Headers.Connection = "close";
        return ErrorBody.WriteAsync(http, error);
    }

    public static bool IsPresent(HttpContext http) => http.Features.Get<IHttpRequestBodyDetectionFeature>()?.CanHaveBody == true;

    /// <summary>An upload has no limit of size, a manifest has one, every other request has no body.</summary>
    public static bool TryAccept(HttpContext http, RegistryRequest request, [NotNullWhen(false)] out RegistryError? error)
    {
        error = null;
        if (!IsPresent(http))
            return true;

        var limit = http.Features.GetRequiredFeature<IHttpMaxRequestBodySizeFeature>();
        if (request is UploadStartRequest or UploadSessionRequest { Method: "PATCH" or "PUT" })
            limit.MaxRequestBodySize = null;
        else if (request is ManifestRequest { Method: "PUT" })
            limit.MaxRequestBodySize = MaximumManifest;
        else
            error = RegistryError.Unsupported($"a {request.Method} of this endpoint has no body");

        if (http.Request.ContentLength > limit.MaxRequestBodySize)
            error = new RegistryError(413, "SIZE_INVALID", "a manifest has at most 4 MiB");
        return error is null;
    }

    /// <summary>A pushed manifest is read to its end before it goes on: of one that is too large, or breaks off, upstream sees nothing.</summary>
    /// <exception cref="BadHttpRequestException">It is too large, or breaks off.</exception>
    public static async Task ReadManifestAsync(HttpContext http)
    {
        var manifest = new MemoryStream();
        await http.Request.Body.CopyToAsync(manifest, http.RequestAborted);
        manifest.Position = 0;
        http.Request.Body = manifest;
        http.Request.Headers.TransferEncoding = default;
        http.Request.ContentLength = manifest.Length;
    }
}
