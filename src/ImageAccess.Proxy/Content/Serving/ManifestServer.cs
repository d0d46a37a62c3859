using System.Net;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Content.Cache;
using ImageAccess.Proxy.Content.Upstream;
using ImageAccess.Proxy.Foundation.DockerHub;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Content.Serving;

/// <summary>
/// Manifests, by digest and by tag. A tag's last known digest serves for a while without a question; then upstream is asked by HEAD,
/// which costs nothing of the pull limit; and when upstream cannot answer, it serves on for a longer while.
/// </summary>
internal sealed class ManifestServer(
    ICacheStore store,
    UpstreamRegistry upstream,
    UpstreamRelay relay,
    UpstreamWrites writes,
    UpstreamHealth health,
    ContentMetrics metrics,
    IOptions<ContentOptions> options,
    TimeProvider time,
    ILogger<ManifestServer> logger)
{
    private const string Kind = "manifest";

    /// <summary>What is degraded while tags are served stale.</summary>
    private const string Tags = "tags";

    /// <summary>How often another's question may fail before everybody asks for himself.</summary>
    private const int MaximumTries = 3;

    /// <summary>How long upstream may think about a tag while there is something to serve in its place.</summary>
    private static readonly TimeSpan SlowAfter = TimeSpan.FromSeconds(5);

    private readonly AcceptForms _accepts = new();
    private readonly TagEpochs _epochs = new();
    private readonly SingleFlight<(string Repository, string Tag, string Accept), TagAnswer> _revalidations = new();
    private readonly SingleFlight<(string Repository, string Reference, string Accept), FetchedManifest> _fetches = new();

    public ValueTask<ContentAnswer> ServeAsync(ClientRequest client, ManifestRequest request) =>
        request.Reference.Tag is { } tag ? ServeTagAsync(client, request, tag) : ServeDigestAsync(client, request, request.Reference.Digest!);

    /// <summary>A push or a deletion: what was known of it is forgotten, before upstream is asked and after.</summary>
    public async Task<ContentAnswer> WriteAsync(ClientRequest client, ManifestRequest request)
    {
        Forget(request);
        try
        {
            return ContentAnswer.Of(await writes.ForwardAsync(client, request));
        }
        finally
        {
            Forget(request);
        }
    }

    private void Forget(ManifestRequest request)
    {
        if (request.Reference.Tag is { } tag)
        {
            _epochs.Next(request.Repository, tag.Value);
            store.ForgetTag(request.Repository, tag);
        }
        else if (request.Method == "DELETE")
        {
            store.Unlink(request.Repository, request.Reference.Digest!);
        }
    }

    private async ValueTask<ContentAnswer> ServeDigestAsync(ClientRequest client, ManifestRequest request, Digest digest)
    {
        using (var content = store.Open(client.Permit, digest))
        {
            if (content is { MediaType: not null })
                return await SendAsync(client, content, ContentSource.Cache);
        }

        return await AskAsync(client, request, null);
    }

    private async ValueTask<ContentAnswer> ServeTagAsync(ClientRequest client, ManifestRequest request, Tag tag)
    {
        var accept = _accepts.Of(client.Headers.Accept);
        var known = store.FindTag(client.Permit, tag, accept);
        using var content = known is null ? null : store.Open(client.Permit, known.Digest);
        if (content is not { MediaType: not null })
            return await AskAsync(client, request, new TagQuestion(tag, accept, known?.Digest));

        var age = time.GetUtcNow() - known!.SeenAt;
        if (age < options.Value.TagFreshness)
            return await SendAsync(client, content, ContentSource.Cache);

        var answer = await RevalidateAsync(client, request, new TagQuestion(tag, accept, known.Digest), age < options.Value.StaleFor);
        if (answer.Digest is { } digest)
        {
            using var current = digest.Equals(known.Digest) ? null : store.Open(client.Permit, digest);
            var moved = digest.Equals(known.Digest) ? ((Digest, Digest)?)null : (known.Digest, digest);
            return moved is null ? await SendAsync(client, content, ContentSource.Cache, 200)
                : current is { MediaType: not null } ? await SendAsync(client, current, ContentSource.Cache, 200) with { Moved = moved }
                : await AskAsync(client, request, new TagQuestion(tag, accept, known.Digest));
        }

        if (!answer.MayBeStale || age >= options.Value.StaleFor)
            return answer.Failure is { } failure ? ContentAnswer.Failed(failure) : ContentAnswer.Of(await relay.ReadAsync(client, request));

        logger.ServedStale(request.Repository.Value, tag.Value, answer.Cause);
        health.Failed(Tags, $"tags are served from what is kept, because Docker Hub cannot answer: {answer.Cause}");
        client.Http.Response.Headers.Warning = "110 - \"Response is Stale\"";
        return await SendAsync(client, content, ContentSource.Stale, answer.Status);
    }

    /// <summary>Asks upstream for what is not kept, by the client's own method.</summary>
    private Task<ContentAnswer> AskAsync(ClientRequest client, ManifestRequest request, TagQuestion? question) =>
        client.IsHead ? AskHeadAsync(client, request, question) : FetchAsync(client, request, question);

    /// <summary>Asks upstream by HEAD where the tag points to; once for all who want to know it now.</summary>
    private async Task<TagAnswer> RevalidateAsync(ClientRequest client, ManifestRequest request, TagQuestion question, bool hasStale)
    {
        var key = (request.Repository.Value, question.Tag.Value, question.Accept);
        return await _revalidations.RunAsync(key, () => AskTagAsync(client, request, question, hasStale), client.Aborted) is { } answer && answer.IsForAll
            ? answer
            : await AskTagAsync(client, request, question, hasStale);
    }

    private async Task<TagAnswer> AskTagAsync(ClientRequest client, ManifestRequest request, TagQuestion question, bool hasStale)
    {
        using var limit = hasStale ? new CancellationTokenSource(SlowAfter, time) : new CancellationTokenSource();
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, client.Aborted);
        var epoch = _epochs.Of(request.Repository, question.Tag.Value);
        try
        {
            using var answer = await upstream.FetchAsync(request, HttpMethod.Head, client.Permit, client.Headers, from: null, either.Token);
            var status = (int)answer.StatusCode;
            if (status == 200 && DigestOf(answer) is { } digest)
            {
                health.Answered(Tags);
                Learn(request, question, digest, answer.Content.Headers.ContentType?.ToString(), epoch);
                return new TagAnswer(status, digest, null, MayBeStale: false, "");
            }

            var isMissing = status == 404;
            if (isMissing && !options.Value.StaleWhenMissing)
                store.ForgetTag(request.Repository, question.Tag);
            return new TagAnswer(status, null, null, status is 429 or >= 500 || (isMissing && options.Value.StaleWhenMissing), $"status {status}");
        }
        catch (UpstreamFailedException exception)
        {
            return new TagAnswer(null, null, exception.Error, MayBeStale: true, exception.Message);
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested && !client.Aborted.IsCancellationRequested)
        {
            return new TagAnswer(null, null, new RegistryError(504, "UNAVAILABLE", "Docker Hub did not answer in time"), MayBeStale: true, "no answer in time");
        }
    }

    private async Task<ContentAnswer> AskHeadAsync(ClientRequest client, ManifestRequest request, TagQuestion? question)
    {
        var epoch = question is null ? 0 : _epochs.Of(request.Repository, question.Tag.Value);
        using var answer = await upstream.FetchAsync(request, HttpMethod.Head, client.Permit, client.Headers, from: null, client.Aborted);
        var digest = answer.StatusCode == HttpStatusCode.OK ? DigestOf(answer) : null;
        if (digest is not null)
            Learn(request, question, digest, answer.Content.Headers.ContentType?.ToString(), epoch);
        return ContentAnswer.Of(await relay.AnswerAsync(client, request, answer)) with { Moved = MovedFrom(question, digest) };
    }

    /// <summary>Gets it from upstream whole, once for all who want it now, verifies it, keeps it and hands it out.</summary>
    private async Task<ContentAnswer> FetchAsync(ClientRequest client, ManifestRequest request, TagQuestion? question)
    {
        var key = (request.Repository.Value, request.Reference.Value, _accepts.Of(client.Headers.Accept));
        FetchedManifest? fetched = null;
        for (var tries = 0; fetched is null && tries < MaximumTries; tries++)
            fetched = await _fetches.RunAsync(key, () => DownloadAsync(client, request, question), client.Aborted);
        fetched ??= await DownloadAsync(client, request, question);
        using (fetched.Join())
        {
            if (fetched.Digest is null)
            {
                return fetched.TryTakeAnswer(client) is { } own
                    ? ContentAnswer.Of(await relay.AnswerAsync(client, request, own))
                    : ContentAnswer.Of(await relay.ReadAsync(client, request));
            }

            metrics.Served(Kind, ContentSource.Upstream);
            AnswerHead.Copy(fetched.Answer.Headers.NonValidated, client.Http.Response.Headers);
            await WriteAsync(client, fetched.Digest, fetched.MediaType, fetched.Bytes);
            return ContentAnswer.Kept(ContentSource.Upstream, 200) with { Moved = MovedFrom(question, fetched.Digest) };
        }
    }

    private async Task<FetchedManifest> DownloadAsync(ClientRequest client, ManifestRequest request, TagQuestion? question)
    {
        var epoch = question is null ? 0 : _epochs.Of(request.Repository, question.Tag.Value);
        var answer = await upstream.FetchAsync(request, HttpMethod.Get, client.Permit, client.Headers, from: null, client.Aborted);
        try
        {
            // Without a digest nothing says what the content should be: it is passed on, and not kept.
            var digest = request.Reference.Digest ?? DigestOf(answer);
            if (answer.StatusCode != HttpStatusCode.OK || answer.Content.Headers.ContentType is null || digest is null)
                return new FetchedManifest(client, answer, null, "", default);

            var bytes = await relay.ReadDocumentAsync(client, request, answer);
            if (!DigestCheck.Verifies(digest, bytes.Span))
                throw relay.Failed(request, new UpstreamException("upstream's manifest is not what its digest says"));

            var mediaType = answer.Content.Headers.ContentType.ToString();
            await KeepAsync(digest, bytes);
            Learn(request, question, digest, mediaType, epoch);
            return new FetchedManifest(client, answer, digest, mediaType, bytes);
        }
        catch
        {
            answer.Dispose();
            throw;
        }
    }

    private async Task KeepAsync(Digest digest, ReadOnlyMemory<byte> bytes)
    {
        if (store.Holds(digest) || store.Begin(digest, bytes.Length) is not { } writer)
            return;
        await using (writer)
        {
            try
            {
                await writer.WriteAsync(bytes, CancellationToken.None);
                await writer.PublishAsync(CancellationToken.None);
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                // The store tells of it; what was fetched is served all the same.
            }
        }
    }

    /// <summary>Upstream has named this digest in this repository to a caller's own token.</summary>
    private void Learn(ManifestRequest request, TagQuestion? question, Digest digest, string? mediaType, long epoch)
    {
        if (mediaType is null)
            return;
        store.Link(request.Repository, digest, mediaType);
        if (question is not null && _epochs.Of(request.Repository, question.Tag.Value) == epoch)
            store.RecordTag(request.Repository, question.Tag, question.Accept, new KnownTag(digest, time.GetUtcNow()));
    }

    private async ValueTask<ContentAnswer> SendAsync(ClientRequest client, CachedContent content, ContentSource source, int? upstreamStatus = null)
    {
        metrics.Served(Kind, source);
        if (content.Bytes is { } bytes)
        {
            await WriteAsync(client, content.Digest, content.MediaType!, bytes);
            return ContentAnswer.Kept(source, upstreamStatus);
        }

        Head(client, content.Digest, content.MediaType!, content.Length);
        if (!IsUnchanged(client, content.Digest) && !client.IsHead)
            await BlobPart.Of(null, content.Length).SendAsync(client, content);
        return ContentAnswer.Kept(source, upstreamStatus);
    }

    private static async ValueTask WriteAsync(ClientRequest client, Digest digest, string mediaType, ReadOnlyMemory<byte> bytes)
    {
        Head(client, digest, mediaType, bytes.Length);
        if (!IsUnchanged(client, digest) && !client.IsHead)
            await client.Http.Response.BodyWriter.WriteAsync(bytes, client.Aborted);
    }

    private static void Head(ClientRequest client, Digest digest, string mediaType, long length)
    {
        var response = client.Http.Response;
        response.StatusCode = StatusCodes.Status200OK;
        response.ContentType = mediaType;
        response.ContentLength = length;
        response.Headers["Docker-Content-Digest"] = digest.Value;
        response.Headers.ETag = $"\"{digest.Value}\"";
    }

    /// <summary>The client has it already (RFC 9110, section 13.1.2).</summary>
    private static bool IsUnchanged(ClientRequest client, Digest digest)
    {
        if (!client.Headers.IfNoneMatch.ToString().Contains(digest.Value, StringComparison.Ordinal))
            return false;
        client.Http.Response.StatusCode = StatusCodes.Status304NotModified;
        client.Http.Response.ContentLength = null;
        client.Http.Response.ContentType = null;
        return true;
    }

    private static Digest? DigestOf(HttpResponseMessage answer) =>
        answer.Headers.NonValidated.TryGetValues("Docker-Content-Digest", out var values) && Digest.TryParse(values.ToString(), out var digest) ? digest : null;

    private static (Digest, Digest)? MovedFrom(TagQuestion? question, Digest? digest) =>
        question?.Known is { } known && digest is not null && !known.Equals(digest) ? (known, digest) : null;

    /// <summary>Which tag is asked for, for which media types, and what it pointed to before.</summary>
    private sealed record TagQuestion(Tag Tag, string Accept, Digest? Known);

    /// <param name="Status">Upstream's; null where it did not answer.</param>
    /// <param name="Digest">What the tag points to, where it said so.</param>
    /// <param name="Failure">What to tell a client that nothing can be served to.</param>
    /// <param name="MayBeStale">It is no truth about the tag.</param>
    /// <param name="Cause">For the log.</param>
    private sealed record TagAnswer(int? Status, Digest? Digest, RegistryError? Failure, bool MayBeStale, string Cause)
    {
        /// <summary>What one caller's token was answered with 401, 403 or 404 is no answer for another's.</summary>
        public bool IsForAll => Digest is not null || MayBeStale;
    }
}

/// <summary>A manifest as upstream gave it: to those who asked together, or as the answer of who asked alone.</summary>
internal sealed class FetchedManifest(ClientRequest first, HttpResponseMessage answer, Digest? digest, string mediaType, ReadOnlyMemory<byte> bytes)
{
    public HttpResponseMessage Answer => answer;

    /// <summary>Null where upstream refused: then the answer is the first one's alone.</summary>
    public Digest? Digest => digest;

    public string MediaType => mediaType;

    public ReadOnlyMemory<byte> Bytes => bytes;

    /// <summary>The refusal, for whom it was meant.</summary>
    public HttpResponseMessage? TryTakeAnswer(ClientRequest client) => client == first ? answer : null;

    /// <summary>An answer that was read whole holds no connection.</summary>
    public IDisposable? Join() => digest is null ? answer : null;
}
