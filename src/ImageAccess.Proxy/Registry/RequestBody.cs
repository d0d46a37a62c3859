using System.Diagnostics.CodeAnalysis;
using ImageAccess.Core.Oci;
using Microsoft.AspNetCore.Http.Features;

namespace ImageAccess.Proxy.Registry;

/// <summary>Which requests may have a body, and how large it may be.</summary>
internal static class RequestBody
{
    /// <summary>The largest body of one request that uploads, in bytes: far more than Docker Hub takes.</summary>
    public const long MaximumUpload = 1024L * 1024 * 1024 * 1024;

    /// <summary>
    /// Whether two parsers may see the request's end in different places: it has a Content-Length beside a Transfer-Encoding, which Kestrel
    /// renames, or a transfer coding other than a single <c>chunked</c> (RFC 9112, section 6.1).
    /// </summary>
    public static bool IsAmbiguous(HttpRequest request) =>
        request.Headers.ContainsKey("X-Content-Length")
        || (request.Headers.TransferEncoding is { Count: > 0 } codings
            && (codings.Count > 1 || !string.Equals(codings[0], "chunked", StringComparison.OrdinalIgnoreCase)));

    /// <summary>Answers a request whose framing cannot be trusted, and closes its connection: what follows may be no request.</summary>
    public static Task RefuseAsync(HttpContext http, RegistryError error)
    {
        http.Response.Headers.Connection = "close";
        return ErrorBody.WriteAsync(http, error);
    }

    public static bool IsPresent(HttpContext http) => http.Features.Get<IHttpRequestBodyDetectionFeature>()?.CanHaveBody == true;

    /// <summary>An upload and a manifest have a size limit each, and no other request has a body.</summary>
    public static bool TryAccept(HttpContext http, RegistryRequest request, [NotNullWhen(false)] out RegistryError? error)
    {
        error = null;
        if (!IsPresent(http))
            return true;

        var (maximum, text) = request switch
        {
            UploadStartRequest or UploadSessionRequest { Method: "PATCH" or "PUT" } => (MaximumUpload, "an upload has at most 1 TiB"),
            ManifestRequest { Method: "PUT" } => (ManifestRequest.MaximumSize, "a manifest has at most 4 MiB"),
            _ => (0, ""),
        };
        http.Features.GetRequiredFeature<IHttpMaxRequestBodySizeFeature>().MaxRequestBodySize = maximum;
        if (maximum == 0)
            error = RegistryError.Unsupported($"a {request.Method} of this endpoint has no body");
        else if (http.Request.ContentLength > maximum)
            error = new RegistryError(413, "SIZE_INVALID", text);
        return error is null;
    }

    /// <summary>Reads a pushed manifest to its end before it is forwarded, so that upstream sees nothing of one that is too large or incomplete.</summary>
    /// <exception cref="BadHttpRequestException">The manifest is too large or incomplete.</exception>
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
