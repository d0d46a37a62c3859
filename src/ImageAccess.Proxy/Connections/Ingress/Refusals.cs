using System.Net;
using System.Net.Sockets;
using ImageAccess.Core.Hosts;
using ImageAccess.Proxy.Foundation.Audit;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;

namespace ImageAccess.Proxy.Connections.Ingress;

/// <summary>The ways in, as events and metrics name them.</summary>
internal static class WayIn
{
    public const string Mirror = "mirror";
    public const string Gateway = "gateway";
    public const string ForwardProxy = "forward-proxy";
}

/// <summary>What a connection asked for, as far as it could be read.</summary>
internal readonly record struct Asked(HostName? Host, int? Port, string? User = null);

/// <summary>Counts each refusal and records it in the audit trail, unless it says nothing of where the client may go.</summary>
internal sealed class Refusals(AuditTrail trail, IngressMetrics metrics)
{
    public ValueTask RecordAsync(string wayIn, ConnectionContext connection, Asked asked, string reason)
    {
        var client = (connection.RemoteEndPoint as IPEndPoint)?.Address;
        metrics.Refused(wayIn, reason);
        return reason == RefusalReason.TooMany
            ? ValueTask.CompletedTask
            : trail.RecordConnectionAsync(wayIn, client, asked.User is { Length: > 0 } user ? user : null, asked.Host?.Value, asked.Port, reason, connection.ConnectionClosed);
    }
}

internal static class IngressConnections
{
    public static Socket Socket(this ConnectionContext connection) => connection.Features.GetRequiredFeature<IConnectionSocketFeature>().Socket;

    /// <summary>Writes to the socket itself, as a tunnel does: two ways to write would have no order.</summary>
    public static async Task SendAsync(this ConnectionContext connection, byte[] bytes) =>
        await connection.Socket().SendAsync(bytes, SocketFlags.None, connection.ConnectionClosed);

    /// <summary>Hands the connection to this program's own TLS, under the name that the client asked for.</summary>
    public static Task InterceptAsync(this ConnectionContext connection, HostName host, string wayIn, ConnectionDelegate next)
    {
        connection.Features.Set(new InterceptedName(host, DockerHubHosts.RoleOf(host), wayIn));
        return next(connection);
    }
}
