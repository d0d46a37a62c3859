using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Content.Cache;

namespace ImageAccess.Proxy.Content.Serving;

/// <summary>
/// Turns upstream's answers into links. What is forgotten is counted, so that an answer that was asked for before is not believed after it.
/// </summary>
internal sealed class ContentLinks(ILinkStore links, TimeProvider time)
{
    /// <summary>Shared by all repositories: a counter that counts for another repository as well only costs a request.</summary>
    private readonly long[] _forgets = new long[1024];

    /// <summary>How often something of the repository was forgotten. To be read before upstream is asked.</summary>
    public long ForgetsOf(RepositoryName repository) => Volatile.Read(ref _forgets[Place(repository)]);

    /// <summary>Upstream has answered 200 for this digest in this repository, to a caller's own token.</summary>
    /// <param name="mediaType">A manifest's media type; null for a blob.</param>
    /// <param name="forgets">What <see cref="ForgetsOf"/> was before upstream was asked.</param>
    public async ValueTask LearnAsync(RepositoryName repository, Digest digest, string? mediaType, long forgets)
    {
        if (ForgetsOf(repository) != forgets)
            return;
        await links.LinkAsync(repository, digest, mediaType, time.GetUtcNow());
        if (ForgetsOf(repository) != forgets)
            await links.UnlinkAsync(repository, digest);
    }

    /// <summary>From now on no answer counts that was asked for before. To be called before anything is forgotten.</summary>
    public void DisbelieveEarlierAnswers(RepositoryName repository) => Interlocked.Increment(ref _forgets[Place(repository)]);

    /// <summary>The same, of whichever repository.</summary>
    public void DisbelieveEarlierAnswers()
    {
        for (var place = 0; place < _forgets.Length; place++)
            Interlocked.Increment(ref _forgets[place]);
    }

    private int Place(RepositoryName repository) => (int)((uint)repository.GetHashCode() % (uint)_forgets.Length);
}
