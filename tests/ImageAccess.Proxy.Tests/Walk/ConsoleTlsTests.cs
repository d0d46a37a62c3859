using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using ImageAccess.Proxy.Administration.Tokens;
using ImageAccess.Proxy.Foundation.Database;
using Microsoft.Extensions.DependencyInjection;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>The console's listener over TLS, with the certificate of the mirror.</summary>
public sealed class ConsoleTlsTests
{
    [Fact]
    public async Task It_answers_over_https_and_to_nobody_in_the_clear()
    {
        await using var here = await Surroundings.StartWithDatabaseAsync(
            ("Listen:Console", "https://127.0.0.1:0"), ("Listen:ForwardProxy", "http://127.0.0.1:0"), ("PublicUrl", "https://mirror.example.com"));
        var console = here.Further[^1];
        await here.Proxy.Services.GetRequiredService<DatabaseState>().Ready;
        var grant = new TokenGrant { Role = "auditor", Organization = "acme", Label = "a test" };
        var (_, secret) = await new TokenChanges(here.Proxy.Services.GetRequiredService<SqlDatabase>(), TimeProvider.System).CreateAsync(grant, "root", default);
        var request = $"GET /api/v1/status HTTP/1.1\r\nHost: mirror.example.com\r\nAuthorization: Bearer {secret}\r\nConnection: close\r\n\r\n";

        using var authority = X509CertificateLoader.LoadCertificateFromFile(here.AuthorityFile);
        using (var socket = await DialAsync(console))
        await using (var tls = new SslStream(socket.GetStream()))
        {
            await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
            {
                TargetHost = "mirror.example.com",
                CertificateChainPolicy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, CustomTrustStore = { authority }, RevocationMode = X509RevocationMode.NoCheck },
            });
            Assert.StartsWith("HTTP/1.1 200 ", await ExchangeAsync(tls, request), StringComparison.Ordinal);
        }

        using (var plain = await DialAsync(console))
            Assert.DoesNotContain("200", await ExchangeAsync(plain.GetStream(), request), StringComparison.Ordinal);
    }

    private static async Task<TcpClient> DialAsync(Uri address)
    {
        var socket = new TcpClient();
        await socket.ConnectAsync(address.Host, address.Port);
        return socket;
    }

    private static async Task<string> ExchangeAsync(Stream stream, string request)
    {
        using var answer = new MemoryStream();
        try
        {
            await stream.WriteAsync(Encoding.ASCII.GetBytes(request));
            await stream.CopyToAsync(answer);
        }
        catch (IOException)
        {
            // It was closed.
        }

        return Encoding.ASCII.GetString(answer.ToArray());
    }
}
