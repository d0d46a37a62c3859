using System.Net;
using System.Net.Sockets;
using DnsClient;
using DnsClient.Protocol;
using ImageAccess.Core.Hosts;

namespace ImageAccess.Proxy.Cli.Doctor.Probes;

/// <summary>As programs on this machine find a name: hosts file, resolver. Each version of IP is asked for by itself, since a hosts file may know one alone.</summary>
internal sealed class SystemNames : IHostResolver
{
    public async Task<IPAddress[]> ResolveAsync(string host, CancellationToken cancellationToken)
    {
        var asked = await Task.WhenAll(
            AskAsync(host, AddressFamily.InterNetwork, cancellationToken), AskAsync(host, AddressFamily.InterNetworkV6, cancellationToken));
        return Array.TrueForAll(asked, answer => answer.Failure is not null)
            ? throw asked[0].Failure!
            : [.. asked.SelectMany(answer => answer.Addresses)];
    }

    private static async Task<(IPAddress[] Addresses, SocketException? Failure)> AskAsync(string host, AddressFamily family, CancellationToken cancellationToken)
    {
        try
        {
            return (await Dns.GetHostAddressesAsync(host, family, cancellationToken), null);
        }
        catch (SocketException failure)
        {
            return ([], failure);
        }
    }
}

/// <summary>As one DNS server says, whatever the system makes of a name.</summary>
internal sealed class ServerNames : IHostResolver
{
    private readonly LookupClient _server;

    public ServerNames(IPEndPoint server) => _server = new LookupClient(new LookupClientOptions(new NameServer(server))
    {
        UseCache = false,
        Retries = 1,
        Timeout = Patience.Lookup / 2,
    });

    public async Task<IPAddress[]> ResolveAsync(string host, CancellationToken cancellationToken)
    {
        try
        {
            var answers = await Task.WhenAll(
                _server.QueryAsync(host, QueryType.A, cancellationToken: cancellationToken),
                _server.QueryAsync(host, QueryType.AAAA, cancellationToken: cancellationToken));
            return [.. answers.SelectMany(answer => answer.Answers).OfType<AddressRecord>().Select(record => record.Address).Distinct()];
        }
        catch (DnsResponseException)
        {
            throw new SocketException((int)SocketError.TryAgain);
        }
    }
}
