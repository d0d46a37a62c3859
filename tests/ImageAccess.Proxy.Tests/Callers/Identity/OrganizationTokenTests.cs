using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using ImageAccess.Proxy.Callers.Identity;
using ImageAccess.Proxy.Tests.Walk;

namespace ImageAccess.Proxy.Tests.Callers.Identity;

/// <summary>Tokens that were given for an organization access token of an organization that the policy does not know.</summary>
public sealed class OrganizationTokenTests : IAsyncLifetime
{
    private const string Message = "image access denied: organization access tokens are not supported, use a personal access token (ask in #platform)";
    private const string Scope = "repository:library/nginx:pull";

    private Surroundings _here = null!;

    public async Task InitializeAsync()
    {
        _here = await Surroundings.StartAsync();
        _here.Hub.Users.AddOrganization("gamma", "", "dckr_oat_gamma");
    }

    public async Task DisposeAsync() => await _here.DisposeAsync();

    [Fact]
    public async Task With_Basic_credentials_its_tokens_are_refused() => await AssertRefusedAsync(await WithBasicAsync("gamma", "dckr_oat_gamma"));

    [Fact]
    public async Task With_a_form_its_tokens_are_refused() => await AssertRefusedAsync(await WithFormAsync(
        ("grant_type", "password"), ("username", "gamma"), ("password", "dckr_oat_gamma")));

    [Fact]
    public async Task What_a_refresh_token_of_it_gives_is_refused_as_well()
    {
        var first = await WithFormAsync(
            ("grant_type", "password"), ("username", "gamma"), ("password", "dckr_oat_gamma"), ("access_type", "offline"));
        var refresh = first.GetProperty("refresh_token").GetString()!;
        await AssertRefusedAsync(await WithFormAsync(("grant_type", "refresh_token"), ("refresh_token", refresh)));
        await AssertRefusedAsync(await WithFormAsync(("grant_type", "refresh_token"), ("refresh_token", refresh), ("password", "decoy")));
    }

    [Fact]
    public async Task A_signature_that_is_written_differently_is_the_same_tokens()
    {
        var token = Token(await WithBasicAsync("gamma", "dckr_oat_gamma"));
        const string Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        var last = Digits.IndexOf(token[^1], StringComparison.Ordinal);
        foreach (var other in Enumerable.Range(1, 3).Select(i => token[..^1] + Digits[last ^ i]))
        {
            var answer = await PullAsync(other);
            Assert.True(answer.Status is 401 || (answer.Status == 403 && answer.Message == Message), answer.Message);
        }
    }

    [Theory]
    [InlineData("carol", "dckr_pat_carol")]
    [InlineData("carol", "carols-password")]
    public async Task Other_secrets_are_not_it(string username, string secret) =>
        Assert.Equal(200, (await PullAsync(Token(await WithBasicAsync(username, secret)))).Status);

    [Fact]
    public async Task Others_tokens_stay_what_they_are()
    {
        await WithBasicAsync("gamma", "dckr_oat_gamma");
        Assert.Equal(200, (await PullAsync(await _here.PullTokenAsync("carol", "library/nginx"))).Status);
        Assert.Equal(200, (await PullAsync(await _here.PullTokenAsync(null, "library/nginx"))).Status);
    }

    [Fact]
    public void A_token_is_kept_in_mind_until_it_expires_and_no_longer()
    {
        var time = new ManualTime();
        var marks = new OrganizationTokens(time);
        var token = TokenForge.Docker.Token(time.GetUtcNow());
        Assert.False(marks.IsMarked(token));
        marks.Mark(token);
        Assert.True(marks.IsMarked(token));
        Assert.False(marks.IsMarked(TokenForge.Docker.Token(time.GetUtcNow().AddSeconds(1))));
        time.Advance(TimeSpan.FromSeconds(359)); // with the minute by which clocks may differ
        Assert.True(marks.IsMarked(token));
        time.Advance(TimeSpan.FromSeconds(2));
        Assert.False(marks.IsMarked(token));
    }

    [Fact]
    public async Task Neither_the_secret_nor_its_token_reaches_log_or_audit()
    {
        var token = Token(await WithBasicAsync("gamma", "dckr_oat_gamma"));
        await PullAsync(token);
        await _here.AuditAsync(1);
        var written = _here.Log + await File.ReadAllTextAsync(_here.AuditFile);
        Assert.DoesNotContain("dckr_oat_", written, StringComparison.Ordinal);
        Assert.DoesNotContain(token.Split('.')[2], written, StringComparison.Ordinal);
    }

    private static string Token(JsonElement answer) => answer.GetProperty("token").GetString()!;

    private async Task AssertRefusedAsync(JsonElement answer)
    {
        foreach (var name in new[] { "token", "access_token" })
        {
            var pulled = await PullAsync(answer.GetProperty(name).GetString()!);
            Assert.Equal((403, Message), (pulled.Status, pulled.Phrase));
        }
    }

    private Task<RawAnswer> PullAsync(string token) => _here.AskAsync("GET", "/v2/library/nginx/manifests/latest", token);

    private async Task<JsonElement> WithBasicAsync(string username, string secret)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/token?service=registry.docker.io&scope={Scope}");
        request.Headers.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes($"{username}:{secret}")));
        return await SendAsync(request);
    }

    private async Task<JsonElement> WithFormAsync(params (string Name, string Value)[] parameters)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/token");
        request.Content = new FormUrlEncodedContent(
        [
            .. parameters.Select(parameter => KeyValuePair.Create(parameter.Name, parameter.Value)),
            KeyValuePair.Create("service", "registry.docker.io"), KeyValuePair.Create("scope", Scope),
        ]);
        return await SendAsync(request);
    }

    private async Task<JsonElement> SendAsync(HttpRequestMessage request)
    {
        using var answer = await _here.Client.SendAsync(request);
        var body = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.IsSuccessStatusCode, body);
        return JsonSerializer.Deserialize<JsonElement>(body);
    }
}
