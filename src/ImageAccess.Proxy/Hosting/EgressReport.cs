using ImageAccess.Proxy.Connections.Ingress.Egress;
using ImageAccess.Proxy.Foundation.Configuration;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Hosting;

/// <summary>What an administrator is told, at the start and in <c>/readyz</c>, while tunnels to unlisted registries are allowed.</summary>
internal sealed class EgressReport(EgressPolicy egress, IOptions<ListenOptions> listen)
{
    /// <summary>Null where nothing is tunnelled, or only to listed hosts.</summary>
    public string? Concern => egress.IsOpen && listen.Value is { Gateway: not null } or { ForwardProxy: not null }
        ? "other registries can be reached, and so copies of Docker Hub: Egress:Allow restricts them"
        : null;
}
