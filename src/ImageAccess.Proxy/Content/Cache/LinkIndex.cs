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

    /// <summary>When a link is seen again, the journal is told at most this often: there is one for each blob.</summary>
    public static readonly TimeSpan TellLinkAgain = TimeSpan.FromDays(1);

    private readonly Lock _changing = new();
    private readonly HashSet<RepositoryName> _forgottenUntold = [];
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

    public ValueTask LinkAsync(RepositoryName repository, Digest digest, string? mediaType, DateTimeOffset seenAt)
    {
        var key = new LinkKey(repository, digest);
        if (_links.TryGetValue(key, out var known) && (mediaType is null || known.MediaType == mediaType) && seenAt - known.SeenAt < TellAgain)
            return default;
        if (seenAt < DateTimeOffset.UnixEpoch || (mediaType is not null && (mediaType.Length == 0 || !JournalLine.IsField(mediaType))))
            return default;

        lock (_changing)
            Link(key, mediaType, seenAt);
        return default;
    }

    public ValueTask<ContentLink?> UnlinkAsync(RepositoryName repository, Digest digest)
    {
        lock (_changing)
        {
            var link = RemoveLink(new LinkKey(repository, digest));
            if (link is not null || Changed is null)
                TellForgotten(repository, new UnlinkLine(repository, digest));
            return new(link);
        }
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

    public ValueTask<IReadOnlyList<Digest>> ForgetTagAsync(RepositoryName repository, Tag tag)
    {
        lock (_changing)
        {
            var forms = RemoveTag(new TagKey(repository, tag.Value));
            if (!forms.IsEmpty)
                Changed?.Invoke(new ForgottenTagLine(repository, tag.Value));
            return new([.. forms.Select(form => form.Known.Digest).Distinct()]);
        }
    }

    public ValueTask<(int Links, int Tags)> ForgetRepositoryAsync(RepositoryName repository)
    {
        lock (_changing)
        {
            var forgotten = RemoveRepository(repository);
            if (forgotten != default || Changed is null)
                TellForgotten(repository, new ForgottenRepositoryLine(repository));
            return new(forgotten);
        }
    }

    public ValueTask<IReadOnlyList<SeenLink>> ListAsync(Func<RepositoryName, Digest, bool> wanted) => new(
    [
        .. _links.Where(pair => wanted(pair.Key.Repository, pair.Key.Digest)).Select(pair => new SeenLink(pair.Key.Repository, pair.Key.Digest, pair.Value.MediaType is not null)),
    ]);

    public ValueTask<IReadOnlyList<SeenTag>> ListTagsAsync(RepositoryName repository) => new(
    [
        .. _tags.Where(pair => pair.Key.Repository.Equals(repository)).SelectMany(pair => pair.Value.Select(form => new SeenTag(pair.Key.Tag, form.Known.Digest))).Distinct(),
    ]);

    /// <summary>Whether something of a repository was forgotten before there was a journal to tell. An older journal does not know that.</summary>
    public bool WasForgottenUntold(RepositoryName repository)
    {
        lock (_changing)
            return _forgottenUntold.Contains(repository);
    }

    /// <summary>Removes all links to evicted content.</summary>
    public void Forget(IReadOnlySet<Digest> evicted)
    {
        if (evicted.Count == 0)
            return;
        lock (_changing)
        {
            RemoveLinks(key => evicted.Contains(key.Digest));
            foreach (var digest in evicted)
                Changed?.Invoke(new EvictedLine(digest));
        }
    }

    /// <summary>Applies the lines of a journal. Nothing else may change the index meanwhile.</summary>
    /// <param name="now">When links were seen whose line does not say so, as formerly none did; none was seen later.</param>
    public void Apply(IEnumerable<JournalLine> lines, DateTimeOffset now)
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
                        AddLink(new LinkKey(link.Repository, link.Digest), new ContentLink(link.Digest, link.MediaType, link.SeenAt < now ? link.SeenAt.Value : now));
                        linkedAt[new LinkKey(link.Repository, link.Digest)] = order;
                        break;
                    case UnlinkLine link:
                        RemoveLink(new LinkKey(link.Repository, link.Digest));
                        break;
                    case ForgottenRepositoryLine gone:
                        RemoveRepository(gone.Repository);
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
                .. _links.Select(pair => new LinkLine(pair.Key.Repository, pair.Key.Digest, pair.Value.MediaType, pair.Value.SeenAt)),
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

    private void Link(LinkKey key, string? mediaType, DateTimeOffset seenAt)
    {
        var known = _links.GetValueOrDefault(key);
        var link = new ContentLink(key.Digest, mediaType ?? known?.MediaType, seenAt); // a manifest stays one, whoever asks for it as a blob
        if (known is not null && known.MediaType == link.MediaType && (seenAt - known.ToldAt).Duration() < TellLinkAgain)
        {
            AddLink(key, new ContentLink(key.Digest, link.MediaType, seenAt) { ToldAt = known.ToldAt });
            return;
        }

        AddLink(key, link);
        Changed?.Invoke(new LinkLine(key.Repository, key.Digest, link.MediaType, seenAt));
    }

    private void TellForgotten(RepositoryName repository, JournalLine line)
    {
        if (Changed is { } tell)
            tell(line);
        else
            _forgottenUntold.Add(repository);
    }

    private void AddLink(LinkKey key, ContentLink link)
    {
        if (_links.TryAdd(key, link))
            _linkCount++;
        else
            _links[key] = link;

        if (_linkCount > _linksAtNextLook)
        {
            RemoveLinks(old => !holds(old.Digest) && !old.Digest.Equals(key.Digest));
            _linksAtNextLook = _linkCount + MaximumLinksToNothing;
        }
    }

    private ContentLink? RemoveLink(LinkKey key)
    {
        if (_links.TryRemove(key, out var link))
            _linkCount--;
        return link;
    }

    /// <returns>How many.</returns>
    private int RemoveLinks(Predicate<LinkKey> isOld)
    {
        var before = _linkCount;
        foreach (var (key, _) in _links)
        {
            if (isOld(key))
                RemoveLink(key);
        }

        return before - _linkCount;
    }

    private (int Links, int Tags) RemoveRepository(RepositoryName repository)
    {
        var tags = 0;
        foreach (var (key, _) in _tags)
        {
            if (key.Repository.Equals(repository) && !RemoveTag(key).IsEmpty)
                tags++;
        }

        return (RemoveLinks(key => key.Repository.Equals(repository)), tags);
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

    /// <returns>What it pointed to; empty where that was not known.</returns>
    private ImmutableArray<TagForm> RemoveTag(TagKey key)
    {
        if (!_tags.TryRemove(key, out var forms))
            return [];
        _tagCount -= forms.Length;
        return forms;
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
