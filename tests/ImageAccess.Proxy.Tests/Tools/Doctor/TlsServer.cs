using System.Collections.Concurrent;
using System.Net;
using ImageAccess.FakeHubs;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace ImageAccess.Proxy.Tests.Tools.Doctor;

/// <summary>A web server under any names, with a certificate of a private authority, that answers as a test says.</summary>
internal sealed class TlsServer : IAsyncDisposable
{
    private readonly CertificateAuthority _authority = new("Company CA");
    private WebApplication _app = null!;

    public IPEndPoint EndPoint { get; private set; } = null!;

    public ConcurrentQueue<string> Requests { get; } = [];

    public static async Task<TlsServer> StartAsync(RequestDelegate answer)
    {
        var server = new TlsServer();
        var builder = WebApplication.CreateBuilder();
        builder.Logging.ClearProviders();
        ListenOptions? listening = null;
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen =>
        {
            listen.UseHttps(server._authority.Issue("registry-1.docker.io"));
            listening = listen;
        }));
        server._app = builder.Build();
        server._app.Run(http =>
        {
            server.Requests.Enqueue($"{http.Request.Host}{http.Request.Path} {http.Request.Headers.UserAgent} {http.Request.Headers.Authorization}".TrimEnd());
            return answer(http);
        });
        await server._app.StartAsync();
        server.EndPoint = listening!.IPEndPoint!;
        return server;
    }

    /// <summary>As this program answers under Docker Hub's names.</summary>
    public static Task AnswerAsGatewayAsync(HttpContext http)
    {
        if (http.Request.Path == "/token")
        {
            return http.Request.Headers.UserAgent.ToString().StartsWith("containerd/", StringComparison.Ordinal)
                ? DenyAsync(http)
                : http.Response.WriteAsync("""{"token":"a.b.c","expires_in":300}""");
        }

        if (http.Request.Headers.Authorization == "Bearer a.b.c")
            return DenyAsync(http);
        http.Response.StatusCode = 401;
        http.Response.Headers["Docker-Distribution-Api-Version"] = "registry/2.0";
        http.Response.Headers.WWWAuthenticate = "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\"";
        return Task.CompletedTask;
    }

    private static Task DenyAsync(HttpContext http)
    {
        http.Response.StatusCode = 403;
        http.Response.Headers["X-ImageAccess-Decision"] = "01J";
        http.Features.Get<IHttpResponseFeature>()!.ReasonPhrase = "image access denied: community images not allowed";
        return Task.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync();
        await _app.DisposeAsync();
        _authority.Dispose();
    }
}
