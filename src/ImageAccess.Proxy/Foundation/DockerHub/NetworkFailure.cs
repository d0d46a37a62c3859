using System.Net.Sockets;
using System.Security.Authentication;
using ImageAccess.Core.Hosts;

namespace ImageAccess.Proxy.Foundation.DockerHub;

/// <summary>
/// What a failed exchange tells: which host, what failed there, and the configuration keys to look at. It quotes nothing of an answer, which may be a token.
/// </summary>
/// <param name="Host">With its port, where that is not the scheme's own.</param>
/// <param name="What">What failed, beginning with its step: resolve, connect, TLS, answer.</param>
/// <param name="Keys">Where to look.</param>
internal sealed record NetworkFailure(string Host, string What, string Keys)
{
    /// <summary>For the log.</summary>
    public string Cause => $"{Host}: {What}; look at {Keys}";

    public bool IsTimeout { get; private init; }

    /// <summary>There was a connection: it is the answer that failed.</summary>
    public bool IsOfAnswer { get; private init; }

    /// <param name="exception">What the web client has thrown.</param>
    /// <param name="address">What was asked.</param>
    /// <param name="key">The key that names the host.</param>
    public static NetworkFailure Of(Exception exception, Uri address, string key) => exception switch
    {
        UnreachedException { Failure: var known } => known,
        _ when Find<ReachException>(exception) is { } reach => new NetworkFailure(reach.Host, reach.Message, reach.IsProxy ? "Upstream:Proxy" : $"{key}, {reach.Keys}") { IsTimeout = reach.IsTimeout },
        HttpRequestException { HttpRequestError: HttpRequestError.ProxyTunnelError } => new NetworkFailure(HostOf(address), "the parent proxy does not lead there", "Upstream:Proxy"),
        OperationCanceledException => new NetworkFailure(HostOf(address), "the TLS handshake does not end in time", $"{key} and the firewall") { IsTimeout = true },
        _ when Find<AuthenticationException>(exception) is { } tls =>
            new NetworkFailure(HostOf(address), $"TLS failed, {tls.Message.TrimEnd('.')}", $"{key} and Upstream:TrustedCertificates"),
        HttpRequestException { HttpRequestError: HttpRequestError.SecureConnectionError } =>
            new NetworkFailure(HostOf(address), "TLS failed, the handshake broke off", $"{key} and Upstream:TrustedCertificates"),
        HttpRequestException { HttpRequestError: HttpRequestError.InvalidResponse } => new NetworkFailure(HostOf(address), "the answer cannot be read", key) { IsOfAnswer = true },
        _ when Find<SocketException>(exception) is { } socket =>
            new NetworkFailure(HostOf(address), $"the answer broke off, {socket.Message}", key) { IsTimeout = socket.SocketErrorCode == SocketError.TimedOut, IsOfAnswer = true },
        _ => new NetworkFailure(HostOf(address), "the answer broke off", key) { IsOfAnswer = true },
    };

    public static string HostOf(Uri address) => address.IsDefaultPort ? address.IdnHost : $"{address.IdnHost}:{address.Port}";

    /// <summary>For a client, which is told the names of Docker Hub's own hosts and no others: they may be of the internal network.</summary>
    public string Explain(string sentence) =>
        HostName.TryParse(Host, out var name) && (DockerHubHosts.RoleOf(name) != DockerHubRole.None || name.Value == DockerHubHosts.Hub) ? $"{sentence} ({Host}: {What})" : sentence;

    private static T? Find<T>(Exception? exception)
        where T : Exception
    {
        while (exception is not null and not T)
            exception = exception.InnerException;
        return (T?)exception;
    }
}

/// <summary>A connection could not be made.</summary>
/// <param name="host">What could not be resolved or connected to.</param>
/// <param name="what">What failed, in words.</param>
/// <param name="keys">What besides the host's own key may be wrong.</param>
internal sealed class ReachException(string host, string what, string keys, Exception cause) : IOException(what, cause)
{
    public string Host => host;

    public string Keys => keys;

    /// <summary>It is the parent proxy's connection.</summary>
    public bool IsProxy { get; init; }

    public bool IsTimeout { get; init; }
}

/// <summary>An exchange failed, and it is known where.</summary>
internal sealed class UnreachedException(NetworkFailure failure, HttpRequestException? cause, Exception inner)
    : HttpRequestException(cause?.HttpRequestError ?? HttpRequestError.ConnectionError, failure.Cause, inner)
{
    public NetworkFailure Failure => failure;
}

/// <summary>Nobody waits any longer for the answer of a host, which is named.</summary>
internal sealed class UnansweredRequestException(Uri address, string key, OperationCanceledException cause)
    : OperationCanceledException($"{NetworkFailure.HostOf(address)}; look at {key}", cause, cause.CancellationToken);

/// <summary>Says of every request that fails where it failed.</summary>
/// <param name="key">The key that names the host.</param>
internal sealed class NamedFailures(HttpMessageHandler inner, string key) : DelegatingHandler(inner)
{
    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        try
        {
            return await base.SendAsync(request, cancellationToken);
        }
        catch (OperationCanceledException exception) when (cancellationToken.IsCancellationRequested)
        {
            throw new UnansweredRequestException(request.RequestUri!, key, exception);
        }
        catch (Exception exception) when (exception is HttpRequestException and not UnreadableAnswerException or OperationCanceledException)
        {
            throw new UnreachedException(NetworkFailure.Of(exception, request.RequestUri!, key), exception as HttpRequestException, exception);
        }
    }
}
