using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using ImageAccess.FakeHubs;

namespace ImageAccess.Proxy.Tests.FakeHubs;

public sealed class DockerHubNamesTests : IAsyncLifetime
{
    private FakeHub _hub = null!;
    private HttpClient _http = null!;

    public async Task InitializeAsync()
    {
        _hub = await FakeHub.StartAsync(options => options.TlsEndPoint = new IPEndPoint(IPAddress.Loopback, 0));
        _http = TrustingClient(_hub);
        _hub.Images.PushImage("library/nginx", "latest");
    }

    public async Task DisposeAsync()
    {
        _http.Dispose();
        await _hub.DisposeAsync();
    }

    [Theory]
    [InlineData("1.1")]
    [InlineData("2.0")]
    public async Task A_pull_stays_under_the_names(string version)
    {
        var image = _hub.Images.FindManifest("library/nginx", "latest")!;
        _http.DefaultRequestVersion = new Version(version);
        _http.DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact;

        using var challenge = await _http.GetAsync("https://registry-1.docker.io/v2/");
        using var answered = await _http.GetAsync(
            "https://auth.docker.io/token?service=registry.docker.io&scope=repository:library/nginx:pull");
        _http.DefaultRequestHeaders.Authorization = new("Bearer", (string)(await HubClient.JsonOf(answered))["token"]!);
        using var manifest = await _http.GetAsync("https://index.docker.io/v2/library/nginx/manifests/latest");
        using var redirect = await _http.GetAsync($"https://registry-1.docker.io/v2/library/nginx/blobs/{image.Layers[0]}");
        _http.DefaultRequestHeaders.Authorization = null;
        using var blob = await _http.GetAsync(redirect.Headers.Location);

        Assert.Equal(
            "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\"",
            challenge.Headers.WwwAuthenticate.ToString());
        Assert.Equal(HttpStatusCode.OK, manifest.StatusCode);
        Assert.Equal("production.cloudflare.docker.com", redirect.Headers.Location!.Host);
        Assert.Equal(image.Layers[0], FakeRegistry.DigestOf(await blob.Content.ReadAsByteArrayAsync()));
        Assert.All(_hub.Requests.All, request => Assert.True(request.ViaDockerHubNames));
        Assert.Equal(
            "Registry Auth Index Registry Cdn",
            string.Join(' ', _hub.Requests.ViaDockerHubNames.Select(request => request.Face)));
    }

    [Fact]
    public async Task Uploads_stay_there_and_the_plain_faces_do_not_lead_there()
    {
        _hub.Users.Add("alice", "wonderland");
        _http.DefaultRequestHeaders.Authorization = new("Bearer", await _hub.TokenForAsync("alice", "repository:alice/app:pull,push"));

        using var named = await _http.PostAsync("https://registry-1.docker.io/v2/alice/app/blobs/uploads/", content: null);
        using var client = HubClient.Of(_hub);
        using var plain = await client.GetAsync("/v2/");

        Assert.StartsWith("https://registry-1.docker.io/v2/alice/app/", named.Headers.Location!.OriginalString, StringComparison.Ordinal);
        Assert.Contains(_hub.Auth.AbsoluteUri, plain.Headers.WwwAuthenticate.ToString(), StringComparison.Ordinal);
        Assert.False(_hub.Requests.All[^1].ViaDockerHubNames);
    }

    /// <summary>Resolves every name to the hub, and trusts its CA alone.</summary>
    private static HttpClient TrustingClient(FakeHub _hub) => new(new SocketsHttpHandler
    {
        UseProxy = false,
        AllowAutoRedirect = false,
        ConnectCallback = async (_, cancel) =>
        {
            var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync(_hub.TlsEndPoint!, cancel);
            return new NetworkStream(socket, ownsSocket: true);
        },
        SslOptions = new SslClientAuthenticationOptions
        {
            CertificateChainPolicy = new X509ChainPolicy
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust,
                CustomTrustStore = { X509Certificate2.CreateFromPem(_hub.CertificateAuthority!.CertificatePem) },
                RevocationMode = X509RevocationMode.NoCheck,
            },
        },
    });
}
