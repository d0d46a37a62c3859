using ImageAccess.Core.Hosts;
using ImageAccess.Proxy.Connections.Ingress.Egress;
using Microsoft.AspNetCore.Connections;

namespace ImageAccess.Proxy.Connections.Ingress;

/// <summary>
/// A connection to the gateway, up to where TLS begins. The server name alone says which host is meant, whatever address the client
/// connected to.
/// </summary>
internal sealed class Gateway(EgressPolicy egress, Tunnels tunnels, Refusals refusals, TimeProvider time)
{
    /// <summary>A server name has no port: it is that of https.</summary>
    private const int Port = 443;

    public async Task HandleAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        var first = new FirstBytes(connection.Transport.Input, time);
        var (host, fault) = await first.PeekClientHelloAsync(expected: null, connection.ConnectionClosed);
        if (host is null)
        {
            if (fault is not null)
                await RefuseAsync(connection, null, fault);
            return;
        }

        var (verdict, reason) = egress.Decide(host, Port);
        if (verdict == EgressVerdict.Refuse)
        {
            await RefuseAsync(connection, host, reason);
        }
        else if (verdict == EgressVerdict.Intercept)
        {
            await connection.InterceptAsync(host, WayIn.Gateway, next);
        }
        else
        {
            using var target = await tunnels.ConnectAsync(connection, host, Port, verdict);
            if (target.Socket is null)
                await RefuseAsync(connection, host, target.Fault);
            else
                await tunnels.RunAsync(connection, target.Socket);
        }
    }

    private async Task RefuseAsync(ConnectionContext connection, HostName? host, string reason)
    {
        await refusals.RecordAsync(WayIn.Gateway, connection, new Asked(host, host is null ? null : Port), reason);
        await connection.SendAsync(reason == RefusalReason.NotTls ? ProxyRefusal.Malformed("this port speaks TLS").ToBytes() : Alert(reason));
    }

    /// <summary>A fatal alert (RFC 8446, section 6.2): clients show the name of the alert.</summary>
    private static byte[] Alert(string reason)
    {
        byte description = reason switch
        {
            RefusalReason.Malformed => 50, // decode_error
            RefusalReason.Unreachable or RefusalReason.TooMany => 80, // internal_error
            RefusalReason.NoServerName or RefusalReason.EncryptedClientHello => 112, // unrecognized_name
            _ => 49, // access_denied
        };
        return [21, 3, 3, 0, 2, 2, description];
    }
}
