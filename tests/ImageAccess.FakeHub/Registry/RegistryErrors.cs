namespace ImageAccess.FakeHubs;

/// <summary>The registry's errors, as Docker Hub words them.</summary>
internal static class RegistryErrors
{
    public static Task RefuseAsync(this HttpContext http, int status, string code, string message, object? detail = null) =>
        http.AnswerJsonAsync(status, detail is null
            ? new { errors = new[] { new { code, message } } }
            : new { errors = new[] { new { code, message, detail } } });

    private const string PullLimitReached =
        "You have reached your pull rate limit. You may increase the limit by authenticating and upgrading: "
        + "https://www.docker.com/increase-rate-limit";

    public static Task TooManyRequestsAsync(this HttpContext http) => http.RefuseAsync(429, "TOOMANYREQUESTS", PullLimitReached);

    public static Task ManifestUnknownAsync(this HttpContext http, RegistryTarget target) =>
        http.RefuseAsync(404, "MANIFEST_UNKNOWN", "manifest unknown", target.ReferenceIsDigest
            ? $"unknown manifest name={target.Repository} revision={target.Reference}"
            : new { Tag = target.Reference });

    public static Task ManifestInvalidAsync(this HttpContext http, string detail) =>
        http.RefuseAsync(400, "MANIFEST_INVALID", "manifest invalid", detail);

    public static Task BlobUnknownAsync(this HttpContext http, string digest) =>
        http.RefuseAsync(404, "BLOB_UNKNOWN", "blob unknown to registry", new { digest });

    public static Task DigestInvalidAsync(this HttpContext http) =>
        http.RefuseAsync(400, "DIGEST_INVALID", "provided digest did not match uploaded content");

    public static Task NameUnknownAsync(this HttpContext http, string name) =>
        http.RefuseAsync(404, "NAME_UNKNOWN", "repository name not known to registry", new { name });

    public static Task UploadUnknownAsync(this HttpContext http) =>
        http.RefuseAsync(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry");

    public static Task UnsupportedAsync(this HttpContext http) =>
        http.RefuseAsync(405, "UNSUPPORTED", "The operation is unsupported.");
}
