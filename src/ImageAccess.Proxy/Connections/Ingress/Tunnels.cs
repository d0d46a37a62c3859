using System.Collections.Concurrent;
using System.Net.Sockets;
using ImageAccess.Core.Hosts;
using ImageAccess.Proxy.Connections.Ingress.Egress;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Connections.Ingress;

/// <summary>
/// The open tunnels. One timer ends those in which nothing moves and those that last too long. When the program stops, all end.
/// </summary>
internal sealed class Tunnels(TunnelDialer dialer, IngressMetrics metrics, IOptions<EgressOptions> options, TimeProvider time, ILogger<Tunnels> logger)
    : BackgroundService
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(10);

    private readonly ConcurrentDictionary<Open, byte> _open = new();

    /// <summary>Connects a client to the target, unless the client is the far end of one of this program's own tunnels.</summary>
    public async Task<TunnelTarget> ConnectAsync(ConnectionContext connection, HostName host, int port, EgressVerdict verdict)
    {
        if (!dialer.IsOwn(connection.RemoteEndPoint, connection.LocalEndPoint))
            return await dialer.ConnectAsync(host, port, verdict == EgressVerdict.TunnelToPrivate, connection.ConnectionClosed);
        logger.Loop(host.Value);
        return TunnelTarget.None(RefusalReason.Loop);
    }

    /// <summary>Relays until the tunnel has ended.</summary>
    public async Task RunAsync(ConnectionContext connection, Socket target)
    {
        var shutdown = connection.Features.Get<IConnectionLifetimeNotificationFeature>()?.ConnectionClosedRequested ?? CancellationToken.None;
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(shutdown);
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
            foreach (var (open, _) in _open)
            {
                if (open.Tunnel.Idle > options.Value.IdleTimeout || time.GetElapsedTime(open.Since) > options.Value.Lifetime)
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
