using System.Diagnostics.CodeAnalysis;
using ImageAccess.Core.Oci;
using Microsoft.AspNetCore.Http.Features;

namespace ImageAccess.Proxy.Registry;

/// <summary>Which requests have a body, and how large one may be.</summary>
internal static class RequestBody
{
    /// <summary>What a pushed manifest may measure, in bytes (OCI distribution specification v1.1, "Pushing Manifests").</summary>
    public const long MaximumManifest = 4 * 1024 * 1024;

    /// <summary>An upload has no limit of size, a manifest has one, every other request has no body.</summary>
    public static bool TryAccept(HttpContext http, RegistryRequest request, [NotNullWhen(false)] out RegistryError? error)
    {
        var limit = http.Features.GetRequiredFeature<IHttpMaxRequestBodySizeFeature>();
        error = null;
        if (request is UploadStartRequest or UploadSessionRequest { Method: "PATCH" or "PUT" })
            limit.MaxRequestBodySize = null;
        else if (request is ManifestRequest { Method: "PUT" })
            limit.MaxRequestBodySize = MaximumManifest;
        else if (http.Features.Get<IHttpRequestBodyDetectionFeature>()?.CanHaveBody == true)
            error = RegistryError.Unsupported($"a {request.Method} of this endpoint has no body");

        if (http.Request.ContentLength > limit.MaxRequestBodySize)
            error = new RegistryError(413, "SIZE_INVALID", "a manifest has at most 4 MiB");
        return error is null;
    }
}
