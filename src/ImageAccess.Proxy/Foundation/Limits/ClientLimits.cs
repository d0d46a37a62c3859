using System.Net;
using ImageAccess.Core.Hosts;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Foundation.Limits;

/// <summary>What clients may have under way at once, over all listeners together, and whose share it is.</summary>
public sealed class ClientLimits
{
    private readonly IPNetwork[] _trusted;

    public ClientLimits(IOptions<LimitOptions> options, LimitMetrics metrics)
    {
        var limits = options.Value;
        Connections = new SharedSlots("connections", limits.Connections, limits.ConnectionsPerClient, metrics);
        AdminConnections = new SharedSlots("admin connections", LimitOptions.AdminConnections, LimitOptions.AdminConnections / 2, metrics);
        Tunnels = new SharedSlots("tunnels", limits.Tunnels, limits.TunnelsPerClient, metrics);
        Requests = new SharedSlots("requests", limits.Requests, limits.RequestsPerClient, metrics);
        ConsoleRequests = new SharedSlots("console requests", LimitOptions.ConsoleRequests, LimitOptions.ConsoleRequests / 4, metrics);
        _trusted = [.. limits.TrustedProxies.Select(text => IPNetwork.TryParse(text, out var network) ? network : Single(PublicAddress.Plain(IPAddress.Parse(text))))];
        metrics.Watch(All);
    }

    public SharedSlots Connections { get; }

    public SharedSlots AdminConnections { get; }

    public SharedSlots Tunnels { get; }

    /// <summary>Allowed requests for content.</summary>
    public SharedSlots Requests { get; }

    /// <summary>Requests on the console's listener.</summary>
    public SharedSlots ConsoleRequests { get; }

    internal IReadOnlyList<SharedSlots> All => [Connections, AdminConnections, Tunnels, Requests, ConsoleRequests];

    /// <summary>Whose is what comes from an address; null for a trusted proxy's own, behind which are many clients.</summary>
    public ClientShare? ShareOf(IPAddress? client) =>
        client is not null && _trusted.Length > 0 && Array.Exists(_trusted, network => network.Contains(PublicAddress.Plain(client))) ? null : ClientShare.Of(client);

    private static IPNetwork Single(IPAddress address) => new(address, address.GetAddressBytes().Length * 8);
}

/// <summary>Degraded while a limit is met in all: then clients that have done nothing are refused too.</summary>
internal sealed class LimitsHealth(ClientLimits limits) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        var met = string.Join(", ", limits.All.Where(slots => slots.InUse >= slots.InAll).Select(slots => $"all {slots.InAll} {slots.What} are in use"));
        return Task.FromResult(met.Length == 0 ? HealthCheckResult.Healthy() : HealthCheckResult.Degraded(met));
    }
}
