using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Content.Cache;
using ImageAccess.Proxy.Content.Upstream;
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
    TagRevalidation revalidation,
    UpstreamRelay relay,
    UpstreamWrites writes,
    AcceptForms accepts,
    ContentMetrics metrics,
    IOptions<ContentOptions> options,
    TimeProvider time,
    ILogger<ManifestServer> logger)
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
        using (var content = await OpenAsync(client, digest))
        {
            if (content is not null)
                return await SendAsync(client, content, ContentSource.Cache);
        }

        return await fetch.AnswerAsync(client, request, null);
    }

    private async ValueTask<ContentAnswer> ServeTagAsync(ClientRequest client, ManifestRequest request, Tag tag)
    {
        var accept = accepts.Of(client.Headers.Accept);
        var known = await links.FindTagAsync(client.Permit, tag, accept, client.Aborted);
        using var content = known is null ? null : await OpenAsync(client, known.Digest);
        if (content is null)
            return await fetch.AnswerAsync(client, request, new TagQuestion(tag, accept, known?.Digest));

        var age = time.GetUtcNow() - known!.SeenAt;
        if (age < options.Value.TagFreshness)
            return await SendAsync(client, content, ContentSource.Cache);

        var (question, mayBeStale) = (new TagQuestion(tag, accept, known.Digest), age < options.Value.StaleFor);
        var answer = await revalidation.RunAsync(client, request, question, mayBeStale);
        if (answer.Digest is { } digest)
            return digest.Equals(known.Digest) ? await SendAsync(client, content, ContentSource.Cache, 200) : await ServeMovedAsync(client, request, question, digest);
        if (answer.MayBeStale && mayBeStale)
            return await ServeStaleAsync(client, request, content, answer);
        return answer.Failure is { } failure ? ContentAnswer.Failed(failure) : ContentAnswer.Of(await relay.ReadAsync(client, request));
    }

    private async ValueTask<ContentAnswer> ServeMovedAsync(ClientRequest client, ManifestRequest request, TagQuestion question, Digest digest)
    {
        using var content = await OpenAsync(client, digest);
        return content is null
            ? await fetch.AnswerAsync(client, request, question)
            : await SendAsync(client, content, ContentSource.Cache, 200) with { Moved = question.MovedTo(digest) };
    }

    private ValueTask<ContentAnswer> ServeStaleAsync(ClientRequest client, ManifestRequest request, CachedContent content, TagAnswer answer)
    {
        logger.ServedStale(request.Repository.Value, request.Reference.Value, answer.Cause);
        revalidation.ServedStale(answer.Cause);
        client.Http.Response.Headers.Warning = "110 - \"Response is Stale\"";
        return SendAsync(client, content, ContentSource.Stale, answer.Status);
    }

    /// <summary>What is kept and known to be a manifest.</summary>
    private async ValueTask<CachedContent?> OpenAsync(ClientRequest client, Digest digest)
    {
        var link = await links.FindAsync(client.Permit, digest, client.Aborted);
        return link?.MediaType is null ? null : await contents.OpenAsync(link, client.Aborted);
    }

    private async ValueTask<ContentAnswer> SendAsync(ClientRequest client, CachedContent content, ContentSource source, int? upstreamStatus = null)
    {
        metrics.Served(Kind, source);
        await ManifestAnswer.WriteAsync(client, content);
        return ContentAnswer.Kept(source, upstreamStatus);
    }
}
