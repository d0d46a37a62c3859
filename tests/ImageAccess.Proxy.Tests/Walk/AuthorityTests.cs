using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Runtime.Versioning;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;
using ImageAccess.Proxy.Connections.Certificates;
using ImageAccess.Proxy.Hosting;
using ImageAccess.Proxy.Tests.Connections.Certificates;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary><c>/ca.crt</c>, and what a listener gets of the room Certificates.</summary>
[SupportedOSPlatform("linux")]
public abstract class AuthorityTests(string transport) : WalkTests(transport), IDisposable
{
    private readonly CertificateRoom _room = new();

    public void Dispose()
    {
        _room.Dispose();
        GC.SuppressFinalize(this);
    }

    [Theory]
    [InlineData("mirror")]
    [InlineData("admin")]
    public async Task The_CA_is_handed_out_and_nothing_but_its_certificate(string listener)
    {
        _room.Create();
        await using var surroundings = await StartWithCertificatesAsync();
        using var client = Surroundings.NewClient(listener == "mirror" ? surroundings.Mirror : surroundings.Admin);

        using var answer = await client.GetAsync("/ca.crt");
        var body = await answer.Content.ReadAsStringAsync();

        Assert.Equal(
            (HttpStatusCode.OK, "application/x-pem-file", true),
            (answer.StatusCode, answer.Content.Headers.ContentType?.ToString(), answer.Headers.CacheControl?.NoStore));
        Assert.Equal(File.ReadAllText(_room["ca.crt"]), body);
        Assert.DoesNotContain("KEY", body, StringComparison.Ordinal);

        using var head = await client.SendAsync(new HttpRequestMessage(HttpMethod.Head, "/ca.crt"));
        Assert.Equal((HttpStatusCode.OK, body.Length, ""), (head.StatusCode, (int)head.Content.Headers.ContentLength!, await head.Content.ReadAsStringAsync()));
        Assert.Empty(surroundings.Hub.Requests.All);
    }

    [Fact]
    public async Task Of_a_file_that_holds_more_only_the_CA_is_handed_out()
    {
        var now = _room.Time.GetUtcNow(); // long past for the proxy: ten years are not over
        var made = CertificateAuthority.Create(NameConstraints.For(["docker.io", "hub.docker.com"]), now);
        var further = CertificateAuthority.Create(NameConstraints.For(["example.com"]), now);
        var (path, key) = (_room.Outside("own.pem"), _room.Outside("own.key"));
        File.WriteAllText(path, made.CertificatePem + further.CertificatePem + made.KeyPem);
        CertificateRoom.WriteKey(key, made.KeyPem);
        await using var surroundings = await StartAsync(
            settings: [("Certificates:Authority", path), ("Certificates:AuthorityKey", key)]);

        Assert.Equal(made.CertificatePem, (await surroundings.AskAsync("GET", "/ca.crt")).Body);
    }

    [Theory]
    [InlineData("mirror")]
    [InlineData("admin")]
    public async Task Where_there_is_none_it_says_so(string listener)
    {
        await using var surroundings = await StartWithCertificatesAsync();
        using var client = Surroundings.NewClient(listener == "mirror" ? surroundings.Mirror : surroundings.Admin);
        using var answer = await client.GetAsync("/ca.crt");
        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
        Assert.Equal("there is no CA here: imageaccess certificates create makes one\n", await answer.Content.ReadAsStringAsync());
        Assert.True(answer.Headers.CacheControl?.NoStore);
        Assert.False(Directory.Exists(_room.Folder));
    }

    [Theory]
    [InlineData("POST", "/ca.crt")]
    [InlineData("PUT", "/ca.crt")]
    [InlineData("GET", "/CA.crt")]
    [InlineData("GET", "/ca.crt/")]
    [InlineData("GET", "/%63a.crt")]
    [InlineData("GET", "//ca.crt")]
    [InlineData("GET", "/x/../ca.crt")]
    [InlineData("GET", "/ca.key")]
    [InlineData("GET", "/ca.crt?x")]
    [InlineData("GET", "http://mirror.example.com/ca.crt")]
    public async Task The_mirror_has_it_under_this_target_alone(string method, string target)
    {
        _room.Create();
        await using var surroundings = await StartWithCertificatesAsync();
        var answer = await surroundings.AskAsync(method, target);
        Assert.NotEqual(200, answer.Status);
        Assert.DoesNotContain("BEGIN", answer.Body, StringComparison.Ordinal);
        Assert.Empty(surroundings.Hub.Requests.All);
    }

    [Fact]
    public async Task A_request_whose_framing_is_not_to_be_trusted_gets_nothing()
    {
        _room.Create();
        await using var surroundings = await StartWithCertificatesAsync();
        var answer = await surroundings.SendRawAsync(
            $"GET /ca.crt HTTP/1.1\r\nHost: {surroundings.Mirror.Authority}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
        Assert.Equal(400, answer.Status);
    }

    [Fact]
    public async Task A_broken_CA_is_degraded_and_never_handed_out()
    {
        _room.Create();
        File.SetUnixFileMode(_room["ca.key"], UnixFileMode.UserRead | UnixFileMode.OtherRead);
        await using var surroundings = await StartWithCertificatesAsync();
        using var admin = Surroundings.NewClient(surroundings.Admin);

        var body = JsonNode.Parse(await admin.GetStringAsync("/readyz"))!;

        Assert.Equal("degraded", body["status"]!.GetValue<string>());
        Assert.Equal(
            $"Certificates:Directory: {_room["ca.key"]} is open to others than its owner: chmod 600 {_room["ca.key"]}",
            body["degraded"]!["certificates"]!.GetValue<string>());
        Assert.Equal(404, (await surroundings.AskAsync("GET", "/ca.crt")).Status);
    }

    [Fact]
    public async Task A_listener_that_demands_one_stops_the_start_with_a_clear_line()
    {
        var failed = await Assert.ThrowsAsync<OptionsValidationException>(async () =>
        {
            await using var app = Build(TimeProvider.System);
            await app.StartAsync();
        });
        Assert.Equal([$"Listen:Gateway: there is no certificate in {_room.Folder}: run imageaccess certificates create"], failed.Failures);
    }

    [Fact]
    public async Task A_listener_serves_the_renewed_one_to_the_next_connection()
    {
        _room.Create();
        var time = new Clock { Now = _room.Time.GetUtcNow() };
        await using var app = Build(time);
        await app.StartAsync();
        var address = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Last());

        var first = await HandshakeAsync(address.Port, time.Now);
        Assert.Equal(_room.Read("docker-hub.crt").SerialNumber, first.SerialNumber);
        time.Now += TimeSpan.FromDays(20);
        app.Services.GetRequiredService<ServerCertificates>().Refresh();
        var second = await HandshakeAsync(address.Port, time.Now);

        Assert.NotEqual(first.SerialNumber, second.SerialNumber);
        Assert.Equal(time.Now.AddDays(30), second.Ends());
        await app.StopAsync();
    }

    /// <summary>The whole proxy with one more listener, which speaks TLS as one of Docker Hub's names.</summary>
    private WebApplication Build(TimeProvider time) => ProxyHost.Build(
        new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["Listen:Mirror"] = "http://127.0.0.1:0",
            ["Listen:Admin"] = "http://127.0.0.1:0",
            ["Listen:Transport"] = Transport,
            ["Certificates:Directory"] = _room.Folder,
            ["Data:Directory"] = Directory.CreateDirectory(_room.Outside("other")).FullName,
        }).Build(),
        builder =>
        {
            builder.Services.AddSingleton(time);
            builder.Services.AddOptions<KestrelServerOptions>().Configure<ServerCertificates>((kestrel, certificates) =>
            {
                var served = certificates.ForDockerHub("Listen:Gateway");
                kestrel.Listen(IPAddress.Loopback, 0, listen => listen.UseHttps(
                    (_, _, _, _) => ValueTask.FromResult(new SslServerAuthenticationOptions { ServerCertificateContext = served.Current }), state: null!));
            });
        });

    private async Task<X509Certificate2> HandshakeAsync(int port, DateTimeOffset now)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, port);
        await using var tls = new SslStream(client.GetStream());
        var trust = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck,
            VerificationTime = now.UtcDateTime,
            VerificationTimeIgnored = false,
            CustomTrustStore = { _room.Read("ca.crt") },
        };
        await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = "registry-1.docker.io", CertificateChainPolicy = trust });
        return new X509Certificate2(tls.RemoteCertificate!);
    }

    private Task<Surroundings> StartWithCertificatesAsync() => StartAsync(settings: [("Certificates:Directory", _room.Folder)]);

    /// <summary>A clock that is set; timers run as ever.</summary>
    private sealed class Clock : TimeProvider
    {
        public DateTimeOffset Now { get; set; }

        public override DateTimeOffset GetUtcNow() => Now;
    }
}

[SupportedOSPlatform("linux")]
public sealed class AuthorityTests_direct() : AuthorityTests(Direct);

[SupportedOSPlatform("linux")]
public sealed class AuthorityTests_kestrel() : AuthorityTests(Kestrel);
