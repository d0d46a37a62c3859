using System.Security.Cryptography;
using ImageAccess.Core.Oci;

namespace ImageAccess.Proxy.Content.Cache;

/// <summary>Checks bytes against a digest as they arrive.</summary>
internal sealed class DigestCheck(Digest digest) : IDisposable
{
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(AlgorithmOf(digest));

    public static bool Verifies(Digest digest, ReadOnlySpan<byte> bytes)
    {
        using var check = new DigestCheck(digest);
        check.Append(bytes);
        return check.Verifies();
    }

    public void Append(ReadOnlySpan<byte> bytes) => _hash.AppendData(bytes);

    /// <summary>Whether all bytes so far match; more may be appended.</summary>
    public bool Verifies()
    {
        Span<byte> hash = stackalloc byte[SHA512.HashSizeInBytes];
        return digest.Value.AsSpan(7).SequenceEqual(Convert.ToHexStringLower(hash[.._hash.GetCurrentHash(hash)]));
    }

    public void Dispose() => _hash.Dispose();

    private static HashAlgorithmName AlgorithmOf(Digest digest) => digest.Value.AsSpan(0, 7) switch
    {
        "sha256:" => HashAlgorithmName.SHA256,
        "sha512:" => HashAlgorithmName.SHA512,
        _ => throw new ArgumentException($"{digest} has an algorithm that is not registered.", nameof(digest)),
    };
}
