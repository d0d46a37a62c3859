using System.Net;
using System.Net.Security;
using System.Security.Authentication;
using ImageAccess.Proxy.Tools.Doctor.Probes;
using ImageAccess.Proxy.Tools.Engines;

namespace ImageAccess.Proxy.Tools.Doctor.Routes;

/// <summary>Registries that hold copies of Docker Hub's images under other names: no route to Docker Hub, but worth a note.</summary>
internal sealed class OtherRegistries(ClientMachine machine, Timeouts timeouts)
{
    private static readonly string[] Hosts = ["ghcr.io", "quay.io"];

    /// <summary>A sentence, or null where none is reached.</summary>
    public async Task<string?> FindAsync(IReadOnlyList<ProxyAddress> proxies, CancellationToken cancellationToken)
    {
        var attempts = proxies.Prepend(null).SelectMany(proxy => Hosts.Select(host => (Text: proxy is null ? $"{host} directly" : $"{host} by {proxy}", Trying: TryAsync(proxy, host)))).ToList();
        var reached = new List<string>();
        foreach (var (text, trying) in attempts)
        {
            if (await trying)
                reached.Add(text);
        }

        return reached.Count == 0 ? null
            : $"other registries can be reached, and so copies of Docker Hub: Egress:Allow restricts them ({string.Join(", ", reached)})";

        Task<bool> TryAsync(ProxyAddress? proxy, string host) => IsReachedAsync(new Dialer(machine.Names, timeouts) { Proxy = proxy }, host, cancellationToken);
    }

    /// <summary>Connects as far as TLS, with a certificate that this system trusts.</summary>
    private async Task<bool> IsReachedAsync(Dialer dialer, string host, CancellationToken cancellationToken)
    {
        try
        {
            return await timeouts.LimitAsync(
                Timeouts.Answer,
                async cancel =>
                {
                    await using var stream = await dialer.ConnectAsync(new DnsEndPoint(host, machine.HttpsPort), cancel);
                    await using var encrypted = new SslStream(stream);
                    await encrypted.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = host }, cancel);
                    return true;
                },
                cancellationToken);
        }
        catch (Exception exception) when (exception is RouteClosedException or IOException or AuthenticationException or TimeoutException)
        {
            return false;
        }
    }
}
