using System.Net.Http.Headers;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Callers.Identity;
using ImageAccess.Proxy.Foundation.DockerHub;
using Microsoft.AspNetCore.Http.Extensions;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.Primitives;

namespace ImageAccess.Proxy.Registry;

/// <summary>
/// <c>GET /v1/search</c>, which <c>docker search</c> asks: the only part of the old registry API that Docker Hub still answers. It tells
/// names and gives no content, so the policy is not asked.
/// </summary>
public sealed class SearchEndpoint(UpstreamSearch search, DockerHubSignIn signIn, RegistryAddresses addresses, ILogger<SearchEndpoint> logger)
{
    private const string Path = "/v1/search";

    private static readonly string[] Parameters = ["q", "n", "page"];

    public static bool Covers(ReadOnlySpan<char> target) => target.StartsWith("/v1/", StringComparison.Ordinal);

    public async Task HandleAsync(HttpContext http, string target)
    {
        if (target != Path && !target.StartsWith(Path + "?", StringComparison.Ordinal))
            await ErrorBody.WriteAsync(http, new RegistryError(404, "UNSUPPORTED", "of version 1 of the registry API only /v1/search is here"));
        else if (!HttpMethods.IsGet(http.Request.Method))
            await ErrorBody.WriteAsync(http, RegistryError.MethodNotAllowed("GET"));
        else if (RequestBody.IsPresent(http))
            await RequestBody.RefuseAsync(http, RegistryError.Unsupported("a GET of this endpoint has no body"));
        else if (ReadQuery(target[Path.Length..]) is not { } query || !TryReadCredentials(http.Request.Headers.Authorization, out var credentials))
            await ErrorBody.WriteAsync(http, RegistryError.Unsupported("the search cannot be read: it takes q, n and page, each once"));
        else
            await AnswerAsync(http, query, credentials);
    }

    private async Task AnswerAsync(HttpContext http, string query, AuthenticationHeaderValue? credentials)
    {
        try
        {
            var (answer, refusal) = await signIn.AskAsync(
                http, addresses.WayInOf(http), SignInCredentials.OfBasic(credentials), within: null, _ => search.AskAsync(query, credentials, http.RequestAborted), proves: false);
            if (answer is null)
            {
                await ErrorBody.WriteAsync(http, refusal!);
                return;
            }

            foreach (var (name, value) in answer.Headers)
                http.Response.Headers[name] = value;
            await ErrorBody.WriteAsync(http, (int)answer.Status, answer.ContentType ?? "application/json", answer.Body);
        }
        catch (UnansweredException exception)
        {
            logger.SearchFailed(exception.Cause);
            await ErrorBody.WriteAsync(http, new RegistryError(exception.Status, "UNAVAILABLE", exception.Message));
        }
    }

    /// <summary>The known parameters, encoded anew; null where one comes twice or cannot be read.</summary>
    private static string? ReadQuery(string query)
    {
        try
        {
            using var reader = new FormReader(query.TrimStart('?')) { ValueCountLimit = 16 };
            var values = reader.ReadForm();
            if (Parameters.Any(name => values.GetValueOrDefault(name).Count > 1))
                return null;
            return new QueryBuilder(Parameters.Where(values.ContainsKey).Select(name => KeyValuePair.Create(name, values[name].ToString()))).ToString().TrimStart('?');
        }
        catch (InvalidDataException)
        {
            return null;
        }
    }

    private static bool TryReadCredentials(StringValues authorization, out AuthenticationHeaderValue? credentials)
    {
        credentials = null;
        return authorization.Count == 0 || (AuthenticationHeaderValue.TryParse(authorization, out credentials)
            && credentials.Scheme is "Basic" or "Bearer" && !OwnFaults.IsStandIn(credentials.Parameter));
    }
}
