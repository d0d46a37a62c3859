using System.Net;
using System.Text.Json.Nodes;
using ImageAccess.Proxy.Administration.Tokens;
using ImageAccess.Proxy.Foundation.Configuration;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Registry;
using Microsoft.Extensions.DependencyInjection;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>The end of a denial's message leads to a page about it.</summary>
public sealed class DenialLinkTests : IAsyncLifetime
{
    private const string Denied = "image access denied: community images not allowed (ask in #platform)";
    private const string Target = "/v2/someuser/custom-image/manifests/";

    private Surroundings _here = null!;
    private HttpClient _console = null!;

    public async Task InitializeAsync()
    {
        _here = await Surroundings.StartWithDatabaseAsync(("Listen:Console", "http://127.0.0.1:0"), ("ConsoleUrl", "https://images.example.com/"));
        _console = Surroundings.NewClient(_here.Further[^1]);
        await _here.Proxy.Services.GetRequiredService<DatabaseState>().Ready;
        await Eventually.TrueAsync(() => _here.Proxy.Services.GetRequiredService<SessionTokens>().AreReady); // pages with forms need its keys
    }

    public async Task DisposeAsync()
    {
        _console.Dispose();
        await _here.DisposeAsync();
    }

    [Theory]
    [InlineData("docker/20.10.24 go/go1.19", "HEAD", "latest", " (no such process)")]
    [InlineData("docker/29.7.0 containerd-client/2.2.1", "HEAD", "latest?ns=docker.io", "")]
    [InlineData("docker/29.7.0 containerd-client/2.2.1", "GET", "latest?ns=docker.io", "")]
    [InlineData("buildkit/v0.12", "HEAD", "DIGEST?ns=docker.io", "")]
    [InlineData("go-containerregistry/v0.20", "GET", "latest", "")]
    [InlineData("curl/8", "HEAD", "latest", "")]
    public async Task Every_form_of_a_denial_has_it(string userAgent, string method, string reference, string suffix)
    {
        var answer = await AskAsync(method, reference, userAgent);
        var message = $"{Denied}; see https://images.example.com/d/{answer.Header(DenialResponses.DecisionHeader)}";
        Assert.Equal(message + suffix, answer.Phrase);
        if (answer.Status == 403 && method == "GET")
            Assert.Equal(message, JsonNode.Parse(answer.Body)!["errors"]![0]!["message"]!.GetValue<string>());
        if (method == "HEAD")
            Assert.Equal($"299 - \"{message}\"", answer.Header("Warning"));
    }

    [Fact]
    public async Task What_stands_in_for_an_image_has_it()
    {
        var answer = await AskAsync("GET", "latest", "containers/5.36.2 (github.com/containers/image)");
        Assert.Equal(
            $"{Denied}; see https://images.example.com/d/{answer.Header(DenialResponses.DecisionHeader)}",
            JsonNode.Parse(answer.Body)!["annotations"]![StandInIndex.Annotation]!.GetValue<string>());
    }

    /// <summary>Denials that are alike lead to one page, that of the first.</summary>
    [Fact]
    public async Task It_leads_to_a_page_that_says_what_the_client_did_and_asks_for_no_sign_in()
    {
        var id = (await AskAsync("GET", "latest", "curl/8")).Header(DenialResponses.DecisionHeader);
        Assert.Equal(id, (await AskAsync("GET", "latest", "curl/8")).Header(DenialResponses.DecisionHeader));

        var page = "";
        await Eventually.TrueAsync(async () =>
        {
            var answer = await _console.GetAsync($"/d/{id}");
            page = await answer.Content.ReadAsStringAsync();
            return answer.StatusCode == HttpStatusCode.OK;
        });
        Assert.Matches($"^{System.Text.RegularExpressions.Regex.Escape(Denied)}\n\nimage: someuser/custom-image:latest\ntime: [0-9: -]+ UTC\ndenial: {id}\n\nTo ask for access: imageaccess requests create --denial {id} --reason TEXT --days DAYS\n$", page);
        Assert.DoesNotContain("bob", page, StringComparison.Ordinal);
        Assert.DoesNotContain("127.0.0.1", page, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("0123456789abcdef0123456789abcdef")]
    [InlineData("%E2%80%AEx")]
    public async Task One_that_is_not_known_is_told_so(string id)
    {
        using var answer = await _console.GetAsync($"/d/{id}");
        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
        Assert.Contains("one is known for 30 days", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("https://images.example.com", null)]
    [InlineData("https://tools.example.com/images", null)]
    [InlineData("http://localhost:9080", null)]
    [InlineData("http://[::1]:9080/", null)]
    [InlineData("http://images.example.com", "ConsoleUrl: 'http://images.example.com' is plain http beyond this machine, where people would sign in in the clear: use https")]
    [InlineData("https://user@images.example.com", "ConsoleUrl: not an http or https address without a user, a query or a fragment, as https://images.example.com")]
    [InlineData("https://images.example.com/?a=b", "ConsoleUrl: not an http or https address without a user, a query or a fragment, as https://images.example.com")]
    [InlineData("ftp://images.example.com", "ConsoleUrl: not an http or https address without a user, a query or a fragment, as https://images.example.com")]
    [InlineData("https://images.example.com/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "ConsoleUrl: longer than 80 characters, so that the reason of a denial would leave it out in many clients")]
    public void The_address_is_one_that_people_can_follow(string url, string? flaw)
    {
        var result = new ConsoleOptionsValidator().Validate(null, new ConsoleOptions { Url = new Uri(url) });
        Assert.Equal(flaw, result.FailureMessage);
    }

    [Theory]
    [InlineData("owner", null)]
    [InlineData("member", null)]
    [InlineData("off", null)]
    [InlineData("", "Console:DockerHubSignIn: choose owner, member or off")]
    [InlineData("Owner", "Console:DockerHubSignIn: choose owner, member or off")]
    [InlineData("true", "Console:DockerHubSignIn: choose owner, member or off")]
    public void Signing_in_has_three_words(string word, string? flaw) =>
        Assert.Equal(flaw, new ConsoleOptionsValidator().Validate(null, new ConsoleOptions { DockerHubSignIn = word }).FailureMessage);

    private async Task<RawAnswer> AskAsync(string method, string reference, string userAgent) => await _here.AskAsync(
        method, Target + reference.Replace("DIGEST", "sha256:" + new string('a', 64), StringComparison.Ordinal), await _here.PullTokenAsync("bob", "someuser/custom-image"), userAgent);
}
