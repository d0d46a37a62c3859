using System.Net;
using System.Net.Sockets;
using ImageAccess.Proxy.Connections.Certificates;
using ImageAccess.Proxy.Connections.Ingress;
using ImageAccess.Proxy.Connections.Transport;
using ImageAccess.Proxy.Foundation.Configuration;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.HttpOverrides;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Options;
using ListenOptions = ImageAccess.Proxy.Foundation.Configuration.ListenOptions;

namespace ImageAccess.Proxy.Hosting;

/// <summary>Kestrel's listeners and limits. Each connection carries which listener it came in by.</summary>
internal static class Listeners
{
    private const int MaximumHeaders = 32 * 1024;

    /// <summary>What a request's body may measure unless its endpoint says otherwise.</summary>
    private const long MaximumBody = 4 * 1024 * 1024;

    /// <summary>Of all listeners together: what is idle is closed long before so many are reached.</summary>
    private const int MaximumConnections = 20_000;

    private static readonly TimeSpan HandshakeTimeout = TimeSpan.FromSeconds(15);

    public static void AddListeners(this WebApplicationBuilder builder)
    {
        // Kestrel takes a bare line feed for a line's end by default; a request that two parsers may read differently is none.
        AppContext.SetSwitch("Microsoft.AspNetCore.Server.Kestrel.DisableHttp1LineFeedTerminators", true);
        builder.Services.AddOptions<ListenOptions>().Bind(builder.Configuration.GetSection("Listen")).ValidateOnStart();
        builder.Services.AddSingleton<IValidateOptions<ListenOptions>, ListenOptionsValidator>();
        builder.Services.AddOptions<ForwardedHeadersOptions>().Configure<IOptions<ListenOptions>>(TrustProxies);
        builder.WebHost.UseKestrelCore();
        builder.Services.AddTransport();
        builder.Services.AddOptions<KestrelServerOptions>().Configure<IOptions<ListenOptions>>(Listen);
    }

    /// <summary>Starts the program.</summary>
    /// <exception cref="ListenException">A listener could not be opened.</exception>
    public static async Task ListenAsync(this WebApplication app, CancellationToken cancellationToken)
    {
        try
        {
            await app.StartAsync(cancellationToken);
        }
        catch (Exception exception) when (exception is SocketException or IOException { InnerException: AddressInUseException })
        {
            throw new ListenException($"{Name(app.Services.GetRequiredService<IOptions<ListenOptions>>().Value, exception)}: {exception.Message}", exception);
        }
    }

    /// <summary>Forwarded headers count where there is a proxy to trust; elsewhere nobody looks at them.</summary>
    public static void UseTrustedProxies(this WebApplication app)
    {
        if (app.Configuration.GetSection("Listen:TrustedProxies").GetChildren().Any())
            app.UseForwardedHeaders();
    }

    public static bool CameInBy(this HttpContext http, Listener listener) => http.Features.Get<ListenerFeature>()?.Listener == listener;

    /// <summary>The key whose port the failure names; where it names none, as without permission, all of them with their addresses.</summary>
    private static string Name(ListenOptions options, Exception failure)
    {
        var all = options.All().ToList();
        var named = all.Where(one => failure.Message.Contains($":{ListenAddress.Parse(one.Address).Port}:", StringComparison.Ordinal)).Select(one => one.Key);
        return string.Join(" or ", named.DefaultIfEmpty(string.Join(" or ", all.Select(one => $"{one.Key} {one.Address}"))));
    }

    private static void Listen(KestrelServerOptions server, IOptions<ListenOptions> options)
    {
        server.AddServerHeader = false;
        server.Limits.MaxConcurrentConnections = MaximumConnections;
        server.Limits.MaxRequestBodySize = MaximumBody;
        server.Limits.MaxRequestHeadersTotalSize = MaximumHeaders;
        server.Limits.RequestHeadersTimeout = TimeSpan.FromSeconds(15);
        server.Limits.KeepAliveTimeout = TimeSpan.FromMinutes(2);
        foreach (var (listener, key, text) in options.Value.All())
        {
            var address = ListenAddress.Parse(text);
            if (address.Host is { } host)
                server.Listen(host, address.Port, Configure);
            else
                server.ListenAnyIP(address.Port, Configure);

            void Configure(Microsoft.AspNetCore.Server.Kestrel.Core.ListenOptions listen)
            {
                listen.Protocols = HttpProtocols.Http1; // the reason phrase carries the message; HTTP/2 has none
                listen.Use(next => connection =>
                {
                    connection.Features.Set(new ListenerFeature(listener));
                    return next(connection);
                });
                Secure(listen, listener, key, address.IsTls);
            }
        }
    }

    /// <summary>What comes before TLS on the listeners for Docker Hub's own names, and TLS with the certificate that the listener needs.</summary>
    private static void Secure(Microsoft.AspNetCore.Server.Kestrel.Core.ListenOptions listen, Listener listener, string key, bool isTls)
    {
        var services = listen.ApplicationServices;
        var certificates = services.GetRequiredService<ServerCertificates>();
        if (listener == Listener.Gateway)
            listen.UseGateway(services);
        else if (listener == Listener.ForwardProxy)
            listen.UseForwardProxy(services);

        if (listener is Listener.Gateway or Listener.ForwardProxy)
            UseTls(certificates.ForDockerHub(key));
        else if (isTls)
            UseTls(certificates.ForMirror(key));

        void UseTls(ServerCertificate certificate) =>
            listen.UseTls(() => certificate.Current, HandshakeTimeout);
    }

    private static void TrustProxies(ForwardedHeadersOptions forwarded, IOptions<ListenOptions> options)
    {
        forwarded.KnownIPNetworks.Clear();
        forwarded.KnownProxies.Clear();
        forwarded.ForwardLimit = null; // from the right, as long as a trusted proxy says so
        foreach (var text in options.Value.TrustedProxies)
        {
            if (System.Net.IPNetwork.TryParse(text, out var network))
                forwarded.KnownIPNetworks.Add(network);
            else
                forwarded.KnownProxies.Add(IPAddress.Parse(text));
        }

        forwarded.ForwardedHeaders = ForwardedHeaders.XForwardedFor | ForwardedHeaders.XForwardedProto | ForwardedHeaders.XForwardedHost;
    }

    private sealed record ListenerFeature(Listener Listener);
}

/// <summary>A listener could not be opened; the message names its key and its address.</summary>
internal sealed class ListenException(string message, Exception cause) : Exception(message, cause);
