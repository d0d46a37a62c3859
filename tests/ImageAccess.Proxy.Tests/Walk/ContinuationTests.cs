using ImageAccess.FakeHubs;
using Microsoft.AspNetCore.Http;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>What upstream hands out for the next page of a list comes back to it byte for byte; what leads elsewhere does not reach the client.</summary>
public abstract class ContinuationTests(string transport) : WalkTests(transport), IAsyncLifetime
{
    private const string Body = """{"name":"acme/app","tags":["a","b"]}""";

    private static readonly string Digest = "sha256:" + new string('a', 64);

    private Surroundings _surroundings = null!;
    private string _token = "";

    public async Task InitializeAsync()
    {
        _surroundings = await StartAsync();
        _token = await _surroundings.PullTokenAsync("bob", "acme/app");
    }

    public async Task DisposeAsync() => await _surroundings.DisposeAsync();

    [Theory]
    [InlineData("/v2/acme/app/tags/list", "</v2/acme/app/tags/list?nextToken=2>; rel=\"next\"", "?nextToken=2")]
    [InlineData("/v2/acme/app/tags/list?n=2", "</v2/acme/app/tags/list?n=2&last=%7ea%2fB+c==&x>; rel=next", "?n=2&last=%7ea%2fB+c==&x")]
    [InlineData("/v2/acme/app/tags/list", "<REGISTRY/v2/acme/app/tags/list?marker=a%zz>; rel=\"next\"", "?marker=a%zz")]
    [InlineData("/v2/acme/app/tags/list", "<//AUTHORITY/v2/acme/app/tags/list?page=3>; rel=\"next\"", "?page=3")]
    [InlineData("/v2/acme/app/tags/list", "<?nextToken=2>; rel=\"next\"; title=\"more, <and> more\"", "?nextToken=2")]
    [InlineData("/v2/acme/app/tags/list?last=&ns=docker.io", "<tags/list?last=m>; rel=\"next\"", "?last=m")]
    [InlineData("/v2/acme/app/tags/list", "<list?last=m>; type=\"application/json\"; rel=\"prefetch next\"", "?last=m")]
    [InlineData("/v2/acme/app/tags/list?page=2", "<?page=1>; rel=\"prev\", <?page=3>; rel=\"next\", <?page=9>; rel=\"last\"", "?page=3")]
    [InlineData("/v2/acme/app/tags/list", "<https://evil.example.com/v2/acme/app/tags/list?n=1>; rel=\"next\"|<?n=2>; rel=\"next\"", "?n=2")]
    [InlineData("/v2/acme/app/referrers/DIGEST", "</v2/acme/app/referrers/DIGEST?after=x%3D%3D>; rel=\"next\"", "?after=x%3D%3D")]
    [InlineData("/v2/acme/app/referrers/DIGEST?artifactType=a/b", "<?artifactType=a/b&page=2>; rel=next", "?artifactType=a/b&page=2")]
    public async Task A_next_page_is_asked_for_as_upstream_wrote_it(string asked, string link, string query)
    {
        using (_surroundings.Hub.Faults.Add(Face.Registry, Answer("Link", Fill(link))))
        {
            var page = await _surroundings.AskAsync("GET", Fill(asked), _token);
            Assert.Equal((200, Body, $"<{Fill(asked).Split('?')[0]}{query}>; rel=\"next\""), (page.Status, page.Body, page.Header("Link")));
            Assert.Null(page.Header("Warning"));
            _surroundings.Hub.Requests.Clear();

            await _surroundings.AskAsync("GET", page.Header("Link")!.Split('<', '>')[1], _token);
        }

        Assert.Equal(Fill(asked).Split('?')[0] + query, Assert.Single(_surroundings.Hub.Requests.Of(Face.Registry)).RawTarget);
    }

    [Theory]
    [InlineData("<https://evil.example.com/v2/acme/app/tags/list?n=1>; rel=\"next\"", true)]
    [InlineData("<//evil.example.com/v2/acme/app/tags/list?n=1>; rel=\"next\"", true)]
    [InlineData("<REGISTRY.example.com/v2/acme/app/tags/list?n=1>; rel=\"next\"", true)]
    [InlineData("</v2/acme/other/tags/list?n=1>; rel=\"next\"", true)]
    [InlineData("</v2/acme/app2/tags/list?n=1>; rel=next", true)]
    [InlineData("</v2/acme/app/../other/tags/list?n=1>; rel=\"next\"", true)]
    [InlineData("</v2/acme/app/%2e%2e/other/tags/list?n=1>; rel=\"next\"", true)]
    [InlineData("</v2/acme/app/tags/../tags/list?n=1>; rel=\"next\"", true)]
    [InlineData("</v2/acme/app/manifests/latest?n=1>; rel=\"next\"", true)]
    [InlineData("</v2/_catalog?n=1>; rel=\"next\"", true)]
    [InlineData("</v2/acme/app/tags/list>; rel=\"next\"", true)]
    [InlineData("</v2/acme/app/tags/list?n=1#x>; rel=\"next\"", true)]
    [InlineData("</v2/acme/app/tags/list?n=1 2>; rel=\"next\"", true)]
    [InlineData("</v2/acme/app/tags/list?n=1>; rel=\"last\"", false)]
    [InlineData("/v2/acme/app/tags/list?n=1", false)]
    [InlineData("</v2/acme/app/tags/list?n=1", false)]
    [InlineData("next", false)]
    public async Task A_link_that_leads_elsewhere_is_left_out_and_the_list_stays(string link, bool isTold)
    {
        _surroundings.Hub.Faults.Add(Face.Registry, Answer("Link", Fill(link)));
        var answer = await _surroundings.AskAsync("GET", "/v2/acme/app/tags/list", _token);

        Assert.Equal((200, Body, null), (answer.Status, answer.Body, answer.Header("Link")));
        Assert.Equal(isTold ? "299 - \"this list goes on, but Docker Hub's link to its next page leads elsewhere\"" : null, answer.Header("Warning"));
    }

    [Theory]
    [InlineData("/v2/acme/app/tags/list?last=")]
    [InlineData("/v2/acme/app/tags/list?n=2&last=a%20b")]
    [InlineData("/v2/acme/app/tags/list?pageSize=1&n=1&nextToken=gAAA%2b==")]
    public async Task A_list_is_what_upstream_makes_of_the_query(string target)
    {
        var through = await _surroundings.AskAsync("GET", target, _token);
        Assert.Equal(target, Assert.Single(_surroundings.Hub.Requests.Of(Face.Registry)).RawTarget);
        using var client = Surroundings.NewClient(_surroundings.Hub.Registry);
        client.DefaultRequestHeaders.Add("Authorization", "Bearer " + _token);
        using var direct = await client.GetAsync(target);

        Assert.Equal((200, 200), ((int)direct.StatusCode, through.Status));
        Assert.Equal(await direct.Content.ReadAsStringAsync(), through.Body);
    }

    [Fact]
    public async Task What_upstream_refuses_of_a_list_is_refused_in_its_words()
    {
        var answer = await _surroundings.AskAsync("GET", "/v2/acme/app/tags/list?n=ten", _token);
        Assert.Equal((400, "PAGINATION_NUMBER_INVALID"), (answer.Status, answer.Code));
    }

    [Fact]
    public async Task A_link_of_what_is_no_list_does_not_reach_the_client()
    {
        _surroundings.Hub.Faults.Add(Face.Registry, Fault.WithHeader("Link", "</v2/acme/app/manifests/latest?x=1>; rel=\"next\""));
        var answer = await _surroundings.AskAsync("GET", "/v2/acme/app/manifests/latest", _token);
        Assert.Equal((200, null), (answer.Status, answer.Header("Link")));
    }

    /// <summary>A list with this header; <c>|</c> parts several.</summary>
    private static Fault Answer(string name, string values) => Fault.Custom((http, _) =>
    {
        http.Response.Headers[name] = values.Split('|');
        http.Response.ContentType = "application/json";
        http.Response.ContentLength = Body.Length;
        return http.Response.WriteAsync(Body);
    });

    private string Fill(string text) => text
        .Replace("REGISTRY", _surroundings.Hub.Registry.GetLeftPart(UriPartial.Authority), StringComparison.Ordinal)
        .Replace("AUTHORITY", _surroundings.Hub.Registry.Authority, StringComparison.Ordinal)
        .Replace("DIGEST", Digest, StringComparison.Ordinal);
}

public sealed class ContinuationTests_direct() : ContinuationTests(Direct);

public sealed class ContinuationTests_kestrel() : ContinuationTests(Kestrel);
