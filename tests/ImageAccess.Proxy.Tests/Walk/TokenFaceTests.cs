using System.Text.Json.Nodes;
using ImageAccess.FakeHubs;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>The token endpoint: what reaches the token service, and what comes back.</summary>
public abstract class TokenFaceTests(string transport) : WalkTests(transport), IAsyncLifetime
{
    private const string Basic = "Authorization: Basic Ym9iOmJvYnMtcGFzc3dvcmQ=\r\n"; // bob, bobs-password
    private const string Form = "Content-Type: application/x-www-form-urlencoded\r\n";

    private Surroundings _surroundings = null!;

    public async Task InitializeAsync() => _surroundings = await StartAsync();

    public async Task DisposeAsync() => await _surroundings.DisposeAsync();

    [Theory]
    [InlineData("?service=registry.docker.io&scope=repository:library/nginx:pull", "service=registry.docker.io&scope=repository%3Alibrary%2Fnginx%3Apull")]
    [InlineData("?scope=repository%3Anginx%3Apull&service=registry.docker.io", "service=registry.docker.io&scope=repository%3Alibrary%2Fnginx%3Apull")]
    [InlineData("?scope=repository:nginx:pull,push&scope=repository:acme/app:pull", "scope=repository%3Alibrary%2Fnginx%3Apull%2Cpush&scope=repository%3Aacme%2Fapp%3Apull")]
    [InlineData("?account=bob&client_id=docker&offline_token=true&service=registry.docker.io", "service=registry.docker.io&account=bob&client_id=docker&offline_token=true")]
    [InlineData("?service=s&evil=1&password=x&username=y&grant_type=password&refresh_token=z&access_type=offline", "service=s")]
    [InlineData("?service=a%26scope%3Dx", "service=a%26scope%3Dx")]
    [InlineData("", "")]
    public async Task A_GET_sends_the_known_parameters_alone(string query, string sent)
    {
        var answer = await SendAsync($"GET /token{query} HTTP/1.1\r\n{Basic}Cookie: a=b\r\nX-Forwarded-For: 1.2.3.4\r\nAccept-Encoding: gzip\r\n");

        Assert.Equal(200, answer.Status);
        var asked = Assert.Single(_surroundings.Hub.Requests.All);
        Assert.Equal((Face.Auth, "GET", sent.Length == 0 ? "/token" : "/token?" + sent), (asked.Face, asked.Method, asked.RawTarget.TrimEnd('?')));
        Assert.Equal("Basic Ym9iOmJvYnMtcGFzc3dvcmQ=", asked.Authorization);
        Assert.Equal(["Authorization", "Host", "User-Agent", "Via"], asked.Headers.Keys.Order(StringComparer.Ordinal));
    }

    /// <summary>A token is kept by its credentials, however their scheme was written: so the token service gets it written in one way.</summary>
    [Theory]
    [InlineData("BASIC Ym9iOmJvYnMtcGFzc3dvcmQ=")]
    [InlineData("bAsIc  Ym9iOmJvYnMtcGFzc3dvcmQ=")]
    [InlineData("basic Ym9iOmJvYnMtcGFzc3dvcmQ= ")]
    public async Task Credentials_reach_the_token_service_in_one_form(string authorization)
    {
        Assert.Equal(200, (await SendAsync($"GET /token?service=registry.docker.io HTTP/1.1\r\nAuthorization: {authorization}\r\n")).Status);
        Assert.Equal("Basic Ym9iOmJvYnMtcGFzc3dvcmQ=", Assert.Single(_surroundings.Hub.Requests.All).Authorization);
    }

    [Theory]
    [InlineData("grant_type=password&service=s&client_id=docker&username=bob&password=bobs-password&access_type=offline", "grant_type=password&service=s&client_id=docker&username=bob&password=bobs-password&access_type=offline")]
    [InlineData(
        "scope=repository%3Anginx%3Apull+repository%3Aacme%2Fapp%3Apull%2Cpush&password=bobs-password&username=bob&grant_type=password",
        "grant_type=password&username=bob&password=bobs-password&scope=repository%3Alibrary%2Fnginx%3Apull+repository%3Aacme%2Fapp%3Apull%2Cpush")]
    [InlineData("grant_type=password&username=bob&password=bobs-password&account=x&offline_token=true&evil=1", "grant_type=password&username=bob&password=bobs-password")]
    public async Task A_POST_sends_the_known_parameters_alone(string form, string sent)
    {
        var answer = await SendAsync($"POST /token?service=ignored HTTP/1.1\r\n{Form}Authorization: Basic YTpi\r\nContent-Length: {form.Length}\r\n", form);

        Assert.Equal(200, answer.Status);
        var asked = Assert.Single(_surroundings.Hub.Requests.All);
        Assert.Equal((Face.Auth, "POST", "/token", sent), (asked.Face, asked.Method, asked.RawTarget, asked.Body));
        Assert.Null(asked.Authorization);
    }

    /// <summary>A push may need a scope for each layer that it mounts; the token service sets no number.</summary>
    [Theory]
    [InlineData("GET", 64)]
    [InlineData("GET", 65)]
    [InlineData("GET", 300)]
    [InlineData("GET", 1000)]
    [InlineData("POST", 64)]
    [InlineData("POST", 1000)]
    public async Task Scopes_have_no_number(string method, int count)
    {
        string[] scopes = [.. Enumerable.Range(1, count).Select(i => $"repository:acme/app-{i}:pull,push")];
        var form = $"grant_type=password&username=bob&password=bobs-password&scope={Uri.EscapeDataString(string.Join(' ', scopes))}";
        var answer = method == "GET"
            ? await SendAsync($"GET /token?service=registry.docker.io&scope={string.Join("&scope=", scopes)} HTTP/1.1\r\n{Basic}")
            : await SendAsync($"POST /token HTTP/1.1\r\n{Form}Content-Length: {form.Length}\r\n", form);

        Assert.Equal(200, answer.Status);
        var asked = Assert.Single(_surroundings.Hub.Requests.All);
        var sent = Uri.UnescapeDataString(method == "GET" ? asked.Query : asked.Body!);
        Assert.EndsWith(method == "GET" ? $"scope={string.Join("&scope=", scopes)}" : $"scope={string.Join('+', scopes)}", sent, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("client_id", 3_000)]
    [InlineData("account", 50_000)]
    [InlineData("evil", 50_000)]
    public async Task Names_and_values_have_no_length_of_their_own(string name, int length)
    {
        var answer = await SendAsync($"GET /token?service=registry.docker.io&{name}={new string('v', length)}&{new string('n', 3_000)}=x HTTP/1.1\r\n");
        Assert.Equal(200, answer.Status);
        Assert.InRange(Assert.Single(_surroundings.Hub.Requests.All).RawTarget.Length, name == "evil" ? 10 : length, length + 100);
    }

    /// <summary>A limit that ended in a 401 would send the client for the same token again.</summary>
    [Theory]
    [InlineData(100)]
    [InlineData(200)]
    public async Task A_token_for_much_is_given_and_taken(int count)
    {
        var scopes = string.Concat(Enumerable.Range(1, count).Select(i => $"&scope=repository:acme/a-layer-of-another-image-{i}:pull"));
        var given = await SendAsync($"GET /token?service=registry.docker.io&scope=repository:acme/app:pull,push{scopes} HTTP/1.1\r\n{Basic}");
        var token = JsonNode.Parse(given.Body)!["token"]!.GetValue<string>();
        Assert.InRange(token.Length, 100 * count, 64 * 1024);

        Assert.Equal(200, (await _surroundings.AskAsync("GET", "/v2/acme/app/manifests/latest", token)).Status);
        Assert.Equal(202, (await _surroundings.AskAsync("POST", "/v2/acme/app/blobs/uploads/", token)).Status);
    }

    [Fact]
    public async Task A_token_that_is_too_long_is_told_so()
    {
        var token = _surroundings.Hub.Signer.IssueToken(draft => draft.For(_surroundings.Hub.Users.Find("bob")!).Access =
            [new TokenAccess("acme/app", "pull"), .. Enumerable.Range(1, 700).Select(i => new TokenAccess($"acme/a-layer-of-another-image-{i}", "pull"))]);
        Assert.InRange(token.Length, 64 * 1024, 100 * 1024);
        foreach (var target in new[] { "/v2/", "/v2/acme/app/manifests/latest" })
        {
            var answer = await _surroundings.AskAsync("GET", target, token);
            Assert.Equal((431, "UNSUPPORTED", "the token is longer than 64 KiB: ask for fewer scopes at once"), (answer.Status, answer.Code, answer.Message));
            Assert.Null(answer.Header("WWW-Authenticate"));
        }

        Assert.Empty(_surroundings.Hub.Requests.Of(Face.Registry));
    }

    [Fact]
    public async Task A_query_of_over_64_KiB_is_refused_in_our_words()
    {
        var answer = await SendAsync($"GET /token?service=registry.docker.io&account={new string('a', 64 * 1024)} HTTP/1.1\r\n");
        Assert.Equal((414, "UNSUPPORTED", "the request target is longer than 64 KiB"), (answer.Status, answer.Code, answer.Message));
        Assert.Empty(_surroundings.Hub.Requests.All);
    }

    [Fact]
    public async Task A_password_keeps_every_character()
    {
        const string Password = "pä ss&+=%25/✓";
        _surroundings.Hub.Users.Add("dora", Password);
        var form = $"grant_type=password&username=dora&password={Uri.EscapeDataString(Password)}";
        var answer = await SendAsync($"POST /token HTTP/1.1\r\n{Form}Content-Length: {form.Length}\r\n", form);
        Assert.Equal(200, answer.Status);
    }

    [Fact]
    public async Task A_refresh_token_is_given_and_taken()
    {
        var first = await SendAsync($"GET /token?service=registry.docker.io&offline_token=true&client_id=docker HTTP/1.1\r\n{Basic}");
        var refresh = JsonNode.Parse(first.Body)!["refresh_token"]!.GetValue<string>();
        var form = $"grant_type=refresh_token&service=registry.docker.io&refresh_token={Uri.EscapeDataString(refresh)}";
        var second = await SendAsync($"POST /token HTTP/1.1\r\n{Form}Content-Length: {form.Length}\r\n", form);

        Assert.Equal((200, "no-store"), (second.Status, second.Header("Cache-Control")));
        Assert.Equal(200, (await _surroundings.AskAsync("GET", "/v2/", JsonNode.Parse(second.Body)!["token"]!.GetValue<string>())).Status);
    }

    [Theory]
    [InlineData("GET", "service=a&service=b")]
    [InlineData("GET", "account=a&account=a")]
    [InlineData("GET", "client_id=a&client_id=a")]
    [InlineData("GET", "offline_token=true&offline_token=true")]
    [InlineData("GET", "scope=repository:UPPER/x:pull")]
    [InlineData("GET", "scope=repository:a/../b:pull")]
    [InlineData("GET", "scope=nonsense")]
    [InlineData("GET", "scope=repository:acme/app:PULL")]
    [InlineData("POST", "grant_type=password&grant_type=password")]
    [InlineData("POST", "username=a&username=b")]
    [InlineData("POST", "password=a&password=b")]
    [InlineData("POST", "refresh_token=a&refresh_token=b")]
    [InlineData("POST", "access_type=a&access_type=b")]
    [InlineData("POST", "scope=repository:a/b:pull&scope=repository:a/c:pull")]
    [InlineData("POST", "scope=repository:a/b:pull+nonsense")]
    public async Task What_is_malformed_or_comes_twice_is_refused(string method, string parameters)
    {
        var answer = method == "GET"
            ? await SendAsync($"GET /token?{parameters} HTTP/1.1\r\n")
            : await SendAsync($"POST /token HTTP/1.1\r\n{Form}Content-Length: {parameters.Length}\r\n", parameters);
        Assert.Equal((400, "UNSUPPORTED"), (answer.Status, answer.Code));
        Assert.Empty(_surroundings.Hub.Requests.All);
    }

    [Theory]
    [InlineData("Authorization: Bearer abc\r\n")]
    [InlineData("Authorization: Basic\r\n")]
    [InlineData("Authorization: Basic a b\r\n")]
    [InlineData("Authorization: Basic a,b\r\n")]
    [InlineData("Authorization: Digest abc\r\n")]
    public async Task Credentials_of_another_kind_are_refused(string header)
    {
        var answer = await SendAsync($"GET /token?service=registry.docker.io HTTP/1.1\r\n{header}");
        Assert.Equal((400, "the token endpoint takes Basic credentials or none"), (answer.Status, answer.Message));
        Assert.Empty(_surroundings.Hub.Requests.All);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_form_of_over_64_KiB_is_refused(bool chunked)
    {
        var form = "grant_type=password&username=" + new string('a', 64 * 1024);
        var answer = await SendAsync(
            $"POST /token HTTP/1.1\r\n{Form}{(chunked ? "Transfer-Encoding: chunked" : $"Content-Length: {form.Length}")}\r\n",
            chunked ? $"{form.Length:x}\r\n{form}\r\n0\r\n\r\n" : form);
        Assert.Equal((413, "SIZE_INVALID"), (answer.Status, answer.Code));
        Assert.Empty(_surroundings.Hub.Requests.All);
    }

    [Fact]
    public async Task A_wrong_password_is_told_in_the_token_services_own_words()
    {
        var answer = await SendAsync("GET /token?service=registry.docker.io HTTP/1.1\r\nAuthorization: Basic Ym9iOndyb25n\r\n");
        Assert.Equal((401, """{"details":"incorrect username or password"}""", "application/json"), (answer.Status, answer.Body, answer.Header("Content-Type")));
    }

    [Fact]
    public async Task A_rate_limit_is_told_as_what_it_is()
    {
        _surroundings.Hub.Faults.Add(Face.Auth, Fault.Status(429, "too many requests\n", "text/plain; charset=utf-8", ("Retry-After", "17"), ("X-Retry-After", "1767225600"), ("Set-Cookie", "a=b")));
        var answer = await SendAsync("GET /token?service=registry.docker.io HTTP/1.1\r\n");
        Assert.Equal((429, "too many requests\n", "17", "1767225600"), (answer.Status, answer.Body, answer.Header("Retry-After"), answer.Header("X-Retry-After")));
        Assert.Null(answer.Header("Set-Cookie"));
    }

    [Theory]
    [InlineData("close")]
    [InlineData("endless")]
    [InlineData("truncate")]
    public async Task A_token_service_that_breaks_off_is_unreachable(string fault)
    {
        _surroundings.Hub.Faults.Add(Face.Auth, fault switch { "close" => Fault.CloseConnection(), "endless" => Fault.EndlessBody("{"), _ => Fault.Truncate(5) });
        var answer = await SendAsync($"GET /token?service=registry.docker.io HTTP/1.1\r\n{Basic}");
        Assert.Equal((502, "UNAVAILABLE", "the token service of Docker Hub could not be reached"), (answer.Status, answer.Code, answer.Message));
    }

    [Fact]
    public async Task A_token_service_that_is_silent_times_out()
    {
        var time = new ManualTime(TimeProvider.System.GetUtcNow());
        await using var slow = await StartAsync(Surroundings.Policy, null, time);
        slow.Hub.Faults.Add(Face.Auth, Fault.NeverAnswer());
        var pending = slow.SendRawAsync($"GET /token HTTP/1.1\r\nHost: {slow.Mirror.Authority}\r\nConnection: close\r\n\r\n");
        await slow.AskedAsync(Face.Auth);
        time.Advance(TimeSpan.FromSeconds(14));
        Assert.False(pending.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(2));

        var answer = await pending;
        Assert.Equal((504, "UNAVAILABLE", "the token service of Docker Hub did not answer in time"), (answer.Status, answer.Code, answer.Message));
    }

    [Theory]
    [InlineData("", "", "Host: mirror.example.com:5000", "http://mirror.example.com:5000")]
    [InlineData("", "", "Host: mirror.example.com\r\nX-Forwarded-Host: evil.example.com\r\nX-Forwarded-Proto: https", "http://mirror.example.com")]
    [InlineData("", "10.0.0.0/8", "Host: mirror.example.com\r\nX-Forwarded-For: 10.1.2.3\r\nX-Forwarded-Host: evil.example.com\r\nX-Forwarded-Proto: https", "http://mirror.example.com")]
    [InlineData("", "127.0.0.0/8", "Host: x\r\nX-Forwarded-For: 10.1.2.3\r\nX-Forwarded-Host: mirror.example.com\r\nX-Forwarded-Proto: https", "https://mirror.example.com")]
    [InlineData("", "127.0.0.1", "Host: x\r\nX-Forwarded-For: 6.6.6.6, 10.1.2.3\r\nX-Forwarded-Host: evil.example.com, mirror.example.com\r\nX-Forwarded-Proto: ftp, https", "https://mirror.example.com")]
    [InlineData("https://mirror.example.com", "", "Host: x", "https://mirror.example.com")]
    [InlineData("https://mirror.example.com:8443/", "127.0.0.0/8", "Host: x\r\nX-Forwarded-For: 10.1.2.3\r\nX-Forwarded-Host: y\r\nX-Forwarded-Proto: http", "https://mirror.example.com:8443")]
    public async Task The_realm_names_the_proxy_as_the_client_reaches_it(string publicUrl, string trusted, string headers, string origin)
    {
        var settings = new List<(string, string)>();
        if (publicUrl.Length > 0)
            settings.Add(("PublicUrl", publicUrl));
        if (trusted.Length > 0)
            settings.Add(("Listen:TrustedProxies:0", trusted));
        await using var mirror = await StartAsync(settings: [.. settings]);

        var answer = await mirror.SendRawAsync($"GET /v2/nginx/manifests/latest HTTP/1.1\r\n{headers}\r\nConnection: close\r\n\r\n");
        Assert.Equal($"Bearer realm=\"{origin}/token\",service=\"registry.docker.io\",scope=\"repository:library/nginx:pull\"", answer.Header("WWW-Authenticate"));
    }

    [Fact]
    public async Task A_new_key_is_learnt_at_once_from_a_token_that_passes_through()
    {
        var former = await _surroundings.TokenAsync("bob");
        Assert.Equal(200, (await _surroundings.AskAsync("GET", "/v2/", former)).Status);
        _surroundings.Hub.Signer.Rotate();
        var unknown = await _surroundings.TokenAsync("bob");
        Assert.Equal(401, (await _surroundings.AskAsync("GET", "/v2/", unknown)).Status); // the key was asked for within this minute

        var given = await SendAsync($"GET /token?service=registry.docker.io HTTP/1.1\r\n{Basic}");
        Assert.Equal(200, (await _surroundings.AskAsync("GET", "/v2/", JsonNode.Parse(given.Body)!["token"]!.GetValue<string>())).Status);
        Assert.Equal(200, (await _surroundings.AskAsync("GET", "/v2/", unknown)).Status);
        Assert.Equal(200, (await _surroundings.AskAsync("GET", "/v2/", former)).Status);
    }

    private Task<RawAnswer> SendAsync(string head, string body = "") =>
        _surroundings.SendRawAsync($"{head}Host: {_surroundings.Mirror.Authority}\r\nConnection: close\r\n\r\n{body}");
}

public sealed class TokenFaceTests_direct() : TokenFaceTests(Direct);

public sealed class TokenFaceTests_kestrel() : TokenFaceTests(Kestrel);
