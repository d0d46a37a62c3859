using System.Net;
using System.Net.Sockets;
using ImageAccess.Core.Hosts;
using ImageAccess.Proxy.Foundation.DockerHub;
using ImageAccess.Proxy.Tools.Doctor.Probes;

namespace ImageAccess.Proxy.Tools.Doctor.Routes;

/// <summary>The addresses of Docker Hub's names, from one source.</summary>
/// <param name="kind">The kind of the routes that begin here.</param>
/// <param name="isGiven">The user gave them; the machine does not resolve them so.</param>
internal sealed class AddressBook(string kind, bool isGiven)
{
    /// <summary>No name of Docker Hub has more addresses.</summary>
    private const int MaximumAddresses = 16;

    private readonly Dictionary<string, List<IPAddress>> _addresses = [];
    private readonly Dictionary<string, string> _troubles = [];

    public string Kind => kind;

    public bool IsGiven => isGiven;

    public IEnumerable<string> Hosts => _addresses.Keys;

    public IReadOnlyList<IPAddress> AddressesOf(string host, AddressFamily family) =>
        [.. _addresses.GetValueOrDefault(host, []).Where(address => address.AddressFamily == family).Take(MaximumAddresses)];

    /// <summary>Why there are none.</summary>
    public string? TroubleOf(string host) => _troubles.GetValueOrDefault(host);

    public IPAddress? FirstOf(string host) => _addresses.GetValueOrDefault(host)?.FirstOrDefault();

    public void Add(string host, IEnumerable<IPAddress> addresses)
    {
        if (!_addresses.TryGetValue(host, out var known))
            _addresses[host] = known = [];
        known.AddRange(addresses.Select(PublicAddress.Plain).Except(known));
    }

    /// <summary>Resolves all names at once.</summary>
    public async Task FillAsync(IEnumerable<string> hosts, IHostResolver names, Timeouts timeouts, CancellationToken cancellationToken)
    {
        var asked = hosts.Select(host => (Host: host, Answer: AskAsync(host))).ToList();
        foreach (var (host, answer) in asked)
        {
            var (addresses, trouble) = await answer;
            Add(host, addresses);
            if (trouble is not null)
                _troubles[host] = trouble;
        }

        async Task<(IPAddress[] Addresses, string? Trouble)> AskAsync(string host)
        {
            try
            {
                return (await timeouts.LimitAsync(Timeouts.Lookup, cancel => names.ResolveAsync(host, cancel), cancellationToken), null);
            }
            catch (SocketException exception)
            {
                return ([], SocketFailure.Of(exception));
            }
            catch (TimeoutException exception)
            {
                return ([], $"the name does not resolve: {exception.Message}");
            }
        }
    }
}
