using System.Diagnostics.CodeAnalysis;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Content.Serving;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.AspNetCore.Mvc;

namespace ImageAccess.Proxy.Hosting;

/// <summary>
/// <c>DELETE /api/v1/cache?image=…&amp;by=…&amp;reason=…</c> on the admin listener: forgets what is kept of an image. Only for requests from this
/// machine; no web page can send a DELETE to it unasked.
/// </summary>
internal sealed class CacheEndpoint(Forgetting forgetting, AuditTrail trail, ILogger<CacheEndpoint> logger)
{
    private static readonly string[] Known = ["image", "by", "reason"];

    public async Task HandleAsync(HttpContext http)
    {
        http.Response.Headers.CacheControl = "no-store";
        if (!OwnMachine.Asks(http))
        {
            await RefuseAsync(http, 403, "the cache is changed only on the machine of the proxy, and not through another proxy");
            return;
        }

        if (!TryRead(http.Request, out var image, out var problem))
        {
            await RefuseAsync(http, 400, problem);
            return;
        }

        var (by, reason) = ((string?)http.Request.Query["by"], (string?)http.Request.Query["reason"]);
        if (await forgetting.RunAsync(image.Repository!, image.Tag, image.Digest) is not { } forgotten)
        {
            await RefuseAsync(http, 404, $"{image} is not known here by this {(image.Digest is null ? "tag; forget its digest or the whole repository" : "digest; forget the whole repository to be sure")}");
            return;
        }

        var (links, tags, unread) = forgotten;
        var reference = string.Join('@', new[] { image.Tag?.Value, image.Digest?.Value }.OfType<string>());
        await trail.RecordForgottenAsync(image.Path, reference.Length == 0 ? null : reference, links, tags, by, http.Connection.RemoteIpAddress, reason, http.RequestAborted);
        logger.Forgotten(image.ToString(), links, tags, PrintableText.Of(by ?? "somebody"), PrintableText.Of(reason ?? "no reason given"));
        if (unread > 0)
            logger.Unread(image.ToString(), unread, image.Path);
        await http.Response.WriteJsonLineAsync(new ForgottenImage(image.ToString(), links, tags, unread));
    }

    private static bool TryRead(HttpRequest request, [NotNullWhen(true)] out ImageName? image, out string problem)
    {
        if (ImageQuery.TryRead(request, Known, out image, out problem) && image.Repository is null)
            problem = $"image {image} is not of Docker Hub, and nothing of it is kept";
        return problem.Length == 0;
    }

    private static Task RefuseAsync(HttpContext http, int status, string detail)
    {
        http.Response.StatusCode = status;
        return http.Response.WriteJsonLineAsync(new ProblemDetails { Status = status, Detail = detail }, "application/problem+json");
    }
}
