using System.Text.Json;
using System.Text.Json.Nodes;

namespace ImageAccess.FakeHubs;

/// <summary>A manifest with everything that it leads to, ready to be pushed.</summary>
public sealed class BuiltImage
{
    public const string OciManifest = "application/vnd.oci.image.manifest.v1+json";
    public const string OciIndex = "application/vnd.oci.image.index.v1+json";
    public const string OciConfig = "application/vnd.oci.image.config.v1+json";
    public const string OciLayer = "application/vnd.oci.image.layer.v1.tar+gzip";
    public const string DockerManifest = "application/vnd.docker.distribution.manifest.v2+json";
    public const string DockerList = "application/vnd.docker.distribution.manifest.list.v2+json";
    public const string DockerConfig = "application/vnd.docker.container.image.v1+json";
    public const string DockerLayer = "application/vnd.docker.image.rootfs.diff.tar.gzip";

    internal BuiltImage(
        ReadOnlyMemory<byte> manifest,
        string mediaType,
        IReadOnlyList<ReadOnlyMemory<byte>> blobs,
        IReadOnlyList<(ReadOnlyMemory<byte> Manifest, string MediaType)> platforms)
    {
        Manifest = manifest;
        MediaType = mediaType;
        Blobs = blobs;
        Platforms = platforms;
    }

    /// <summary>What a tag points to: a manifest or an index.</summary>
    public ReadOnlyMemory<byte> Manifest { get; }

    public string MediaType { get; }

    public string Digest => FakeRegistry.DigestOf(Manifest.Span);

    /// <summary>Configs and layers.</summary>
    public IReadOnlyList<ReadOnlyMemory<byte>> Blobs { get; }

    /// <summary>The manifests of an index; empty for a single-platform image.</summary>
    public IReadOnlyList<(ReadOnlyMemory<byte> Manifest, string MediaType)> Platforms { get; }

    /// <summary>An image that a registry accepts and nobody can run: the layers are these bytes.</summary>
    public static BuiltImage OfLayers(params IReadOnlyList<byte[]> layers)
    {
        var config = new JsonObject
        {
            ["architecture"] = "amd64",
            ["os"] = "linux",
            ["rootfs"] = new JsonObject
            {
                ["type"] = "layers",
                ["diff_ids"] = new JsonArray([.. layers.Select(layer => JsonValue.Create(FakeRegistry.DigestOf(layer)))]),
            },
        };
        return Assemble(config, [.. layers.Select(layer => (ReadOnlyMemory<byte>)layer)], docker: false);
    }

    internal static BuiltImage Assemble(JsonObject config, IReadOnlyList<ReadOnlyMemory<byte>> layers, bool docker)
    {
        ReadOnlyMemory<byte> configBytes = JsonSerializer.SerializeToUtf8Bytes(config, Answers.Json);
        var mediaType = docker ? DockerManifest : OciManifest;
        var manifest = new JsonObject
        {
            ["schemaVersion"] = 2,
            ["mediaType"] = mediaType,
            ["config"] = Descriptor(docker ? DockerConfig : OciConfig, configBytes),
            ["layers"] = new JsonArray([.. layers.Select(layer => Descriptor(docker ? DockerLayer : OciLayer, layer))]),
        };
        return new BuiltImage(JsonSerializer.SerializeToUtf8Bytes(manifest, Answers.Json), mediaType, [configBytes, .. layers], []);
    }

    internal static JsonObject Descriptor(string mediaType, ReadOnlyMemory<byte> content) => new()
    {
        ["mediaType"] = mediaType,
        ["digest"] = FakeRegistry.DigestOf(content.Span),
        ["size"] = content.Length,
    };
}
