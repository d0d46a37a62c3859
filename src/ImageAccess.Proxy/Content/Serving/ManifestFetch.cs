using System.Net;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Content.Upstream;
using ImageAccess.Proxy.Foundation.DockerHub;

namespace ImageAccess.Proxy.Content.Serving;

/// <summary>Answers with upstream's manifests where none is kept.</summary>
internal sealed class ManifestFetch(
    ManifestDownload download, ManifestLinks learnt, ApprovedImages approved, UpstreamRegistry upstream, UpstreamRelay relay, ContentRelay passing, ContentMetrics metrics)
{
    /// <param name="question">The tag that is asked for; null for a digest.</param>
    public Task<ContentAnswer> AnswerAsync(ClientRequest client, ManifestRequest request, TagQuestion? question) =>
        client.IsHead ? AnswerHeadAsync(client, request, question)
        : client.Permit.IsLimited && question is not null ? AnswerApprovedAsync(client, request, question)
        : AnswerGetAsync(client, request, question);

    private async Task<ContentAnswer> AnswerHeadAsync(ClientRequest client, ManifestRequest request, TagQuestion? question)
    {
        using var answer = await HeadAsync(client, request, question);
        return await passing.AnswerAsync(client, request, answer) with { Moved = question?.MovedTo(DigestOf(answer)) };
    }

    /// <summary>
    /// Where only some images are allowed upstream is first asked where the tag points to: nothing is downloaded or kept of what is not
    /// approved, and what is downloaded then is what was found.
    /// </summary>
    private async Task<ContentAnswer> AnswerApprovedAsync(ClientRequest client, ManifestRequest request, TagQuestion question)
    {
        using var answer = await HeadAsync(client, request, question);
        if (answer.StatusCode != HttpStatusCode.OK)
            return await passing.ReadAsync(client, request); // an error has a body
        var digest = DigestOf(answer) ?? throw relay.Failed(request, answer, ContentRelay.WithoutDigest);
        await approved.DemandTagAsync(client, request, question.Tag, digest);
        return await AnswerGetAsync(client, request.ManifestOf(digest), null) with { Moved = question.MovedTo(digest) };
    }

    private async Task<HttpResponseMessage> HeadAsync(ClientRequest client, ManifestRequest request, TagQuestion? question)
    {
        var writes = learnt.WritesOf(request);
        var answer = await upstream.FetchAsync(request, HttpMethod.Head, client.Permit, client.Headers, from: null, client.Aborted);
        if (DigestOf(answer) is { } digest)
            await learnt.LearnAsync(request, question, digest, answer.Content.Headers.ContentType?.ToString(), writes);
        return answer;
    }

    private async Task<ContentAnswer> AnswerGetAsync(ClientRequest client, ManifestRequest request, TagQuestion? question)
    {
        var fetched = await download.RunAsync(client, request, client.Headers, question);
        if (fetched.Digest is null)
        {
            if (!fetched.IsFor(client))
                return await passing.ReadAsync(client, request);
            using (fetched.Answer)
                return await passing.AnswerAsync(client, request, fetched.Answer);
        }

        client.Permit.Demand(fetched.Digest);
        client.Permit.DemandNamed(fetched.Bytes.Span);
        metrics.Served(ManifestServer.Kind, ContentSource.Upstream);
        AnswerHead.Copy(fetched.Answer.Headers.NonValidated, client.Http.Response.Headers);
        if (!fetched.IsFor(client))
            Array.ForEach(AllowedHeaders.AboutCaller, name => client.Http.Response.Headers.Remove(name));
        await ManifestAnswer.WriteAsync(client, fetched.Digest, fetched.MediaType, fetched.Bytes);
        return ContentAnswer.Kept(ContentSource.Upstream, 200) with { Moved = question?.MovedTo(fetched.Digest) };
    }

    private static Digest? DigestOf(HttpResponseMessage answer) => answer.StatusCode == HttpStatusCode.OK ? AnswerHead.DigestOf(answer) : null;
}
