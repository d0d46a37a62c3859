using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Content.Cache;
using ImageAccess.Proxy.Content.Serving;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary>What a cache directory has, read beside the proxy that may run on it. Nothing is changed.</summary>
internal sealed class KeptOnDisk(CacheDirectory directory) : IContentStore
{
    private readonly Dictionary<Digest, KeptContent> _contents = directory.FindAll().ToDictionary(content => content.Digest);

    /// <summary>Null where nothing is kept there.</summary>
    public static KeptImages? Open(IConfiguration configuration)
    {
        if (!configuration.GetValue("Cache:Enabled", defaultValue: true))
            return null;
        var directory = new CacheDirectory(CacheOptions.Of(configuration).DirectoryPath);
        if (!directory.Exists)
            return null;
        var store = new KeptOnDisk(directory);
        var links = new LinkIndex(store._contents.ContainsKey);
        links.Apply(IndexJournal.Read(directory, unreadable: () => { }), TimeProvider.System.GetUtcNow());
        return new KeptImages(links, store);
    }

    public ValueTask<CachedContent?> OpenAsync(ContentLink? link, CancellationToken cancellationToken)
    {
        if (link is null || !_contents.TryGetValue(link.Digest, out var content) || content.Length > ManifestRequest.MaximumSize || !content.TryHold(content.LastUse))
            return default;
        return new(new DirectoryContent(content, link.MediaType, File.ReadAllBytes(directory.PathOf(link.Digest))));
    }

    public bool IsOpen => true;

    public ValueTask<long?> RemoveAsync(Digest digest) => throw new NotSupportedException("It is read alone.");

    public ValueTask<bool> HoldsAsync(Digest digest, CancellationToken cancellationToken) => new(_contents.ContainsKey(digest));

    public ValueTask<long?> MeasureAsync(Digest digest, CancellationToken cancellationToken) => new(_contents.GetValueOrDefault(digest)?.Length);

    public ValueTask<CacheWriter?> BeginAsync(Digest digest, long? length, CancellationToken cancellationToken) => default;
}
