using System.Net;
using System.Net.Http.Headers;
using ImageAccess.FakeHubs;

namespace ImageAccess.Proxy.Tests.FakeHubs;

public sealed class CdnTests : IAsyncLifetime
{
    private readonly FakeTime time = new(new DateTimeOffset(2026, 1, 5, 10, 0, 0, TimeSpan.Zero));
    private FakeHub hub = null!;
    private HubClient client = null!;
    private string link = "";

    public async Task InitializeAsync()
    {
        hub = await FakeHub.StartAsync(options => (options.Time, options.TokenAlgorithm) = (time, TokenAlgorithm.ES256));
        client = HubClient.Of(hub);
        var image = hub.Images.PushImage("library/nginx", "latest", "0123456789"u8.ToArray());
        client.Token = await hub.TokenForAsync(null, "repository:library/nginx:pull");
        using var redirect = await client.GetAsync($"/v2/library/nginx/blobs/{image.Layers[0]}");
        Assert.Equal(HttpStatusCode.TemporaryRedirect, redirect.StatusCode);
        link = redirect.Headers.Location!.OriginalString;
        client.Token = null;
    }

    public async Task DisposeAsync()
    {
        client.Dispose();
        await hub.DisposeAsync();
    }

    [Fact]
    public async Task A_signed_link_leads_to_the_bytes()
    {
        using var response = await client.GetAsync(link);

        Assert.StartsWith(hub.Cdn.AbsoluteUri + "registry-v2/", link, StringComparison.Ordinal);
        Assert.Equal("0123456789", await response.Content.ReadAsStringAsync());
        Assert.Equal(10, hub.Requests.Of(Face.Cdn)[0].BodyBytesSent);
    }

    [Fact]
    public async Task A_link_is_refused_when_changed_or_over()
    {
        using var changed = await client.GetAsync(link.Replace("Signature=", "Signature=x", StringComparison.Ordinal));
        time.Advance(TimeSpan.FromMinutes(21));
        using var over = await client.GetAsync(link);

        Assert.Equal((HttpStatusCode.Forbidden, HttpStatusCode.Forbidden), (changed.StatusCode, over.StatusCode));
    }

    [Fact]
    public async Task A_token_at_the_cdn_is_an_error_and_is_seen()
    {
        client.Token = "leaked";

        using var response = await client.GetAsync(link);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal("Bearer leaked", hub.Requests.Of(Face.Cdn).Single().Authorization);
    }

    [Theory]
    [InlineData(2, 4, HttpStatusCode.PartialContent, "bytes 2-4/10", "234")]
    [InlineData(7, null, HttpStatusCode.PartialContent, "bytes 7-9/10", "789")]
    [InlineData(null, 2, HttpStatusCode.PartialContent, "bytes 8-9/10", "89")]
    [InlineData(10, null, HttpStatusCode.RequestedRangeNotSatisfiable, "bytes */10", "")]
    public async Task Ranges_are_served(int? from, int? to, HttpStatusCode status, string range, string content)
    {
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        using var request = new HttpRequestMessage(HttpMethod.Get, link) { Headers = { Range = new RangeHeaderValue(from, to) } };

        using var response = await http.SendAsync(request);

        Assert.Equal(status, response.StatusCode);
        Assert.Equal(range, response.Content.Headers.ContentRange!.ToString());
        Assert.Equal(content, await response.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task A_token_is_over_after_five_minutes()
    {
        client.Token = await hub.TokenForAsync(null, "repository:library/nginx:pull");
        time.Advance(TimeSpan.FromSeconds(300));

        using var response = await client.GetAsync("/v2/library/nginx/manifests/latest");

        Assert.Contains("error=\"invalid_token\"", response.Headers.WwwAuthenticate.ToString(), StringComparison.Ordinal);
    }
}
