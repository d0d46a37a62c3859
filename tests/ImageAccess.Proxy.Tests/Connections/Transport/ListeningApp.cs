using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Connections.Transport;
using ImageAccess.Proxy.Foundation.Limits;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace ImageAccess.Proxy.Tests.Connections.Transport;

/// <summary>An application of a few lines behind the transport alone, on a plain port and on one with TLS.</summary>
internal sealed class ListeningApp : IAsyncDisposable
{
    public static readonly TimeSpan HandshakeTimeout = TimeSpan.FromSeconds(15);

    private readonly WebApplication _app;
    private readonly X509Certificate2 _certificate;

    private ListeningApp(WebApplication app, X509Certificate2 certificate) => (_app, _certificate) = (app, certificate);

    public LogLines Log { get; private init; } = new();

    public static async Task<ListeningApp> StartAsync(RequestDelegate answer, TimeProvider? time = null)
    {
        var log = new LogLines();
        using var authority = new CertificateAuthority();
        var certificate = authority.Issue("localhost");
        var context = SslStreamCertificateContext.Create(certificate, null, offline: true);
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddSingleton(time ?? TimeProvider.System);
        builder.Logging.AddProvider(log).SetMinimumLevel(LogLevel.Warning);
        builder.Services.AddLimits(builder.Configuration);
        builder.Services.AddTransport();
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http1);
            kestrel.Listen(IPAddress.Loopback, 0, listen =>
            {
                listen.Protocols = HttpProtocols.Http1;
                listen.UseTls(() => context, HandshakeTimeout);
            });
        });
        var app = builder.Build();
        app.Run(answer);
        await app.StartAsync();
        return new ListeningApp(app, certificate) { Log = log };
    }

    /// <summary>A connection, with TLS or without.</summary>
    public async Task<Stream> ConnectAsync(bool isTls, params SslApplicationProtocol[] protocols)
    {
        var plain = new NetworkStream(await OpenAsync(isTls), ownsSocket: true);
        if (!isTls)
            return plain;
        var tls = new SslStream(plain);
        await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
        {
            TargetHost = "localhost",
            ApplicationProtocols = [.. protocols],
            RemoteCertificateValidationCallback = (_, shown, _, _) => shown?.GetCertHashString() == _certificate.GetCertHashString(),
        });
        return tls;
    }

    public async Task<Socket> OpenAsync(bool isTls)
    {
        var addresses = _app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.ToList();
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(IPAddress.Loopback, new Uri(addresses[isTls ? 1 : 0]).Port);
        return socket;
    }

    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
        _certificate.Dispose();
    }
}
