using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.DataProtection;

namespace ImageAccess.Proxy.Administration.Api;

/// <summary>Cursors of one question: no other question takes them, and nobody else can make them.</summary>
/// <param name="protection">Keys that all replicas have.</param>
/// <param name="list">What is listed.</param>
/// <param name="words">What is asked about.</param>
internal sealed class QuestionCursors<TKey>(IDataProtectionProvider protection, string list, IReadOnlyDictionary<string, string?> words)
    where TKey : struct
{
    private const int MaximumCursor = 1024;

    private readonly IDataProtector _protector = protection.CreateProtector($"imageaccess {list}", JsonSerializer.Serialize(words));

    public string Write(TKey key) => Base64Url.EncodeToString(_protector.Protect(Encoding.UTF8.GetBytes(JsonSerializer.Serialize(key))));

    /// <exception cref="ProblemException">It is none of this question.</exception>
    public TKey Read(string cursor)
    {
        try
        {
            return JsonSerializer.Deserialize<TKey>(_protector.Unprotect(Base64Url.DecodeFromChars(cursor.Length > MaximumCursor ? "" : cursor)));
        }
        catch (Exception exception) when (exception is FormatException or CryptographicException or JsonException)
        {
            throw ProblemException.Bad([new Mistake("cursor", "is none that this question was given")]);
        }
    }
}
