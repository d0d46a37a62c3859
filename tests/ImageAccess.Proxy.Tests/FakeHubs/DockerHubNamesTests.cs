using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using ImageAccess.FakeHubs;

namespace ImageAccess.Proxy.Tests.FakeHubs;

public sealed class DockerHubNamesTests : IAsyncLifetime
{
    private FakeHub hub = null!;
    private HttpClient http = null!;

    public async Task InitializeAsync()
    {
        hub = await FakeHub.StartAsync(options => options.TlsEndPoint = new IPEndPoint(IPAddress.Loopback, 0));
        http = TrustingClient(hub);
        hub.Images.PushImage("library/nginx", "latest");
    }

    public async Task DisposeAsync()
    {
        http.Dispose();
        await hub.DisposeAsync();
    }

    [Theory]
    [InlineData("1.1")]
    [InlineData("2.0")]
    public async Task A_pull_stays_under_the_names(string version)
    {
        var image = hub.Images.FindManifest("library/nginx", "latest")!;
        http.DefaultRequestVersion = new Version(version);
        http.DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact;

        using var challenge = await http.GetAsync("https://registry-1.docker.io/v2/");
        using var answered = await http.GetAsync("https://auth.docker.io/token?service=registry.docker.io&scope=repository:library/nginx:pull");
        http.DefaultRequestHeaders.Authorization = new("Bearer", (string)(await HubClient.JsonOf(answered))["token"]!);
        using var manifest = await http.GetAsync("https://index.docker.io/v2/library/nginx/manifests/latest");
        using var redirect = await http.GetAsync($"https://registry-1.docker.io/v2/library/nginx/blobs/{image.Layers[0]}");
        http.DefaultRequestHeaders.Authorization = null;
        using var blob = await http.GetAsync(redirect.Headers.Location);

        Assert.Equal("Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\"", challenge.Headers.WwwAuthenticate.ToString());
        Assert.Equal(HttpStatusCode.OK, manifest.StatusCode);
        Assert.Equal("production.cloudflare.docker.com", redirect.Headers.Location!.Host);
        Assert.Equal(image.Layers[0], FakeRegistry.DigestOf(await blob.Content.ReadAsByteArrayAsync()));
        Assert.All(hub.Requests.All, request => Assert.True(request.ViaDockerHubNames));
        Assert.Equal(
            "Registry Auth Index Registry Cdn",
            string.Join(' ', hub.Requests.ViaDockerHubNames.Select(request => request.Face)));
    }

    [Fact]
    public async Task Uploads_stay_there_and_the_plain_faces_do_not_lead_there()
    {
        hub.Users.Add("alice", "wonderland");
        http.DefaultRequestHeaders.Authorization = new("Bearer", await hub.TokenForAsync("alice", "repository:alice/app:pull,push"));

        using var named = await http.PostAsync("https://registry-1.docker.io/v2/alice/app/blobs/uploads/", content: null);
        using var client = HubClient.Of(hub);
        using var plain = await client.GetAsync("/v2/");

        Assert.StartsWith("https://registry-1.docker.io/v2/alice/app/", named.Headers.Location!.OriginalString, StringComparison.Ordinal);
        Assert.Contains(hub.Auth.AbsoluteUri, plain.Headers.WwwAuthenticate.ToString(), StringComparison.Ordinal);
        Assert.False(hub.Requests.All[^1].ViaDockerHubNames);
    }

    /// <summary>Resolves every name to the hub, and trusts its CA alone.</summary>
    private static HttpClient TrustingClient(FakeHub hub) => new(new SocketsHttpHandler
    {
        UseProxy = false,
        AllowAutoRedirect = false,
        ConnectCallback = async (_, cancel) =>
        {
            var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync(hub.TlsEndPoint!, cancel);
            return new NetworkStream(socket, ownsSocket: true);
        },
        SslOptions = new SslClientAuthenticationOptions
        {
            CertificateChainPolicy = new X509ChainPolicy
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust,
                CustomTrustStore = { X509Certificate2.CreateFromPem(hub.CertificateAuthority!.CertificatePem) },
                RevocationMode = X509RevocationMode.NoCheck,
            },
        },
    });
}
