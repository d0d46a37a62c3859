using System.Buffers;
using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using ImageAccess.Core.Hosts;
using ImageAccess.Proxy.Foundation.DockerHub;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Connections.Ingress.Egress;

/// <summary>
/// Connects a tunnel: resolves the name once, checks every address that it has, and connects to those and no others. A parent
/// proxy resolves the name again; its addresses are checked here as well, if they can be resolved.
/// </summary>
internal sealed class TunnelDialer(IHostResolver resolver, DockerHubAddresses dockerHub, IOptions<EgressOptions> options, TimeProvider time)
{
    /// <summary>Bytes of the parent proxy's answer.</summary>
    private const int MaximumAnswer = 8 * 1024;

    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(10);

    private readonly ConcurrentDictionary<(IPEndPoint Here, IPEndPoint There), byte> _own = new();
    private readonly Uri? _parent = options.Value.Parent;

    /// <summary>Whether this connection, as the listener sees it, is the far end of a tunnel of this program's own.</summary>
    public bool IsOwn(EndPoint? client, EndPoint? listener) =>
        client is IPEndPoint here && listener is IPEndPoint there && _own.ContainsKey((Plain(here), Plain(there)));

    /// <param name="host">Resolved once.</param>
    /// <param name="port">The port.</param>
    /// <param name="mayBePrivate">Whether its addresses need not be public.</param>
    /// <param name="slot">The tunnel's own, which ends with the target.</param>
    /// <param name="cancellationToken">Ends when the client leaves.</param>
    public async Task<TunnelTarget> ConnectAsync(HostName host, int port, bool mayBePrivate, IDisposable slot, CancellationToken cancellationToken)
    {
        TunnelTarget? target = null;
        try
        {
            return target = await ConnectAsync(host, port, mayBePrivate, slot.Dispose, cancellationToken);
        }
        finally
        {
            if (target?.Socket is null)
                slot.Dispose();
        }
    }

    private async Task<TunnelTarget> ConnectAsync(HostName host, int port, bool mayBePrivate, Action ended, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(Timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            var addresses = await ResolveAsync(host, either.Token);
            if (await FindFaultAsync(addresses, mayBePrivate, either.Token) is { } fault)
                return TunnelTarget.None(fault);
            var isInside = addresses.Length > 0 && !Array.Exists(addresses, PublicAddress.Is); // the parent cannot reach it
            var socket = _parent is null || isInside
                ? await UpstreamConnections.ConnectAsync(addresses, port, either.Token)
                : await ConnectAsync(_parent, host, port, either.Token);
            return Remember(socket, ended);
        }
        catch (Exception exception) when (exception is SocketException or IOException
            || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            return TunnelTarget.None(RefusalReason.Unreachable);
        }
    }

    private async Task<IPAddress[]> ResolveAsync(HostName host, CancellationToken cancellationToken)
    {
        try
        {
            return Array.ConvertAll(await resolver.ResolveAsync(host.Value, cancellationToken), PublicAddress.Plain);
        }
        catch (SocketException) when (_parent is not null)
        {
            return []; // only the parent can resolve names of the internet
        }
    }

    private async ValueTask<string?> FindFaultAsync(IPAddress[] addresses, bool mayBePrivate, CancellationToken cancellationToken)
    {
        if (!Array.TrueForAll(addresses, PublicAddress.Is))
        {
            if (!mayBePrivate)
                return RefusalReason.PrivateAddress;
            if (!Array.Exists(addresses, PublicAddress.Is))
                return await dockerHub.IncludeAsync(addresses, cancellationToken) == true ? RefusalReason.DockerHubAddress : null;
        }

        if (addresses.Length == 0)
            return null;
        return await dockerHub.IncludeAsync(addresses, cancellationToken) switch
        {
            true => RefusalReason.DockerHubAddress,
            null => RefusalReason.Unreachable,
            false => null,
        };
    }

    /// <summary>Through the parent: its answer must be 2xx with no body.</summary>
    private async Task<Socket> ConnectAsync(Uri parent, HostName host, int port, CancellationToken cancellationToken)
    {
        var socket = await UpstreamConnections.ConnectAsync(
            Array.ConvertAll(await resolver.ResolveAsync(parent.IdnHost, cancellationToken), PublicAddress.Plain), parent.Port, cancellationToken);
        try
        {
            var request = string.Create(CultureInfo.InvariantCulture, $"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n");
            await socket.SendAsync(Encoding.ASCII.GetBytes(request), cancellationToken);
            return await IsConnectedAsync(socket, cancellationToken) ? socket : throw new SocketException((int)SocketError.ConnectionRefused);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static async Task<bool> IsConnectedAsync(Socket socket, CancellationToken cancellationToken)
    {
        var answer = new ArrayBufferWriter<byte>(MaximumAnswer);
        while (answer.WrittenCount < MaximumAnswer)
        {
            var count = await socket.ReceiveAsync(answer.GetMemory(1)[..1], cancellationToken);
            if (count == 0)
                return false;
            answer.Advance(count);
            if (answer.WrittenSpan.EndsWith("\r\n\r\n"u8))
                return answer.WrittenSpan.StartsWith("HTTP/1.1 2"u8) || answer.WrittenSpan.StartsWith("HTTP/1.0 2"u8);
        }

        return false;
    }

    private TunnelTarget Remember(Socket socket, Action ended)
    {
        var ends = (Plain((IPEndPoint)socket.LocalEndPoint!), Plain((IPEndPoint)socket.RemoteEndPoint!));
        _own[ends] = 0;
        return TunnelTarget.At(socket, () =>
        {
            _own.TryRemove(ends, out _);
            ended();
        });
    }

    private static IPEndPoint Plain(IPEndPoint end) => new(PublicAddress.Plain(end.Address), end.Port);
}

/// <summary>A socket connected to a tunnel's target, known as this program's own while it is open; or why there is none.</summary>
internal sealed class TunnelTarget : IDisposable
{
    private readonly Action? _forget;

    private TunnelTarget(Socket? socket, string fault, Action? forget)
    {
        Socket = socket;
        Fault = fault;
        _forget = forget;
    }

    public Socket? Socket { get; }

    /// <summary>One of <see cref="RefusalReason"/>; empty with a socket.</summary>
    public string Fault { get; }

    public static TunnelTarget At(Socket socket, Action forget) => new(socket, "", forget);

    public static TunnelTarget None(string fault) => new(null, fault, null);

    public void Dispose()
    {
        Socket?.Dispose();
        _forget?.Invoke();
    }
}
