using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace ImageAccess.Proxy.Connections.Certificates;

/// <summary>What is wrong, and the key of the configuration that says where.</summary>
internal sealed record CertificateProblem(string Setting, string Text)
{
    public override string ToString() => $"{Setting}: {Text}";
}

/// <summary>A certificate with its private key, and what else its file holds: the certificates above it.</summary>
internal sealed record KeyedCertificate(X509Certificate2 Certificate, X509Certificate2Collection Chain);

/// <summary>A certificate and its private key as two PEM files, read whole each time: only reading tells that a file was changed.</summary>
/// <param name="IsOwn">Brought by the administrator: this program never writes it.</param>
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

    public PairReading Read()
    {
        var isThere = IsOwn || Directory.Exists(Path.GetDirectoryName(CertificatePath));
        var certificate = isThere ? ReadFile(CertificatePath, UnixFileMode.None) : FileReading.Missing;
        var key = isThere ? ReadFile(KeyPath, Forbidden) : FileReading.Missing;
        var reading = new PairReading(this, certificate.Bytes, key.Bytes)
        {
            IsMissing = certificate.IsMissing && key.IsMissing,
            IsBarred = (certificate.Bytes is null && !certificate.IsMissing) || (key.Bytes is null && !key.IsMissing),
        };
        reading.Problem = certificate switch
        {
            { Bytes: null, IsMissing: false } => OfCertificate($"{CertificatePath} {certificate.Failure}"),
            _ when key is { Bytes: null, IsMissing: false } => OfKey($"{KeyPath} {key.Failure}"),
            { IsMissing: true } when key.IsMissing || IsOwn => OfCertificate($"{CertificatePath} does not exist"),
            { IsMissing: true } => OfCertificate($"{KeyPath} is there without {Path.GetFileName(CertificatePath)}"),
            _ when key.IsMissing => IsOwn ? OfKey($"{KeyPath} does not exist") : OfKey($"{CertificatePath} is there without {Path.GetFileName(KeyPath)}"),
            _ => null,
        };
        return reading;
    }

    public CertificateProblem OfCertificate(string text) => new(CertificateSetting, text);

    public CertificateProblem OfKey(string text) => new(KeySetting, text);

    private static FileReading ReadFile(string path, UnixFileMode forbidden)
    {
        try
        {
            using var file = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            if (!OperatingSystem.IsWindows() && (File.GetUnixFileMode(file) & forbidden) != UnixFileMode.None)
                return new FileReading(null, $"is open to others than its owner: chmod 600 {path}");

            var bytes = new byte[Math.Min(RandomAccess.GetLength(file), MaximumSize) + 1];
            var length = 0;
            while (length < bytes.Length && RandomAccess.Read(file, bytes.AsSpan(length), length) is var read and > 0)
                length += read;
            return length > MaximumSize ? new FileReading(null, $"is larger than {MaximumSize} bytes") : new FileReading(bytes[..length], "");
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            return FileReading.Missing;
        }
        catch (UnauthorizedAccessException)
        {
            return new FileReading(null, $"cannot be read by the user {Environment.UserName}, whom this program runs as");
        }
        catch (IOException exception)
        {
            return new FileReading(null, $"cannot be read: {exception.Message}");
        }
    }

    private readonly record struct FileReading(byte[]? Bytes, string Failure, bool IsMissing = false)
    {
        public static FileReading Missing { get; } = new(null, "", IsMissing: true);
    }
}

/// <summary>What the two files hold at one moment.</summary>
internal sealed class PairReading(CertificatePair files, byte[]? certificate, byte[]? key)
{
    /// <summary>Neither file is there.</summary>
    public bool IsMissing { get; init; }

    /// <summary>Only a person can mend it: a file that may not be read, or that others may read.</summary>
    public bool IsBarred { get; init; }

    /// <summary>Why there is no certificate; null when there is one.</summary>
    public CertificateProblem? Problem { get; set; }

    /// <summary>Tells this reading from others.</summary>
    public string Stamp => Problem?.Text ?? Convert.ToHexString(SHA256.HashData([.. SHA256.HashData(certificate!), .. SHA256.HashData(key!)]));

    /// <summary>The certificate; null, and <see cref="Problem"/> says why, where there is none.</summary>
    public KeyedCertificate? Parse()
    {
        if (Problem is not null)
            return null;

        var all = new X509Certificate2Collection();
        try
        {
            all.ImportFromPem(Encoding.ASCII.GetString(certificate!));
        }
        catch (CryptographicException)
        {
            all.Clear();
        }

        if (all.Count == 0)
        {
            Problem = files.OfCertificate($"{files.CertificatePath} holds no certificate in PEM, or a damaged one");
            return null;
        }

        var text = Encoding.ASCII.GetChars(key!);
        try
        {
            return Join(all, text);
        }
        finally
        {
            Array.Clear(text);
        }
    }

    private KeyedCertificate? Join(X509Certificate2Collection all, ReadOnlySpan<char> text)
    {
        Problem = !text.Contains("PRIVATE KEY-----", StringComparison.Ordinal) ? files.OfKey($"{files.KeyPath} holds no private key in PEM")
            : text.Contains("ENCRYPTED", StringComparison.Ordinal) ? files.OfKey($"{files.KeyPath} is encrypted: write it without a passphrase")
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
            Problem = files.OfKey($"{files.KeyPath} is damaged, or is not the private key of the first certificate in {files.CertificatePath}");
            return null;
        }
    }
}
