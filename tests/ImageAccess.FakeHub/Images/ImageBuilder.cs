using System.Formats.Tar;
using System.IO.Compression;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace ImageAccess.FakeHubs;

/// <summary>Makes real images from a few files in memory. The same files give the same digests.</summary>
public sealed class ImageBuilder
{
    private const string Created = "1970-01-01T00:00:00Z";
    private const UnixFileMode Readable = (UnixFileMode)0b110_100_100;
    private const UnixFileMode Executable = (UnixFileMode)0b111_101_101;
    private readonly List<SortedDictionary<string, LayerFile>> _layers = [new(StringComparer.Ordinal)];
    private readonly SortedDictionary<string, string> _labels = new(StringComparer.Ordinal);
    private string[] _command = [];
    private bool _docker;

    public ImageBuilder AddFile(string path, string text, bool executable = false) =>
        AddFile(path, Encoding.UTF8.GetBytes(text), executable);

    public ImageBuilder AddFile(string path, byte[] content, bool executable = false)
    {
        _layers[^1][path.TrimStart('/')] = new LayerFile(content, executable);
        return this;
    }

    /// <summary>Files that are added from now on are in a layer of their own.</summary>
    public ImageBuilder NextLayer()
    {
        _layers.Add(new SortedDictionary<string, LayerFile>(StringComparer.Ordinal));
        return this;
    }

    public ImageBuilder Command(params string[] arguments)
    {
        _command = arguments;
        return this;
    }

    public ImageBuilder Label(string name, string value)
    {
        _labels[name] = value;
        return this;
    }

    /// <summary>Docker's media types in the place of OCI's.</summary>
    public ImageBuilder WithDockerMediaTypes()
    {
        _docker = true;
        return this;
    }

    public BuiltImage Build(string architecture = "amd64")
    {
        var tars = _layers.Select(Tar).ToList();
        var config = new JsonObject
        {
            ["architecture"] = architecture,
            ["os"] = "linux",
            ["created"] = Created,
            ["config"] = new JsonObject
            {
                ["Env"] = new JsonArray("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
                ["Cmd"] = new JsonArray([.. _command.Select(argument => JsonValue.Create(argument))]),
                ["Labels"] = new JsonObject(_labels.Select(label => KeyValuePair.Create<string, JsonNode?>(label.Key, label.Value))),
            },
            ["rootfs"] = new JsonObject
            {
                ["type"] = "layers",
                ["diff_ids"] = new JsonArray([.. tars.Select(tar => JsonValue.Create(FakeRegistry.DigestOf(tar)))]),
            },
            ["history"] = new JsonArray([.. tars.Select(_ => new JsonObject { ["created"] = Created, ["created_by"] = "COPY . /" })]),
        };
        return BuiltImage.Assemble(config, [.. tars.Select(Gzip)], _docker);
    }

    /// <summary>One image for each architecture, and an index (or Docker's manifest list) over them.</summary>
    public BuiltImage BuildIndex(params IReadOnlyList<string> architectures)
    {
        var images = architectures.Select(Build).ToList();
        var descriptors = images.Zip(architectures, (image, architecture) =>
        {
            var descriptor = BuiltImage.Descriptor(image.MediaType, image.Manifest);
            descriptor["platform"] = new JsonObject { ["architecture"] = architecture, ["os"] = "linux" };
            return descriptor;
        });
        var mediaType = _docker ? BuiltImage.DockerList : BuiltImage.OciIndex;
        var index = new JsonObject { ["schemaVersion"] = 2, ["mediaType"] = mediaType, ["manifests"] = new JsonArray([.. descriptors]) };
        return new BuiltImage(
            JsonSerializer.SerializeToUtf8Bytes(index, Answers.Json),
            mediaType,
            [.. images.SelectMany(image => image.Blobs)],
            [.. images.Select(image => (image.Manifest, image.MediaType))]);
    }

    private static byte[] Tar(SortedDictionary<string, LayerFile> files)
    {
        using var bytes = new MemoryStream();
        using (var tar = new TarWriter(bytes, TarEntryFormat.Ustar, leaveOpen: true))
        {
            foreach (var folder in files.Keys.SelectMany(FoldersOf).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal))
            {
                tar.WriteEntry(new UstarTarEntry(TarEntryType.Directory, folder + "/")
                {
                    ModificationTime = DateTimeOffset.UnixEpoch,
                    Mode = Executable,
                });
            }

            foreach (var (path, file) in files)
            {
                tar.WriteEntry(new UstarTarEntry(TarEntryType.RegularFile, path)
                {
                    ModificationTime = DateTimeOffset.UnixEpoch,
                    Mode = file.Executable ? Executable : Readable,
                    DataStream = new MemoryStream(file.Content),
                });
            }
        }

        return bytes.ToArray();
    }

    private static IEnumerable<string> FoldersOf(string path)
    {
        for (var at = path.IndexOf('/', StringComparison.Ordinal); at >= 0; at = path.IndexOf('/', at + 1))
            yield return path[..at];
    }

    private static ReadOnlyMemory<byte> Gzip(byte[] tar)
    {
        using var bytes = new MemoryStream();
        using (var gzip = new GZipStream(bytes, CompressionLevel.Optimal, leaveOpen: true))
            gzip.Write(tar);
        return bytes.ToArray();
    }

    private sealed record LayerFile(byte[] Content, bool Executable);
}
