using System.Text.Json;
using ImageAccess.Core.Oci;

namespace ImageAccess.Proxy.Content.Serving;

/// <summary>What a manifest names: the images of an index, the configuration and the layers of an image, and the manifest that it is about.</summary>
internal sealed class ManifestNames
{
    private static readonly string[] PartKinds = ["config", "layers", "blobs", "fsLayers"];
    private static readonly string[] Images = ["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"];
    private static readonly string[] ImageConfigurations = ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];

    private const string Manifest = "manifests";

    private readonly HashSet<Digest> _manifests;
    private readonly HashSet<Digest> _parts;

    private ManifestNames(HashSet<Digest> manifests, HashSet<Digest> parts) => (_manifests, _parts) = (manifests, parts);

    /// <summary>Of an index: its images, or further indexes.</summary>
    public IReadOnlyCollection<Digest> Manifests => _manifests;

    /// <summary>Those of them that may name manifests again: the index does not call them images.</summary>
    public IReadOnlyCollection<Digest> Indexes { get; private init; } = [];

    /// <summary>Blobs.</summary>
    public IReadOnlyCollection<Digest> Parts => _parts;

    /// <summary>
    /// The manifest that this one is about, as a signature is: a claim of whoever pushed it. Null where it names none, or not one alone, and
    /// where this is an image that runs by itself: whoever may push could call anything a signature.
    /// </summary>
    public Digest? Subject { get; private init; }

    public int Count => _manifests.Count + _parts.Count;

    /// <summary>Null where it cannot be read.</summary>
    public static ManifestNames? Read(ReadOnlyMemory<byte> manifest)
    {
        try
        {
            using var json = JsonDocument.Parse(manifest);
            var root = json.RootElement;
            var subjects = DescriptorsIn(root, ["subject"]).SelectMany(DigestsOf).ToList();
            return new ManifestNames([.. DescriptorsIn(root, [Manifest]).SelectMany(DigestsOf)], [.. DescriptorsIn(root, PartKinds).SelectMany(DigestsOf)])
            {
                Indexes = [.. DescriptorsIn(root, [Manifest]).Where(descriptor => !HasType(descriptor, Images)).SelectMany(DigestsOf)],
                Subject = subjects.Count == 1 && !Runs(root) ? subjects[0] : null,
            };
        }
        catch (JsonException)
        {
            return null;
        }
    }

    public bool Has(Digest digest) => _parts.Contains(digest) || _manifests.Contains(digest);

    private static IEnumerable<JsonElement> DescriptorsIn(JsonElement manifest, string[] kinds) =>
        from member in MembersOf(manifest)
        where kinds.Any(kind => IsCalled(member, kind))
        from descriptor in member.Value.ValueKind == JsonValueKind.Array ? [.. member.Value.EnumerateArray()] : new[] { member.Value }
        select descriptor;

    private static IEnumerable<Digest> DigestsOf(JsonElement descriptor) =>
        from named in MembersOf(descriptor)
        where IsCalled(named, "digest") || IsCalled(named, "blobSum")
        let digest = TextOf(named.Value) is { } text && Digest.TryParse(text, out var parsed) ? parsed : null
        where digest is not null
        select digest;

    /// <summary>It is an index, an image of schema 1, or has a configuration that is an image's, or is of no known kind.</summary>
    private static bool Runs(JsonElement manifest) => MembersOf(manifest).Any(member =>
        IsCalled(member, Manifest) || IsCalled(member, "fsLayers") || (IsCalled(member, "config") && !IsOfAnother(member.Value)));

    /// <summary>Whether a configuration says of which kind it is, and never that it is an image's.</summary>
    private static bool IsOfAnother(JsonElement configuration) =>
        MembersOf(configuration).Any(named => IsCalled(named, "mediaType") && TextOf(named.Value) is { Length: > 0 }) && !HasType(configuration, ImageConfigurations);

    private static bool HasType(JsonElement descriptor, string[] types) => MembersOf(descriptor).Any(named =>
        IsCalled(named, "mediaType") && TextOf(named.Value)?.Trim() is { } type && types.Any(known => type.StartsWith(known, StringComparison.OrdinalIgnoreCase)));

    private static IEnumerable<JsonProperty> MembersOf(JsonElement element) =>
        element.ValueKind == JsonValueKind.Object ? element.EnumerateObject() : Enumerable.Empty<JsonProperty>();

    /// <summary>In any case, as many clients read it. What is no text has no name that a client could look for.</summary>
    private static bool IsCalled(JsonProperty member, string name)
    {
        try
        {
            return member.Name.Equals(name, StringComparison.OrdinalIgnoreCase);
        }
        catch (InvalidOperationException)
        {
            return false;
        }
    }

    private static string? TextOf(JsonElement value)
    {
        try
        {
            return value.ValueKind == JsonValueKind.String ? value.GetString() : null;
        }
        catch (InvalidOperationException)
        {
            return null; // half of a surrogate pair
        }
    }
}
