using System.Security.Cryptography;
using System.Text;
using ImageAccess.Proxy.Foundation.Configuration;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Foundation.Audit;

/// <summary>
/// The key that signs the trail's checkpoints (ECDSA, P-256): <c>Audit:KeyFile</c>, or a file of the data directory, which the first start makes.
/// </summary>
internal sealed class AuditKey(AuditOptions options) : IDisposable
{
    public const string Setting = "Audit:KeyFile";

    private const string Recipe = "openssl ecparam -name prime256v1 -genkey -noout";

    private readonly PrivateKeyFile _file = new(options.KeyPath, options.KeyFile is null);
    private ECDsa? _key;
    private string? _id;

    public string Path => _file.Path;

    /// <summary>Tells the key from others.</summary>
    public string Id => _id ??= PublicAuditKey.IdOf(Opened);

    private ECDsa Opened
    {
        get
        {
            try
            {
                return _key is not null || Open() is not { } cause ? _key! : throw new IOException($"{Setting}: {cause}");
            }
            catch (OptionsValidationException exception)
            {
                throw new IOException(exception.Message, exception);
            }
        }
    }

    /// <summary>Reads it, and makes it where it is the data directory's own.</summary>
    /// <returns>Why it cannot be made at the moment, as on a full disk; null where it can be used.</returns>
    /// <exception cref="OptionsValidationException">It cannot be used.</exception>
    public string? Open()
    {
        var read = _file.Read(MakeKey, $"{Recipe}, readable by its owner alone");
        if (read.NotMade is { } cause)
            return cause;
        var content = read.Content ?? throw Unusable(read.Flaw!);
        _key = TryImport(Encoding.ASCII.GetString(content.Span))
            ?? throw Unusable($"does not hold a private key of the curve P-256 in PEM, as {Recipe} makes one");
        return null;
    }

    /// <summary>The signature in DER, as <c>openssl dgst -sha256 -verify</c> reads it.</summary>
    public byte[] Sign(ReadOnlySpan<byte> content) => Opened.SignData(content, HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence);

    /// <summary>What others verify with; null where there is no key yet.</summary>
    /// <exception cref="IOException">It cannot be used.</exception>
    public PublicAuditKey? ReadPublic()
    {
        if (_key is null && _file.IsToBeMade)
            return null;
        return new PublicAuditKey(Opened.ExportSubjectPublicKeyInfo());
    }

    public void Dispose() => _key?.Dispose();

    private static ECDsa? TryImport(string pem)
    {
        var key = ECDsa.Create();
        try
        {
            key.ImportFromPem(pem);
            if (key.KeySize == 256 && key.ExportParameters(includePrivateParameters: true).D is not null)
                return key;
        }
        catch (Exception exception) when (exception is ArgumentException or CryptographicException)
        {
        }

        key.Dispose();
        return null;
    }

    private OptionsValidationException Unusable(string why) => ConfigurationLoading.Failed($"{Setting}: {Path} {why}");

    private static string MakeKey()
    {
        using var made = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        return made.ExportPkcs8PrivateKeyPem();
    }
}
