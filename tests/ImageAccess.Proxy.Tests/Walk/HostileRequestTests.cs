namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>Requests that no client sends by accident: each is refused with its own status, and nothing of it goes upstream.</summary>
public abstract class HostileRequestTests(SharedSurroundings shared)
{
    private const string Get = "GET /v2/acme/app/manifests/latest HTTP/1.1\r\n";
    private const string Put = "PUT /v2/acme/app/manifests/latest HTTP/1.1\r\n";
    private const string Post = "POST /v2/acme/app/blobs/uploads/ HTTP/1.1\r\n";
    private const string Token = "POST /token HTTP/1.1\r\n";
    private const string Unsupported = "UNSUPPORTED";

    private static readonly string Head = HostileRequests.Head;

    internal static readonly Dictionary<string, HostileRequest> Cases = HostileRequests.Names()
        .Concat(HostileRequests.References()).Concat(HostileRequests.Paths()).Concat(HostileRequests.Methods()).Concat(HostileRequests.Queries()).Concat(Framings())
        .ToDictionary(found => found.Name, found => found.Request);

    private readonly Surroundings _surroundings = shared.Here;

    public static TheoryData<string> Named => [.. Cases.Keys];

    [Theory]
    [MemberData(nameof(Named))]
    public async Task It_is_refused_and_nothing_goes_upstream(string name)
    {
        var hostile = Cases[name];
        var token = await LearntTokenAsync();

        var text = await _surroundings.ExchangeAsync(Fill(hostile.Text, token));
        var answer = RawAnswer.Parse(text);

        Assert.Equal((hostile.Status, hostile.Code, hostile.Allow), (answer.Status, answer.Code, answer.Header("Allow")));
        Assert.Equal(1, Count(text, "HTTP/1.1 "));
        Assert.Empty(_surroundings.Hub.Requests.All);
    }

    /// <summary>The requests above would be answered were they not hostile: the token allows everything in the repository.</summary>
    [Theory]
    [InlineData("GET /v2/acme/app/manifests/latest HTTP/1.1\r\n", "", 200)]
    [InlineData("GET /v2/acme/app/tags/list?n=1&last=a&ns=docker.io&x=%zz&x HTTP/1.1\r\n", "", 200)]
    [InlineData("POST /v2/acme/app/blobs/uploads/ HTTP/1.1\r\n", "Transfer-Encoding: chunked\r\n\r\n0\r\n", 202)]
    [InlineData("POST /v2/acme/app/blobs/uploads/ HTTP/1.1\r\n", "Transfer-Encoding: Chunked\r\n\r\n0\r\n", 202)]
    [InlineData("POST /v2/acme/app/blobs/uploads/ HTTP/1.1\r\n", "Content-Length: 0\r\n", 202)]
    public async Task The_same_without_hostility_is_answered(string line, string rest, int status)
    {
        var token = await LearntTokenAsync();
        var answer = await _surroundings.SendRawAsync(Fill($"{line}{Head}{rest}\r\n", token));

        Assert.Equal(status, answer.Status);
        Assert.Single(_surroundings.Hub.Requests.All);
    }

    private static IEnumerable<(string Name, HostileRequest Request)> Framings()
    {
        var chunked = "Transfer-Encoding: chunked\r\n";
        yield return ("Content-Length and Transfer-Encoding", new($"{Post}{Head}Content-Length: 5\r\n{chunked}\r\n0\r\n\r\n", 400, Unsupported));
        yield return ("Transfer-Encoding and Content-Length", new($"{Post}{Head}{chunked}Content-Length: 5\r\n\r\n0\r\n\r\n", 400, Unsupported));
        yield return ("Content-Length and Transfer-Encoding at the token endpoint", new($"{Token}{Head}Content-Length: 5\r\n{chunked}\r\n0\r\n\r\n", 400, Unsupported));
        yield return ("a request smuggled behind both", new(
            $"{Post}Host: HOST\r\nAuthorization: Bearer TOKEN\r\nContent-Length: 5\r\n{chunked}\r\n0\r\n\r\n{Get}{Head}\r\n", 400, Unsupported));
        yield return ("a request smuggled behind a body that is not read", new(
            $"GET /v2/acme/app/manifests/latest HTTP/1.1\r\nHost: HOST\r\nContent-Length: 4\r\n\r\n{Get}{Head}\r\n", 400, Unsupported));
        yield return ("bare LF after the request line", new($"GET /v2/acme/app/manifests/latest HTTP/1.1\n{Head}\r\n", 400));
        yield return ("bare LF after a header", new($"{Get}X-A: b\n{Head}\r\n", 400));
        yield return ("bare LF everywhere", new($"{Get}{Head}\r\n".Replace("\r\n", "\n", StringComparison.Ordinal), 400));
        yield return ("bare CR in a header", new($"{Get}X-A: b\rc\r\n{Head}\r\n", 400));
        yield return ("a folded header", new($"{Get}X-A: b\r\n c\r\n{Head}\r\n", 400));
        yield return ("a folded header by tab", new($"{Get}X-A: b\r\n\tc\r\n{Head}\r\n", 400));
        yield return ("no Host", new($"{Get}Authorization: Bearer TOKEN\r\nConnection: close\r\n\r\n", 400));
        yield return ("an empty Host", new($"{Get}Host: \r\nAuthorization: Bearer TOKEN\r\nConnection: close\r\n\r\n", 400, Unsupported));
        yield return ("two Hosts", new($"{Get}Host: HOST\r\n{Head}\r\n", 400));
        yield return ("a Host with a path", new($"{Get}Host: HOST/x\r\nConnection: close\r\n\r\n", 400));
        yield return ("a Host with a quote", new($"{Get}Host: a\"b\r\nConnection: close\r\n\r\n", 400));
        yield return ("HTTP/1.0 without Host", new("GET /v2/acme/app/manifests/latest HTTP/1.0\r\nAuthorization: Bearer TOKEN\r\n\r\n", 400, Unsupported));
        yield return ("HTTP/1.2", new($"GET /v2/acme/app/manifests/latest HTTP/1.2\r\n{Head}\r\n", 505));
        yield return ("HTTP/2.0 in plain text", new($"GET /v2/acme/app/manifests/latest HTTP/2.0\r\n{Head}\r\n", 505));
        yield return ("no version", new($"GET /v2/acme/app/manifests/latest\r\n{Head}\r\n", 400));
        yield return ("a version in lower case", new($"GET /v2/acme/app/manifests/latest http/1.1\r\n{Head}\r\n", 505));
        yield return ("a space before a colon", new($"{Get}{Head}X-A : b\r\n\r\n", 400));
        yield return ("a space before Host's colon", new($"{Get}Host : HOST\r\nConnection: close\r\n\r\n", 400));
        yield return ("a header without a colon", new($"{Get}{Head}Nonsense\r\n\r\n", 400));
        yield return ("a header without a name", new($"{Get}{Head}: b\r\n\r\n", 400));
        yield return ("NUL in a header", new($"{Get}{Head}X-A: b\0c\r\n\r\n", 400));
        yield return ("NUL in a header's name", new($"{Get}{Head}X\0A: b\r\n\r\n", 400));
        yield return ("a header of 129 KiB", new($"{Get}{Head}X-A: {new string('b', 129 * 1024)}\r\n\r\n", 431));
        yield return ("200 headers", new($"{Get}{Head}{string.Concat(Enumerable.Range(0, 200).Select(i => $"X-{i}: b\r\n"))}\r\n", 431));
        yield return ("an Accept in UTF-8", new($"{Get}{Head}Accept: \u00c3\u00a9\r\n\r\n", 400, Unsupported));
        yield return ("an Accept in Latin-1", new($"{Get}{Head}Accept: \u00e9\r\n\r\n", 400));
        yield return ("a User-Agent in UTF-8", new($"{Get}{Head}User-Agent: \u00c3\u00a9\r\n\r\n", 400, Unsupported));
        yield return ("a Range in UTF-8", new($"{Get}{Head}Range: bytes=\u00d9\u00a1-\r\n\r\n", 400, Unsupported));
        yield return ("a Content-Type in UTF-8", new($"{Put}{Head}Content-Type: \u00c3\u00a9\r\nContent-Length: 2\r\n\r\n{{}}", 400, Unsupported));
        yield return ("a token of 63 KiB", new($"{Get}Host: HOST\r\nConnection: close\r\nAuthorization: Bearer {new string('a', 63 * 1024)}\r\n\r\n", 401, "UNAUTHORIZED"));
        yield return ("a token of 65 KiB", new($"{Get}Host: HOST\r\nConnection: close\r\nAuthorization: Bearer {new string('a', 65 * 1024)}\r\n\r\n", 431, Unsupported));
        yield return ("a token of 129 KiB", new($"{Get}Host: HOST\r\nConnection: close\r\nAuthorization: Bearer {new string('a', 129 * 1024)}\r\n\r\n", 431));
        yield return ("two Authorization headers", new($"{Get}{Head}Authorization: Bearer TOKEN\r\n\r\n", 401, "UNAUTHORIZED"));
        yield return ("two tokens in one header", new($"{Get}Host: HOST\r\nConnection: close\r\nAuthorization: Bearer TOKEN, Bearer TOKEN\r\n\r\n", 401, "UNAUTHORIZED"));
        yield return ("Basic at the registry", new($"{Get}Host: HOST\r\nConnection: close\r\nAuthorization: Basic YWxpY2U6eA==\r\n\r\n", 401, "UNAUTHORIZED"));
        yield return ("two Authorization headers at the token endpoint", new(
            "GET /token?service=registry.docker.io HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\nAuthorization: Basic YTpi\r\nAuthorization: Basic YTpi\r\n\r\n", 400, Unsupported));
        yield return ("a body on a GET", new($"{Get}{Head}Content-Length: 5\r\n\r\nhello", 400, Unsupported));
        yield return ("a chunked body on a GET", new($"{Get}{Head}{chunked}\r\n5\r\nhello\r\n0\r\n\r\n", 400, Unsupported));
        yield return ("a body on a HEAD", new($"HEAD /v2/acme/app/manifests/latest HTTP/1.1\r\n{Head}Content-Length: 5\r\n\r\nhello", 400));
        yield return ("a body on a DELETE", new($"DELETE /v2/acme/app/manifests/latest HTTP/1.1\r\n{Head}Content-Length: 5\r\n\r\nhello", 400, Unsupported));
        yield return ("a body on a token GET", new($"GET /token?service=registry.docker.io HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", 400, Unsupported));
        yield return ("a manifest of over 4 MiB", new($"{Put}{Head}Content-Length: 4194305\r\n\r\n", 413, "SIZE_INVALID"));
        yield return ("a manifest of over 4 MiB in chunks", new($"{Put}{Head}{chunked}\r\n400001\r\n{new string('a', 4194305)}\r\n0\r\n\r\n", 413, "SIZE_INVALID"));
        yield return ("a manifest in chunks that break off", new($"{Put}{Head}{chunked}\r\n5\r\nhello\r\nzz\r\n", 400, Unsupported));
        foreach (var coding in new[] { "gzip, chunked", "chunked, chunked", ", chunked" })
            yield return ($"Transfer-Encoding: {coding}", new($"{Post}{Head}Transfer-Encoding: {coding}\r\n\r\n0\r\n\r\n", 400, Unsupported));
        foreach (var coding in new[] { "xchunked", "identity", "chunked, identity", "chunked;q=1", "gzip", "\"chunked\"", "" })
            yield return ($"Transfer-Encoding: {coding}", new($"{Post}{Head}Transfer-Encoding: {coding}\r\n\r\n0\r\n\r\n", 400));
        yield return ("two Transfer-Encodings", new($"{Post}{Head}{chunked}{chunked}\r\n0\r\n\r\n", 400, Unsupported));
        foreach (var length in new[] { "-1", "0x5", "5, 5", "5 5", "99999999999999999999", "\u00b2" })
            yield return ($"Content-Length: {length}", new($"{Post}{Head}Content-Length: {length}\r\n\r\nhello", 400));
        yield return ("two Content-Lengths", new($"{Post}{Head}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400));
        yield return ("a body without a length", new($"{Put.Replace("1.1", "1.0", StringComparison.Ordinal)}{Head}\r\nhello", 400));
    }

    private static int Count(string text, string part) => text.Split(part).Length - 1;

    private string Fill(string request, string token) =>
        request.Replace("HOST", _surroundings.Mirror.Authority, StringComparison.Ordinal).Replace("TOKEN", token, StringComparison.Ordinal);

    /// <summary>An owner's token for everything in the repository, whose key the proxy has learnt.</summary>
    private async Task<string> LearntTokenAsync()
    {
        var token = await _surroundings.TokenAsync("alice", "repository:acme/app:pull,push,delete");
        Assert.Equal(200, (await _surroundings.AskAsync("GET", "/v2/", token)).Status);
        _surroundings.Hub.Requests.Clear();
        return token;
    }
}

public sealed class HostileRequestTests_direct(SharedSurroundings shared) : HostileRequestTests(shared), IClassFixture<SharedSurroundings>;

public sealed class HostileRequestTests_kestrel(KestrelSurroundings shared) : HostileRequestTests(shared), IClassFixture<KestrelSurroundings>;
