using System.Buffers;
using System.Buffers.Binary;
using BenchmarkDotNet.Attributes;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Connections.Ingress;

namespace ImageAccess.Benchmarks;

/// <summary>What is read of a request before anything is decided.</summary>
[MemoryDiagnoser]
public class Parsing
{
    private static readonly string Digest = "sha256:" + new string('a', 64);
    private readonly string _byDigest = $"/v2/library/nginx/manifests/{Digest}";
    private readonly string _blob = $"/v2/testcontainers/ryuk/blobs/{Digest}";
    private readonly ReadOnlySequence<byte> _hello = new(ClientHelloOf("registry-1.docker.io"u8));

    [Benchmark]
    public bool ManifestByTag() => RegistryRequest.TryParse("GET", "/v2/library/nginx/manifests/1.27", out _, out _);

    [Benchmark]
    public bool ManifestByTagFromMirror() => RegistryRequest.TryParse("HEAD", "/v2/library/nginx/manifests/1.27?ns=docker.io", out _, out _);

    [Benchmark]
    public bool ManifestByDigest() => RegistryRequest.TryParse("GET", _byDigest, out _, out _);

    [Benchmark]
    public bool Blob() => RegistryRequest.TryParse("GET", _blob, out _, out _);

    [Benchmark]
    public bool Refused() => RegistryRequest.TryParse("GET", "/v2/library/%6eginx/manifests/latest", out _, out _);

    [Benchmark]
    public bool ServerNameOfClientHello() => ClientHello.Read(_hello).ServerName is not null;

    /// <summary>As long as that of a client with post-quantum keys: the server name, and 1.6 KB of an extension that is not looked at.</summary>
    private static byte[] ClientHelloOf(ReadOnlySpan<byte> name)
    {
        byte[] serverName = [0, .. Vector(name)];
        byte[] extensions = [0, 0, .. Vector(Vector(serverName)), 0, 51, .. Vector(new byte[1600])];
        byte[] body = [3, 3, .. new byte[32], 0, .. Vector([0x13, 0x01]), 1, 0, .. Vector(extensions)];
        return [22, 3, 1, .. Vector([1, 0, .. Vector(body)])];
    }

    /// <summary>A length of two bytes, and so many bytes behind it.</summary>
    private static byte[] Vector(ReadOnlySpan<byte> content)
    {
        var vector = new byte[2 + content.Length];
        BinaryPrimitives.WriteUInt16BigEndian(vector, (ushort)content.Length);
        content.CopyTo(vector.AsSpan(2));
        return vector;
    }
}
