using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Foundation.DockerHub;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>A blob's redirect leads to the listed hosts and nowhere else, and what is wrong there never looks like a blob.</summary>
public abstract class RedirectTests(string transport) : WalkTests(transport), IAsyncLifetime
{
    private Surroundings _surroundings = null!;
    private string _blob = "";
    private string _token = "";

    public async Task InitializeAsync()
    {
        _surroundings = await StartAsync();
        _blob = _surroundings.Hub.Images.FindManifest("acme/app", "latest")!.Layers[0];
        _token = await _surroundings.PullTokenAsync("bob", "acme/app");
    }

    public async Task DisposeAsync() => await _surroundings.DisposeAsync();

    [Theory]
    [InlineData("http://evil.example.com/x", "http://evil.example.com:80")]
    [InlineData("https://evil.example.com/x", "https://evil.example.com:443")]
    [InlineData("http://localhost:CDNPORT/x", "http://localhost:CDNPORT")]
    [InlineData("http://127.0.0.1.example.com:CDNPORT/x", "http://127.0.0.1.example.com:CDNPORT")]
    [InlineData("http://127.0.0.2:CDNPORT/x", "http://127.0.0.2:CDNPORT")]
    [InlineData("http://127.0.0.1:HUBPORT/x", "http://127.0.0.1:HUBPORT")]
    [InlineData("http://127.0.0.1/x", "http://127.0.0.1:80")]
    [InlineData("http://user:secret@127.0.0.1:CDNPORT/x", "http://127.0.0.1:CDNPORT")]
    [InlineData("ftp://127.0.0.1:CDNPORT/x", "ftp://127.0.0.1:CDNPORT")]
    [InlineData("ws://127.0.0.1:CDNPORT/x", "ws://127.0.0.1:CDNPORT")]
    [InlineData("//evil.example.com/x", "http://evil.example.com:80")]
    [InlineData("/x", "http://127.0.0.1:REGISTRYPORT")]
    [InlineData("http://169.254.169.254/latest/meta-data", "http://169.254.169.254:80")]
    [InlineData("http://[::1]:CDNPORT/x", "http://::1:CDNPORT")]
    public async Task A_place_that_is_not_listed_is_refused(string location, string named)
    {
        _surroundings.Hub.Faults.Add(Face.Registry, Fault.Redirect(Fill(location)));
        var answer = await PullAsync();

        Assert.Equal((502, "UNAVAILABLE", $"upstream redirects to {Fill(named)}, which Upstream:RedirectHosts does not list"), (answer.Status, answer.Code, answer.Message));
        Assert.Equal([Face.Registry], AskedBeyondKeys());
    }

    [Theory]
    [InlineData("file:///etc/passwd")]
    [InlineData("javascript:alert(1)")]
    public async Task An_address_that_is_none_is_refused(string location)
    {
        _surroundings.Hub.Faults.Add(Face.Registry, Fault.Redirect(location));
        Assert.Equal((502, "UNAVAILABLE"), await PullAsync() is var answer ? (answer.Status, answer.Code) : default);
        Assert.Equal([Face.Registry], AskedBeyondKeys());
    }

    [Theory]
    [InlineData(301)]
    [InlineData(302)]
    [InlineData(303)]
    [InlineData(307)]
    [InlineData(308)]
    public async Task Every_kind_of_redirect_needs_a_place_to_lead_to(int status)
    {
        _surroundings.Hub.Faults.Add(Face.Registry, Fault.Status(status));
        var answer = await PullAsync();
        Assert.Equal((502, "upstream redirects without saying where to"), (answer.Status, answer.Message));
    }

    [Theory]
    [InlineData(0, 200)]
    [InlineData(4, 200)]
    [InlineData(5, 502)]
    [InlineData(50, 502)]
    public async Task At_most_five_hops_are_followed(int furtherHops, int status)
    {
        _surroundings.Hub.Faults.Add(Face.Registry, Fault.RedirectHops(furtherHops));
        var answer = await PullAsync();

        Assert.Equal(status, answer.Status);
        Assert.Equal(status == 200 ? "a layer of acme/app" : "upstream redirects more than 5 times", status == 200 ? answer.Body : answer.Message);
        Assert.Equal(Math.Min(furtherHops + 1, 5), _surroundings.Hub.Requests.Of(Face.Cdn).Count);
    }

    /// <summary>A signature covers the address as it was written.</summary>
    [Theory]
    [InlineData("/%7Euser/~/%41%2f%2F?Signature=a%7Eb-_~%2B+c&x=%zz;y")]
    [InlineData("/a/../b/./c//d;v=1,2?Expires=1&Key=a/../b")]
    [InlineData("/x?a='b'(c)*!@:$")]
    public async Task A_signed_address_is_asked_byte_for_byte(string target)
    {
        foreach (var (location, hops) in new[] { ($"http://127.0.0.1:CDNPORT{target}", 1), ($"//127.0.0.1:CDNPORT{target}", 1), ($"http://127.0.0.1:CDNPORT{target}#part", 1), ("http://127.0.0.1:CDNPORT/first", 2) })
        {
            _surroundings.Hub.Faults.Clear();
            _surroundings.Hub.Requests.Clear();
            _surroundings.Hub.Faults.Add(Face.Registry, Fault.Redirect(Fill(location)));
            _surroundings.Hub.Faults.Add(Face.Cdn, "/first", Fault.Redirect(target));
            _surroundings.Hub.Faults.Add(Face.Cdn, Fault.Status(200, "a layer of acme/app"));
            Assert.Equal(200, (await PullAsync()).Status);

            var asked = _surroundings.Hub.Requests.Of(Face.Cdn);
            Assert.Equal((hops, target), (asked.Count, asked[^1].RawTarget));
        }
    }

    [Theory]
    [InlineData("http://127.0.0.1:CDNPORT\\@evil.example.com/x")]
    [InlineData("http://127.0.0.1%2eexample.com:CDNPORT/x")]
    [InlineData("http://127.0.0.1:CDNPORT/a b")]
    [InlineData("http:127.0.0.1:CDNPORT/x")]
    [InlineData("http://127.0.0.1:CDNPORT/x, http://evil.example.com/")]
    public async Task An_address_that_can_be_read_in_two_ways_is_none(string location)
    {
        _surroundings.Hub.Faults.Add(Face.Registry, Fault.Redirect(Fill(location)));
        Assert.Equal((502, "upstream redirects to what is no address"), await PullAsync() is var answer ? (answer.Status, answer.Message) : default);
        Assert.Equal([Face.Registry], AskedBeyondKeys());
    }

    [Fact]
    public async Task A_loop_ends()
    {
        _surroundings.Hub.Faults.Add(Face.Cdn, Fault.Redirect("/again"));
        Assert.Equal((502, "upstream redirects more than 5 times"), await PullAsync() is var answer ? (answer.Status, answer.Message) : default);
    }

    [Fact]
    public async Task A_second_hop_is_judged_as_the_first()
    {
        _surroundings.Hub.Faults.Add(Face.Cdn, Fault.Redirect("http://evil.example.com/x"));
        var answer = await PullAsync();
        Assert.Equal((502, "upstream redirects to http://evil.example.com:80, which Upstream:RedirectHosts does not list"), (answer.Status, answer.Message));
        Assert.Single(_surroundings.Hub.Requests.Of(Face.Cdn));
    }

    [Theory]
    [InlineData("GET", "/v2/acme/app/manifests/latest")]
    [InlineData("HEAD", "/v2/acme/app/manifests/latest")]
    [InlineData("GET", "/v2/acme/app/tags/list")]
    [InlineData("POST", "/v2/acme/app/blobs/uploads/")]
    public async Task Nothing_but_a_blob_is_redirected(string method, string target)
    {
        _surroundings.Hub.Faults.Add(Face.Registry, Fault.Redirect(Fill("http://127.0.0.1:CDNPORT/x")));
        var token = _surroundings.Hub.Signer.IssueToken(draft => draft.Access = [new TokenAccess("acme/app", "pull", "push")]);
        var answer = await _surroundings.AskAsync(method, target, token);

        Assert.Equal((502, "upstream answered 307, a redirect, where none is expected"), (answer.Status, answer.Phrase));
        Assert.Empty(_surroundings.Hub.Requests.Of(Face.Cdn));
    }

    [Theory]
    [InlineData(400)]
    [InlineData(403)]
    [InlineData(404)]
    [InlineData(500)]
    [InlineData(204)]
    [InlineData(304)]
    public async Task What_the_CDN_refuses_is_no_answer_of_the_registry(int status)
    {
        _surroundings.Hub.Faults.Add(Face.Cdn, Fault.Custom((http, _) =>
        {
            http.Response.StatusCode = status;
            return Task.CompletedTask;
        }));
        var answer = await PullAsync();
        Assert.Equal((502, "UNAVAILABLE", $"127.0.0.1 answered {status} for a blob"), (answer.Status, answer.Code, answer.Message));
    }

    [Fact]
    public async Task A_CDN_that_breaks_off_fails_the_download()
    {
        _surroundings.Hub.Faults.Add(Face.Cdn, Fault.Truncate(5));
        await DownloadFailsAsync();
    }

    [Fact]
    public async Task A_CDN_that_promises_more_than_it_sends_fails_the_download()
    {
        _surroundings.Hub.Faults.Add(Face.Cdn, Fault.Custom(async (http, _) =>
        {
            http.Response.ContentLength = 1000;
            await http.Response.Body.WriteAsync("a layer"u8.ToArray());
        }));
        await DownloadFailsAsync();
    }

    [Fact]
    public async Task A_CDN_that_does_not_answer_at_all_is_told()
    {
        _surroundings.Hub.Faults.Add(Face.Cdn, Fault.CloseConnection());
        Assert.Equal((502, "Docker Hub could not be reached"), await PullAsync() is var answer ? (answer.Status, answer.Message) : default);
    }

    /// <summary>What is listed by a wildcard alone may not lead into the house.</summary>
    [Theory]
    [InlineData("127.*.0.1", 502)]
    [InlineData("127.0.0.1", 200)]
    public async Task A_wildcard_does_not_open_addresses_that_are_not_public(string listed, int status)
    {
        await using var other = await StartAsync(settings: ("Upstream:RedirectHosts:0", $"{listed}:CDNPORT"));
        var answer = await other.AskAsync("GET", $"/v2/acme/app/blobs/{_blob}", await other.PullTokenAsync("bob", "acme/app"));

        Assert.Equal(status, answer.Status);
        Assert.Equal(status == 200 ? 1 : 0, other.Hub.Requests.Of(Face.Cdn).Count);
        Assert.Equal(
            status != 200,
            other.Log.ToString().Contains($"{other.Hub.Cdn.Authority}: it has an address that is not public, and is not listed by its own name; look at Upstream:RedirectHosts, ", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("cdn.example.com", "https://cdn.example.com/x", true)]
    [InlineData("cdn.example.com", "https://CDN.example.com:443/x", true)]
    [InlineData("cdn.example.com", "http://cdn.example.com:443/x", false)]
    [InlineData("cdn.example.com", "http://cdn.example.com/x", false)]
    [InlineData("cdn.example.com", "https://cdn.example.com:8443/x", false)]
    [InlineData("cdn.example.com:8443", "https://cdn.example.com:8443/x", true)]
    [InlineData("cdn.example.com:8443", "https://cdn.example.com/x", false)]
    [InlineData("cdn.*.example.com", "https://cdn.a.example.com/x", true)]
    [InlineData("cdn.*.example.com", "https://cdn.a.b.example.com/x", false)]
    [InlineData("cdn.*.example.com", "https://cdn.example.com/x", false)]
    [InlineData("cdn.*.example.com", "https://evil.com/cdn.a.example.com", false)]
    [InlineData("cdn.*.example.com", "https://cdn.evil.com#.example.com/x", false)]
    [InlineData("cdn.example.com", "https://xcdn.example.com/x", false)]
    [InlineData("cdn.example.com", "https://cdn.example.com.evil.com/x", false)]
    [InlineData("cdn.example.com", "https://cdn.example.com@evil.com/x", false)]
    [InlineData("cdn.example.com", "https://a:b@cdn.example.com/x", false)]
    [InlineData("", "https://production.cloudflare.docker.com/x", true)]
    [InlineData("", "https://production.cloudfront.docker.com/x", true)]
    [InlineData("", "https://docker-images-prod.6aa30f8b08e16409b46e0173d6de2f56.r2.cloudflarestorage.com/x", true)]
    [InlineData("", "https://evil.r2.cloudflarestorage.com/x", false)]
    [InlineData("", "https://registry-1.docker.io/x", false)]
    public void A_host_is_listed_by_name_port_and_scheme(string listed, string target, bool allowed) =>
        Assert.Equal(allowed, new RedirectHosts(listed.Length == 0 ? [] : [listed], allowsHttp: false).Allows(new Uri(target)));

    private Task<RawAnswer> PullAsync() => _surroundings.AskAsync("GET", $"/v2/acme/app/blobs/{_blob}", _token);

    private async Task DownloadFailsAsync()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/v2/acme/app/blobs/{_blob}") { Headers = { { "Authorization", "Bearer " + _token } } };
        await Assert.ThrowsAsync<HttpRequestException>(() => _surroundings.Client.SendAsync(request));
        Assert.Single(_surroundings.Hub.Requests.Of(Face.Cdn));
    }

    private IEnumerable<Face> AskedBeyondKeys() => _surroundings.Hub.Requests.All.Select(request => request.Face).Where(face => face != Face.Auth);

    private string Fill(string text) => text
        .Replace("CDNPORT", $"{_surroundings.Hub.Cdn.Port}", StringComparison.Ordinal).Replace("HUBPORT", $"{_surroundings.Hub.Hub.Port}", StringComparison.Ordinal)
        .Replace("REGISTRYPORT", $"{_surroundings.Hub.Registry.Port}", StringComparison.Ordinal);
}

public sealed class RedirectTests_direct() : RedirectTests(Direct);

public sealed class RedirectTests_kestrel() : RedirectTests(Kestrel);
