using System.Net;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Foundation.DockerHub;
using Yarp.ReverseProxy.Forwarder;

namespace ImageAccess.Proxy.Content.Upstream;

/// <summary>
/// Pushes and deletions go through YARP's forwarder, which streams a request's body. None can be sent twice, so each has a connection of its
/// own; and each is answered as soon as upstream answers, whatever of its body is still under way.
/// </summary>
internal sealed class UpstreamWrites(UpstreamRegistry upstream, UpstreamRelay relay, IHttpForwarder forwarder, IdleLimits limits)
{
    private readonly ForwarderRequestConfig _config = new()
    {
        ActivityTimeout = limits.Timeout,
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
        using var upload = new Upload();
        using var connection = upstream.ConnectFor(upload);
        var exchange = new Exchange(upstream, relay, client, request, upload);
        var error = await forwarder.SendAsync(client.Http, upstream.Origin, connection, _config, exchange, client.Aborted);
        upstream.Answered(exchange.Status);
        if (error == ForwarderError.None)
            return exchange.Status!.Value;

        var cause = client.Http.Features.Get<IForwarderErrorFeature>()?.Exception ?? new IOException(error.ToString());
        if (cause is UpstreamFailedException known)
            throw known;
        var failure = error switch
        {
            ForwarderError.RequestTimedOut => new UpstreamFailedException(limits.Stalled(Stall.Answer, cause), where: ""),
            ForwarderError.RequestBodyClient => new UpstreamFailedException(RegistryError.Unsupported("the request's body could not be read"), cause),
            _ => new UpstreamFailedException(cause, where: ""),
        };
        if (!client.Aborted.IsCancellationRequested)
            upstream.Failed(request.Method, request, failure, hasAnswered: exchange.Status is not null);
        throw failure;
    }

    /// <summary>One request: rebuilt from the parse with the allowed headers alone; its answer is passed on as every other is.</summary>
    private sealed class Exchange(UpstreamRegistry upstream, UpstreamRelay relay, ClientRequest client, RepositoryRequest request, Upload upload) : HttpTransformer
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
            upstream.DemandRegistry(proxyResponse);
            Status = (int)proxyResponse.StatusCode;
            if (upload.IsCut)
                httpContext.Response.Headers.Connection = "close"; // the client may stop sending
            await relay.AnswerAsync(client, request, proxyResponse);
            return false;
        }
    }
}
