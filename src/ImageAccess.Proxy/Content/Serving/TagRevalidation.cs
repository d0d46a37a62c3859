using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Content.Cache;
using ImageAccess.Proxy.Content.Upstream;
using ImageAccess.Proxy.Foundation.DockerHub;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Content.Serving;

/// <summary>Asks upstream by HEAD where a tag points to, which costs nothing of the pull limit; once for all who want to know it at the same time.</summary>
internal sealed class TagRevalidation(
    ILinkStore links, ManifestLinks learnt, UpstreamRegistry upstream, UpstreamHealth health, IOptions<ContentOptions> options, TimeProvider time)
{
    /// <summary>What is degraded while tags are served stale.</summary>
    private const string Tags = "tags";

    /// <summary>How long upstream may take to answer while there is something to serve in its place.</summary>
    private static readonly TimeSpan StaleAfter = TimeSpan.FromSeconds(5);

    private readonly SingleFlight<(string Repository, string Tag, string Accept), TagAnswer> _flights = new();

    /// <param name="hasStale">What is known of the tag may be served when upstream does not answer.</param>
    public async Task<TagAnswer> RunAsync(ClientRequest client, ManifestRequest request, TagQuestion question, bool hasStale)
    {
        var key = (request.Repository.Value, question.Tag.Value, question.Accept);
        return await _flights.RunAsync(key, () => AskAsync(client, request, question, hasStale), client.Aborted) is { } answer && answer.IsForAll
            ? answer
            : await AskAsync(client, request, question, hasStale);
    }

    /// <summary>A tag is served from what is kept, because upstream cannot answer.</summary>
    public void ServedStale(string cause) => health.Failed(Tags, $"tags are served from what is kept, because Docker Hub cannot answer: {cause}");

    private async Task<TagAnswer> AskAsync(ClientRequest client, ManifestRequest request, TagQuestion question, bool hasStale)
    {
        using var limit = hasStale ? new CancellationTokenSource(StaleAfter, time) : new CancellationTokenSource();
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, client.Aborted);
        var writes = learnt.WritesOf(request);
        try
        {
            using var answer = await upstream.FetchAsync(request, HttpMethod.Head, client.Permit, client.Headers, from: null, either.Token);
            var status = (int)answer.StatusCode;
            if (status == 200 && AnswerHead.DigestOf(answer) is { } digest)
            {
                health.Answered(Tags);
                await learnt.LearnAsync(request, question, digest, answer.Content.Headers.ContentType?.ToString(), writes);
                return new TagAnswer(status, digest, null, MayBeStale: false, "");
            }

            var isMissing = status == 404;
            if (isMissing && !options.Value.StaleWhenMissing)
                await links.ForgetTagAsync(request.Repository, question.Tag);
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
}

/// <summary>What upstream says of a tag.</summary>
/// <param name="Status">Upstream's; null where it did not answer.</param>
/// <param name="Digest">What the tag points to, where it said so.</param>
/// <param name="Failure">What to tell a client that nothing can be served to.</param>
/// <param name="MayBeStale">It says nothing about the tag: what is known of it may be served.</param>
/// <param name="Cause">For the log.</param>
internal sealed record TagAnswer(int? Status, Digest? Digest, RegistryError? Failure, bool MayBeStale, string Cause)
{
    /// <summary>What one caller's token was answered with 401, 403 or 404 is no answer for another's.</summary>
    public bool IsForAll => Digest is not null || MayBeStale;
}
