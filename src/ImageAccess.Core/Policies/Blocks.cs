using System.Collections.Frozen;
using System.Text.Json;
using ImageAccess.Core.Oci;

namespace ImageAccess.Core.Policies;

/// <summary>The blocks in force: an immutable snapshot, which is looked up by the names of what is asked for.</summary>
public sealed class Blocks
{
    /// <summary>How many there may be.</summary>
    public const int Maximum = 10_000;

    private readonly FrozenDictionary<string, Block> _byKey;
    private readonly FrozenDictionary<string, Block>.AlternateLookup<ReadOnlySpan<char>> _lookup;

    /// <exception cref="ArgumentException">Two have the same pattern, or there are too many.</exception>
    public Blocks(IReadOnlyCollection<Block> blocks)
    {
        if (blocks.Count > Maximum || blocks.DistinctBy(block => block.Pattern.Key).Count() < blocks.Count)
            throw new ArgumentException("There are too many blocks, or two of the same pattern.", nameof(blocks));
        _byKey = blocks.ToFrozenDictionary(block => block.Pattern.Key);
        _lookup = _byKey.GetAlternateLookup<ReadOnlySpan<char>>();
        HaveDigests = blocks.Any(block => block.Pattern.HasDigest);
    }

    public static Blocks None { get; } = new([]);

    /// <summary>Whether one names content, by its digest.</summary>
    internal bool HaveDigests { get; }

    public int Count => _byKey.Count;

    public IReadOnlyCollection<Block> All => _byKey.Values;

    /// <summary>The block of this very pattern.</summary>
    public Block? Find(ImagePattern pattern) => _byKey.GetValueOrDefault(pattern.Key);

    /// <summary>The block that what is asked for comes under: of all that do, the widest.</summary>
    public Block? Find(Asked asked)
    {
        if (Count == 0)
            return null;
        var repository = asked.Repository.Value;
        var found = Find(asked.Repository.Namespace, "/*", "") ?? Find(repository, "", "");
        if (found is null && asked.Tag is { } tag)
            found = Find(repository, ":", tag.Value);
        if (found is null && asked.Digest is { } digest)
            found = FindContent(asked.Repository, digest.Value);
        for (var i = 0; found is null && i < asked.FurtherTags.Count; i++)
            found = Find(repository, ":", asked.FurtherTags[i].Value);
        return found;
    }

    /// <summary>Whether content of this digest is blocked in the repository.</summary>
    internal bool Hold(RepositoryName repository, Digest digest) => HaveDigests && FindContent(repository, digest.Value) is not null;

    /// <summary>The first blocked digest that a manifest names as its own: a child, the configuration, a layer, its subject. Null where it names none.</summary>
    internal Digest? FindNamed(RepositoryName repository, ReadOnlySpan<byte> manifest)
    {
        if (!HaveDigests)
            return null;
        Span<char> text = stackalloc char[Digest.MaximumLength];
        try
        {
            var json = new Utf8JsonReader(manifest);
            for (var isDigest = false; json.Read();)
            {
                if (isDigest && json.TokenType == JsonTokenType.String && json.ValueSpan.Length <= text.Length)
                {
                    ReadOnlySpan<char> named = text[..json.CopyString(text)];
                    if (FindContent(repository, named) is not null && Digest.TryParse(named.ToString(), out var digest))
                        return digest;
                }

                isDigest = json.TokenType == JsonTokenType.PropertyName && (json.ValueTextEquals("digest"u8) || json.ValueTextEquals("blobSum"u8));
            }
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            // No manifest that a client could read; and what it names is judged anyway when it is asked for.
        }

        return null;
    }

    private Block? FindContent(RepositoryName repository, ReadOnlySpan<char> digest) => Find(repository.Value, "@", digest) ?? Find(digest, "", "");

    private Block? Find(ReadOnlySpan<char> name, ReadOnlySpan<char> mark, ReadOnlySpan<char> part)
    {
        Span<char> key = stackalloc char[ImagePattern.MaximumLength];
        name.CopyTo(key);
        mark.CopyTo(key[name.Length..]);
        part.CopyTo(key[(name.Length + mark.Length)..]);
        return _lookup.TryGetValue(key[..(name.Length + mark.Length + part.Length)], out var block) ? block : null;
    }
}
