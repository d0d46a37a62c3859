using System.Net;
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
        if (request is ListRequest list && answer.Headers.NonValidated.TryGetValues("Link", out var links))
            WriteNextPage(list, LinkHeader.NextOf(links), headers);
        if (answer.Headers.NonValidated.TryGetValues("WWW-Authenticate", out var challenges) || answer.StatusCode == HttpStatusCode.Unauthorized)
            headers.WWWAuthenticate = OwnChallenge(challenges).ToString();
    }

    /// <summary>The path of an address of this repository, one that this proxy would take, under the name that the client used; its query byte for byte.</summary>
    private string OwnPath(string address, string header)
    {
        var path = WithoutOrigin(address);
        var prefix = $"/v2/{request.Repository.Value}/";
        if (!path.StartsWith(prefix, StringComparison.Ordinal)
            || !RegistryRequest.TryParse("GET", path, out var led, out _)
            || led is not RepositoryRequest inside
            || !inside.Repository.Equals(request.Repository))
            throw new UpstreamException($"upstream's {header} leads out of the repository");
        return $"/v2/{request.NameAsWritten}/{path[prefix.Length..]}";
    }

    /// <summary>The link to a list's next page (RFC 8288). One that cannot be followed here is left out, and the client is told that the list goes on.</summary>
    private void WriteNextPage(ListRequest list, IReadOnlyList<string> targets, IHeaderDictionary headers)
    {
        if (targets.Select(target => list.NextPage(WithoutOrigin(target))).FirstOrDefault(page => page is not null) is { } next)
            headers.Link = $"<{next}>; rel=\"next\"";
        else if (targets.Count > 0)
            headers.Append("Warning", "299 - \"this list goes on, but Docker Hub's link to its next page leads elsewhere\"");
    }

    /// <summary>The path and query of an address of upstream; any other address as it is.</summary>
    private string WithoutOrigin(string address)
    {
        var authority = upstreamOrigin[upstreamOrigin.IndexOf("//", StringComparison.Ordinal)..];
        string[] origins = [upstreamOrigin, $"{upstreamOrigin}:{new Uri(upstreamOrigin).Port}", authority];
        return origins.FirstOrDefault(origin => address.StartsWith(origin + "/", StringComparison.OrdinalIgnoreCase)) is { } found ? address[found.Length..] : address;
    }

    /// <summary>
    /// Upstream's challenge with this proxy's realm. What it does not say, or says in a form that clients of registries do not take, is as
    /// this request needs it: a 401 without a challenge helps no client (RFC 9110, section 15.5.2).
    /// </summary>
    private Challenge OwnChallenge(HeaderStringValues values)
    {
        var theirs = values.Select(value => AllowedHeaders.IsPrintable(value) && Challenge.TryParse(value, out var challenge) ? challenge : null)
            .FirstOrDefault(challenge => challenge is not null);
        return new Challenge(client.Realm, theirs is { Service.Length: > 0 } ? theirs.Service : Challenge.DockerHubService)
        {
            Scope = theirs is { Scope.Length: > 0 } ? theirs.Scope : string.Join(' ', request.Scopes),
            Error = theirs?.Error,
        };
    }
}
