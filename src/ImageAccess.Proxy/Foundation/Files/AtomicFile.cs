using System.Runtime.InteropServices;

namespace ImageAccess.Proxy.Foundation.Files;

/// <summary>
/// Replaces a file as a whole: whoever reads it, also after a crash, finds the old content or the new, never a part. The content is
/// written aside, brought to disk and renamed; then the directory's entry is brought to disk as well, so that what was written last
/// is what a restart finds.
/// </summary>
internal static class AtomicFile
{
    private const int ReadOnly = 0;

    /// <inheritdoc cref="Write(string, Action{Stream}, UnixFileMode, bool)"/>
    public static void Write(string path, byte[] content, UnixFileMode mode = OwnerFile.Mode, bool overwrite = true) =>
        Write(path, file => file.Write(content), mode, overwrite);

    /// <summary>Makes the directory where there is none.</summary>
    /// <param name="path">The file.</param>
    /// <param name="write">Writes the content into the stream.</param>
    /// <param name="mode">Who may read it; its owner alone unless somebody says more.</param>
    /// <param name="overwrite">Whether what is there may be replaced.</param>
    /// <exception cref="IOException">It could not be written; the old content is still there.</exception>
    public static void Write(string path, Action<Stream> write, UnixFileMode mode = OwnerFile.Mode, bool overwrite = true)
    {
        var aside = path + ".new";
        try
        {
            var directory = Path.GetDirectoryName(Path.GetFullPath(path))!;
            Directory.CreateDirectory(directory);
            File.Delete(aside);
            WriteThrough(aside, write, mode);
            File.Move(aside, path, overwrite);
            FlushDirectory(directory);
        }
        catch (UnauthorizedAccessException exception)
        {
            throw new IOException(exception.Message, exception);
        }
    }

    private static void WriteThrough(string aside, Action<Stream> write, UnixFileMode mode)
    {
        var options = OwnerFile.Options(FileMode.CreateNew, FileAccess.Write, FileShare.None);
        options.BufferSize = 16 * 1024;
        using var file = new FileStream(aside, options);
        write(file);
        file.Flush(flushToDisk: true);
        if (!OperatingSystem.IsWindows() && mode != OwnerFile.Mode)
            File.SetUnixFileMode(file.SafeFileHandle, mode);
    }

    /// <summary>Where a file system cannot do it, the rename still is one; .NET itself opens no directory.</summary>
    private static void FlushDirectory(string directory)
    {
        if (OperatingSystem.IsWindows())
            return;
        var descriptor = open(directory, ReadOnly);
        if (descriptor < 0)
            return;
        _ = fsync(descriptor);
        _ = close(descriptor);
    }

#pragma warning disable SYSLIB1054, IDE1006 // The generated form needs unsafe code in the whole project; the names are the system's own.
    [DllImport("libc"), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int open([MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags);

    [DllImport("libc"), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int fsync(int descriptor);

    [DllImport("libc"), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int close(int descriptor);
#pragma warning restore SYSLIB1054, IDE1006
}
