using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace ImageAccess.Proxy.Callers.Identity;

/// <summary>Hashes of secrets under a key of this object, which is nowhere but in its memory.</summary>
internal sealed class KeyedHash
{
    private readonly byte[] _key = RandomNumberGenerator.GetBytes(32);

    /// <summary>Hashes each part with its length before it, so that no two lists give the same bytes.</summary>
    public Fingerprint Of(IEnumerable<string> parts)
    {
        using var hash = IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, _key);
        Span<byte> length = stackalloc byte[sizeof(int)];
        foreach (var part in parts)
        {
            var bytes = Encoding.UTF8.GetBytes(part);
            BinaryPrimitives.WriteInt32BigEndian(length, bytes.Length);
            hash.AppendData(length);
            hash.AppendData(bytes);
        }

        return Fingerprint.Of(hash.GetHashAndReset());
    }
}
