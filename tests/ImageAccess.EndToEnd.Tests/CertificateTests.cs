using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using ImageAccess.EndToEnd.Tests.Clients;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;

namespace ImageAccess.EndToEnd.Tests;

/// <summary>
/// A stolen key of the CA that <c>certificates create</c> made: what it signs for another domain is refused by Go, as skopeo of two ages has
/// it, though the CA is trusted; and OpenSSL, as curl has it, refuses it too.
/// </summary>
public sealed class CertificateTests : IAsyncLifetime
{
    private static readonly string[] Names =
        ["registry-1.docker.io", "docker.io", "registry.hub.docker.com", "example.com", "docker.com", "evil-docker.io", "docker.io.example.com"];

    private readonly List<WebApplication> _servers = [];
    private string _folder = "";

    public static TheoryData<string, string> Forbidden => new()
    {
        { "example.com", "DNS name \"example.com\" is not permitted by any constraint" },
        { "docker.com", "DNS name \"docker.com\" is not permitted by any constraint" },
        { "evil-docker.io", "DNS name \"evil-docker.io\" is not permitted by any constraint" },
        { "docker.io.example.com", "DNS name \"docker.io.example.com\" is not permitted by any constraint" },
        { "127.0.0.1", "IP address \"127.0.0.1\" is excluded by constraint \"0.0.0.0/0\"" },
    };

    public async Task InitializeAsync()
    {
        _folder = Directory.CreateTempSubdirectory("e2e-certificates-").FullName;
        await File.WriteAllTextAsync(Path.Combine(_folder, "hosts"), $"127.0.0.1 localhost {string.Join(' ', Names)}\n");
        var create = await ProxyUnderTest.RunAsync(_folder, "certificates", "create");
        create.Succeeded();
        File.Copy(PathOf("ca.crt"), Path.Combine(_folder, "trust.crt"));
    }

    public async Task DisposeAsync()
    {
        foreach (var server in _servers) await server.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    [Theory]
    [MemberData(nameof(Forbidden))]
    public async Task Go_refuses_another_domain(string host, string says)
    {
        var port = await ServeAsync(Stolen(host));
        var logged = says.Replace("\"", "\\\"", StringComparison.Ordinal);
        foreach (var skopeo in Skopeos()) (await ListAsync(skopeo, $"{host}:{port}")).FailedSaying(logged);
    }

    [Theory]
    [MemberData(nameof(Forbidden))]
    public async Task OpenSSL_refuses_another_domain(string host, string says)
    {
        Assert.NotEmpty(says);
        var port = await ServeAsync(Stolen(host));
        (await new Cell(_folder, "curl", root: null).RunAsync("curl", "--silent", "--show-error", $"https://{host}:{port}/v2/")).FailedSaying("subtree violation");
    }

    [Theory]
    [InlineData("registry-1.docker.io")]
    [InlineData("docker.io")]
    [InlineData("registry.hub.docker.com")]
    public async Task Both_accept_Docker_Hubs_names(string host)
    {
        var port = await ServeAsync(Stolen(host));
        foreach (var skopeo in Skopeos()) (await ListAsync(skopeo, $"{host}:{port}")).Succeeded().Saying("\"of-the-test\"");
        (await new Cell(_folder, "curl", root: null).RunAsync("curl", "--silent", "--show-error", "--fail", $"https://{host}:{port}/v2/")).Succeeded();
    }

    /// <summary>The certificate that the verb itself made, with its chain.</summary>
    [Fact]
    public async Task Go_accepts_the_leaf_that_was_made()
    {
        var port = await ServeAsync(X509Certificate2.CreateFromPemFile(PathOf("docker-hub.crt"), PathOf("docker-hub.key")));
        foreach (var skopeo in Skopeos()) (await ListAsync(skopeo, $"registry-1.docker.io:{port}")).Succeeded().Saying("\"of-the-test\"");
    }

    private static Task<Outcome> ListAsync(Cell skopeo, string registry) =>
        skopeo.RunAsync("skopeo", "list-tags", $"docker://{registry}/library/hello");

    private IEnumerable<Cell> Skopeos()
    {
        const string Plain = "unqualified-search-registries = []\n";
        yield return Registries.Written(new Cell(_folder, "skopeo-old", root: null), Plain);
        yield return Registries.Written(new Cell(_folder, "skopeo-new", Surroundings.TestingRoot), Plain);
    }

    private string PathOf(string name) => Path.Combine(_folder, "data", "certificates", name);

    /// <summary>A certificate for this host, as whoever has the CA's key signs it.</summary>
    private X509Certificate2 Stolen(string host)
    {
        using var authority = X509Certificate2.CreateFromPemFile(PathOf("ca.crt"), PathOf("ca.key"));
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=a thief", key, HashAlgorithmName.SHA256);
        var alternatives = new SubjectAlternativeNameBuilder();
        if (IPAddress.TryParse(host, out var address)) alternatives.AddIpAddress(address);
        else alternatives.AddDnsName(host);
        request.CertificateExtensions.Add(alternatives.Build());
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid("1.3.6.1.5.5.7.3.1")], critical: false));
        using var signed = request.Create(
            authority, new DateTimeOffset(authority.NotBefore), new DateTimeOffset(authority.NotBefore.AddDays(20)), RandomNumberGenerator.GetBytes(8));
        return signed.CopyWithPrivateKey(key);
    }

    /// <summary>A registry with one tag; the port that it listens on.</summary>
    private async Task<int> ServeAsync(X509Certificate2 certificate)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration();
        var port = Ports.Free();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, port, listen => listen.UseHttps(certificate)));
        var server = builder.Build();
        server.Run(http => http.Request.Path.Value switch
        {
            "/v2/" => http.Response.WriteAsync("{}"),
            "/v2/library/hello/tags/list" => http.Response.WriteAsJsonAsync(new { name = "library/hello", tags = new[] { "of-the-test" } }),
            _ => Task.CompletedTask,
        });
        _servers.Add(server);
        await server.StartAsync();
        return port;
    }
}
