using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;

namespace ImageAccess.Proxy.Callers.Identity;

/// <summary>A SHA-256 as a value: what a token or a key is remembered by.</summary>
[StructLayout(LayoutKind.Auto)]
public readonly record struct Fingerprint
{
    private readonly UInt128 _high;
    private readonly UInt128 _low;

    private Fingerprint(UInt128 high, UInt128 low)
    {
        _high = high;
        _low = low;
    }

    public static Fingerprint Of(ReadOnlySpan<byte> bytes)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(bytes, hash);
        return new Fingerprint(
            BinaryPrimitives.ReadUInt128BigEndian(hash),
            BinaryPrimitives.ReadUInt128BigEndian(hash[16..]));
    }

    /// <summary>Of the text's UTF-8, by way of a pooled copy: nothing is allocated.</summary>
    public static Fingerprint Of(ReadOnlySpan<char> text)
    {
        var copy = ArrayPool<byte>.Shared.Rent(Encoding.UTF8.GetByteCount(text));
        try
        {
            return Of(copy.AsSpan(0, Encoding.UTF8.GetBytes(text, copy)));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(copy, clearArray: true);
        }
    }

    public override int GetHashCode() => (int)_low;

    public override string ToString() => $"{_high:x32}{_low:x32}";
}
