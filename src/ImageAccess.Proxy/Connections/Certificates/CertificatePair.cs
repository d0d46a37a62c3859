using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Connections.Certificates;

/// <summary>What is wrong with a certificate, and the configuration key that it is about.</summary>
internal sealed record CertificateProblem(string Setting, string Text)
{
    public override string ToString() => $"{Setting}: {Text}";
}

/// <summary>A certificate with its private key, and the certificates of its issuers, which its file holds as well.</summary>
internal sealed record KeyedCertificate(X509Certificate2 Certificate, X509Certificate2Collection Chain);

/// <summary>A certificate and its private key as two PEM files, read as a whole each time.</summary>
/// <param name="IsOwn">The administrator brings it: this program never writes it.</param>
/// <param name="CertificateSetting">The key of the configuration that names the certificate, or its directory.</param>
/// <param name="KeySetting">The same for the private key.</param>
internal sealed record CertificatePair(string CertificatePath, string KeyPath, bool IsOwn, string CertificateSetting, string KeySetting)
{
    /// <summary>What a file may measure, in bytes.</summary>
    private const int MaximumSize = 1024 * 1024;

    private const UnixFileMode Others = UnixFileMode.OtherRead | UnixFileMode.OtherWrite | UnixFileMode.OtherExecute;

    /// <summary>
    /// What a private key's mode must not have. A key that is brought may be readable by its group, as Kubernetes and systemd hand them
    /// to a program that is not root.
    /// </summary>
    private UnixFileMode Forbidden => Others | UnixFileMode.GroupWrite | (IsOwn ? UnixFileMode.None : UnixFileMode.GroupRead | UnixFileMode.GroupExecute);

    /// <summary>The certificate's file and the key's, in this order.</summary>
    public IReadOnlyList<WholeFile> Both() => [new WholeFile(CertificatePath, MaximumSize), new WholeFile(KeyPath, MaximumSize, Forbidden)];

    public PairReading Read() => new(this, [.. Both().Select(file => file.Read())]);

    public CertificateProblem OfCertificate(string text) => new(CertificateSetting, text);

    public CertificateProblem OfKey(string text) => new(KeySetting, text);
}

/// <summary>What the two files hold at one moment: a certificate with its key, or why there is none.</summary>
internal sealed class PairReading
{
    private readonly CertificatePair _files;

    /// <param name="files">The files.</param>
    /// <param name="readings">What was read of them: the certificate's first.</param>
    public PairReading(CertificatePair files, IReadOnlyList<FileReading> readings)
    {
        _files = files;
        var (certificate, key) = (readings[0], readings[1]);
        IsMissing = certificate.IsMissing && key.IsMissing;
        IsBarred = IsUnreadable(certificate) || IsUnreadable(key);
        Problem = certificate switch
        {
            _ when IsUnreadable(certificate) => files.OfCertificate($"{files.CertificatePath} {certificate.Failure}"),
            _ when IsUnreadable(key) => files.OfKey($"{files.KeyPath} {key.Failure}"),
            { IsMissing: true } when key.IsMissing || files.IsOwn => files.OfCertificate($"{files.CertificatePath} does not exist"),
            { IsMissing: true } => files.OfCertificate($"{files.KeyPath} is there without {Path.GetFileName(files.CertificatePath)}"),
            _ when key.IsMissing && files.IsOwn => files.OfKey($"{files.KeyPath} does not exist"),
            _ when key.IsMissing => files.OfKey($"{files.CertificatePath} is there without {Path.GetFileName(files.KeyPath)}"),
            _ => null,
        };
        if (Problem is null)
            Found = Parse(certificate.Bytes!.Value.Span, key.Bytes!.Value.Span);
    }

    /// <summary>Neither file is there.</summary>
    public bool IsMissing { get; }

    /// <summary>Only a person can mend it: a file that may not be read, or that others may read.</summary>
    public bool IsBarred { get; }

    /// <summary>The certificate; null, and <see cref="Problem"/> says why, where there is none.</summary>
    public KeyedCertificate? Found { get; }

    /// <summary>Why there is no certificate; null when there is one.</summary>
    public CertificateProblem? Problem { get; private set; }

    private static bool IsUnreadable(FileReading reading) => reading.Bytes is null && !reading.IsMissing;

    private KeyedCertificate? Parse(ReadOnlySpan<byte> certificate, ReadOnlySpan<byte> key)
    {
        var all = new X509Certificate2Collection();
        try
        {
            all.ImportFromPem(Encoding.ASCII.GetString(certificate));
        }
        catch (CryptographicException)
        {
            all.Clear();
        }

        if (all.Count == 0)
        {
            Problem = _files.OfCertificate($"{_files.CertificatePath} holds no certificate in PEM, or a damaged one");
            return null;
        }

        var text = new char[key.Length];
        try
        {
            return Join(all, text.AsSpan(0, Encoding.ASCII.GetChars(key, text)));
        }
        finally
        {
            Array.Clear(text);
        }
    }

    private KeyedCertificate? Join(X509Certificate2Collection all, ReadOnlySpan<char> text)
    {
        Problem = !text.Contains("PRIVATE KEY-----", StringComparison.Ordinal) ? _files.OfKey($"{_files.KeyPath} holds no private key in PEM")
            : text.Contains("ENCRYPTED", StringComparison.Ordinal) ? _files.OfKey($"{_files.KeyPath} is encrypted: write it without a passphrase")
            : null;
        if (Problem is not null)
            return null;

        try
        {
            var keyed = X509Certificate2.CreateFromPem(all[0].ExportCertificatePem(), text);
            all.RemoveAt(0);
            return new KeyedCertificate(keyed, all);
        }
        catch (Exception exception) when (exception is CryptographicException or ArgumentException)
        {
            Problem = _files.OfKey($"{_files.KeyPath} is damaged, or is not the private key of the first certificate in {_files.CertificatePath}");
            return null;
        }
    }
}
