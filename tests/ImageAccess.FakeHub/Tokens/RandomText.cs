using System.Buffers.Text;
using System.Security.Cryptography;

namespace ImageAccess.FakeHubs;

internal static class RandomText
{
    /// <summary>Letters, digits, <c>-</c> and <c>_</c>.</summary>
    public static string Next(int bytes) => Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(bytes));
}
