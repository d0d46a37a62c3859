using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace ImageAccess.Proxy.Tests.Callers.Identity;

/// <summary>A token service on a loopback port. It counts who asks.</summary>
internal sealed class TokenServer : IAsyncDisposable
{
    private readonly WebApplication _application;
    private int _requests;

    private TokenServer(WebApplication application) => _application = application;

    public int Requests => Volatile.Read(ref _requests);

    public string? LastTarget { get; private set; }

    public string? LastAuthorization { get; private set; }

    public Func<HttpContext, Task> Answer { get; set; } = http =>
    {
        http.Response.StatusCode = 404;
        return Task.CompletedTask;
    };

    public Uri Address { get; private set; } = null!;

    public static async Task<TokenServer> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        var server = new TokenServer(builder.Build());
        server._application.Run(server.HandleAsync);
        await server._application.StartAsync();
        server.Address = new Uri(server._application.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single());
        return server;
    }

    public void AnswerToken(Func<string> token) => Answer = http =>
        http.Response.WriteAsJsonAsync(new { token = token(), access_token = token(), expires_in = 300, issued_at = "2026-01-01T00:00:00Z" });

    public void AnswerText(int status, string type, string body) => Answer = http =>
    {
        http.Response.StatusCode = status;
        http.Response.ContentType = type;
        return http.Response.WriteAsync(body);
    };

    public async ValueTask DisposeAsync()
    {
        await _application.StopAsync();
        await _application.DisposeAsync();
    }

    private Task HandleAsync(HttpContext http)
    {
        LastTarget = http.Request.Path + http.Request.QueryString;
        LastAuthorization = http.Request.Headers.Authorization;
        Interlocked.Increment(ref _requests);
        return Answer(http);
    }
}
