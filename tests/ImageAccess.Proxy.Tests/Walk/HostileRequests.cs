namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>A request that must be refused before anything of it goes upstream.</summary>
/// <param name="Text">The bytes to send; <c>HOST</c> and <c>TOKEN</c> stand for the mirror's address and a token that would allow it.</param>
/// <param name="Status">The status to be answered.</param>
/// <param name="Code">The error's code; null where the server itself refuses, or where an answer has no body.</param>
public sealed record HostileRequest(string Text, int Status, string? Code = null)
{
    /// <summary>The 405's <c>Allow</c>.</summary>
    public string? Allow { get; init; }
}

/// <summary>Hostile targets and methods. Each is one step away from a request that is answered.</summary>
public static class HostileRequests
{
    public const string Head = "Host: HOST\r\nAuthorization: Bearer TOKEN\r\nConnection: close\r\n";

    private const string Unsupported = "UNSUPPORTED";

    private static readonly string Hex = new('a', 64);
    private static readonly string Blob = "sha256:" + Hex;
    private static readonly string EncodedBlob = "sha256%3A" + Hex;

    public static IEnumerable<(string Name, HostileRequest Request)> Names()
    {
        foreach (var name in new[]
                 {
                     "UPPER/app", "acme/App", "acme/-app", "acme/app-", "acme/a..b", "acme/a___b", "acme/a._b", "acme/.app", "acme/app@x", "acme:80/app",
                     "acme/app,x", "acme/app*", "acme/" + new string('a', 251), new string('a', 248), "acme/a~b", "_acme/app", "acme/a'b", "acme/$app",
                 })
        {
            yield return ($"name {name}", Get($"/v2/{name}/manifests/latest", 400, "NAME_INVALID"));
        }
    }

    public static IEnumerable<(string Name, HostileRequest Request)> References()
    {
        foreach (var tag in new[] { ".latest", "-latest", "lat~est", "lat+est", "lat,est", "lat@est", "", new string('t', 129) })
        {
            yield return ($"tag {tag}", Get($"/v2/acme/app/manifests/{tag}", 404, "TAG_INVALID"));
            yield return ($"HEAD tag {tag}", Ask("HEAD", $"/v2/acme/app/manifests/{tag}", 404));
            yield return ($"DELETE tag {tag}", Ask("DELETE", $"/v2/acme/app/manifests/{tag}", 400, "TAG_INVALID"));
        }

        foreach (var digest in new[]
                 {
                     "sha256:" + new string('a', 63), "sha256:" + new string('a', 65), "sha256:" + new string('A', 64), "sha256:" + new string('g', 64), "SHA256:" + Hex,
                     "sha1:" + new string('a', 40), "sha512:" + Hex, "sha256:", ":" + Hex, "sha256::" + Hex, "lat:est",
                 })
        {
            yield return ($"manifest {digest}", Get($"/v2/acme/app/manifests/{digest}", 404, "DIGEST_INVALID"));
            yield return ($"PUT manifest {digest}", Ask("PUT", $"/v2/acme/app/manifests/{digest}", 400, "DIGEST_INVALID"));
            yield return ($"blob {digest}", Get($"/v2/acme/app/blobs/{digest}", 400, "DIGEST_INVALID"));
        }

        yield return ("blob by tag", Get("/v2/acme/app/blobs/latest", 400, "DIGEST_INVALID"));
        yield return ("blob of nothing", Get("/v2/acme/app/blobs/", 400, "DIGEST_INVALID"));
        yield return ("referrers by tag", Get("/v2/acme/app/referrers/latest", 400, "DIGEST_INVALID"));
    }

    public static IEnumerable<(string Name, HostileRequest Request)> Paths()
    {
        foreach (var path in new[]
                 {
                     "/v2/acme/%61pp/manifests/latest", "/v2/acme%2Fapp/manifests/latest", "/v2/acme%2fapp/manifests/latest", "/v2/acme/app/manifests/%6catest",
                     "/v2/acme/app/manifests%2Flatest", "/v2/someuser/%2e%2e/acme/app/manifests/latest", "/%762/acme/app/manifests/latest",
                     "/v2/acme/app/manifests/latest%3Fx", "/v2/acme/app/manifests/%C3%A9", "/v2/acme%/app/manifests/latest", "/v2/acme/app/blobs/" + EncodedBlob,
                     @"/v2/acme\app/manifests/latest", @"/v2/acme/app\..\x/manifests/latest", "/v2/acme/app/manifests/latest#x", "/v2/acme/app#/manifests/latest",
                     "//v2/acme/app/manifests/latest", "/v2//acme/app/manifests/latest", "/v2/acme//app/manifests/latest", "/v2/acme/app//manifests/latest",
                     "/v2/acme/app/manifests//latest", "/v2/../v2/acme/app/manifests/latest", "/./v2/acme/app/manifests/latest", "/v2/acme/./app/manifests/latest",
                     "/v2/someuser/../acme/app/manifests/latest", "/v2/acme/app/manifests/..", "/v2/acme/app/manifests/.", "/v2/acme/app/manifests/latest/..", "/..",
                     "/v2/acme/app/blobs/uploads/a;b", "/v2/acme/app/blobs/uploads/" + new string('a', 513), "/%74oken",
                 })
        {
            yield return ($"path {path}", Get(path, 400, Unsupported));
        }

        foreach (var path in new[]
                 {
                     "/V2/acme/app/manifests/latest", "/v1/acme/app/manifests/latest", "/v3/", "/", "/V2", "/v2/_catalog", "/v2/acme/_catalog", "/v2/acme/app", "/v2/acme/app/manifests",
                     "/v2/acme/app/Manifests/latest", "/v2/acme/app/manifests/latest/", "/v2/acme/app/tags", "/v2/acme/app/tags/list/x", "/v2/acme/app/tags/latest", "/v2/manifests/latest",
                     "/v2/acme/app/blobs/uploads/a/b", "/v2/acme/app/blob/" + Blob, "/v2/acme/app/signatures/" + Blob, "/token/", "/tokens", "/Token", "/token/x", "/v2/token",
                     "/metrics", "/readyz", "/livez", "/ca.crt/", "/ca.crt?x", "/CA.crt", "/v1/search?q=x", "/v2/x?/../acme/app/manifests/latest",
                 })
        {
            yield return ($"endpoint {path}", Get(path, 404, Unsupported));
        }

        yield return ("path with a raw non-ASCII byte", Get("/v2/acm\u00e9/app/manifests/latest", 400));
        yield return ("path with an encoded NUL", Get("/v2/acme/app/manifests/latest%00", 400));
        yield return ("path with NUL", Get("/v2/acme/app\0/manifests/latest", 400));
        yield return ("path with a tab", Get("/v2/acme/a\tpp/manifests/latest", 400, Unsupported));
        yield return ("path with a space", Get("/v2/acme/a pp/manifests/latest", 400));
        yield return ("absolute form", Get("http://HOST/v2/acme/app/manifests/latest", 400, Unsupported));
        yield return ("absolute form of another host", Get("http://registry-1.docker.io/v2/acme/app/manifests/latest", 400));
        yield return ("absolute form of the token endpoint", Get("http://HOST/token?service=registry.docker.io", 400, Unsupported));
        yield return ("asterisk form", Ask("OPTIONS", "*", 400, Unsupported));
        yield return ("CONNECT", Ask("CONNECT", "registry-1.docker.io:443", 400));
        yield return ("no leading slash", Get("v2/acme/app/manifests/latest", 400));
        yield return ("target of 65 KiB", Get("/v2/acme/app/manifests/latest?x=" + new string('x', 65 * 1024), 414, Unsupported));
        yield return ("token target of 65 KiB", Get("/token?service=registry.docker.io&x=" + new string('x', 65 * 1024), 414, Unsupported));
        yield return ("target of 129 KiB", Get("/v2/acme/app/manifests/latest?x=" + new string('x', 129 * 1024), 414));
    }

    public static IEnumerable<(string Name, HostileRequest Request)> Methods()
    {
        foreach (var (method, path, allow) in new[]
                 {
                     ("POST", "/v2/acme/app/manifests/latest", "GET, HEAD, PUT, DELETE"), ("PATCH", "/v2/acme/app/manifests/latest", "GET, HEAD, PUT, DELETE"),
                     ("OPTIONS", "/v2/acme/app/manifests/latest", "GET, HEAD, PUT, DELETE"), ("TRACE", "/v2/acme/app/manifests/latest", "GET, HEAD, PUT, DELETE"),
                     ("get", "/v2/acme/app/manifests/latest", "GET, HEAD, PUT, DELETE"), ("FOO", "/v2/acme/app/manifests/latest", "GET, HEAD, PUT, DELETE"),
                     ("DELETE", "/v2/acme/app/blobs/" + Blob, "GET, HEAD"), ("PUT", "/v2/acme/app/blobs/" + Blob, "GET, HEAD"), ("POST", "/v2/acme/app/tags/list", "GET"),
                     ("HEAD", "/v2/acme/app/tags/list", "GET"), ("DELETE", "/v2/acme/app/referrers/" + Blob, "GET"), ("GET", "/v2/acme/app/blobs/uploads/", "POST"),
                     ("PUT", "/v2/acme/app/blobs/uploads/", "POST"), ("POST", "/v2/acme/app/blobs/uploads/abc", "GET, PATCH, PUT, DELETE"),
                     ("HEAD", "/v2/acme/app/blobs/uploads/abc", "GET, PATCH, PUT, DELETE"), ("POST", "/v2/", "GET, HEAD"), ("DELETE", "/v2/", "GET, HEAD"), ("PUT", "/v2", "GET, HEAD"),
                     ("PUT", "/token", "GET, POST"), ("DELETE", "/token?service=registry.docker.io", "GET, POST"), ("HEAD", "/token", "GET, POST"),
                 })
        {
            yield return ($"method {method} {path}", Ask(method, path, 405, method == "HEAD" ? null : Unsupported) with { Allow = allow });
        }
    }

    public static IEnumerable<(string Name, HostileRequest Request)> Queries()
    {
        foreach (var (query, code) in new[]
                 {
                     ("?ns=docker.io&ns=docker.io", Unsupported), ("?ns=docker.io&n=1&n%73=docker.io", Unsupported), ("?ns=ghcr.io", Unsupported), ("?ns=", Unsupported),
                     ("?ns", Unsupported), ("?ns=auth.docker.io", Unsupported), ("?ns=docker.io%00", Unsupported), ("?ns=docker.io/evil", Unsupported),
                     ("?ns=registry-1.docker.io:80", Unsupported), ("?ns=%zz", Unsupported), ("?last=a\"b", Unsupported), ("?last=a#b", Unsupported), ("?last=<a>", Unsupported),
                     ("?x=\\", Unsupported),
                 })
        {
            yield return ($"tags {query}", Get("/v2/acme/app/tags/list" + query, 400, code));
        }

        foreach (var (query, code) in new[]
                 {
                     ($"?digest={Blob}&digest={Blob}", Unsupported), ($"?mount={Blob}&mount={Blob}&from=acme/app", Unsupported), ($"?mount={Blob}&from=a/b&from=a/c", Unsupported),
                     ("?mount=sha256:zz&from=acme/app", "DIGEST_INVALID"), ($"?mount={Blob}&from=UPPER/x", "NAME_INVALID"), ($"?mount={Blob}&from=a%252Fb", "NAME_INVALID"),
                     ($"?mount={Blob}&from=..%2F..%2Fx", "NAME_INVALID"), ($"?digest=sha256%253A{Hex}", "DIGEST_INVALID"), ("?digest=sha256%3Aaa", "DIGEST_INVALID"),
                     ("?digest=", "DIGEST_INVALID"), ("?from=", "NAME_INVALID"), ($"?mount={Blob}&from=acme%2fapp%00", "NAME_INVALID"),
                 })
        {
            yield return ($"upload {query}", Ask("POST", "/v2/acme/app/blobs/uploads/" + query, 400, code));
        }

        foreach (var query in new[] { "?tag=", "?tag=v1&tag=.v2", "?tag=a%2Fb", "?tag=v1%26tag", "?t%61g=v1,v2" })
            yield return ($"push {query}", Ask("PUT", $"/v2/acme/app/manifests/{Blob}{query}", 400, "TAG_INVALID"));
        yield return ("referrers of another registry", Get($"/v2/acme/app/referrers/{Blob}?artifactType=a/b&ns=quay.io", 400, Unsupported));
        yield return ("referrers with a fragment", Get($"/v2/acme/app/referrers/{Blob}?artifactType=a/b#c", 400, Unsupported));
        yield return ("digest twice at an upload's end", Ask("PUT", $"/v2/acme/app/blobs/uploads/abc?_state=x&digest={Blob}&%64igest={Blob}", 400, Unsupported));
        yield return ("raw non-ASCII byte in a query", Get("/v2/acme/app/tags/list?last=\u00e9", 400));
    }

    public static HostileRequest Get(string target, int status, string? code = null) => Ask("GET", target, status, code);

    public static HostileRequest Ask(string method, string target, int status, string? code = null) =>
        new($"{method} {target} HTTP/1.1\r\n{Head}\r\n", status, code);
}
