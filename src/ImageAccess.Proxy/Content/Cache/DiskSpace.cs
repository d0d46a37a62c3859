using System.Runtime.InteropServices;

namespace ImageAccess.Proxy.Content.Cache;

/// <summary>What a disk has left, for this user, and has in all. It is full when either has run out.</summary>
/// <param name="FreeBytes">Bytes that are left.</param>
/// <param name="AllBytes">Of the whole disk.</param>
/// <param name="FreeFiles">Files and folders (inodes) that are left.</param>
/// <param name="AllFiles">Of the whole disk; 0 where it sets no number.</param>
internal sealed record DiskSpace(long FreeBytes, long AllBytes, long FreeFiles, long AllFiles)
{
    /// <summary>What a file takes up is a multiple of this, on nearly every disk.</summary>
    public const long Block = 4096;

    /// <summary>What a file of this length takes up.</summary>
    public static long Of(long length) => length <= Block ? Block : (length + Block - 1) / Block * Block;

    /// <exception cref="IOException">It cannot be read.</exception>
    public static DiskSpace Read(string path)
    {
        if (OperatingSystem.IsLinux() && Environment.Is64BitProcess && statvfs(path, out var disk) == 0)
            return new DiskSpace(Bytes(disk.AvailableBlocks, disk.FragmentSize), Bytes(disk.Blocks, disk.FragmentSize), Number(disk.AvailableFiles), Number(disk.Files));
        var drive = new DriveInfo(path);
        return new DiskSpace(drive.AvailableFreeSpace, drive.TotalSize, long.MaxValue, 0);
    }

    private static long Bytes(ulong blocks, ulong size) => Number(blocks > 0 && size > ulong.MaxValue / blocks ? ulong.MaxValue : blocks * size);

    private static long Number(ulong number) => number > long.MaxValue ? long.MaxValue : (long)number;

#pragma warning disable SYSLIB1054, IDE1006 // The generated form needs unsafe code in the whole project; the name is the system's own.
    [DllImport("libc"), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int statvfs([MarshalAs(UnmanagedType.LPUTF8Str)] string path, out Statvfs disk);
#pragma warning restore SYSLIB1054, IDE1006

    /// <summary>The same on every Linux of 64 bits, with glibc and with musl; larger than either has it.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 256)]
    private struct Statvfs
    {
        public ulong BlockSize;
        public ulong FragmentSize;
        public ulong Blocks;
        public ulong FreeBlocks;
        public ulong AvailableBlocks;
        public ulong Files;
        public ulong FreeFiles;
        public ulong AvailableFiles;
    }
}
