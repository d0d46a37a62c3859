using ImageAccess.Core.Classification;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Content.Upstream;
using Microsoft.AspNetCore.Http;

namespace ImageAccess.Proxy.Tests.Content.Upstream;

public sealed class AnswerHeadTests
{
    [Theory]
    [InlineData("https://registry-1.docker.io/v2/library/nginx/blobs/uploads/a?_state=%7e")]
    [InlineData("HTTPS://Registry-1.Docker.IO/v2/library/nginx/blobs/uploads/a?_state=%7e")]
    [InlineData("https://registry-1.docker.io:443/v2/library/nginx/blobs/uploads/a?_state=%7e")]
    [InlineData("//registry-1.docker.io/v2/library/nginx/blobs/uploads/a?_state=%7e")]
    [InlineData("/v2/library/nginx/blobs/uploads/a?_state=%7e")]
    public void Upstreams_address_in_any_writing_becomes_this_proxys(string location)
    {
        var http = Write("POST", "/v2/nginx/blobs/uploads/", 202, "Location", location);
        Assert.Equal("https://mirror.example.com/v2/nginx/blobs/uploads/a?_state=%7e", http.Response.Headers.Location);
    }

    [Theory]
    [InlineData("http://registry-1.docker.io/v2/library/nginx/blobs/uploads/a")]
    [InlineData("https://registry-1.docker.io:8443/v2/library/nginx/blobs/uploads/a")]
    [InlineData("https://index.docker.io/v2/library/nginx/blobs/uploads/a")]
    [InlineData("https://registry-1.docker.io.example.com/v2/library/nginx/blobs/uploads/a")]
    [InlineData("https://registry-1.docker.io@example.com/v2/library/nginx/blobs/uploads/a")]
    public void Another_address_does_not(string location) =>
        Assert.Throws<UpstreamException>(() => Write("POST", "/v2/nginx/blobs/uploads/", 202, "Location", location));

    [Theory]
    [InlineData("https://registry-1.docker.io:443/v2/library/nginx/tags/list?last=%7e", "</v2/nginx/tags/list?last=%7e>; rel=\"next\"")]
    [InlineData("//registry-1.docker.io/v2/library/nginx/tags/list?last=%7e", "</v2/nginx/tags/list?last=%7e>; rel=\"next\"")]
    [InlineData("http://registry-1.docker.io/v2/library/nginx/tags/list?last=%7e", "")]
    [InlineData("https://registry-1.docker.io?last=%7e", "")]
    public void So_does_a_link(string target, string own)
    {
        var http = Write("GET", "/v2/nginx/tags/list", 200, "Link", $"<{target}>; rel=\"next\"");
        Assert.Equal(own, http.Response.Headers.Link.ToString());
    }

    private static DefaultHttpContext Write(string method, string target, int status, string name, string value)
    {
        Assert.True(RegistryRequest.TryParse(method, target, out var parsed, out _));
        var request = Assert.IsAssignableFrom<RepositoryRequest>(parsed);
        var permit = PolicyEngine.Decide(Policy.Off, Caller.Anonymous, request.Repository, PublisherFacts.NotAsked, now: default).Permit!;
        var http = new DefaultHttpContext();
        using var answer = new HttpResponseMessage((System.Net.HttpStatusCode)status) { Content = new ByteArrayContent([]) };
        answer.Headers.TryAddWithoutValidation(name, value);
        new AnswerHead("https://registry-1.docker.io", new ClientRequest(http, permit, "https://mirror.example.com", "https://mirror.example.com/token"), request).Write(answer);
        return http;
    }
}
