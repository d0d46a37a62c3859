using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace ImageAccess.FakeHubs;

/// <summary>Signed links to blobs at the CDN, valid for twenty minutes.</summary>
internal sealed class CdnLinks(TimeProvider time)
{
    private readonly byte[] _key = RandomNumberGenerator.GetBytes(32);

    public Task RedirectAsync(HttpContext http, Uri cdn, string digest)
    {
        var location = LinkTo(cdn, digest);
        http.Response.Headers.Location = location;
        var body = $"<a href=\"{location.Replace("&", "&amp;", StringComparison.Ordinal)}\">Temporary Redirect</a>.\n\n";
        return http.AnswerAsync(307, body, "text/html; charset=utf-8");
    }

    public string LinkTo(Uri cdn, string digest)
    {
        var hex = digest["sha256:".Length..];
        var path = $"/registry-v2/docker/registry/v2/blobs/sha256/{hex[..2]}/{hex}/data";
        var expires = time.GetUtcNow().AddMinutes(20).ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
        return $"{cdn.AbsoluteUri.TrimEnd('/')}{path}?Expires={expires}&Signature={Sign(path, expires)}&Key-Pair-Id=K1ONSIGNED%2BLINK";
    }

    /// <summary>The digest that a request's link leads to; null when the link was not made here or is over.</summary>
    public string? Read(HttpRequest request)
    {
        var path = request.Path.Value ?? "";
        string? expires = request.Query["Expires"];
        if (expires is null
            || !long.TryParse(expires, CultureInfo.InvariantCulture, out var end)
            || end < time.GetUtcNow().ToUnixTimeSeconds()
            || !request.QueryString.Value!.Contains("Signature=" + Sign(path, expires), StringComparison.Ordinal))
            return null;
        return "sha256:" + path.Split('/')[^2];
    }

    /// <summary>Base64 with the substitutions of CloudFront: <c>-</c>, <c>~</c> and <c>_</c>.</summary>
    private string Sign(string path, string expires) =>
        Convert.ToBase64String(HMACSHA256.HashData(_key, Encoding.ASCII.GetBytes(path + "?" + expires)))
            .Replace('+', '-').Replace('/', '~').Replace('=', '_');
}
