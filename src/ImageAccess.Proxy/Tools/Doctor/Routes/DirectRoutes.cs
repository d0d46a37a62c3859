using System.Net;
using System.Net.Sockets;
using ImageAccess.Core.Hosts;
using ImageAccess.Proxy.Tools.Doctor.Probes;
using ImageAccess.Proxy.Tools.Verbs;

namespace ImageAccess.Proxy.Tools.Doctor.Routes;

/// <summary>From this machine to the addresses of a book, each name by each version of IP.</summary>
internal sealed class DirectRoutes(ClientMachine machine, HostProbe probe, Timeouts timeouts)
{
    public static readonly IReadOnlyList<(AddressFamily Family, string Name)> Families = [(AddressFamily.InterNetwork, "IPv4"), (AddressFamily.InterNetworkV6, "IPv6")];

    public IEnumerable<Route> Of(AddressBook book) =>
        from host in book.Hosts
        from version in Families
        where !book.IsGiven || book.TroubleOf(host) is not null || book.AddressesOf(host, version.Family).Count > 0
        select new Route($"{book.Kind} {version.Name}", host, cancel => TryAsync(book, host, version, cancel))
        {
            ServesFallbacks = !book.IsGiven && HostProbe.RoleOf(host) == DockerHubRole.Registry,
        };

    private async Task<Outcome> TryAsync(AddressBook book, string host, (AddressFamily Family, string Name) version, CancellationToken cancellationToken)
    {
        var addresses = book.AddressesOf(host, version.Family);
        if (addresses.Count == 0)
            return Outcome.NotReachable(book.TroubleOf(host) ?? $"no {version.Name} address");

        var attempts = await Task.WhenAll(addresses.Select(address => ConnectAsync(host, address, cancellationToken)));
        var refused = attempts.Where(attempt => attempt.Trouble is not null).ToList();
        if (refused.Count == attempts.Length)
            return Outcome.NotReachable(refused[0].Trouble + (refused.Count > 1 ? $", and {TextTable.Count(refused.Count - 1, "further address", "further addresses")}" : ""));

        Outcome? worst = null;
        foreach (var (address, _) in attempts.Except(refused))
        {
            var outcome = await AskAsync(book, host, address, cancellationToken);
            if (worst is null || outcome.Verdict < worst.Verdict)
                worst = outcome with { Detail = outcome.Detail.StartsWith($"{address}", StringComparison.Ordinal) ? outcome.Detail : $"{address}: {outcome.Detail}" };
            if (worst.Verdict == RouteVerdict.Open)
                break; // one is enough, and each costs a pull
        }

        return worst!;
    }

    /// <summary>Tries a connection. All addresses are tried at once, since most of the time passes here.</summary>
    private async Task<(IPAddress Address, string? Trouble)> ConnectAsync(string host, IPAddress address, CancellationToken cancellationToken)
    {
        try
        {
            await using var stream = await PassageTo(host, address).ConnectAsync(new DnsEndPoint(host, machine.HttpsPort), cancellationToken);
            return (address, null);
        }
        catch (RouteClosedException closed)
        {
            return (address, closed.Message);
        }
    }

    private async Task<Outcome> AskAsync(AddressBook book, string host, IPAddress address, CancellationToken cancellationToken)
    {
        try
        {
            return await probe.AskAsync(PassageTo(host, address, book), host, book.IsGiven, cancellationToken);
        }
        catch (RouteClosedException closed)
        {
            return closed.Outcome;
        }
    }

    /// <summary>The token comes by the same route, where the book has an address for it.</summary>
    private Dialer PassageTo(string host, IPAddress address, AddressBook? book = null)
    {
        var destinations = new Dictionary<string, Destination>();
        if (book?.AddressesOf(DockerHubHosts.TokenService, address.AddressFamily) is [var tokens, ..])
            destinations[DockerHubHosts.TokenService] = new Destination(new IPEndPoint(tokens, machine.HttpsPort));
        destinations[host] = new Destination(new IPEndPoint(address, machine.HttpsPort));
        return new Dialer(machine.Names, timeouts) { Destinations = destinations };
    }
}
