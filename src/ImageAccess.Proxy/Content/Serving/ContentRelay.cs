using System.Net;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Content.Upstream;

namespace ImageAccess.Proxy.Content.Serving;

/// <summary>
/// Passes on upstream's manifests and blobs as kept ones are answered: with the same entity-tag, and as the client's conditions want it.
/// These are judged here and never sent upstream, whose entity-tags may be others.
/// </summary>
internal sealed class ContentRelay(UpstreamRegistry upstream, UpstreamRelay relay, ApprovedImages approved)
{
    /// <summary>Nothing says what the content is.</summary>
    public static UpstreamException WithoutDigest => new("upstream's manifest does not say its digest, and only approved images are allowed");

    /// <summary>Asks upstream for what the client asks for, and answers with what upstream says.</summary>
    /// <exception cref="UpstreamFailedException">There is no answer to pass on; the client has been sent nothing.</exception>
    public async Task<ContentAnswer> ReadAsync(ClientRequest client, RepositoryRequest request)
    {
        var range = request is BlobRequest blob ? ContentRange.Of(client, blob.Digest) : null;
        using var answer = await upstream.ReadAsync(client, request, range?.ToHeader());
        return await AnswerAsync(client, request, answer);
    }

    /// <summary>Answers the client with an answer that was fetched without conditions.</summary>
    /// <param name="passing">Is told the length of each piece of a blob before the client gets it.</param>
    /// <exception cref="UpstreamFailedException">It must not be passed on; the client has been sent nothing.</exception>
    public async Task<ContentAnswer> AnswerAsync(ClientRequest client, RepositoryRequest request, HttpResponseMessage answer, Action<int>? passing = null)
    {
        if (answer.StatusCode is not (HttpStatusCode.OK or HttpStatusCode.PartialContent))
            return ContentAnswer.Of(await relay.AnswerAsync(client, request, answer));

        // Nothing of it has been verified, and its end is not looked at.
        if (client.Permit.IsLimited && request is ManifestRequest && !client.IsHead)
            throw relay.Failed(request, answer, new UpstreamException("upstream's manifest cannot be verified, and only approved images are allowed"));

        var digest = request switch
        {
            BlobRequest blob => blob.Digest,
            ManifestRequest manifest => manifest.Reference.Digest ?? AnswerHead.DigestOf(answer),
            _ => null,
        };
        if (digest is not null)
        {
            if (request is ManifestRequest { Reference.Tag: { } tag } tagged)
                await approved.DemandTagAsync(client, tagged, tag, digest);
            client.Permit.Demand(digest);
            Validators.Write(answer, digest);
        }
        else if (client.Permit.IsLimited)
        {
            throw relay.Failed(request, answer, WithoutDigest);
        }
        else if (client.Permit.HasBlockedDigests)
        {
            throw relay.Failed(request, answer, new UpstreamException("upstream's manifest does not say its digest, and digests are blocked"));
        }

        if (Validators.Judge(client.Headers, Validators.ETagOf(answer)) is not { } status)
            return ContentAnswer.Of(await relay.AnswerAsync(client, request, answer, passing));
        AnswerHead.Copy(answer.Headers.NonValidated, client.Http.Response.Headers);
        ContentPart.WriteEmpty(client.Http.Response, status);
        return ContentAnswer.Of((int)answer.StatusCode);
    }
}
