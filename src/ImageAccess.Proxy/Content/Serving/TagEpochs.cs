using ImageAccess.Core.Oci;

namespace ImageAccess.Proxy.Content.Serving;

/// <summary>
/// Counts the writes to tags, so that an answer that was asked for before a write is not believed after it. A fixed number of
/// counters is shared by all tags: one that counts for another as well only costs a question.
/// </summary>
internal sealed class TagEpochs
{
    private readonly long[] _counters = new long[4096];

    public long Of(RepositoryName repository, string tag) => Volatile.Read(ref _counters[Place(repository, tag)]);

    public void Next(RepositoryName repository, string tag) => Interlocked.Increment(ref _counters[Place(repository, tag)]);

    private int Place(RepositoryName repository, string tag) => (int)((uint)HashCode.Combine(repository.Value, tag) % (uint)_counters.Length);
}
