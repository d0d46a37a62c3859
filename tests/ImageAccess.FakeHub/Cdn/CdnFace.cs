using System.Globalization;

namespace ImageAccess.FakeHubs;

/// <summary>The blob CDN. A link carries its own right: an <c>Authorization</c> header besides is an error, as at S3.</summary>
internal sealed class CdnFace(CdnLinks links, IRegistryContent content)
{
    public Task ServeAsync(HttpContext http)
    {
        if (http.Request.Headers.Authorization.Count > 0)
            return RefuseAsync(http, 400, "InvalidArgument", "Only one auth mechanism allowed.");
        if (!HttpMethods.IsGet(http.Request.Method) && !HttpMethods.IsHead(http.Request.Method))
            return RefuseAsync(http, 405, "MethodNotAllowed", "The specified method is not allowed against this resource.");
        if (links.Read(http.Request) is not { } digest)
            return RefuseAsync(http, 403, "AccessDenied", "Access Denied");

        // Faults ask for a chain of redirects by this parameter, which the signature does not cover.
        if (int.TryParse(http.Request.Query["hops"], CultureInfo.InvariantCulture, out var hops) && hops > 0)
        {
            var query = http.Request.QueryString.Value!.Replace($"hops={hops}", $"hops={hops - 1}", StringComparison.Ordinal);
            http.Response.Headers.Location = http.Request.Path + query;
            return http.AnswerEmptyAsync(307);
        }

        return content.ServeBlobAsync(http, digest);
    }

    public static Task RefuseAsync(HttpContext http, int status, string code, string message) => http.AnswerAsync(
        status,
        $"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>",
        "application/xml");
}
