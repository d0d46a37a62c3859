using System.Net;
using ImageAccess.FakeHubs;

namespace ImageAccess.Proxy.Tests.FakeHubs;

public sealed class FaultTests : IAsyncLifetime
{
    private FakeHub _hub = null!;
    private HubClient _client = null!;
    private PushedImage _image = null!;

    public async Task InitializeAsync()
    {
        _hub = await FakeHub.StartAsync();
        _client = HubClient.Of(_hub);
        _image = _hub.Images.PushImage("library/nginx", "latest");
        _client.Token = await _hub.TokenForAsync(null, "repository:library/nginx:pull");
    }

    public async Task DisposeAsync()
    {
        _client.Dispose();
        await _hub.DisposeAsync();
    }

    [Fact]
    public async Task A_status_comes_as_often_as_asked()
    {
        var fault = _hub.Faults.Add(Face.Registry, "/manifests/", Fault.Status(503, "plain", "text/plain", ("Retry-After", "7")), times: 1);

        using var ping = await _client.GetAsync("/v2/");
        using var broken = await ManifestAsync();
        using var right = await ManifestAsync();

        Assert.Equal(HttpStatusCode.OK, ping.StatusCode);
        Assert.Equal((HttpStatusCode.ServiceUnavailable, "plain"), (broken.StatusCode, await broken.Content.ReadAsStringAsync()));
        Assert.Equal("7", broken.Headers.GetValues("Retry-After").Single());
        Assert.Equal((HttpStatusCode.OK, 1), (right.StatusCode, fault.Hits));
    }

    [Fact]
    public async Task A_connection_closes()
    {
        using var fault = _hub.Faults.Add(Face.Registry, Fault.CloseConnection());

        await Assert.ThrowsAsync<HttpRequestException>(ManifestAsync);
    }

    [Fact]
    public async Task A_body_ends_early()
    {
        _hub.Faults.Add(Face.Registry, Fault.Truncate(5));
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(_hub.Registry, "/v2/library/nginx/manifests/latest"));
        request.Headers.Authorization = new("Bearer", _client.Token);

        using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        await using var body = await response.Content.ReadAsStreamAsync();
        var start = new byte[5];
        await body.ReadExactlyAsync(start);

        Assert.Equal(_image.Manifest.Length, response.Content.Headers.ContentLength);
        Assert.Equal(_image.Manifest[..5].ToArray(), start);
        await Assert.ThrowsAnyAsync<IOException>(async () => await body.ReadExactlyAsync(start));
    }

    [Fact]
    public async Task A_body_is_corrupt_a_header_wrong()
    {
        _hub.Faults.Add(Face.Registry, Fault.Corrupt(), times: 1);
        _hub.Faults.Add(Face.Registry, Fault.WithHeader("Docker-Content-Digest", "sha256:wrong"), times: 1);

        using var corrupt = await ManifestAsync();
        using var wrong = await ManifestAsync();

        Assert.False(_image.Digest == FakeRegistry.DigestOf(await corrupt.Content.ReadAsByteArrayAsync()));
        Assert.Equal("sha256:wrong", wrong.Headers.GetValues("Docker-Content-Digest").Single());
    }

    [Fact]
    public async Task A_redirect_leads_elsewhere_or_around()
    {
        _hub.Faults.Add(Face.Registry, "/blobs/", Fault.Redirect("http://169.254.169.254/latest/meta-data/"), times: 1);
        _hub.Faults.Add(Face.Registry, "/blobs/", Fault.RedirectHops(3), times: 1);

        using var elsewhere = await _client.GetAsync($"/v2/library/nginx/blobs/{_image.Layers[0]}");
        using var around = await _client.GetAsync($"/v2/library/nginx/blobs/{_image.Layers[0]}");
        _client.Token = null;
        using var following = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        using var arrived = await following.GetAsync(around.Headers.Location);

        Assert.Equal("http://169.254.169.254/latest/meta-data/", elsewhere.Headers.Location!.OriginalString);
        Assert.Equal(_image.Layers[0], FakeRegistry.DigestOf(await arrived.Content.ReadAsByteArrayAsync()));
        Assert.Equal("307 307 307 200", string.Join(' ', _hub.Requests.Of(Face.Cdn).Select(request => request.Status)));
    }

    [Fact]
    public async Task No_answer_comes_and_the_hub_still_stops()
    {
        var other = await FakeHub.StartAsync();
        other.Faults.Add(Face.Hub, Fault.NeverAnswer());
        using var waiting = HubClient.Of(other);

        var never = waiting.GetAsync(other.Hub + "v2/orgs/acme/");
        var seen = await other.Requests.WaitForAsync(request => request.Face is Face.Hub, CancellationToken.None);
        await other.DisposeAsync();

        Assert.Equal(0, seen.Status);
        await Assert.ThrowsAsync<HttpRequestException>(() => never);
    }

    [Fact]
    public async Task An_answer_is_held_until_it_is_released()
    {
        var release = new TaskCompletionSource();
        _hub.Faults.Add(Face.Registry, Fault.HoldUntil(release.Task));

        var held = ManifestAsync();
        await _hub.Requests.WaitForAsync(request => request.Path.EndsWith("/latest", StringComparison.Ordinal), CancellationToken.None);
        Assert.False(held.IsCompleted);
        release.SetResult();

        using var response = await held;
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Fact]
    public async Task A_body_has_no_end()
    {
        _hub.Faults.Add(Face.Auth, Fault.EndlessBody("{\"token\":\""));
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { MaxResponseContentBufferSize = 1_000_000 };

        await Assert.ThrowsAsync<HttpRequestException>(() => http.GetByteArrayAsync(new Uri(_hub.Auth, "/token")));
    }

    private Task<HttpResponseMessage> ManifestAsync() => _client.GetAsync("/v2/library/nginx/manifests/latest");
}
