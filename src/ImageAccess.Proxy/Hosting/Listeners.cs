using System.Net;
using System.Net.Sockets;
using ImageAccess.Proxy.Connections.Certificates;
using ImageAccess.Proxy.Connections.Ingress;
using ImageAccess.Proxy.Connections.Transport;
using ImageAccess.Proxy.Foundation.Configuration;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.HttpOverrides;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Options;
using ListenOptions = ImageAccess.Proxy.Foundation.Configuration.ListenOptions;

namespace ImageAccess.Proxy.Hosting;

/// <summary>Kestrel's listeners and limits. Each connection carries which listener it came in by.</summary>
internal static class Listeners
{
    /// <summary>
    /// What the web server takes of a request's line, and of its headers. It is twice what the endpoints take of a target and of a token, so
    /// that they answer in their own words; beyond it the web server itself answers 414 or 431, without a body.
    /// </summary>
    private const int MaximumHead = 128 * 1024;

    /// <summary>What a request's body may measure unless its endpoint says otherwise.</summary>
    private const long MaximumBody = 4 * 1024 * 1024;

    private static readonly TimeSpan HandshakeTimeout = TimeSpan.FromSeconds(15);

    public static void AddListeners(this WebApplicationBuilder builder)
    {
        // Kestrel takes a bare line feed for a line's end by default; a request that two parsers may read differently is none.
        AppContext.SetSwitch("Microsoft.AspNetCore.Server.Kestrel.DisableHttp1LineFeedTerminators", true);
        builder.Services.AddOptions<ListenOptions>().Bind(builder.Configuration.GetSection("Listen")).ValidateOnStart();
        builder.Services.AddSingleton<IValidateOptions<ListenOptions>, ListenOptionsValidator>();
        builder.Services.AddOptions<ConsoleOptions>().Bind(builder.Configuration.GetSection("Console")).Configure(options => options.Url = builder.Configuration.GetValue<Uri?>("ConsoleUrl")).ValidateOnStart();
        builder.Services.AddSingleton<IValidateOptions<ConsoleOptions>, ConsoleOptionsValidator>();
        builder.Services.AddOptions<ForwardedHeadersOptions>().Configure<IOptions<ListenOptions>>(TrustProxies);
        builder.WebHost.UseKestrelCore();
        builder.Services.AddTransport();
        builder.Services.AddOptions<KestrelServerOptions>().Configure<IOptions<ListenOptions>>(Listen);
    }

    /// <summary>Starts the program.</summary>
    /// <exception cref="OptionsValidationException">Listeners could not be opened; each failure names a key and its address.</exception>
    public static async Task ListenAsync(this WebApplication app)
    {
        try
        {
            await app.StartAsync();
        }
        catch (Exception exception) when (exception is SocketException or IOException { InnerException: AddressInUseException })
        {
            var faults = Faults(app.Services.GetRequiredService<IOptions<ListenOptions>>().Value).ToList();
            var texts = faults.Select(fault => fault.Text).DefaultIfEmpty($"Listen: {exception.Message}");
            throw faults.Exists(fault => fault.Error != SocketError.AddressNotAvailable) ? ConfigurationLoading.Failed(texts) : ConfigurationLoading.FailedForNow(texts);
        }
    }

    /// <summary>Forwarded headers count where there is a proxy to trust; elsewhere nobody looks at them.</summary>
    public static void UseTrustedProxies(this WebApplication app)
    {
        if (app.Configuration.GetSection("Listen:TrustedProxies").GetChildren().Any())
            app.UseForwardedHeaders();
    }

    public static bool CameInBy(this HttpContext http, Listener listener) => http.Features.Get<ListenerFeature>()?.Listener == listener;

    /// <summary>The failure itself does not say which listener it was: each is tried by itself.</summary>
    private static IEnumerable<(string Text, SocketError Error)> Faults(ListenOptions options)
    {
        var opened = new List<Socket>();
        try
        {
            foreach (var (_, key, text) in options.All())
            {
                var address = ListenAddress.Parse(text);
                if (Try(new IPEndPoint(address.Host ?? (Socket.OSSupportsIPv6 ? IPAddress.IPv6Any : IPAddress.Any), address.Port), opened) is { } fault)
                    yield return ($"{key}: {text}: {Why(fault)}", fault.SocketErrorCode);
            }
        }
        finally
        {
            opened.ForEach(socket => socket.Dispose());
        }
    }

    /// <returns>Why nobody can listen there; null where it works.</returns>
    private static SocketException? Try(IPEndPoint address, List<Socket> opened)
    {
        try
        {
            var socket = SocketTransportOptions.CreateDefaultBoundListenSocket(address);
            opened.Add(socket);
            socket.Listen();
            return null;
        }
        catch (SocketException exception)
        {
            return exception;
        }
    }

    private static string Why(SocketException exception) => exception.SocketErrorCode switch
    {
        SocketError.AddressAlreadyInUse => "address already in use: stop the other program, or choose another port",
        SocketError.AccessDenied => $"the user {Environment.UserName} may not listen there: ports below 1024 need root or CAP_NET_BIND_SERVICE",
        SocketError.AddressNotAvailable => "this machine has no such address",
        _ => exception.Message,
    };

    private static void Listen(KestrelServerOptions server, IOptions<ListenOptions> options)
    {
        server.AddServerHeader = false;
        server.Limits.MaxRequestBodySize = MaximumBody;
        server.Limits.MaxRequestLineSize = MaximumHead;
        server.Limits.MaxRequestHeadersTotalSize = MaximumHead;
        server.Limits.RequestHeadersTimeout = TimeSpan.FromSeconds(15);
        server.Limits.KeepAliveTimeout = TimeSpan.FromMinutes(2);
        foreach (var (listener, key, text) in options.Value.All())
        {
            var address = ListenAddress.Parse(text);
            var any = Socket.OSSupportsIPv6 ? IPAddress.IPv6Any : IPAddress.Any;
            server.Listen(new ListenerEndPoint(listener, address.Host ?? any, address.Port), Configure);

            void Configure(Microsoft.AspNetCore.Server.Kestrel.Core.ListenOptions listen)
            {
                listen.Protocols = HttpProtocols.Http1; // the reason phrase carries the message; HTTP/2 has none
                listen.Use(next => connection =>
                {
                    connection.Features.Set(new ListenerFeature(listener));
                    return ServeAsync(connection, next);
                });
                Secure(listen, listener, key, address.IsTls);
            }
        }
    }

    /// <summary>A client that leaves is no error. Kestrel would write a stack trace for each that leaves before HTTP begins, a balancer's checks among them.</summary>
    private static async Task ServeAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        try
        {
            await next(connection);
        }
        catch (Exception exception) when (exception is SocketException or IOException or OperationCanceledException or ObjectDisposedException)
        {
            // It has left, or the program stops.
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
