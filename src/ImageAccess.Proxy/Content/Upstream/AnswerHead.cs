using System.Net.Http.Headers;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Foundation.DockerHub;
using Microsoft.AspNetCore.Http.Features;

namespace ImageAccess.Proxy.Content.Upstream;

/// <summary>The head of upstream's answer as it reaches the client: the headers that clients look at, with its addresses turned to this proxy.</summary>
internal sealed class AnswerHead(string upstreamOrigin, ClientRequest client, RepositoryRequest request)
{
    /// <exception cref="UpstreamException">An address leads out of the repository.</exception>
    public void Write(HttpResponseMessage answer)
    {
        var response = client.Http.Response;
        response.StatusCode = (int)answer.StatusCode;
        client.Http.Features.GetRequiredFeature<IHttpResponseFeature>().ReasonPhrase = null;
        Copy(answer.Headers.NonValidated, response.Headers);
        Copy(answer.Content.Headers.NonValidated, response.Headers);
        CopyAddresses(answer, response.Headers);
    }

    /// <summary>Copies those headers of an answer that reach clients.</summary>
    public static void Copy(HttpHeadersNonValidated from, IHeaderDictionary to)
    {
        foreach (var (name, values) in from)
        {
            if (AllowedHeaders.Response.Contains(name) && ToValues(values) is var copied && AllowedHeaders.IsPrintable(copied))
                to[name] = copied;
        }
    }

    /// <summary>The digest that upstream says an answer's content has; null where it says none.</summary>
    public static Digest? DigestOf(HttpResponseMessage answer) =>
        answer.Headers.NonValidated.TryGetValues("Docker-Content-Digest", out var values) && Digest.TryParse(values.ToString(), out var digest) ? digest : null;

    private static Microsoft.Extensions.Primitives.StringValues ToValues(HeaderStringValues values) =>
        values.Count == 1 ? values.ToString() : values.ToArray();

    private void CopyAddresses(HttpResponseMessage answer, IHeaderDictionary headers)
    {
        if (answer.Headers.NonValidated.TryGetValues("Location", out var location))
            headers.Location = client.Origin + OwnPath(location.ToString(), "Location");
        if (answer.Headers.NonValidated.TryGetValues("Link", out var link))
            headers.Link = OwnLink(link.ToString());
        if (answer.Headers.NonValidated.TryGetValues("WWW-Authenticate", out var challenges))
            headers.WWWAuthenticate = OwnChallenge(challenges.ToString());
    }

    /// <summary>The path of an address of this repository, one that this proxy would take, under the name that the client used; its query byte for byte.</summary>
    private string OwnPath(string address, string header)
    {
        var path = address.StartsWith(upstreamOrigin + "/", StringComparison.OrdinalIgnoreCase) ? address[upstreamOrigin.Length..] : address;
        var prefix = $"/v2/{request.Repository.Value}/";
        if (!path.StartsWith(prefix, StringComparison.Ordinal)
            || !RegistryRequest.TryParse("GET", path, out var led, out _)
            || led is not RepositoryRequest inside
            || !inside.Repository.Equals(request.Repository))
            throw new UpstreamException($"upstream's {header} leads out of the repository");
        return $"/v2/{request.NameAsWritten}/{path[prefix.Length..]}";
    }

    /// <summary><c>&lt;/v2/NAME/tags/list?last=…&gt;; rel="next"</c> (RFC 8288).</summary>
    private string OwnLink(string link)
    {
        var end = link.IndexOf('>', StringComparison.Ordinal);
        if (link is not ['<', ..] || end < 0)
            throw new UpstreamException("upstream's Link cannot be read");
        return $"<{OwnPath(link[1..end], "Link")}>; rel=\"next\"";
    }

    private string OwnChallenge(string header)
    {
        var own = Challenge.TryParse(header, out var challenge) ? challenge : new Challenge(client.Realm, "registry.docker.io");
        return (own with { Realm = client.Realm }).ToString();
    }
}
