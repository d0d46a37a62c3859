using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace ImageAccess.FakeHubs;

/// <summary>An image or index as it stands in a repository.</summary>
public sealed record PushedImage(string Repository, string Digest, string MediaType, ReadOnlyMemory<byte> Manifest)
{
    /// <summary>Digests that the manifest names: the config and the layers, or the manifests of an index.</summary>
    public IReadOnlyList<string> References { get; init; } = [];

    /// <summary>The config's digest; null for an index.</summary>
    public string? Config { get; init; }

    public IReadOnlyList<string> Layers { get; init; } = [];
}

/// <summary>The registry's content, in memory, and who may read and write which repository.</summary>
public sealed class FakeRegistry
{
    private readonly Lock _gate = new();
    private readonly SortedDictionary<string, Repository> _repositories = new(StringComparer.Ordinal);
    private readonly Dictionary<string, ReadOnlyMemory<byte>> _blobs = new(StringComparer.Ordinal);
    private readonly Dictionary<string, IReadOnlySet<string>> _readers = new(StringComparer.Ordinal);
    private readonly Dictionary<string, IReadOnlySet<string>> _writers = new(StringComparer.Ordinal);

    internal FakeRegistry()
    {
    }

    public IReadOnlyList<string> Repositories
    {
        get
        {
            lock (_gate)
                return [.. _repositories.Keys];
        }
    }

    public static string DigestOf(ReadOnlySpan<byte> content) => "sha256:" + Convert.ToHexStringLower(SHA256.HashData(content));

    /// <summary>A single-platform OCI image whose layers are these bytes as they are; without any, one small layer.</summary>
    public PushedImage PushImage(string repository, string tag, params byte[][] layers) =>
        PushImage(repository, tag, layers.Length > 0
            ? BuiltImage.OfLayers(layers)
            : BuiltImage.OfLayers(Encoding.UTF8.GetBytes($"layer of {repository}:{tag}")));

    public PushedImage PushImage(string repository, string tag, BuiltImage image)
    {
        foreach (var blob in image.Blobs)
            PushBlob(repository, blob);
        foreach (var (manifest, mediaType) in image.Platforms)
            PushManifest(repository, reference: null, manifest, mediaType);
        return PushManifest(repository, tag, image.Manifest, image.MediaType);
    }

    public string PushBlob(string repository, ReadOnlyMemory<byte> content)
    {
        var digest = DigestOf(content.Span);
        lock (_gate)
        {
            _blobs[digest] = content;
            Open(repository).Blobs.Add(digest);
        }

        return digest;
    }

    /// <summary>Stores the manifest by its digest and, when the reference is a tag, under it. Nothing is checked.</summary>
    public PushedImage PushManifest(string repository, string? reference, ReadOnlyMemory<byte> manifest, string mediaType)
    {
        var image = ReadManifest(repository, manifest, mediaType);
        lock (_gate)
        {
            var into = Open(repository);
            into.Manifests[image.Digest] = image;
            if (reference?.Contains(':', StringComparison.Ordinal) is false)
                into.Tags[reference] = image.Digest;
        }

        return image;
    }

    public PushedImage? FindManifest(string repository, string reference)
    {
        lock (_gate)
        {
            if (!_repositories.TryGetValue(repository, out var found))
                return null;
            var digest = found.Tags.GetValueOrDefault(reference, reference);
            return found.Manifests.GetValueOrDefault(digest);
        }
    }

    /// <summary>A blob by its digest, if it is linked to the repository.</summary>
    public ReadOnlyMemory<byte>? FindBlob(string repository, string digest)
    {
        lock (_gate)
        {
            if (_repositories.TryGetValue(repository, out var found) && found.Blobs.Contains(digest))
                return _blobs[digest];
        }

        return null;
    }

    public IReadOnlyList<string> Tags(string repository)
    {
        lock (_gate)
            return _repositories.TryGetValue(repository, out var found) ? [.. found.Tags.Keys] : [];
    }

    public bool Has(string repository)
    {
        lock (_gate)
            return _repositories.ContainsKey(repository);
    }

    public void Remove(string repository)
    {
        lock (_gate)
            _repositories.Remove(repository);
    }

    /// <summary>Removes a tag, or a manifest with every tag that leads to it.</summary>
    public bool RemoveManifest(string repository, string reference)
    {
        lock (_gate)
        {
            if (!_repositories.TryGetValue(repository, out var found))
                return false;
            if (found.Tags.Remove(reference))
                return true;
            foreach (var tag in found.Tags.Where(tag => tag.Value == reference).Select(tag => tag.Key).ToList())
                found.Tags.Remove(tag);
            return found.Manifests.Remove(reference);
        }
    }

    public bool RemoveBlob(string repository, string digest)
    {
        lock (_gate)
            return _repositories.TryGetValue(repository, out var found) && found.Blobs.Remove(digest);
    }

    /// <summary>Hides a repository from all but its namespace's owners and these readers; with none named, all but members.</summary>
    public void MakePrivate(string repository, params string[] readers)
    {
        lock (_gate)
            _readers[repository] = readers.ToHashSet(StringComparer.OrdinalIgnoreCase);
    }

    public void MakePublic(string repository)
    {
        lock (_gate)
            _readers.Remove(repository);
    }

    /// <summary>Lets exactly these accounts push, in place of the namespace's owner and members.</summary>
    public void AllowPush(string repository, params string[] accounts)
    {
        lock (_gate)
            _writers[repository] = accounts.ToHashSet(StringComparer.OrdinalIgnoreCase);
    }

    /// <summary>Null for a public repository.</summary>
    internal IReadOnlySet<string>? ReadersOf(string repository)
    {
        lock (_gate)
            return _readers.GetValueOrDefault(repository);
    }

    internal IReadOnlySet<string>? WritersOf(string repository)
    {
        lock (_gate)
            return _writers.GetValueOrDefault(repository);
    }

    /// <summary>A blob wherever it is linked, for the CDN.</summary>
    internal ReadOnlyMemory<byte>? FindBlob(string digest)
    {
        lock (_gate)
        {
            if (_blobs.TryGetValue(digest, out var content))
                return content;
        }

        return null;
    }

    internal IReadOnlyList<PushedImage> Manifests(string repository)
    {
        lock (_gate)
            return _repositories.TryGetValue(repository, out var found) ? [.. found.Manifests.Values] : [];
    }

    private static PushedImage ReadManifest(string repository, ReadOnlyMemory<byte> manifest, string mediaType)
    {
        var image = new PushedImage(repository, DigestOf(manifest.Span), mediaType, manifest);
        try
        {
            using var json = JsonDocument.Parse(manifest);
            var config = json.RootElement.TryGetProperty("config", out var found) ? found.GetProperty("digest").GetString() : null;
            var layers = Digests(json.RootElement, "layers");
            return image with
            {
                Config = config,
                Layers = layers,
                References = config is null ? Digests(json.RootElement, "manifests") : [config, .. layers],
            };
        }
        catch (Exception failure) when (failure is JsonException or InvalidOperationException or KeyNotFoundException)
        {
            return image;
        }
    }

    private static List<string> Digests(JsonElement manifest, string member) =>
        manifest.TryGetProperty(member, out var list)
            ? [.. list.EnumerateArray().Select(descriptor => descriptor.GetProperty("digest").GetString() ?? "")]
            : [];

    private Repository Open(string name)
    {
        if (!_repositories.TryGetValue(name, out var repository))
            _repositories[name] = repository = new Repository();
        return repository;
    }

    private sealed class Repository
    {
        public HashSet<string> Blobs { get; } = new(StringComparer.Ordinal);

        public Dictionary<string, PushedImage> Manifests { get; } = new(StringComparer.Ordinal);

        public SortedDictionary<string, string> Tags { get; } = new(StringComparer.Ordinal);
    }
}
