using ImageAccess.Proxy.Tools.Doctor.Probes;
using ImageAccess.Proxy.Tools.Engines;

namespace ImageAccess.Proxy.Tools.Doctor.Routes;

/// <summary>To the mirrors that engines are configured with: the policy has to hold there.</summary>
internal sealed class MirrorRoutes(ClientMachine machine, HostProbe probe, Timeouts timeouts)
{
    /// <param name="mirror">The mirror.</param>
    /// <param name="sources">Where it was found.</param>
    public Route Of(MirrorAddress mirror, IEnumerable<string> sources)
    {
        var found = string.Join(", ", sources);
        return new Route("mirror", mirror.ToString(), async cancel =>
        {
            var outcome = await TryAsync(mirror, cancel);
            return outcome with { Detail = $"{outcome.Detail}; from {found}" };
        });
    }

    private async Task<Outcome> TryAsync(MirrorAddress mirror, CancellationToken cancellationToken)
    {
        var registry = mirror.Registry with { IsMirror = !mirror.IsDockerHub };
        try
        {
            return await probe.Registry.AskAsync(new Dialer(machine.Names, timeouts), registry, cancellationToken);
        }
        catch (RouteClosedException) when (mirror.MayBePlain)
        {
            return await TryAsync(mirror with { MayBePlain = false, Registry = Plain(mirror.Registry) }, cancellationToken);
        }
        catch (RouteClosedException closed)
        {
            return closed.Outcome;
        }
    }

    private static RegistryAddress Plain(RegistryAddress registry) =>
        registry with { Origin = new UriBuilder(Uri.UriSchemeHttp, registry.Origin.Host, registry.Origin.IsDefaultPort ? -1 : registry.Origin.Port).Uri };
}
