using System.Net;
using System.Net.Sockets;
using DnsClient;
using DnsClient.Protocol;

namespace ImageAccess.Proxy.Foundation.DockerHub;

/// <summary>Asks one DNS server for names, whatever the system makes of them.</summary>
public sealed class DnsResolver(IPEndPoint address) : IHostResolver
{
    private readonly LookupClient _client = new(new LookupClientOptions(address)
    {
        Timeout = TimeSpan.FromSeconds(2),
        Retries = 1,
        UseCache = true,
        MaximumCacheTimeout = TimeSpan.FromMinutes(1), // whatever an answer says of itself
    });

    public async Task<IPAddress[]> ResolveAsync(string host, CancellationToken cancellationToken)
    {
        try
        {
            var answers = await Task.WhenAll(
                _client.QueryAsync(host, QueryType.A, cancellationToken: cancellationToken),
                _client.QueryAsync(host, QueryType.AAAA, cancellationToken: cancellationToken));
            var addresses = answers.SelectMany(answer => answer.Answers.OfType<AddressRecord>()).Select(record => record.Address).Distinct().ToArray();
            return addresses.Length > 0 ? addresses : throw new SocketException((int)SocketError.HostNotFound);
        }
        catch (DnsResponseException)
        {
            throw new SocketException((int)SocketError.TryAgain);
        }
    }
}
