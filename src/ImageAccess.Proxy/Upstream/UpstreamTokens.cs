using System.Net;
using System.Net.Http.Headers;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Upstream;

/// <summary>Docker Hub's token service, asked on a client's behalf with the client's own credentials.</summary>
public sealed class UpstreamTokens : IDisposable
{
    private const string Kind = "token";

    /// <summary>What a token answer may measure, in bytes.</summary>
    private const int MaximumAnswer = 128 * 1024;

    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(15);

    private readonly HttpMessageInvoker _invoker;
    private readonly UpstreamMetrics _metrics;
    private readonly UpstreamHealth _health;
    private readonly TimeProvider _time;
    private readonly string _address;

    public UpstreamTokens(UpstreamConnections connections, IOptions<UpstreamOptions> options, UpstreamMetrics metrics, UpstreamHealth health, TimeProvider time)
    {
        _invoker = new HttpMessageInvoker(connections.ToDockerHub());
        _metrics = metrics;
        _health = health;
        _time = time;
        _address = options.Value.Auth.GetLeftPart(UriPartial.Authority) + "/token";
    }

    /// <param name="parameters">The parameters that were accepted, in order.</param>
    /// <param name="basic">The client's Basic credentials, for a GET.</param>
    /// <param name="asForm">POST as a form rather than GET with a query.</param>
    /// <exception cref="HttpRequestException">The service could not be reached, or its answer broke off or is too large.</exception>
    /// <exception cref="TimeoutException">It did not answer in time.</exception>
    public async Task<TokenAnswer> AskAsync(
        IReadOnlyList<KeyValuePair<string, string>> parameters, AuthenticationHeaderValue? basic, bool asForm, CancellationToken cancellationToken)
    {
        using var form = new FormUrlEncodedContent(parameters);
        using var request = asForm
            ? new HttpRequestMessage(HttpMethod.Post, _address) { Content = form }
            : new HttpRequestMessage(HttpMethod.Get, $"{_address}?{await form.ReadAsStringAsync(cancellationToken)}");
        request.Headers.Authorization = basic;
        request.Headers.UserAgent.Add(UpstreamRegistry.OwnUserAgent);

        using var limit = new CancellationTokenSource(Timeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        int? status = null;
        try
        {
            using var response = await _invoker.SendAsync(request, either.Token);
            status = (int)response.StatusCode;
            await response.Content.LoadIntoBufferAsync(MaximumAnswer, either.Token);
            var body = await response.Content.ReadAsByteArrayAsync(either.Token);
            _health.Answered(Kind);
            return new TokenAnswer(response.StatusCode, response.Content.Headers.ContentType?.ToString(), Copy(response.Headers), body);
        }
        catch (OperationCanceledException exception) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            _health.Failed(Kind, "the token service did not answer in time");
            throw new TimeoutException("the token service did not answer in time", exception);
        }
        catch (HttpRequestException)
        {
            _health.Failed(Kind, "the token service could not be reached");
            throw;
        }
        finally
        {
            _metrics.Asked(Kind, status);
        }
    }

    public void Dispose() => _invoker.Dispose();

    private static Dictionary<string, string> Copy(HttpResponseHeaders headers) => headers.NonValidated
        .Where(header => AllowedHeaders.Response.Contains(header.Key) && AllowedHeaders.IsPrintable(header.Value.ToString()))
        .ToDictionary(header => header.Key, header => header.Value.ToString());
}

/// <summary>The token service's answer, as it is to reach the client.</summary>
public sealed record TokenAnswer(HttpStatusCode Status, string? ContentType, IReadOnlyDictionary<string, string> Headers, ReadOnlyMemory<byte> Body);
