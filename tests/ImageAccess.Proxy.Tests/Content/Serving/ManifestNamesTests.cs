using System.Text;
using ImageAccess.Proxy.Content.Serving;

namespace ImageAccess.Proxy.Tests.Content.Serving;

/// <summary>What a manifest says of itself, whoever wrote it.</summary>
public sealed class ManifestNamesTests
{
    private static readonly string A = $"sha256:{new string('a', 64)}";
    private static readonly string B = $"sha256:{new string('b', 64)}";

    [Fact]
    public void An_index_names_its_images_and_an_image_its_configuration_and_layers()
    {
        var index = Read("""{ "manifests": [ { "digest": "A", "mediaType": "application/vnd.oci.image.manifest.v1+json" }, { "digest": "B" } ] }""");
        Assert.Equal([A, B], index.Manifests.Select(digest => digest.Value));
        Assert.Equal([B], index.Indexes.Select(digest => digest.Value));
        Assert.Empty(index.Parts);

        var image = Read("""{ "config": { "digest": "A" }, "layers": [ { "digest": "B" }, { "digest": "B" } ] }""");
        Assert.Equal([A, B], image.Parts.Select(digest => digest.Value));
        Assert.Equal([A], Read("""{ "fsLayers": [ { "blobSum": "A" } ] }""").Parts.Select(digest => digest.Value));
        Assert.Equal([A], Read("""{ "Layers": [ { "Digest": "A" } ] }""").Parts.Select(digest => digest.Value));
        Assert.Equal([A], Read("""{ "blobs": [ { "digest": "A" } ] }""").Parts.Select(digest => digest.Value));
    }

    [Theory]
    [InlineData("""{ "annotations": { "digest": "A" } }""")]
    [InlineData("""{ "layers": [ { "annotations": { "digest": "A" } } ] }""")]
    [InlineData("""{ "subject": { "digest": "A" } }""")]
    [InlineData("""{ "digest": "A" }""")]
    [InlineData("""{ "config": "A" }""")]
    [InlineData("""{ "config": { "digest": 1 } }""")]
    [InlineData("""{ "config": { "digest": "\ud800" } }""")]
    [InlineData("""[ { "config": { "digest": "A" } } ]""")]
    [InlineData("""{ "other": { "config": { "digest": "A" } } }""")]
    public void Nothing_else_is_a_part(string manifest) => Assert.Equal(0, Read(manifest).Count);

    [Theory]
    [InlineData("""{ "subject": { "digest": "A" } }""")]
    [InlineData("""{ "subject": { "digest": "A" }, "config": { "mediaType": "application/vnd.oci.empty.v1+json" }, "layers": [ { "digest": "B" } ] }""")]
    [InlineData("""{ "subject": { "digest": "A" }, "blobs": [ { "digest": "B" } ] }""")]
    public void What_is_about_another_says_so(string manifest) => Assert.Equal(A, Read(manifest).Subject?.Value);

    /// <summary>Whoever may push could call an image a signature; and of two claims a client may read the other one.</summary>
    [Theory]
    [InlineData("""{ "subject": { "digest": "A" }, "config": { "mediaType": "application/vnd.oci.image.config.v1+json" } }""")]
    [InlineData("""{ "subject": { "digest": "A" }, "config": { "mediaType": "Application/vnd.docker.container.image.v1+json; x=y" } }""")]
    [InlineData("""{ "subject": { "digest": "A" }, "config": { "mediaType": "a/b", "mediatype": "application/vnd.oci.image.config.v1+json" } }""")]
    [InlineData("""{ "subject": { "digest": "A" }, "config": { "mediaType": "a/b" }, "Config": { "mediaType": "application/vnd.oci.image.config.v1+json" } }""")]
    [InlineData("""{ "subject": { "digest": "A" }, "config": { "digest": "B" } }""")]
    [InlineData("""{ "subject": { "digest": "A" }, "config": { "mediaType": "" } }""")]
    [InlineData("""{ "subject": { "digest": "A" }, "config": null }""")]
    [InlineData("""{ "subject": { "digest": "A" }, "manifests": [] }""")]
    [InlineData("""{ "subject": { "digest": "A" }, "Manifests": [ { "digest": "B" } ] }""")]
    [InlineData("""{ "subject": { "digest": "A" }, "fsLayers": [] }""")]
    [InlineData("""{ "subject": { "digest": "A" }, "subject": { "digest": "B" } }""")]
    [InlineData("""{ "subject": { "digest": "A", "Digest": "B" } }""")]
    [InlineData("""{ "subject": "A" }""")]
    [InlineData("""{ "annotations": { "subject": "A" } }""")]
    public void What_runs_by_itself_or_says_two_things_is_about_nothing(string manifest) => Assert.Null(Read(manifest).Subject);

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("\0")]
    public void What_is_no_manifest_names_nothing(string manifest) => Assert.Null(ManifestNames.Read(Encoding.UTF8.GetBytes(manifest)));

    private static ManifestNames Read(string manifest)
    {
        var text = manifest.Replace("\"A\"", $"\"{A}\"", StringComparison.Ordinal).Replace("\"B\"", $"\"{B}\"", StringComparison.Ordinal);
        return ManifestNames.Read(Encoding.UTF8.GetBytes(text)) ?? throw new ArgumentException(manifest, nameof(manifest));
    }
}
