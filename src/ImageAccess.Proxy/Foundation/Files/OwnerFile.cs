namespace ImageAccess.Proxy.Foundation.Files;

/// <summary>Files that nobody but their owner may read or write (0600), whatever the umask says.</summary>
internal static class OwnerFile
{
    public const UnixFileMode Mode = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>The mode counts where the file is created; what is there already keeps its own.</summary>
    public static FileStreamOptions Options(FileMode mode, FileAccess access, FileShare share)
    {
        var options = new FileStreamOptions { Mode = mode, Access = access, Share = share, BufferSize = 0 };
        if (!OperatingSystem.IsWindows() && mode is not FileMode.Open)
            options.UnixCreateMode = Mode;
        return options;
    }
}
