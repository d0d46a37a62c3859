using System.Buffers;
using System.Security.Cryptography;
using System.Text;

namespace ImageAccess.Proxy.Foundation.Audit;

/// <summary>
/// How far a trail's chain goes: the number of its last line, and that line's <c>chain</c>, which is the SHA-256 of the one before, as text, and of the
/// line without this member. So no line can be changed, removed or inserted without a change of all that follow.
/// </summary>
internal readonly record struct ChainLink(long Sequence, string Hash)
{
    public const int HashLength = 64;

    /// <summary>What the first line of a trail follows.</summary>
    public static ChainLink None { get; } = new(0, new string('0', HashLength));

    /// <summary>The hash of a line that follows this one.</summary>
    public string Follow(ReadOnlySpan<byte> line)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(HashLength + line.Length);
        try
        {
            Encoding.ASCII.GetBytes(Hash, buffer);
            line.CopyTo(buffer.AsSpan(HashLength));
            return Convert.ToHexStringLower(SHA256.HashData(buffer.AsSpan(0, HashLength + line.Length)));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>With a line that a crash has torn: the next one vouches for it. It has no number.</summary>
    public ChainLink Over(ReadOnlySpan<byte> torn) => this with { Hash = Follow(torn) };
}
