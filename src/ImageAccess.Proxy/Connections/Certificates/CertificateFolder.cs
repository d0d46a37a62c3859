using System.Runtime.Versioning;
using System.Text;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Connections.Certificates;

/// <summary>
/// The directory that certificates are written into. It is 0700, and a private key is 0600 from its first moment.
/// </summary>
internal sealed class CertificateFolder(string path)
{
    private const UnixFileMode Everybody = OwnerFile.Mode | UnixFileMode.GroupRead | UnixFileMode.OtherRead;

    /// <summary>How long it waits for another process that is at work here.</summary>
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(5);

    public string Path { get; } = path;

    private string LockPath => System.IO.Path.Combine(Path, ".lock");

    /// <summary>Makes the directory and keeps other processes from writing until the result is disposed of.</summary>
    /// <exception cref="IOException">It cannot be written, or another process holds it for too long.</exception>
    public IDisposable Hold()
    {
        try
        {
            Create();
            FileStream? held = null;
            return SpinWait.SpinUntil(() => TryHold(out held), Timeout)
                ? held!
                : throw new IOException($"another process is at work in {Path}: try again");
        }
        catch (UnauthorizedAccessException exception)
        {
            throw new IOException(exception.Message, exception);
        }
    }

    /// <summary>Writes each file as a whole, the key first: a certificate has one.</summary>
    /// <exception cref="IOException">It cannot be written; with <paramref name="overwrite"/> off also: something is there.</exception>
    public static void Write(CertificatePair files, NewCertificate certificate, bool overwrite)
    {
        AtomicFile.Write(files.KeyPath, Encoding.ASCII.GetBytes(certificate.KeyPem), overwrite: overwrite);
        AtomicFile.Write(files.CertificatePath, Encoding.ASCII.GetBytes(certificate.CertificatePem), Everybody, overwrite);
    }

    private void Create()
    {
        if (OperatingSystem.IsWindows())
            Directory.CreateDirectory(Path);
        else if (!Directory.Exists(Path))
            CreateMode700();
        else if ((File.GetUnixFileMode(Path) & UnixFileMode.OtherWrite) != UnixFileMode.None)
            throw new IOException($"everybody may write into {Path}: chmod 700 {Path}");
    }

    /// <summary>The directories above it must not be writable by everybody either, whatever the umask says.</summary>
    [UnsupportedOSPlatform("windows")]
    private void CreateMode700()
    {
        if (System.IO.Path.GetDirectoryName(Path) is { } above)
            Directory.CreateDirectory(above, Everybody | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute);
        Directory.CreateDirectory(Path, OwnerFile.Mode | UnixFileMode.UserExecute);
    }

    private bool TryHold(out FileStream? held)
    {
        held = null;
        try
        {
            held = new FileStream(LockPath, OwnerFile.Options(FileMode.OpenOrCreate, FileAccess.Write, FileShare.None));
            return true;
        }
        catch (IOException exception) when (exception is not (DirectoryNotFoundException or PathTooLongException) && File.Exists(LockPath))
        {
            return false; // another process holds it
        }
    }
}
