using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using ImageAccess.Core.Hosts;
using ImageAccess.Proxy.Connections.Ingress.Egress;
using ImageAccess.Proxy.Foundation.Limits;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Connections.Ingress;

/// <summary>
/// The open tunnels. One timer ends those in which nothing moves and those that last too long. When the program stops, those go on in
/// which something moves; the server closes them when the grace period is over.
/// </summary>
internal sealed class Tunnels(
    TunnelDialer dialer, ClientLimits limits, IngressMetrics metrics, IOptions<EgressOptions> options, IHostApplicationLifetime lifetime, TimeProvider time, ILogger<Tunnels> logger)
    : BackgroundService
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(5);

    /// <summary>The idle timeout while the program stops.</summary>
    private static readonly TimeSpan IdleTimeoutAtStop = TimeSpan.FromSeconds(5);

    private readonly ConcurrentDictionary<Open, byte> _open = new();

    /// <summary>Connects a client to the target, unless it is the far end of one of this program's own tunnels, or has too many.</summary>
    public async Task<TunnelTarget> ConnectAsync(ConnectionContext connection, HostName host, int port, EgressVerdict verdict)
    {
        if (dialer.IsOwn(connection.RemoteEndPoint, connection.LocalEndPoint))
        {
            logger.Loop(host.Value);
            return TunnelTarget.None(RefusalReason.Loop);
        }

        if (!limits.Tunnels.TryEnter(limits.ShareOf((connection.RemoteEndPoint as IPEndPoint)?.Address), out var slot))
            return TunnelTarget.None(RefusalReason.TooMany);
        return await dialer.ConnectAsync(host, port, verdict == EgressVerdict.TunnelToPrivate, slot, connection.ConnectionClosed);
    }

    /// <summary>Relays until the tunnel has ended.</summary>
    public async Task RunAsync(ConnectionContext connection, Socket target)
    {
        using var ending = new CancellationTokenSource();
        var tunnel = new Tunnel(connection.Transport.Input, connection.Socket(), target, time);
        var open = new Open(tunnel, ending, time.GetTimestamp());
        _open[open] = 0;
        metrics.TunnelOpened();
        try
        {
            await tunnel.RelayAsync(ending.Token);
        }
        finally
        {
            _open.TryRemove(open, out _);
            metrics.TunnelClosed();
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Period, time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            var idleTimeout = lifetime.ApplicationStopping.IsCancellationRequested ? IdleTimeoutAtStop : options.Value.IdleTimeout;
            var now = time.GetTimestamp(); // before a tunnel says when it moved: what moves while this goes on is not idle
            foreach (var (open, _) in _open)
            {
                if (open.Tunnel.IdleAt(now) > idleTimeout || time.GetElapsedTime(open.Since, now) > options.Value.Lifetime)
                    await open.EndAsync();
            }
        }
    }

    private sealed record Open(Tunnel Tunnel, CancellationTokenSource Ending, long Since)
    {
        public async Task EndAsync()
        {
            try
            {
                await Ending.CancelAsync();
            }
            catch (ObjectDisposedException)
            {
                // It has just ended by itself.
            }
        }
    }
}
