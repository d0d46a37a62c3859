using System.Net;

namespace ImageAccess.Proxy.Content.Upstream;

/// <summary>
/// Sends a request to the registry and follows the redirects of a blob on the client's behalf, to the listed hosts alone.
/// Nothing of the client goes there but its range: no credential, no other header.
/// </summary>
internal sealed class RedirectFollower(HttpMessageHandler registry, RedirectTargets targets) : DelegatingHandler(registry)
{
    /// <summary>How many redirects one request may take.</summary>
    private const int MaximumHops = 5;

    /// <summary>Set on requests whose redirects may be followed.</summary>
    public static readonly HttpRequestOptionsKey<bool> MayFollow = new("imageaccess.follow");

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var response = await base.SendAsync(request, cancellationToken);
        if (!IsRedirect(response.StatusCode))
            return response;

        using var first = response;
        if (!request.Options.TryGetValue(MayFollow, out var follow) || !follow)
            throw new UpstreamException($"upstream answered {(int)response.StatusCode}, a redirect, where none is expected");

        var target = targets.Next(request.RequestUri!, first);
        for (var hop = 1; ; hop++)
        {
            var answer = await targets.AskAsync(request, target, cancellationToken);
            if (!IsRedirect(answer.StatusCode))
                return Accept(answer, first);

            using (answer)
                target = targets.Next(target, answer);
            if (hop == MaximumHops)
                throw new UpstreamException($"upstream redirects more than {MaximumHops} times");
        }
    }

    private static bool IsRedirect(HttpStatusCode status) => (int)status is 301 or 302 or 303 or 307 or 308;

    /// <summary>Content, or a range that it does not have. Any other status is about the signed address, which does not concern the client.</summary>
    private static HttpResponseMessage Accept(HttpResponseMessage answer, HttpResponseMessage redirect)
    {
        if ((int)answer.StatusCode is not (200 or 206 or 416))
        {
            using (answer)
                throw new UpstreamException($"{answer.RequestMessage?.RequestUri?.IdnHost} answered {(int)answer.StatusCode} for a blob");
        }

        const string Digest = "Docker-Content-Digest";
        if (!answer.Headers.Contains(Digest) && redirect.Headers.TryGetValues(Digest, out var digest))
            answer.Headers.TryAddWithoutValidation(Digest, digest);
        return answer;
    }
}
