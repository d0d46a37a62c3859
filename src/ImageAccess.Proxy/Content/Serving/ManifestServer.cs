using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Content.Cache;
using ImageAccess.Proxy.Content.Upstream;
using ImageAccess.Proxy.Foundation.DockerHub;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Content.Serving;

/// <summary>
/// Manifests, by digest and by tag. A tag's last known digest is served for a while without a request to upstream; then upstream is
/// asked where the tag points to; while upstream cannot answer, the last known digest is served for longer.
/// </summary>
internal sealed class ManifestServer(
    IContentStore contents,
    ILinkStore links,
    ManifestLinks learnt,
    ManifestFetch fetch,
    Revalidation revalidation,
    ApprovedImages approved,
    UpstreamWrites writes,
    AcceptForms accepts,
    ContentMetrics metrics,
    UpstreamMetrics pulls,
    IOptions<ContentOptions> options,
    TimeProvider time)
{
    /// <summary>The word for manifests in metrics.</summary>
    public const string Kind = "manifest";

    public ValueTask<ContentAnswer> ServeAsync(ClientRequest client, ManifestRequest request) =>
        request.Reference.Tag is { } tag ? ServeTagAsync(client, request, tag) : ServeDigestAsync(client, request, request.Reference.Digest!);

    /// <summary>A push or a deletion: what is known of it is forgotten before upstream is asked, and again after it has answered.</summary>
    public async Task<ContentAnswer> WriteAsync(ClientRequest client, ManifestRequest request)
    {
        await learnt.ForgetAsync(request);
        try
        {
            return ContentAnswer.Of(await writes.ForwardAsync(client, request));
        }
        finally
        {
            await learnt.ForgetAsync(request);
        }
    }

    private async ValueTask<ContentAnswer> ServeDigestAsync(ClientRequest client, ManifestRequest request, Digest digest)
    {
        var link = await FindAsync(client, digest);
        using (var content = await contents.OpenAsync(link, client.Aborted))
        {
            if (content is not null)
            {
                return options.Value.IsFresh(link!, time.GetUtcNow())
                    ? await SendAsync(client, content, ContentSource.Cache)
                    : await revalidation.AnswerAsync(client, request, link!, Sending(client, content));
            }
        }

        return await fetch.AnswerAsync(client, request, null);
    }

    private async ValueTask<ContentAnswer> ServeTagAsync(ClientRequest client, ManifestRequest request, Tag tag)
    {
        var accept = accepts.Of(client.Headers.Accept);
        var known = await links.FindTagAsync(client.Permit, tag, accept, client.Aborted);
        var link = known is null ? null : await FindAsync(client, known.Digest);
        using var content = await contents.OpenAsync(link, client.Aborted);
        if (content is null)
            return await fetch.AnswerAsync(client, request, new TagQuestion(tag, accept, known?.Digest));

        var now = time.GetUtcNow();
        var age = now - known!.SeenAt;
        if (age < options.Value.TagFreshness && options.Value.IsFresh(link!, now))
        {
            await approved.DemandTagAsync(client, request, tag, known.Digest);
            return await SendAsync(client, content, ContentSource.Cache);
        }

        var (question, staleUntil) = (new TagQuestion(tag, accept, known.Digest), known.SeenAt + options.Value.StaleFor);
        var answer = await revalidation.RunAsync(client, request, question, link!, hasStale: now < staleUntil);
        await approved.DemandTagAsync(client, request, tag, answer.Digest ?? known.Digest);
        if (answer.Digest is { } digest)
            return digest.Equals(known.Digest) ? await SendAsync(client, content, ContentSource.Cache, 200) : await ServeMovedAsync(client, request, question, digest);
        client.Permit.Demand(known.Digest); // before anything is said of what is stale
        return await revalidation.AnswerWithoutAsync(client, request, answer, staleUntil, Sending(client, content));
    }

    private async ValueTask<ContentAnswer> ServeMovedAsync(ClientRequest client, ManifestRequest request, TagQuestion question, Digest digest)
    {
        using var content = await contents.OpenAsync(await FindAsync(client, digest), client.Aborted);
        return content is null
            ? await fetch.AnswerAsync(client, request, question)
            : await SendAsync(client, content, ContentSource.Cache, 200) with { Moved = question.MovedTo(digest) };
    }

    /// <summary>By what the repository has what is known to be a manifest.</summary>
    private async ValueTask<ContentLink?> FindAsync(ClientRequest client, Digest digest) =>
        await links.FindAsync(client.Permit, digest, client.Aborted) is { MediaType: not null } link ? link : null;

    /// <summary>Apart, so that nothing is allocated for it where it is not needed.</summary>
    private Func<ContentSource, int?, ValueTask<ContentAnswer>> Sending(ClientRequest client, CachedContent content) =>
        (source, status) => SendAsync(client, content, source, status);

    private async ValueTask<ContentAnswer> SendAsync(ClientRequest client, CachedContent content, ContentSource source, int? upstreamStatus = null)
    {
        client.Permit.Demand(content.Digest);
        if (client.Permit.HasBlockedDigests)
            client.Permit.DemandNamed((content.Bytes ?? await ManifestAnswer.ReadAsync(content, client.Aborted)).Span);
        metrics.Served(Kind, source);
        pulls.Pulled(PulledBy.Cache);
        await ManifestAnswer.WriteAsync(client, content);
        return ContentAnswer.Kept(source, upstreamStatus);
    }
}
