using System.Net;
using ImageAccess.Proxy.Connections.Ingress.Egress;
using ImageAccess.Proxy.Foundation.Limits;
using Microsoft.AspNetCore.Connections;

namespace ImageAccess.Proxy.Connections.Ingress;

/// <summary>
/// A connection to the forward proxy, up to where TLS begins: this program's own TLS answers for Docker Hub's registry and token
/// service; a tunnel leads to any other host that is allowed.
/// </summary>
internal sealed class ForwardProxy(EgressPolicy egress, Tunnels tunnels, ProxySignIn signIns, ClientLimits limits, Refusals refusals, TimeProvider time)
{
    private static readonly byte[] Established = "HTTP/1.1 200 Connection Established\r\n\r\n"u8.ToArray();

    public async Task HandleAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        var first = new FirstBytes(connection.Transport.Input, time);
        var (request, flaw) = await ReadAsync(first, connection.ConnectionClosed);
        if (request is null)
        {
            if (flaw is not null)
                await RefuseAsync(connection, default, ReasonOf(flaw), flaw);
            return;
        }

        var asked = new Asked(request.Host, request.Port);
        var signIn = await signIns.CheckAsync(request.Authorization, limits.ShareOf((connection.RemoteEndPoint as IPEndPoint)?.Address), connection.ConnectionClosed);
        if (signIn.User is not { } user)
        {
            if (request.Authorization is not null) // many clients send none the first time
                await refusals.RecordAsync(WayIn.ForwardProxy, connection, asked, signIn.Reason);
            await connection.SendAsync(signIn.Refusal!.ToBytes());
            return;
        }

        asked = asked with { User = user };
        var (verdict, reason) = egress.Decide(request.Host, request.Port);
        if (verdict == EgressVerdict.Refuse)
        {
            await RefuseAsync(connection, asked, reason, ProxyRefusal.Forbidden(request.Host));
            return;
        }

        using var target = verdict == EgressVerdict.Intercept ? null : await tunnels.ConnectAsync(connection, request.Host, request.Port, verdict);
        if (target is { Socket: null })
        {
            await RefuseAsync(connection, asked, target.Fault, target.Fault switch
            {
                RefusalReason.Unreachable => ProxyRefusal.Unreachable(request.Host),
                RefusalReason.TooMany => ProxyRefusal.TooMany,
                _ => ProxyRefusal.Forbidden(request.Host),
            });
            return;
        }

        await connection.SendAsync(Established);
        var (serverName, fault) = await first.PeekClientHelloAsync(request.Host, connection.ConnectionClosed);
        if (fault is not null)
            await refusals.RecordAsync(WayIn.ForwardProxy, connection, asked, fault);
        else if (serverName is not null && target is not null)
            await tunnels.RunAsync(connection, target.Socket!);
        else if (serverName is not null)
            await connection.InterceptAsync(serverName, WayIn.ForwardProxy, next);
    }

    private static async Task<(ConnectRequest? Request, ProxyRefusal? Flaw)> ReadAsync(FirstBytes first, CancellationToken cancellationToken)
    {
        try
        {
            var head = await first.TakeHeadAsync(cancellationToken);
            return head.Length == 0 ? (null, null) : ConnectRequest.Read(head);
        }
        catch (TimeoutException)
        {
            return (null, ProxyRefusal.Late);
        }
        catch (InvalidDataException)
        {
            return (null, ProxyRefusal.TooLarge);
        }
    }

    private static string ReasonOf(ProxyRefusal flaw) =>
        flaw == ProxyRefusal.Late ? RefusalReason.Late : flaw == ProxyRefusal.Address ? RefusalReason.Address : RefusalReason.Malformed;

    private async Task RefuseAsync(ConnectionContext connection, Asked asked, string reason, ProxyRefusal answer)
    {
        await refusals.RecordAsync(WayIn.ForwardProxy, connection, asked, reason);
        await connection.SendAsync(answer.ToBytes());
    }
}
