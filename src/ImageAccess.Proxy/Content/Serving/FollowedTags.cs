using System.Collections.Concurrent;
using System.Net;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Content.Upstream;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Content.Serving;

/// <summary>
/// Where tags pointed to lately that are approved wherever they point to. A pull asks by its tag once and by digests afterwards: what it was
/// told must hold until its end, also when the tag has moved meanwhile.
/// </summary>
internal sealed class FollowedTags(UpstreamRegistry upstream, IOptions<ContentOptions> options, TimeProvider time)
{
    /// <summary>How many digests of one tag are remembered, the latest.</summary>
    public const int MaximumSeen = 8;

    /// <summary>For how long.</summary>
    public static readonly TimeSpan Remembered = TimeSpan.FromDays(1);

    /// <summary>More than there are exceptions.</summary>
    private const int MaximumTags = 2 * Exceptions.Maximum;

    /// <summary>How many tags upstream is asked for in one question.</summary>
    private const int MaximumAsked = 10;

    private const string AllForms = "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, "
        + "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";

    private readonly ConcurrentDictionary<(string Repository, string Tag), Sighting[]> _seen = new();
    private readonly ConcurrentDictionary<(string Repository, string Tag), DateTimeOffset> _asked = new();
    private readonly SingleFlight<(string Repository, string Tag), Digest> _flights = new();

    /// <summary>Upstream says that the tag points there, or has said so lately.</summary>
    public void Saw(RepositoryName repository, Tag tag, Digest digest)
    {
        if (_seen.Count >= MaximumTags)
        {
            _seen.Clear();
            _asked.Clear();
        }

        var sighting = new Sighting(digest, time.GetUtcNow());
        _seen.AddOrUpdate(
            (repository.Value, tag.Value),
            _ => [sighting],
            (_, known) => [sighting, .. known.Where(other => !other.Digest.Equals(digest)).Take(MaximumSeen - 1)]);
    }

    /// <summary>Where the followed tags of a limit pointed to lately, as far as is known here.</summary>
    public IReadOnlyList<Digest> Seen(PermitLimit limit, RepositoryName repository)
    {
        var since = time.GetUtcNow() - Remembered;
        return
        [
            .. from tag in TagsOf(limit)
               from sighting in _seen.GetValueOrDefault((repository.Value, tag.Value)) ?? []
               where sighting.At > since
               select sighting.Digest,
        ];
    }

    /// <summary>Asks upstream where they point to now, with the caller's own token: after a restart, or where another replica was asked for the tag.</summary>
    /// <returns>What is known then.</returns>
    /// <exception cref="ApprovalUnknownException">Upstream does not say.</exception>
    public async ValueTask<IReadOnlyList<Digest>> AskAsync(ClientRequest client, RepositoryRequest request, PermitLimit limit)
    {
        foreach (var tag in TagsOf(limit).Take(MaximumAsked))
        {
            var (key, now) = ((request.Repository.Value, tag.Value), time.GetUtcNow());
            if (_asked.TryGetValue(key, out var asked) && now >= asked && now - asked < options.Value.TagFreshness)
                continue;
            if (_asked.Count >= MaximumTags)
                _asked.Clear();
            if (await ShareAsync(client, request, tag, key) is not { } digest)
                continue;
            Saw(request.Repository, tag, digest);
            _asked[key] = now;
        }

        return Seen(limit, request.Repository);
    }

    /// <summary>Where a tag points to is the same for all who may know it; that there is none is said to one caller.</summary>
    private async Task<Digest?> ShareAsync(ClientRequest client, RepositoryRequest request, Tag tag, (string, string) key)
    {
        var isOwn = false;
        return await _flights.RunAsync(key, FindOwnAsync, client.Aborted) ?? (isOwn ? null : await FindAsync(client, request, tag));

        async Task<Digest> FindOwnAsync()
        {
            isOwn = true;
            return (await FindAsync(client, request, tag))!;
        }
    }

    private static IEnumerable<Tag> TagsOf(PermitLimit limit) => limit.Exceptions.Where(exception => exception.Follow).Select(exception => exception.Tag).OfType<Tag>();

    /// <summary>Null where upstream has no such tag.</summary>
    private async Task<Digest?> FindAsync(ClientRequest client, RepositoryRequest request, Tag tag)
    {
        var headers = client.HeadersAccepting(AllForms);
        try
        {
            using var answer = await upstream.FetchAsync(request.ManifestOf(tag), HttpMethod.Head, client.Permit, headers, from: null, client.Aborted);
            if (answer.StatusCode == HttpStatusCode.NotFound)
                return null;
            return (answer.StatusCode == HttpStatusCode.OK ? AnswerHead.DigestOf(answer) : null) ?? throw new ApprovalUnknownException(request.Repository);
        }
        catch (UpstreamFailedException exception)
        {
            throw new ApprovalUnknownException(request.Repository, exception);
        }
    }

    private sealed record Sighting(Digest Digest, DateTimeOffset At);
}
