using System.Diagnostics;
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
    /// To a receiver of notifications, which somebody else may run, each time on a new connection: to public addresses alone, or, where the configuration says so, to
    /// private ones as well. One that is not private is reached through the parent proxy, where there is one.
    /// </summary>
    /// <param name="isPrivate">Its addresses need not be public.</param>
    public HttpMessageHandler ToReceiver(bool isPrivate)
    {
        var handler = Create((context, cancel) => ConnectToReceiverAsync(context, isPrivate, cancel));
        handler.PooledConnectionLifetime = TimeSpan.Zero;
        handler.ActivityHeadersPropagator = null; // no span: the path of a webhook's address is often its secret
        if (isPrivate)
            (handler.UseProxy, handler.Proxy) = (false, null);
        return handler;
    }

    /// <summary>A connection to a mail server or a syslog server: the parent proxy speaks HTTP.</summary>
    /// <exception cref="SocketException">It cannot be resolved, or not be connected to.</exception>
    /// <exception cref="AddressRefusedException">It leads where no such server is.</exception>
    public async Task<NetworkStream> ConnectPastProxyAsync(string host, int port, bool demandLoopback, CancellationToken cancellationToken)
    {
        var addresses = await _resolver.ResolveAsync(host, cancellationToken);
        if (!Array.TrueForAll(addresses, demandLoopback ? IPAddress.IsLoopback : IsReachable))
            throw new AddressRefusedException();
        return new NetworkStream(await ConnectAsync(addresses, port, cancellationToken), ownsSocket: true);
    }

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
            ActivityHeadersPropagator = DistributedContextPropagator.CreateNoOutputPropagator(), // spans, and no headers of them
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
    public bool IsTrusted(object sender, X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors)
    {
        if (_roots is null || errors != SslPolicyErrors.RemoteCertificateChainErrors || certificate is not X509Certificate2 leaf || chain is null)
            return errors == SslPolicyErrors.None;

        using var own = new X509Chain();
        own.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        own.ChainPolicy.CustomTrustStore.AddRange(_roots);
        own.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        own.ChainPolicy.ExtraStore.AddRange(chain.ChainElements.Select(element => element.Certificate).ToArray());
        return own.Build(leaf);
    }

    private ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken) =>
        ConnectAsync(context, demandPublic: false, cancellationToken);

    private ValueTask<Stream> ConnectToRedirectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken) =>
        ConnectAsync(context, !RedirectHosts.ListsByName(context.DnsEndPoint.Host, context.DnsEndPoint.Port), cancellationToken);

    /// <summary>What answers at a link-local address gives away secrets of the machine (169.254.169.254): nobody names it in earnest.</summary>
    private static bool IsReachable(IPAddress address)
    {
        address = PublicAddress.Plain(address);
        return !address.IsIPv6LinkLocal && !IPNetwork.Parse("169.254.0.0/16").Contains(address) && !address.Equals(IPAddress.Any) && !address.Equals(IPAddress.IPv6Any);
    }

    private async ValueTask<Stream> ConnectToReceiverAsync(SocketsHttpConnectionContext context, bool isPrivate, CancellationToken cancellationToken)
    {
        var asked = context.InitialRequestMessage.RequestUri!;
        IPAddress[] judged;
        try
        {
            judged = await _resolver.ResolveAsync(asked.IdnHost, cancellationToken);
        }
        catch (SocketException) when (UsesProxy())
        {
            judged = []; // only the parent can resolve names of the internet
        }

        if (!Array.TrueForAll(judged, isPrivate ? IsReachable : PublicAddress.Is))
            throw new AddressRefusedException();
        try
        {
            var addresses = UsesProxy() ? await _resolver.ResolveAsync(context.DnsEndPoint.Host, cancellationToken) : judged;
            return new NetworkStream(await ConnectAsync(addresses, context.DnsEndPoint.Port, cancellationToken), ownsSocket: true);
        }
        catch (SocketException exception)
        {
            throw new ReachException(NetworkFailure.HostOf(asked), $"no connection, {exception.Message}", "the firewall", exception) { IsProxy = UsesProxy() };
        }

        bool UsesProxy() => !isPrivate && (context.DnsEndPoint.Host, context.DnsEndPoint.Port) != (asked.IdnHost, asked.Port);
    }

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

/// <summary>A name leads to an address that may not be asked.</summary>
public sealed class AddressRefusedException() : IOException("its name leads to an address that may not be asked")
{
    /// <summary>Whether that is why something failed.</summary>
    public static bool IsCauseOf(Exception? exception) => exception is not null && (exception is AddressRefusedException || IsCauseOf(exception.InnerException));
}
