using System.Formats.Tar;
using System.IO.Compression;
using System.Text.Json.Nodes;
using ImageAccess.FakeHubs;

namespace ImageAccess.Proxy.Tests.FakeHubs;

public sealed class ImageBuilderTests
{
    [Fact]
    public void The_same_files_give_the_same_digest()
    {
        Assert.Equal(Sample().Build().Digest, Sample().Build().Digest);
        Assert.False(Sample().Build("amd64").Digest == Sample().Build("arm64").Digest);
        Assert.Equal(2, Sample().BuildIndex("amd64", "arm64").Platforms.Count);
    }

    [Fact]
    public async Task A_layer_is_a_gzipped_tar_whose_digest_the_config_names()
    {
        var image = Sample().NextLayer().AddFile("top.txt", "top").Build();
        var config = JsonNode.Parse(image.Blobs[0].Span)!;
        await using var gzip = new GZipStream(new MemoryStream(image.Blobs[1].ToArray()), CompressionMode.Decompress);
        using var tar = new MemoryStream();
        await gzip.CopyToAsync(tar);

        Assert.Equal(2, config["rootfs"]!["diff_ids"]!.AsArray().Count);
        Assert.Equal(FakeRegistry.DigestOf(tar.ToArray()), (string)config["rootfs"]!["diff_ids"]![0]!);

        tar.Position = 0;
        await using var reader = new TarReader(tar);
        var names = new List<string>();
        while (await reader.GetNextEntryAsync() is { } entry)
            names.Add(entry.Name);
        Assert.Equal("app/ app/bin/ app/bin/run app/readme.txt", string.Join(' ', names));
    }

    private static ImageBuilder Sample() => new ImageBuilder()
        .AddFile("app/readme.txt", "read me")
        .AddFile("app/bin/run", "#!/bin/sh\n", executable: true)
        .Command("/app/bin/run");
}
