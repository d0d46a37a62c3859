using System.Formats.Tar;
using System.IO.Compression;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace ImageAccess.EndToEnd.Tests;

/// <summary>A real registry, Debian's docker-registry, which the fake hub stands in front of.</summary>
internal sealed class BackingRegistry : IAsyncDisposable
{
    private readonly Running process;

    private BackingRegistry(Running process, Uri address)
    {
        this.process = process;
        Address = address;
    }

    public Uri Address { get; }

    public static async Task<BackingRegistry> StartAsync(string folder)
    {
        Directory.CreateDirectory(folder);
        var address = new Uri($"http://127.0.0.1:{Ports.Free()}");
        var configuration = Path.Combine(folder, "registry.yml");
        await File.WriteAllTextAsync(configuration, $$"""
            version: 0.1
            log: { level: warn }
            storage: { filesystem: { rootdirectory: {{folder}}/content }, delete: { enabled: true } }
            http: { addr: {{address.Authority}}, secret: kept-by-nobody }

            """);
        var registry = new BackingRegistry(
            Running.StartDaemon(folder, "docker-registry", "serve", configuration), address);
        await registry.process.ReadyAsync(registry.AnswersAsync, TimeSpan.FromSeconds(30));
        return registry;
    }

    /// <summary>Makes an image of one layer with these files and puts it into a repository; answers the manifest's digest.</summary>
    public async Task<string> PutAsync(string repository, string tag, params IReadOnlyList<(string Name, string Text)> files)
    {
        var layer = Layer(files);
        var packed = Pack(layer);
        var config = JsonSerializer.SerializeToUtf8Bytes(new
        {
            architecture = "amd64",
            os = "linux",
            created = "2026-01-01T00:00:00Z",
            config = new { Cmd = new[] { "/" + files[0].Name }, Labels = new { repository } },
            rootfs = new { type = "layers", diff_ids = new[] { DigestOf(layer) } },
            history = new[] { new { created = "2026-01-01T00:00:00Z", created_by = "COPY" } },
        });
        const string type = "application/vnd.docker.distribution.manifest.v2+json";
        var manifest = JsonSerializer.SerializeToUtf8Bytes(new
        {
            schemaVersion = 2,
            mediaType = type,
            config = new { mediaType = "application/vnd.docker.container.image.v1+json", size = config.Length, digest = DigestOf(config) },
            layers = new[] { new { mediaType = "application/vnd.docker.image.rootfs.diff.tar.gzip", size = packed.Length, digest = DigestOf(packed) } },
        });

        using var client = new HttpClient { BaseAddress = Address };
        foreach (var blob in (byte[][])[config, packed])
        {
            using var opened = await client.PostAsync(new Uri($"/v2/{repository}/blobs/uploads/", UriKind.Relative), null);
            var location = opened.EnsureSuccessStatusCode().Headers.Location!;
            var target = new Uri($"{location}{(location.OriginalString.Contains('?', StringComparison.Ordinal) ? '&' : '?')}digest={DigestOf(blob)}");
            using var content = new ByteArrayContent(blob);
            using var put = await client.PutAsync(target, content);
            put.EnsureSuccessStatusCode();
        }

        using var body = new ByteArrayContent(manifest) { Headers = { { "Content-Type", type } } };
        using var answer = await client.PutAsync(new Uri($"/v2/{repository}/manifests/{tag}", UriKind.Relative), body);
        answer.EnsureSuccessStatusCode();
        return DigestOf(manifest);
    }

    /// <summary>The digest that a tag has there now, or none.</summary>
    public async Task<string?> DigestAsync(string repository, string tag)
    {
        using var client = new HttpClient { BaseAddress = Address };
        using var request = new HttpRequestMessage(HttpMethod.Head, $"/v2/{repository}/manifests/{tag}");
        request.Headers.TryAddWithoutValidation(
            "Accept", "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json");
        using var answer = await client.SendAsync(request);
        return answer.StatusCode == HttpStatusCode.OK ? answer.Headers.GetValues("Docker-Content-Digest").Single() : null;
    }

    public ValueTask DisposeAsync() => process.DisposeAsync();

    private static string DigestOf(byte[] bytes) => "sha256:" + Convert.ToHexStringLower(SHA256.HashData(bytes));

    private static byte[] Layer(params IReadOnlyList<(string Name, string Text)> files)
    {
        var layer = new MemoryStream();
        using (var tar = new TarWriter(layer, TarEntryFormat.Pax, leaveOpen: true))
        {
            foreach (var (name, text) in files)
            {
                tar.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, name)
                {
                    DataStream = new MemoryStream(Encoding.UTF8.GetBytes(text)),
                    ModificationTime = DateTimeOffset.UnixEpoch,
                });
            }
        }

        return layer.ToArray();
    }

    private static byte[] Pack(byte[] layer)
    {
        var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Optimal, leaveOpen: true)) gzip.Write(layer);
        return packed.ToArray();
    }

    private async Task<bool> AnswersAsync(CancellationToken patience)
    {
        using var client = new HttpClient();
        try
        {
            using var answer = await client.GetAsync(new Uri(Address, "/v2/"), patience);
            return answer.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }
}
