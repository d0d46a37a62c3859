using System.Net.Http.Headers;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Foundation.DockerHub;

/// <summary>The search of Docker Hub's index: <c>/v1/search</c>.</summary>
public sealed class UpstreamSearch : IDisposable
{
    /// <summary>What a page of results may measure, in bytes.</summary>
    private const int MaximumAnswer = 4 * 1024 * 1024;

    private readonly DocumentExchange _exchange;
    private readonly string _address;

    public UpstreamSearch(UpstreamConnections connections, IOptions<UpstreamOptions> options, UpstreamMetrics metrics, UpstreamHealth health, TimeProvider time)
    {
        _exchange = new DocumentExchange("search", "the search", "Upstream:Index", connections, metrics, health, time);
        _address = options.Value.Index.GetLeftPart(UriPartial.Authority) + "/v1/search";
    }

    /// <param name="query">What follows the address's <c>?</c>, encoded.</param>
    /// <param name="basic">The client's Basic credentials, if it has sent any.</param>
    /// <exception cref="UnansweredException">There is no answer to pass on.</exception>
    public async Task<UpstreamDocument> AskAsync(string query, AuthenticationHeaderValue? basic, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"{_address}?{query}");
        request.Headers.Authorization = basic;
        return await _exchange.AskAsync(request, new AnswerLimits(MaximumAnswer, DocumentExchange.DefaultTimeout), cancellationToken);
    }

    public void Dispose() => _exchange.Dispose();
}
