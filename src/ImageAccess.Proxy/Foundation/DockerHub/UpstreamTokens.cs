using System.Net.Http.Headers;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Foundation.DockerHub;

/// <summary>Docker Hub's token service, asked on a client's behalf with the client's own credentials.</summary>
public sealed class UpstreamTokens : IDisposable
{
    /// <summary>What a token answer may measure, in bytes: it holds the token twice.</summary>
    private const int MaximumAnswer = 512 * 1024;

    private const string Kind = "token";
    private const string Key = "Upstream:Auth";

    private readonly DocumentExchange _exchange;
    private readonly UpstreamHealth _health;
    private readonly string _address;

    public UpstreamTokens(UpstreamConnections connections, IOptions<UpstreamOptions> options, UpstreamMetrics metrics, UpstreamHealth health, TimeProvider time)
    {
        _exchange = new DocumentExchange(Kind, "the token service", Key, connections, metrics, health, time);
        _health = health;
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
        var answer = await _exchange.AskAsync(request, new AnswerLimits(MaximumAnswer, timeout ?? DocumentExchange.DefaultTimeout), cancellationToken);
        return IsForeign(answer) ? throw Foreign(answer, request.RequestUri!) : answer;
    }

    public void Dispose() => _exchange.Dispose();

    /// <summary>A page or a redirect is of another server: the token service speaks JSON, but for what stands before it in an outage (408, 429, 5xx).</summary>
    private static bool IsForeign(UpstreamDocument answer) =>
        (int)answer.Status is >= 300 and < 400
        || ((int)answer.Status is < 500 and not (408 or 429) && answer.ContentType?.StartsWith("text/", StringComparison.OrdinalIgnoreCase) == true);

    private UnansweredException Foreign(UpstreamDocument answer, Uri address)
    {
        var what = $"another server answers in the place of Docker Hub's token service ({(int)answer.Status}, {answer.ContentType})";
        var cause = $"{what} ({NetworkFailure.HostOf(address)}; look at {Key})";
        _health.Failed(Kind, cause);
        return new UnansweredException(502, what, cause, new HttpRequestException(HttpRequestError.InvalidResponse));
    }
}
