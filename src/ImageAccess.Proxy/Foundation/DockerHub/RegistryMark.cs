using System.Net;

namespace ImageAccess.Proxy.Foundation.DockerHub;

/// <summary>By what an answer shows that a registry gives it, and not another server that has its name: a captive portal, a filter, a wrong address.</summary>
internal static class RegistryMark
{
    private const string Version = "Docker-Distribution-Api-Version";

    /// <summary>Of the answer to <c>/v2/</c>: the version of the API, or the challenge to get a token.</summary>
    public static bool IsOn(HttpResponseMessage answer) =>
        HasVersion(answer) || (answer.StatusCode == HttpStatusCode.Unauthorized && answer.Headers.WwwAuthenticate.Any(challenge => challenge.Scheme.Equals("Bearer", StringComparison.OrdinalIgnoreCase)));

    /// <summary>
    /// Whether another server gives an answer: a page or a text, and no mark of a registry. What is an outage (429, 5xx), or refuses
    /// the request as it was sent (too large, too slow, malformed), may come from whatever stands before the registry.
    /// </summary>
    public static bool IsForeign(HttpResponseMessage answer) =>
        (int)answer.StatusCode is (>= 200 and < 300) or (>= 400 and < 500 and not (400 or 408 or 413 or 414 or 429 or 431))
        && answer.Content.Headers.ContentType?.MediaType?.StartsWith("text/", StringComparison.OrdinalIgnoreCase) == true
        && !HasVersion(answer)
        && !IsOn(answer);

    private static bool HasVersion(HttpResponseMessage answer) => answer.Headers.NonValidated.Contains(Version);
}
