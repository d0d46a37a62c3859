using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using ImageAccess.Core.Hosts;
using ImageAccess.Proxy.Foundation.Limits;
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

    /// <summary>With TLS.</summary>
    private static readonly TimeSpan HandshakeTimeout = TimeSpan.FromSeconds(20);

    private readonly UpstreamOptions _options;
    private readonly IHostResolver _resolver;
    private readonly ViaStamp _via;
    private readonly UpstreamClock _clock;
    private readonly UpstreamMetrics _metrics;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly X509Certificate2Collection? _roots;

    public UpstreamConnections(
        IOptions<UpstreamOptions> options, IHostResolver resolver, ViaStamp via, UpstreamClock clock, UpstreamMetrics metrics, TimeProvider time, ILogger<UpstreamConnections> logger)
    {
        _options = options.Value;
        (_resolver, _via, _clock, _metrics, _time, _logger) = (resolver, via, clock, metrics, time, logger);
        RedirectHosts = new RedirectHosts(_options.RedirectHosts, allowsHttp: _options.Registry.Scheme == Uri.UriSchemeHttp);
        if (_options.TrustedCertificates is { } file)
        {
            _roots = [];
            _roots.ImportFromPemFile(file);
        }
    }

    public RedirectHosts RedirectHosts { get; }

    /// <summary>To the registry, the token service and the Hub API, wherever the configuration puts them.</summary>
    /// <param name="kind">What is asked, in metrics.</param>
    /// <param name="key">The key that names the host.</param>
    public HttpMessageHandler ToDockerHub(string kind, string key) => _clock.On(Questions(kind, key, ConnectAsync), kind);

    /// <summary>To where a redirect led: an address that is not public is refused unless its host is listed by name.</summary>
    /// <param name="kind">What is asked, in metrics.</param>
    /// <param name="key">The key that lists the hosts.</param>
    public HttpMessageHandler ToRedirects(string kind, string key) => Questions(kind, key, _options.Proxy is null ? ConnectToRedirectAsync : ConnectAsync);

    /// <summary>
    /// To the registry, on a new connection: for one request that cannot be sent twice, and so must not begin on a connection that a firewall
    /// has dropped.
    /// </summary>
    /// <param name="key">The key that names the host.</param>
    /// <param name="watch">Takes the connection, and gives what the request is to be sent on.</param>
    public HttpMessageHandler ToDockerHubOnce(string key, Func<Stream, Stream> watch)
    {
        var handler = Create(ConnectAsync);
        handler.PooledConnectionLifetime = TimeSpan.Zero;
        handler.PlaintextStreamFilter = (connection, _) => ValueTask.FromResult(watch(connection.PlaintextStream));
        return Finish(handler, key);
    }

    private NamedFailures Questions(string kind, string key, Func<SocketsHttpConnectionContext, CancellationToken, ValueTask<Stream>> connect)
    {
        var fresh = Create(connect);
        fresh.PooledConnectionLifetime = TimeSpan.Zero;
        return Finish(new RepeatAfterReset(Create(connect), fresh, kind, _metrics, _logger), key);
    }

    private NamedFailures Finish(HttpMessageHandler handler, string key) => new NamedFailures(_via.On(new PlainAnswers(handler)), key);

    private SocketsHttpHandler Create(Func<SocketsHttpConnectionContext, CancellationToken, ValueTask<Stream>> connect)
    {
        var handler = new SocketsHttpHandler
        {
            ActivityHeadersPropagator = null,
            AllowAutoRedirect = false,
            AutomaticDecompression = DecompressionMethods.None,
            ConnectCallback = connect,
            ConnectTimeout = HandshakeTimeout,
            MaxResponseHeadersLength = 64,
            PooledConnectionIdleTimeout = TimeSpan.FromMinutes(1),
            PooledConnectionLifetime = TimeSpan.FromMinutes(5),
            UseCookies = false,
            UseProxy = _options.Proxy is not null,
            Proxy = _options.Proxy is null ? null : new WebProxy(_options.Proxy, BypassOnLocal: true), // what loopback says, no proxy may say
        };
        if (_roots is not null)
            handler.SslOptions.RemoteCertificateValidationCallback = IsTrusted;
        return handler;
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

    private ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken) =>
        ConnectAsync(context, demandPublic: false, cancellationToken);

    private ValueTask<Stream> ConnectToRedirectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken) =>
        ConnectAsync(context, !RedirectHosts.ListsByName(context.DnsEndPoint.Host, context.DnsEndPoint.Port), cancellationToken);

    /// <exception cref="ReachException">It cannot be resolved, or not be connected to.</exception>
    private async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, bool demandPublic, CancellationToken cancellationToken)
    {
        using var timeout = new CancellationTokenSource(ConnectTimeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        var (what, keys) = ("its name cannot be resolved", "Upstream:Addresses and this machine's DNS");
        try
        {
            var addresses = await _resolver.ResolveAsync(context.DnsEndPoint.Host, either.Token);
            if (demandPublic && !Array.TrueForAll(addresses, PublicAddress.Is))
                throw Unreached("it has an address that is not public, and is not listed by its own name", "Upstream:Addresses", new IOException());
            (what, keys) = ("no connection", "Upstream:Proxy and the firewall");
            return new NetworkStream(await ConnectAsync(addresses, context.DnsEndPoint.Port, either.Token), ownsSocket: true);
        }
        catch (SocketException exception)
        {
            throw Unreached($"{what}, {exception.Message}", keys, exception);
        }
        catch (OperationCanceledException exception) when (!cancellationToken.IsCancellationRequested)
        {
            throw Unreached(string.Create(CultureInfo.InvariantCulture, $"{what} within {ConnectTimeout.TotalSeconds} s"), keys, exception);
        }

        ReachException Unreached(string told, string where, Exception cause)
        {
            var (end, asked) = (context.DnsEndPoint, context.InitialRequestMessage.RequestUri!);
            var isProxy = (end.Host, end.Port) != (asked.IdnHost, asked.Port);
            return new ReachException(isProxy ? $"{end.Host}:{end.Port}" : NetworkFailure.HostOf(asked), told, where, cause)
            {
                IsProxy = isProxy,
                IsTimeout = cause is OperationCanceledException or SocketException { SocketErrorCode: SocketError.TimedOut },
            };
        }
    }

    /// <summary>To the very addresses that were looked at: a name may lead elsewhere the next time.</summary>
    internal static async ValueTask<Socket> ConnectAsync(IPAddress[] addresses, int port, CancellationToken cancellationToken)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(addresses, port, cancellationToken);
            UnsentBytes.Limit(socket);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
