using System.Net.Security;
using System.Security.Authentication;
using ImageAccess.Proxy.Foundation.Limits;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Options;
using KestrelListener = Microsoft.AspNetCore.Server.Kestrel.Core.ListenOptions;
using ListenOptions = ImageAccess.Proxy.Foundation.Configuration.ListenOptions;

namespace ImageAccess.Proxy.Connections.Transport;

public static class TransportSetup
{
    /// <summary>
    /// Our own transport, which Kestrel reads and writes without a queue in between; or Kestrel's own, where that is configured. Either is
    /// limited in its connections.
    /// </summary>
    public static IServiceCollection AddTransport(this IServiceCollection services) => services
        .Configure<SocketTransportOptions>(options => (options.MaxReadBufferSize, options.CreateBoundListenSocket) = (SocketConnection.MaximumUnread, SocketTransport.Bind))
        .AddSingleton<IConnectionListenerFactory>(provider => new LimitedTransport(
        IsOurs(provider) ? ActivatorUtilities.CreateInstance<SocketTransport>(provider) : ActivatorUtilities.CreateInstance<SocketTransportFactory>(provider),
        provider.GetRequiredService<ClientLimits>()));

    /// <summary>TLS, and HTTP/1.1 inside it. A client whose handshake fails is disconnected.</summary>
    /// <param name="certificate">Asked at each handshake.</param>
    /// <param name="timeout">How long a handshake may take.</param>
    public static void UseTls(this KestrelListener listener, Func<SslStreamCertificateContext> certificate, TimeSpan timeout)
    {
        if (IsOurs(listener.ApplicationServices))
        {
            var tls = new TlsServer(() => OptionsOf(certificate), timeout, listener.ApplicationServices.GetRequiredService<TimeProvider>());
            listener.Use(next => connection => tls.HandleAsync(connection, next));
        }
        else
        {
            listener.UseHttps(new TlsHandshakeCallbackOptions { HandshakeTimeout = timeout, OnConnection = _ => ValueTask.FromResult(OptionsOf(certificate)) });
        }
    }

    private static SslServerAuthenticationOptions OptionsOf(Func<SslStreamCertificateContext> certificate) => new()
    {
        ApplicationProtocols = [SslApplicationProtocol.Http11],
        EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
        ServerCertificateContext = certificate(),
    };

    private static bool IsOurs(IServiceProvider services) =>
        services.GetRequiredService<IOptions<ListenOptions>>().Value.Transport == ListenOptions.DirectTransport;
}
