using System.Net;
using System.Net.Http.Headers;
using ImageAccess.FakeHubs;
using Microsoft.Extensions.Time.Testing;

namespace ImageAccess.Proxy.Tests.FakeHubs;

public sealed class CdnTests : IAsyncLifetime
{
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 5, 10, 0, 0, TimeSpan.Zero));
    private FakeHub _hub = null!;
    private HubClient _client = null!;
    private string _link = "";

    public async Task InitializeAsync()
    {
        _hub = await FakeHub.StartAsync(options => (options.Time, options.TokenAlgorithm) = (_time, TokenAlgorithm.ES256));
        _client = HubClient.Of(_hub);
        var image = _hub.Images.PushImage("library/nginx", "latest", "0123456789"u8.ToArray());
        _client.Token = await _hub.TokenForAsync(null, "repository:library/nginx:pull");
        using var redirect = await _client.GetAsync($"/v2/library/nginx/blobs/{image.Layers[0]}");
        Assert.Equal(HttpStatusCode.TemporaryRedirect, redirect.StatusCode);
        _link = redirect.Headers.Location!.OriginalString;
        _client.Token = null;
    }

    public async Task DisposeAsync()
    {
        _client.Dispose();
        await _hub.DisposeAsync();
    }

    [Fact]
    public async Task A_signed_link_leads_to_the_bytes()
    {
        using var response = await _client.GetAsync(_link);

        Assert.StartsWith(_hub.Cdn.AbsoluteUri + "registry-v2/", _link, StringComparison.Ordinal);
        Assert.Equal("0123456789", await response.Content.ReadAsStringAsync());
        Assert.Equal(10, _hub.Requests.Of(Face.Cdn)[0].BodyBytesSent);
    }

    [Fact]
    public async Task A_link_is_refused_when_changed_or_over()
    {
        using var changed = await _client.GetAsync(_link.Replace("Signature=", "Signature=x", StringComparison.Ordinal));
        _time.Advance(TimeSpan.FromMinutes(21));
        using var over = await _client.GetAsync(_link);

        Assert.Equal((HttpStatusCode.Forbidden, HttpStatusCode.Forbidden), (changed.StatusCode, over.StatusCode));
    }

    [Fact]
    public async Task A_token_at_the_cdn_is_an_error_and_is_seen()
    {
        _client.Token = "leaked";

        using var response = await _client.GetAsync(_link);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal("Bearer leaked", _hub.Requests.Of(Face.Cdn).Single().Authorization);
    }

    [Theory]
    [InlineData(2, 4, HttpStatusCode.PartialContent, "bytes 2-4/10", "234")]
    [InlineData(7, null, HttpStatusCode.PartialContent, "bytes 7-9/10", "789")]
    [InlineData(null, 2, HttpStatusCode.PartialContent, "bytes 8-9/10", "89")]
    [InlineData(10, null, HttpStatusCode.RequestedRangeNotSatisfiable, "bytes */10", "")]
    public async Task Ranges_are_served(int? from, int? to, HttpStatusCode status, string range, string content)
    {
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        using var request = new HttpRequestMessage(HttpMethod.Get, _link) { Headers = { Range = new RangeHeaderValue(from, to) } };

        using var response = await http.SendAsync(request);

        Assert.Equal(status, response.StatusCode);
        Assert.Equal(range, response.Content.Headers.ContentRange!.ToString());
        Assert.Equal(content, await response.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task A_token_is_over_after_five_minutes()
    {
        _client.Token = await _hub.TokenForAsync(null, "repository:library/nginx:pull");
        _time.Advance(TimeSpan.FromSeconds(300));

        using var response = await _client.GetAsync("/v2/library/nginx/manifests/latest");

        Assert.Contains("error=\"invalid_token\"", response.Headers.WwwAuthenticate.ToString(), StringComparison.Ordinal);
    }
}
