using System.Globalization;
using System.Net;
using ImageAccess.Core.Hosts;
using ImageAccess.Proxy.Tools.Doctor.Probes;
using ImageAccess.Proxy.Tools.Engines;

namespace ImageAccess.Proxy.Tools.Doctor.Routes;

/// <summary>Through a forward proxy: Docker Hub's names, and the ways to write them that a careless proxy lets pass.</summary>
internal sealed class ProxyRoutes(ClientMachine machine, HostProbe probe, Timeouts timeouts)
{
    private const int OtherPort = 8443;
    private const int PlainPort = 80;

    /// <param name="proxy">The proxy.</param>
    /// <param name="address">An address of Docker Hub's registry, where one is known.</param>
    public IEnumerable<Route> Of(ProxyAddress proxy, IPAddress? address)
    {
        var kind = $"proxy {proxy.Authority}";
        foreach (var host in HostProbe.Hosts)
        {
            yield return new Route(kind, host, cancel => probe.AskAsync(To(proxy), host, isGiven: false, cancel))
            {
                ServesFallbacks = HostProbe.RoleOf(host) == DockerHubRole.Registry,
            };
        }

        yield return address is null
            ? new Route(kind, $"an address of {DockerHubHosts.Registry}", _ => Task.FromResult(Outcome.NotReachable("none is known: give one with --resolve or --resolver")))
            : Redirected(kind, proxy, new Destination(new IPEndPoint(address, 443)), address.ToString());
        yield return Redirected(kind, proxy, new Destination($"{DockerHubHosts.Registry}.", 443), $"{DockerHubHosts.Registry}.");
        yield return Redirected(kind, proxy, new Destination(DockerHubHosts.Registry, OtherPort), string.Create(CultureInfo.InvariantCulture, $"{DockerHubHosts.Registry}:{OtherPort}"));
        yield return new Route(kind, string.Create(CultureInfo.InvariantCulture, $"{DockerHubHosts.Registry}:{PlainPort}"), cancel =>
            probe.Registry.AskAsync(To(proxy), new RegistryAddress(new Uri($"http://{DockerHubHosts.Registry}")), cancel));
    }

    /// <summary>Asks the proxy for the destination, and the registry behind it under its own name.</summary>
    private Route Redirected(string kind, ProxyAddress proxy, Destination destination, string shown) => new(kind, shown, cancel =>
        probe.Registry.AskAsync(To(proxy, (DockerHubHosts.Registry, destination)), HostProbe.AddressOf(DockerHubHosts.Registry), cancel));

    private Dialer To(ProxyAddress proxy, params IEnumerable<(string Host, Destination Destination)> destinations) =>
        new(machine.Names, timeouts) { Proxy = proxy, Destinations = destinations.ToDictionary(entry => entry.Host, entry => entry.Destination) };
}
