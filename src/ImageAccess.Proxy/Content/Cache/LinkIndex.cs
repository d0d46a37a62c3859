using System.Collections.Concurrent;
using System.Collections.Immutable;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;

namespace ImageAccess.Proxy.Content.Cache;

/// <summary>
/// Which repositories content was seen in, and what tags pointed to. Read without a lock; changed one at a time, so that a journal
/// tells the changes in the order in which they were made.
/// </summary>
/// <param name="holds">Whether content is there: links to what is not there are bounded.</param>
internal sealed class LinkIndex(Func<Digest, bool> holds) : ILinkStore
{
    public const int MaximumTags = 200_000;
    public const int MaximumLinksToNothing = 200_000;

    /// <summary>Sets of accepted media types of one tag.</summary>
    public const int MaximumForms = 16;

    /// <summary>When a tag is seen again unchanged, the journal is told at most this often.</summary>
    public static readonly TimeSpan TellAgain = TimeSpan.FromMinutes(1);

    private readonly Lock _changing = new();
    private readonly ConcurrentDictionary<LinkKey, ContentLink> _links = new();
    private readonly ConcurrentDictionary<TagKey, ImmutableArray<TagForm>> _tags = new();
    private int _linkCount;
    private int _linksAtNextLook = MaximumLinksToNothing;
    private int _tagCount;

    /// <summary>Called for each change, under the lock: it must be quick.</summary>
    public Action<JournalLine>? Changed { get; set; }

    public int Count => Volatile.Read(ref _linkCount) + Volatile.Read(ref _tagCount);

    public ValueTask<ContentLink?> FindAsync(Permit permit, Digest digest, CancellationToken cancellationToken) =>
        new(_links.TryGetValue(new LinkKey(permit.Repository, digest), out var link) ? link : null);

    public ValueTask<KnownTag?> FindTagAsync(Permit permit, Tag tag, string accept, CancellationToken cancellationToken) =>
        new(FindTag(new TagKey(permit.Repository, tag.Value), accept));

    public ValueTask LinkAsync(RepositoryName repository, Digest digest, string? mediaType)
    {
        var key = new LinkKey(repository, digest);
        if (_links.TryGetValue(key, out var known) && (mediaType is null || known.MediaType == mediaType))
            return default; // a manifest stays one, whoever asks for it as a blob
        if (mediaType is not null && (mediaType.Length == 0 || !JournalLine.IsField(mediaType)))
            return default;

        lock (_changing)
        {
            AddLink(key, mediaType);
            Changed?.Invoke(new LinkLine(repository, digest, mediaType));
        }

        return default;
    }

    public ValueTask UnlinkAsync(RepositoryName repository, Digest digest)
    {
        lock (_changing)
        {
            if (RemoveLink(new LinkKey(repository, digest)))
                Changed?.Invoke(new UnlinkLine(repository, digest));
        }

        return default;
    }

    public ValueTask RecordTagAsync(RepositoryName repository, Tag tag, string accept, KnownTag known)
    {
        if (!JournalLine.IsField(accept) || known.SeenAt < DateTimeOffset.UnixEpoch)
            return default;

        lock (_changing)
        {
            if (AddTag(new TagKey(repository, tag.Value), accept, known))
                Changed?.Invoke(new TagLine(repository, tag.Value, accept, known));
        }

        return default;
    }

    public ValueTask ForgetTagAsync(RepositoryName repository, Tag tag)
    {
        lock (_changing)
        {
            if (RemoveTag(new TagKey(repository, tag.Value)))
                Changed?.Invoke(new ForgottenTagLine(repository, tag.Value));
        }

        return default;
    }

    /// <summary>Removes all links to evicted content.</summary>
    public void Forget(IReadOnlySet<Digest> evicted)
    {
        if (evicted.Count == 0)
            return;
        lock (_changing)
        {
            RemoveLinks(evicted.Contains);
            foreach (var digest in evicted)
                Changed?.Invoke(new EvictedLine(digest));
        }
    }

    /// <summary>Applies the lines of a journal. Nothing else may change the index meanwhile.</summary>
    public void Apply(IEnumerable<JournalLine> lines)
    {
        var (order, linkedAt, evictedAt) = (0, new Dictionary<LinkKey, int>(), new Dictionary<Digest, int>());
        lock (_changing)
        {
            _linksAtNextLook = int.MaxValue; // it is not known yet what content is there
            foreach (var line in lines)
            {
                order++;
                switch (line)
                {
                    case LinkLine link:
                        AddLink(new LinkKey(link.Repository, link.Digest), link.MediaType);
                        linkedAt[new LinkKey(link.Repository, link.Digest)] = order;
                        break;
                    case UnlinkLine link:
                        RemoveLink(new LinkKey(link.Repository, link.Digest));
                        break;
                    case TagLine tag:
                        AddTag(new TagKey(tag.Repository, tag.Tag), tag.Accept, tag.Known);
                        break;
                    case ForgottenTagLine tag:
                        RemoveTag(new TagKey(tag.Repository, tag.Tag));
                        break;
                    case EvictedLine gone:
                        evictedAt[gone.Digest] = order;
                        break;
                }
            }

            foreach (var (key, at) in linkedAt)
            {
                if (evictedAt.TryGetValue(key.Digest, out var end) && end > at)
                    RemoveLink(key);
            }

            _linksAtNextLook = _linkCount + MaximumLinksToNothing;
        }
    }

    /// <summary>Everything, as lines of a new journal. Changes before this call are in it, changes after it are not.</summary>
    public IReadOnlyList<JournalLine> Snapshot(Action within)
    {
        lock (_changing)
        {
            within();
            return
            [
                .. _links.Select(pair => new LinkLine(pair.Key.Repository, pair.Key.Digest, pair.Value.MediaType)),
                .. _tags.SelectMany(pair => pair.Value.Select(form => new TagLine(pair.Key.Repository, pair.Key.Tag, form.Accept, form.Known))),
            ];
        }
    }

    private KnownTag? FindTag(TagKey key, string accept)
    {
        if (!_tags.TryGetValue(key, out var forms))
            return null;
        foreach (var form in forms)
        {
            if (form.Accept == accept)
                return form.Known;
        }

        return null;
    }

    private void AddLink(LinkKey key, string? mediaType)
    {
        var link = new ContentLink(key.Digest, mediaType);
        if (_links.TryAdd(key, link))
            _linkCount++;
        else
            _links[key] = link;

        if (_linkCount > _linksAtNextLook)
        {
            RemoveLinks(digest => !holds(digest) && !digest.Equals(key.Digest));
            _linksAtNextLook = _linkCount + MaximumLinksToNothing;
        }
    }

    private bool RemoveLink(LinkKey key)
    {
        if (!_links.TryRemove(key, out _))
            return false;
        _linkCount--;
        return true;
    }

    private void RemoveLinks(Predicate<Digest> isOld)
    {
        foreach (var (key, _) in _links)
        {
            if (isOld(key.Digest))
                RemoveLink(key);
        }
    }

    /// <returns>Whether the journal should be told.</returns>
    private bool AddTag(TagKey key, string accept, KnownTag known)
    {
        var forms = _tags.GetValueOrDefault(key, []);
        var place = forms.IndexOf(forms.FirstOrDefault(form => form.Accept == accept)!);
        if (place >= 0)
        {
            var last = forms[place];
            var isNews = !last.Known.Digest.Equals(known.Digest) || (known.SeenAt - last.ToldAt).Duration() >= TellAgain;
            _tags[key] = forms.SetItem(place, new TagForm(last.Accept, known, isNews ? known.SeenAt : last.ToldAt));
            return isNews;
        }

        if (forms.Length == MaximumForms)
            forms = forms.Remove(forms.MinBy(form => form.Known.SeenAt)!);
        else
            _tagCount++;
        _tags[key] = forms.Add(new TagForm(accept, known, known.SeenAt));
        if (_tagCount > MaximumTags)
            RemoveOldTags();
        return true;
    }

    private bool RemoveTag(TagKey key)
    {
        if (!_tags.TryRemove(key, out var forms))
            return false;
        _tagCount -= forms.Length;
        return true;
    }

    /// <summary>Removes the tenth that has not been seen for the longest time.</summary>
    private void RemoveOldTags()
    {
        var old = _tags.Select(pair => (pair.Key, SeenAt: pair.Value.Max(form => form.Known.SeenAt))).OrderBy(pair => pair.SeenAt);
        foreach (var (key, _) in old.TakeWhile(_ => _tagCount > MaximumTags / 10 * 9))
            RemoveTag(key);
    }

    private readonly record struct LinkKey(RepositoryName Repository, Digest Digest);

    private readonly record struct TagKey(RepositoryName Repository, string Tag);

    /// <param name="ToldAt">When the tag was seen, as the journal says.</param>
    private sealed record TagForm(string Accept, KnownTag Known, DateTimeOffset ToldAt);
}
