using System.Net.Http.Headers;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Foundation.DockerHub;

/// <summary>Docker Hub's token service, asked on a client's behalf with the client's own credentials.</summary>
public sealed class UpstreamTokens : IDisposable
{
    /// <summary>What a token answer may measure, in bytes.</summary>
    private const int MaximumAnswer = 128 * 1024;

    private readonly DocumentExchange _exchange;
    private readonly string _address;

    public UpstreamTokens(UpstreamConnections connections, IOptions<UpstreamOptions> options, UpstreamMetrics metrics, UpstreamHealth health, TimeProvider time)
    {
        _exchange = new DocumentExchange("token", "the token service", connections, metrics, health, time);
        _address = options.Value.Auth.GetLeftPart(UriPartial.Authority) + "/token";
    }

    /// <param name="parameters">The parameters that were accepted, in order.</param>
    /// <param name="basic">The client's Basic credentials, for a GET.</param>
    /// <param name="asForm">POST as a form rather than GET with a query.</param>
    /// <param name="timeout">How long the answer may take; null for as long as any answer.</param>
    /// <param name="cancellationToken">The client's leaving.</param>
    /// <exception cref="UnansweredException">There is no answer to pass on.</exception>
    public async Task<UpstreamDocument> AskAsync(
        IReadOnlyList<KeyValuePair<string, string>> parameters,
        AuthenticationHeaderValue? basic,
        bool asForm,
        TimeSpan? timeout,
        CancellationToken cancellationToken)
    {
        using var form = new FormUrlEncodedContent(parameters);
        using var request = asForm
            ? new HttpRequestMessage(HttpMethod.Post, _address) { Content = form }
            : new HttpRequestMessage(HttpMethod.Get, $"{_address}?{await form.ReadAsStringAsync(cancellationToken)}");
        request.Headers.Authorization = basic;
        return await _exchange.AskAsync(request, new AnswerLimits(MaximumAnswer, timeout ?? DocumentExchange.DefaultTimeout), cancellationToken);
    }

    public void Dispose() => _exchange.Dispose();
}
