using System.Runtime.Versioning;
using System.Text;

namespace ImageAccess.Proxy.Connections.Certificates;

/// <summary>
/// The directory that certificates are written into: nobody else's, 0700; private keys 0600 from the moment at which they exist.
/// </summary>
internal sealed class CertificateFolder(string path)
{
    private const UnixFileMode Owner = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const UnixFileMode Everybody = Owner | UnixFileMode.GroupRead | UnixFileMode.OtherRead;

    /// <summary>How long somebody else may be at work here.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    public string Path { get; } = path;

    /// <summary>Until the answer is disposed of, no other process writes here; the directory exists.</summary>
    /// <exception cref="IOException">It cannot be written, or somebody holds it for too long.</exception>
    public IDisposable Hold()
    {
        try
        {
            Create();
            FileStream? held = null;
            return SpinWait.SpinUntil(() => TryHold(out held), Patience)
                ? held!
                : throw new IOException($"another process is at work in {Path}: try again");
        }
        catch (UnauthorizedAccessException exception)
        {
            throw new IOException(exception.Message, exception);
        }
    }

    /// <summary>Each file old or new, never a part: written aside, brought to disk, renamed. The key first: a certificate has one.</summary>
    /// <exception cref="IOException">It cannot be written; with <paramref name="overwrite"/> off also: something is there.</exception>
    public static void Write(CertificatePair files, NewCertificate certificate, bool overwrite)
    {
        try
        {
            Write(files.KeyPath, certificate.KeyPem, Owner, overwrite);
            Write(files.CertificatePath, certificate.CertificatePem, Everybody, overwrite);
        }
        catch (UnauthorizedAccessException exception)
        {
            throw new IOException(exception.Message, exception);
        }
    }

    private static void Write(string path, string text, UnixFileMode mode, bool overwrite)
    {
        var aside = path + ".new";
        File.Delete(aside);
        using (var file = new FileStream(aside, Options(FileMode.CreateNew, mode)))
        {
            file.Write(Encoding.ASCII.GetBytes(text));
            file.Flush(flushToDisk: true);
            if (!OperatingSystem.IsWindows() && mode == Everybody)
                File.SetUnixFileMode(file.SafeFileHandle, mode); // whatever the umask took away; a key's mode is never touched again
        }

        File.Move(aside, path, overwrite);
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

    /// <summary>What is above it must not be everybody's either, whatever the umask says.</summary>
    [UnsupportedOSPlatform("windows")]
    private void CreateMode700()
    {
        if (System.IO.Path.GetDirectoryName(Path) is { } above)
            Directory.CreateDirectory(above, Everybody | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute);
        Directory.CreateDirectory(Path, Owner | UnixFileMode.UserExecute);
    }

    private bool TryHold(out FileStream? held)
    {
        held = null;
        try
        {
            held = new FileStream(System.IO.Path.Combine(Path, ".lock"), Options(FileMode.OpenOrCreate, Owner));
            return true;
        }
        catch (IOException exception) when (exception is not (DirectoryNotFoundException or PathTooLongException) && File.Exists(System.IO.Path.Combine(Path, ".lock")))
        {
            return false; // somebody else's
        }
    }

    private static FileStreamOptions Options(FileMode mode, UnixFileMode unix)
    {
        var options = new FileStreamOptions { Mode = mode, Access = FileAccess.Write, Share = FileShare.None };
        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = unix;
        return options;
    }
}
