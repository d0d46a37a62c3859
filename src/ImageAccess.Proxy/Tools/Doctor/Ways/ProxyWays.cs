using System.Globalization;
using System.Net;
using ImageAccess.Core.Hosts;
using ImageAccess.Proxy.Tools.Doctor.Probes;

namespace ImageAccess.Proxy.Tools.Doctor.Ways;

/// <summary>Through a forward proxy: Docker Hub's names, and the ways to write them that a careless proxy lets pass.</summary>
internal sealed class ProxyWays(ClientMachine machine, Questions questions, Patience patience)
{
    private const int OtherPort = 8443;
    private const int PlainPort = 80;

    /// <param name="proxy">The proxy.</param>
    /// <param name="address">An address of Docker Hub's registry, where one is known.</param>
    public IEnumerable<Way> Of(ProxyAddress proxy, IPAddress? address)
    {
        var kind = $"proxy {proxy.Authority}";
        foreach (var host in Questions.Hosts)
        {
            yield return new Way(kind, host, cancel => questions.AskAsync(To(proxy), host, isGiven: false, cancel))
            {
                ServesFallbacks = Questions.RoleOf(host) == DockerHubRole.Registry,
            };
        }

        yield return address is null
            ? new Way(kind, $"an address of {DockerHubHosts.Registry}", _ => Task.FromResult(Outcome.NotReachable("none is known: give one with --resolve or --resolver")))
            : Detoured(kind, proxy, new Detour(new IPEndPoint(address, 443)), address.ToString());
        yield return Detoured(kind, proxy, new Detour($"{DockerHubHosts.Registry}.", 443), $"{DockerHubHosts.Registry}.");
        yield return Detoured(kind, proxy, new Detour(DockerHubHosts.Registry, OtherPort), string.Create(CultureInfo.InvariantCulture, $"{DockerHubHosts.Registry}:{OtherPort}"));
        yield return new Way(kind, string.Create(CultureInfo.InvariantCulture, $"{DockerHubHosts.Registry}:{PlainPort}"), cancel =>
            questions.Registry.AskAsync(To(proxy), new RegistryFace(new Uri($"http://{DockerHubHosts.Registry}")), cancel));
    }

    /// <summary>The proxy is asked for one host, and the registry behind it under its own name.</summary>
    private Way Detoured(string kind, ProxyAddress proxy, Detour detour, string shown) => new(kind, shown, cancel =>
        questions.Registry.AskAsync(To(proxy, (DockerHubHosts.Registry, detour)), Questions.FaceOf(DockerHubHosts.Registry), cancel));

    private Passage To(ProxyAddress proxy, params IEnumerable<(string Host, Detour Detour)> detours) =>
        new(machine.Names, patience) { Proxy = proxy, Detours = detours.ToDictionary(entry => entry.Host, entry => entry.Detour) };
}
