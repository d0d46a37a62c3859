namespace ImageAccess.Proxy.Foundation.Files;

/// <summary>A disk without room: for bytes, for files (inodes), or in a quota. It may be freed, and nothing else has to change.</summary>
internal static class FullDisk
{
    // The HResult of what the system refuses is the system's own error number.
    private const int NoSpaceLeft = 28;
    private const int OverQuotaLinux = 122;
    private const int OverQuotaMac = 69;
    private const int DiskFullWindows = unchecked((int)0x80070070);

    /// <summary>Whether a failure says so.</summary>
    public static bool IsCauseOf(Exception exception) => exception is IOException
    {
        HResult: NoSpaceLeft or OverQuotaLinux or OverQuotaMac or DiskFullWindows,
    };
}
