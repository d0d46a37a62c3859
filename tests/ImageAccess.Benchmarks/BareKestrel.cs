using System.Net;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace ImageAccess.Benchmarks;

/// <summary>
/// The limit of what a program on Kestrel can reach: one manifest from memory and blobs by <c>SendFileAsync</c>, without a
/// token, a policy, a log or a route.
/// </summary>
internal static class BareKestrel
{
    private const string Usage = "kestrel HTTP-PORT HTTPS-PORT CERTIFICATE KEY MANIFEST FOLDER-OF-BLOBS (files named by their hex digest)";

    public static async Task<int> RunAsync(string[] arguments)
    {
        if (arguments is not [var http, var https, var certificate, var key, var manifestFile, var blobs]
            || !ushort.TryParse(http, out var plain)
            || !ushort.TryParse(https, out var secure))
        {
            await Console.Error.WriteLineAsync(Usage);
            return 2;
        }

        using var pem = X509Certificate2.CreateFromPemFile(certificate, key);
        var manifest = await File.ReadAllBytesAsync(manifestFile);
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Listen(IPAddress.Loopback, plain, listen => listen.Protocols = HttpProtocols.Http1);
            kestrel.Listen(IPAddress.Loopback, secure, listen =>
            {
                listen.Protocols = HttpProtocols.Http1;
                listen.UseHttps(pem);
            });
        });
        await using var app = builder.Build();
        app.Run(http => http.Request.Path.Value!.Contains("/manifests/", StringComparison.Ordinal)
            ? AnswerManifestAsync(http.Response, manifest)
            : AnswerBlobAsync(http, blobs));
        await app.RunAsync();
        return 0;
    }

    private static async Task AnswerManifestAsync(HttpResponse response, byte[] manifest)
    {
        response.ContentType = "application/vnd.oci.image.manifest.v1+json";
        response.ContentLength = manifest.Length;
        await response.BodyWriter.WriteAsync(manifest);
    }

    private static Task AnswerBlobAsync(HttpContext http, string blobs)
    {
        var name = http.Request.Path.Value!;
        var file = new FileInfo(Path.Combine(blobs, name[(name.LastIndexOf(':') + 1)..]));
        if (!file.Exists)
        {
            http.Response.StatusCode = StatusCodes.Status404NotFound;
            return Task.CompletedTask;
        }

        http.Response.ContentType = "application/octet-stream";
        http.Response.ContentLength = file.Length;
        return http.Response.SendFileAsync(file.FullName, http.RequestAborted);
    }
}
