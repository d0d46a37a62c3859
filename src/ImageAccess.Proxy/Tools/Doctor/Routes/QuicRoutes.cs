using System.Net;
using ImageAccess.Core.Hosts;
using ImageAccess.Proxy.Tools.Doctor.Probes;
using ImageAccess.Proxy.Tools.Verbs;

namespace ImageAccess.Proxy.Tools.Doctor.Routes;

/// <summary>By UDP: HTTP/3 passes a firewall that looks only at TCP.</summary>
internal sealed class QuicRoutes(ClientMachine machine, Timeouts timeouts)
{
    public IEnumerable<Route> Of(AddressBook book) =>
        from host in book.Hosts
        from version in DirectRoutes.Families
        let addresses = book.AddressesOf(host, version.Family)
        where addresses.Count > 0
        select new Route($"QUIC {version.Name}{(book.IsGiven ? ", given" : "")}", host, cancel => TryAsync(host, addresses, cancel));

    private async Task<Outcome> TryAsync(string host, IReadOnlyList<IPAddress> addresses, CancellationToken cancellationToken)
    {
        var probe = new QuicProbe(timeouts);
        var answers = await Task.WhenAll(addresses.Select(address => probe.IsSpokenAsync(new IPEndPoint(address, machine.HttpsPort), cancellationToken)));
        var speaking = addresses.Zip(answers).Where(pair => pair.Second).Select(pair => pair.First).FirstOrDefault();
        if (speaking is null)
            return Outcome.NotReachable(addresses.Count == 1 ? $"{addresses[0]}: no answer by UDP" : $"{TextTable.Count(addresses.Count, "address", "addresses")}: no answer by UDP");
        var path = HostProbe.RoleOf(host) is DockerHubRole.Content or DockerHubRole.TokenService ? "/" : "/v2/";
        return Outcome.Open($"{speaking}: it speaks QUIC", Curl.Quic(new Destination(new IPEndPoint(speaking, machine.HttpsPort)), new Uri($"https://{host}{path}")));
    }
}
