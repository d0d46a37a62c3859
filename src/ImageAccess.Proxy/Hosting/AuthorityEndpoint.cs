using System.Text;
using ImageAccess.Proxy.Connections.Certificates;
using ImageAccess.Proxy.Foundation.Configuration;
using ImageAccess.Proxy.Registry;
using Microsoft.AspNetCore.Http.Features;

namespace ImageAccess.Proxy.Hosting;

/// <summary><c>GET /ca.crt</c> on the mirror and admin listeners: the certificate that a client has to trust, and nothing besides.</summary>
internal static class AuthorityEndpoint
{
    public const string Path = "/ca.crt";

    /// <summary>By the raw target, as everything on the mirror; a request whose framing is not to be trusted is the registry's to refuse.</summary>
    public static bool IsAskedOfMirror(HttpContext http) =>
        http.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget == Path
        && http.Request.Method is "GET" or "HEAD"
        && http.CameInBy(Listener.Mirror)
        && !RequestBody.IsAmbiguous(http.Request);

    public static async Task HandleAsync(HttpContext http)
    {
        var certificate = http.RequestServices.GetRequiredService<ServerCertificates>().AuthorityPem;
        http.Response.StatusCode = certificate is null ? 404 : 200;
        http.Response.ContentType = certificate is null ? "text/plain; charset=utf-8" : "application/x-pem-file";
        http.Response.Headers.CacheControl = "no-store";
        var body = Encoding.ASCII.GetBytes(certificate ?? "there is no CA here: imageaccess certificates create makes one\n");
        http.Response.ContentLength = body.Length;
        if (!HttpMethods.IsHead(http.Request.Method))
            await http.Response.Body.WriteAsync(body, http.RequestAborted);
    }
}
