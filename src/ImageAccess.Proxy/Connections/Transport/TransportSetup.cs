using System.Net.Security;
using Microsoft.AspNetCore.Connections;

namespace ImageAccess.Proxy.Connections.Transport;

public static class TransportSetup
{
    /// <summary>Connections that Kestrel reads and writes without a queue in between.</summary>
    public static IServiceCollection AddTransport(this IServiceCollection services)
    {
        services.AddSingleton<IConnectionListenerFactory, SocketTransport>();
        return services;
    }

    /// <summary>TLS, and HTTP/1.1 inside it. A client that cannot agree is left.</summary>
    /// <param name="certificate">Asked at each handshake.</param>
    /// <param name="patience">How long a handshake may take.</param>
    public static IConnectionBuilder UseTls(
        this IConnectionBuilder listener, Func<SslStreamCertificateContext> certificate, TimeSpan patience, TimeProvider time)
    {
        var tls = new TlsServer(certificate, patience, time);
        return listener.Use(next => connection => tls.HandleAsync(connection, next));
    }
}
