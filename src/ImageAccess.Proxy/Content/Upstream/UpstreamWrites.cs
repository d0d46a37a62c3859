using System.Net;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Foundation.DockerHub;
using Yarp.ReverseProxy.Forwarder;

namespace ImageAccess.Proxy.Content.Upstream;

/// <summary>Pushes and deletions go through YARP's forwarder, which streams a request's body while it waits for the answer.</summary>
internal sealed class UpstreamWrites(UpstreamRegistry upstream, UpstreamRelay relay, IHttpForwarder forwarder)
{
    private static readonly ForwarderRequestConfig Config = new()
    {
        ActivityTimeout = IdleLimit.Timeout,
        Version = HttpVersion.Version11,
        VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        AllowResponseBuffering = false,
    };

    /// <summary>Sends the client's request on, and answers with what upstream says.</summary>
    /// <returns>Upstream's status.</returns>
    /// <exception cref="UpstreamFailedException">There is no answer to pass on; the client has been sent nothing.</exception>
    public async Task<int> ForwardAsync(ClientRequest client, RepositoryRequest request)
    {
        UpstreamRegistry.DemandFit(client.Headers);
        var exchange = new Exchange(upstream, relay, client, request);
        var error = await forwarder.SendAsync(client.Http, upstream.Origin, upstream.Connection, Config, exchange, client.Aborted);
        upstream.Answered(exchange.Status);
        if (error == ForwarderError.None)
            return exchange.Status!.Value;

        var cause = client.Http.Features.Get<IForwarderErrorFeature>()?.Exception ?? new IOException(error.ToString());
        if (cause is UpstreamFailedException known)
            throw known;
        var failure = error switch
        {
            ForwarderError.RequestTimedOut => new UpstreamFailedException(IdleLimit.Stalled("upstream did not answer", cause)),
            ForwarderError.RequestBodyClient => new UpstreamFailedException(RegistryError.Unsupported("the request's body could not be read"), cause),
            _ => new UpstreamFailedException(cause),
        };
        if (!client.Aborted.IsCancellationRequested)
            upstream.Failed(request.Method, request, failure, hasAnswered: exchange.Status is not null);
        throw failure;
    }

    /// <summary>One request: rebuilt from the parse with the allowed headers alone; its answer is passed on as every other is.</summary>
    private sealed class Exchange(UpstreamRegistry upstream, UpstreamRelay relay, ClientRequest client, RepositoryRequest request) : HttpTransformer
    {
        /// <summary>Upstream's status, once it has answered.</summary>
        public int? Status { get; private set; }

        public override ValueTask TransformRequestAsync(HttpContext httpContext, HttpRequestMessage proxyRequest, string destinationPrefix, CancellationToken cancellationToken)
        {
            upstream.Address(proxyRequest, request, client.Permit);
            foreach (var (name, values) in client.Headers)
            {
                if (AllowedHeaders.Request.Contains(name))
                    proxyRequest.Headers.TryAddWithoutValidation(name, (IEnumerable<string>)values!);
                else if (AllowedHeaders.RequestContent.Contains(name))
                    proxyRequest.Content?.Headers.TryAddWithoutValidation(name, (IEnumerable<string>)values!);
            }

            return ValueTask.CompletedTask;
        }

        /// <returns>Always false: nothing is left for the forwarder to copy.</returns>
        public override async ValueTask<bool> TransformResponseAsync(HttpContext httpContext, HttpResponseMessage? proxyResponse, CancellationToken cancellationToken)
        {
            if (proxyResponse is null)
                return false;
            Status = (int)proxyResponse.StatusCode;
            await relay.AnswerAsync(client, request, proxyResponse);
            return false;
        }
    }
}
