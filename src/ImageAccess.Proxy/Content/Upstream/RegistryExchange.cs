using System.Net.Http.Headers;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.DockerHub;
using Microsoft.AspNetCore.Http.Features;
using Yarp.ReverseProxy.Forwarder;

namespace ImageAccess.Proxy.Content.Upstream;

/// <summary>
/// One request to the registry and its answer: the request is rebuilt from the parse with the allowed headers alone,
/// the answer keeps what the specification or clients look at, its addresses turned to this proxy.
/// </summary>
internal sealed class RegistryExchange(string origin, RepositoryRequest request, Permit permit, string publicOrigin, string realm) : HttpTransformer
{
    /// <summary>Manifests, tag lists, referrers and error bodies, in bytes. Blobs and uploads have no limit.</summary>
    public const int MaximumDocument = 4 * 1024 * 1024;

    /// <summary>Upstream's status, once it has answered.</summary>
    public int? Status { get; private set; }

    public override ValueTask TransformRequestAsync(
        HttpContext httpContext, HttpRequestMessage proxyRequest, string destinationPrefix, CancellationToken cancellationToken)
    {
        proxyRequest.RequestUri = new Uri(origin + permit.UpstreamTarget(request), new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true });
        proxyRequest.Options.Set(RedirectFollower.MayFollow, request is BlobRequest);
        foreach (var (name, values) in httpContext.Request.Headers)
        {
            if (AllowedHeaders.Request.Contains(name))
                proxyRequest.Headers.TryAddWithoutValidation(name, (IEnumerable<string>)values!);
            else if (AllowedHeaders.RequestContent.Contains(name))
                proxyRequest.Content?.Headers.TryAddWithoutValidation(name, (IEnumerable<string>)values!);
        }

        return ValueTask.CompletedTask;
    }

    public override async ValueTask<bool> TransformResponseAsync(HttpContext httpContext, HttpResponseMessage? proxyResponse, CancellationToken cancellationToken)
    {
        if (proxyResponse is null)
            return false;

        Status = (int)proxyResponse.StatusCode;
        await DemandWholeAsync(proxyResponse, cancellationToken);

        var response = httpContext.Response;
        response.StatusCode = Status.Value;
        httpContext.Features.GetRequiredFeature<IHttpResponseFeature>().ReasonPhrase = null;
        Copy(proxyResponse.Headers.NonValidated, response.Headers);
        Copy(proxyResponse.Content.Headers.NonValidated, response.Headers);
        CopyAddresses(proxyResponse, response.Headers);
        return true;
    }

    public override ValueTask TransformResponseTrailersAsync(HttpContext httpContext, HttpResponseMessage proxyResponse, CancellationToken cancellationToken) =>
        ValueTask.CompletedTask;

    /// <summary>
    /// What is small is read to its end before anything is answered. What is streamed must say how long it is,
    /// so that one cut short shows: the forwarder then aborts the client's connection.
    /// </summary>
    private async Task DemandWholeAsync(HttpResponseMessage answer, CancellationToken cancellationToken)
    {
        if (request.Method == "HEAD")
            return;
        if (answer.Content.Headers.ContentLength is null && answer.Headers.TransferEncodingChunked != true && Status is not (204 or 304))
            throw new UpstreamException("upstream's answer does not say how long it is");
        if (request is BlobRequest && Status is 200 or 206)
            return;
        if (answer.Content.Headers.ContentLength > MaximumDocument)
            throw new UpstreamException("upstream's answer is larger than 4 MiB");
        await answer.Content.LoadIntoBufferAsync(MaximumDocument, cancellationToken);
    }

    /// <summary>Those headers of an answer that reach clients.</summary>
    public static void Copy(HttpHeadersNonValidated from, IHeaderDictionary to)
    {
        foreach (var (name, values) in from)
        {
            if (AllowedHeaders.Response.Contains(name) && ToValues(values) is var copied && AllowedHeaders.IsPrintable(copied))
                to[name] = copied;
        }
    }

    private static Microsoft.Extensions.Primitives.StringValues ToValues(HeaderStringValues values) =>
        values.Count == 1 ? values.ToString() : values.ToArray();

    private void CopyAddresses(HttpResponseMessage answer, IHeaderDictionary headers)
    {
        if (answer.Headers.NonValidated.TryGetValues("Location", out var location))
            headers.Location = publicOrigin + OwnPath(location.ToString(), "Location");
        if (answer.Headers.NonValidated.TryGetValues("Link", out var link))
            headers.Link = OwnLink(link.ToString());
        if (answer.Headers.NonValidated.TryGetValues("WWW-Authenticate", out var challenges))
            headers.WWWAuthenticate = OwnChallenge(challenges.ToString());
    }

    /// <summary>The path of an address of this repository, one that this proxy would take, under the name that the client used; its query byte for byte.</summary>
    private string OwnPath(string address, string header)
    {
        var path = address.StartsWith(origin + "/", StringComparison.OrdinalIgnoreCase) ? address[origin.Length..] : address;
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
        var own = Challenge.TryParse(header, out var challenge) ? challenge : new Challenge(realm, "registry.docker.io");
        return (own with { Realm = realm }).ToString();
    }
}
