using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using ImageAccess.Proxy.Foundation.Configuration;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Foundation.Database.Keys;

/// <summary>
/// The key outside the database, which wraps what the database must not give away: <c>Data:KeyFile</c>. Replicas on one database have the same.
/// Without it a file of the data directory, which the first start makes.
/// </summary>
internal sealed class KeyFile
{
    /// <summary>The bytes of the key; the file has them in base64.</summary>
    public const int Size = 32;

    public const string Setting = "Data:KeyFile";

    private readonly PrivateKeyFile _file;
    private byte[]? _key;

    /// <param name="configured">What the configuration names.</param>
    /// <param name="dataDirectory">Where it is made otherwise.</param>
    public KeyFile(string? configured, string dataDirectory) => _file = new PrivateKeyFile(configured ?? System.IO.Path.Combine(dataDirectory, "data.key"), configured is null);

    public string Path => _file.Path;

    /// <summary>Tells this key from others, and nothing of it.</summary>
    public string Fingerprint => Convert.ToHexStringLower(Derive("fingerprint", 8));

    public bool IsOpen => _key is not null;

    /// <summary>Reads it, and makes it where it is the data directory's own.</summary>
    /// <returns>Why it cannot be made at the moment, as on a full disk; null where it can be used.</returns>
    /// <exception cref="Microsoft.Extensions.Options.OptionsValidationException">It cannot be used.</exception>
    public string? Open()
    {
        var read = _file.Read(MakeKey, $"openssl rand -base64 {Size}, readable by its owner alone, the same file for all replicas");
        if (read.NotMade is { } cause)
            return cause;
        var content = read.Content ?? throw Unusable(read.Flaw!);
        Span<byte> key = stackalloc byte[Size + 1];
        var text = content.Span.Trim(" \t\r\n"u8);
        if (!Base64.IsValid(text, out var length) || length != Size || Base64.DecodeFromUtf8(text, key, out _, out _) != System.Buffers.OperationStatus.Done)
            throw Unusable($"does not hold a key of {Size} bytes in base64, as openssl rand -base64 {Size} makes one");
        _key = key[..Size].ToArray();
        return null;
    }

    /// <summary>A key for one purpose alone.</summary>
    public byte[] Derive(string purpose, int size = Size) =>
        HKDF.DeriveKey(HashAlgorithmName.SHA256, _key ?? throw new InvalidOperationException("The key file has not been read."), size, info: Encoding.UTF8.GetBytes($"imageaccess {purpose}"));

    private Microsoft.Extensions.Options.OptionsValidationException Unusable(string why) => ConfigurationLoading.Failed($"{Setting}: {Path} {why}");

    private static string MakeKey() => Convert.ToBase64String(RandomNumberGenerator.GetBytes(Size));
}
