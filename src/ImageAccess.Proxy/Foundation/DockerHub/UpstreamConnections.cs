using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using ImageAccess.Core.Hosts;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Foundation.DockerHub;

/// <summary>
/// How connections upstream are made: no redirects, cookies or decompression of the handler's own, no trace headers,
/// roots and parent proxy as configured, never as the environment says.
/// </summary>
public sealed class UpstreamConnections
{
    /// <summary>What this program calls itself in requests of its own.</summary>
    public static readonly ProductInfoHeaderValue OwnUserAgent = new("ImageAccess.Proxy", "0.1");

    private static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(10);

    private readonly UpstreamOptions _options;
    private readonly IHostResolver _resolver;
    private readonly ViaStamp _via;
    private readonly X509Certificate2Collection? _roots;

    public UpstreamConnections(IOptions<UpstreamOptions> options, IHostResolver resolver, ViaStamp via)
    {
        _options = options.Value;
        _resolver = resolver;
        _via = via;
        RedirectHosts = new RedirectHosts(_options.RedirectHosts, allowsHttp: _options.Registry.Scheme == Uri.UriSchemeHttp);
        if (_options.TrustedCertificates is { } file)
        {
            _roots = [];
            _roots.ImportFromPemFile(file);
        }
    }

    public RedirectHosts RedirectHosts { get; }

    /// <summary>To the registry, the token service and the Hub API, wherever the configuration puts them.</summary>
    public HttpMessageHandler ToDockerHub() => Create(ConnectAsync);

    /// <summary>To where a redirect led: an address that is not public is refused unless its host is listed by name.</summary>
    public HttpMessageHandler ToRedirects() => Create(_options.Proxy is null ? ConnectToRedirectAsync : ConnectAsync);

    private HttpMessageHandler Create(Func<SocketsHttpConnectionContext, CancellationToken, ValueTask<Stream>> connect)
    {
        var handler = new SocketsHttpHandler
        {
            ActivityHeadersPropagator = null,
            AllowAutoRedirect = false,
            AutomaticDecompression = DecompressionMethods.None,
            ConnectCallback = connect,
            ConnectTimeout = ConnectTimeout,
            MaxResponseHeadersLength = 64,
            PooledConnectionIdleTimeout = TimeSpan.FromMinutes(1),
            PooledConnectionLifetime = TimeSpan.FromMinutes(5),
            UseCookies = false,
            UseProxy = _options.Proxy is not null,
            Proxy = _options.Proxy is null ? null : new WebProxy(_options.Proxy, BypassOnLocal: true), // what loopback says, no proxy may say
        };
        if (_roots is not null)
            handler.SslOptions.RemoteCertificateValidationCallback = IsTrusted;
        return _via.On(handler);
    }

    /// <summary>A chain that the system does not trust is built once more, from the configured roots.</summary>
    private bool IsTrusted(object sender, X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors)
    {
        if (errors != SslPolicyErrors.RemoteCertificateChainErrors || certificate is not X509Certificate2 leaf || chain is null)
            return errors == SslPolicyErrors.None;

        using var own = new X509Chain();
        own.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        own.ChainPolicy.CustomTrustStore.AddRange(_roots!);
        own.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        own.ChainPolicy.ExtraStore.AddRange(chain.ChainElements.Select(element => element.Certificate).ToArray());
        return own.Build(leaf);
    }

    private async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        var (host, port) = (context.DnsEndPoint.Host, context.DnsEndPoint.Port);
        return Own(await ConnectAsync(await _resolver.ResolveAsync(host, cancellationToken), port, cancellationToken));
    }

    private async ValueTask<Stream> ConnectToRedirectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        var (host, port) = (context.DnsEndPoint.Host, context.DnsEndPoint.Port);
        var addresses = await _resolver.ResolveAsync(host, cancellationToken);
        if (!RedirectHosts.ListsByName(host, port) && !Array.TrueForAll(addresses, PublicAddress.Is))
            throw new HttpRequestException($"The redirect host {host} resolves to an address that is not public.");
        return Own(await ConnectAsync(addresses, port, cancellationToken));
    }

    private static NetworkStream Own(Socket socket) => new(socket, ownsSocket: true);

    /// <summary>To the very addresses that were looked at: a name may lead elsewhere the next time.</summary>
    internal static async ValueTask<Socket> ConnectAsync(IPAddress[] addresses, int port, CancellationToken cancellationToken)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(addresses, port, cancellationToken);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
