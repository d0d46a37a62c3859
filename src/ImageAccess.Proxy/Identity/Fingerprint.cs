using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;

namespace ImageAccess.Proxy.Identity;

/// <summary>A SHA-256 as a value: what a token or a key is remembered by.</summary>
[StructLayout(LayoutKind.Auto)]
public readonly record struct Fingerprint
{
    private readonly UInt128 high;
    private readonly UInt128 low;

    private Fingerprint(UInt128 high, UInt128 low)
    {
        this.high = high;
        this.low = low;
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

    public override int GetHashCode() => (int)low;

    public override string ToString() => $"{high:x32}{low:x32}";
}
