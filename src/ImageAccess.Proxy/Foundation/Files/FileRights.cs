using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace ImageAccess.Proxy.Foundation.Files;

/// <summary>
/// Who may change a file or directory, links followed: for those that decide whom this program believes. Only the owner should. A group may
/// where this program is in it, as in that of a volume of Kubernetes, or where it is the owner's own, which has the owner's number: that is told.
/// </summary>
internal sealed record FileRights(UnixFileMode Mode, uint? Owner, uint? Group)
{
    private const int FromHere = -100;
    private const int EmptyPath = 0x1000;
    private const uint ModeOwnerAndGroup = 0x2 | 0x8 | 0x10;

    /// <summary>What follows the path in a sentence where <see cref="IsWritableByOthers"/>.</summary>
    public const string Fault = "can be changed by others than its owner: chmod go-w";

    private const UnixFileMode GroupsPart = UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.GroupExecute;

    private static readonly Lazy<HashSet<uint>> OwnGroups = new(ReadOwnGroups);

    /// <summary>Everybody can change it, or a group that is neither this program's nor the owner's own.</summary>
    public bool IsWritableByOthers => Mode.HasFlag(UnixFileMode.OtherWrite) || (IsWritableByGroup && !IsOfOwnGroup && !IsOfOwnersGroup);

    /// <summary>A group can change it, and it may have other members than this program's user.</summary>
    public bool IsWritableByGroup => Mode.HasFlag(UnixFileMode.GroupWrite) && !IsOfUsersGroup;

    /// <summary>This program is in the group.</summary>
    public bool IsOfOwnGroup => Group is { } group && OwnGroups.Value.Contains(group);

    /// <summary>The mode as far as it is about others: without the group's part where this program is in the group, unless that is root's.</summary>
    public UnixFileMode ModeForOthers => IsOfOwnGroup && Group != 0 ? Mode & ~GroupsPart : Mode;

    public bool IsReadableByEverybody => Mode.HasFlag(UnixFileMode.OtherRead);

    /// <summary>The owner is neither root nor the user whom this program runs as.</summary>
    public bool IsAnothers => Owner is { } owner && owner != 0 && owner != geteuid();

    private bool IsOfOwnersGroup => Group is { } group && group == Owner;

    /// <summary>The system gives each user a group of his own: his group is he.</summary>
    private bool IsOfUsersGroup => Group is { } group && group != 0 && group == geteuid() && group == getegid();

    public static FileRights Of(SafeFileHandle file) => OperatingSystem.IsWindows()
        ? new FileRights(default, null, null)
        : Ask((int)file.DangerousGetHandle(), "", EmptyPath) ?? new FileRights(File.GetUnixFileMode(file), null, null);

    /// <summary>Those of a file or directory; null where there is none that can be looked at.</summary>
    public static FileRights? Of(string path)
    {
        if (OperatingSystem.IsWindows() || !Path.Exists(path))
            return null;
        try
        {
            return Ask(FromHere, path, 0) ?? new FileRights(File.GetUnixFileMode(path), null, null);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Null where the system does not tell.</summary>
    private static FileRights? Ask(int directory, string path, int flags)
    {
        try
        {
            return OperatingSystem.IsLinux() && statx(directory, path, flags, ModeOwnerAndGroup, out var status) == 0
                ? new FileRights((UnixFileMode)(status.Mode & 0xFFF), status.Owner, status.Group)
                : null;
        }
        catch (EntryPointNotFoundException)
        {
            return null;
        }
    }

    private static HashSet<uint> ReadOwnGroups()
    {
        var further = new uint[Math.Max(getgroups(0, []), 0)];
        return [getegid(), .. further.AsSpan(0, Math.Clamp(getgroups(further.Length, further), 0, further.Length))];
    }

    /// <summary>The part of the kernel's <c>struct statx</c> that is read; it is the same on every architecture.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct Status
    {
        [FieldOffset(20)]
        public uint Owner;

        [FieldOffset(24)]
        public uint Group;

        [FieldOffset(28)]
        public ushort Mode;
    }

#pragma warning disable SYSLIB1054, IDE1006 // The generated form needs unsafe code in the whole project; the names are the system's own.
    [DllImport("libc"), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int statx(int directory, [MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags, uint mask, out Status status);

    [DllImport("libc"), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern uint geteuid();

    [DllImport("libc"), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern uint getegid();

    [DllImport("libc"), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int getgroups(int size, [Out] uint[] list);
#pragma warning restore SYSLIB1054, IDE1006
}
