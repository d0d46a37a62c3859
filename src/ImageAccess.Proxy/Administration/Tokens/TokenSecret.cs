using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace ImageAccess.Proxy.Administration.Tokens;

/// <summary>A token of the API as a program presents it: shown once, and kept as its hash alone.</summary>
internal static class TokenSecret
{
    /// <summary>By this, a scanner of secrets knows one.</summary>
    public const string Prefix = "imageaccess_";

    private const int Bytes = 32;

    public static string Make() => Prefix + Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(Bytes));

    public static byte[] Hash(string secret) => SHA256.HashData(Encoding.UTF8.GetBytes(secret));

    /// <summary>Whether it can be one: nobody needs to look for what is none.</summary>
    public static bool IsOne(string text) =>
        text.StartsWith(Prefix, StringComparison.Ordinal) && Base64Url.IsValid(text.AsSpan(Prefix.Length), out var length) && length == Bytes;
}
