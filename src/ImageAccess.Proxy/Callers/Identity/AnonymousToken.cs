using System.Net;
using ImageAccess.Proxy.Foundation.DockerHub;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Callers.Identity;

/// <summary>A token that the token service gives to anyone, fetched over a connection of our own.</summary>
internal sealed class AnonymousToken : IDisposable
{
    private const string Query = "/token?service=registry.docker.io&scope=repository:library/hello-world:pull";

    private static readonly AnswerLimits Limits = new(64 * 1024, TimeSpan.FromSeconds(5));

    private readonly DocumentExchange _exchange;
    private readonly Uri _address;

    public AnonymousToken(UpstreamConnections connections, IOptions<UpstreamOptions> options, UpstreamMetrics metrics, TimeProvider time)
    {
        _exchange = new DocumentExchange("token", "the token service", "Upstream:Auth", connections, metrics, health: null, time);
        TokenService = options.Value.Auth;
        _address = new Uri(TokenService.AbsoluteUri.TrimEnd('/') + Query);
    }

    public Uri TokenService { get; }

    /// <summary>The token, or in one sentence why there is none. Neither holds what the answer said: it may be a token.</summary>
    public async Task<(string? Token, string Cause)> FetchAsync()
    {
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, _address);
            var answer = await _exchange.AskAsync(request, Limits, CancellationToken.None);
            if (answer.Status != HttpStatusCode.OK)
                return (null, $"the token service answered {(int)answer.Status}");
            return TokenAnswer.Read(answer.Body).Either is { } token ? (token, "") : (null, "the token service's answer is not the JSON of a token");
        }
        catch (UnansweredException exception)
        {
            return (null, exception.Cause);
        }
    }

    public void Dispose() => _exchange.Dispose();
}
