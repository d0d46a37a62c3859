using System.IO.Enumeration;
using System.Text.RegularExpressions;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Content.Cache;

/// <summary>The places of a cache on disk: <c>content/sha256/ab/…</c>, <c>coming/</c>, <c>index</c>, <c>lock</c>.</summary>
internal sealed partial class CacheDirectory(string path)
{
    private const UnixFileMode OwnersFolder = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    // The HResult for a file that another process has locked is the system's own error number.
    private const int WouldBlockLinux = 11;
    private const int WouldBlockMac = 35;
    private const int SharingViolation = unchecked((int)0x80070020);

    public string Path => path;

    public string IndexPath => System.IO.Path.Combine(path, "index");

    private string ContentPath => System.IO.Path.Combine(path, "content");

    private string ComingPath => System.IO.Path.Combine(path, "coming");

    private string LockPath => System.IO.Path.Combine(path, "lock");

    public bool Exists => Directory.Exists(ContentPath);

    public string PathOf(Digest digest)
    {
        var (algorithm, hex) = (digest.Value[..6], digest.Value[7..]);
        return System.IO.Path.Combine(ContentPath, algorithm, hex[..2], hex);
    }

    public string NewComingPath() => System.IO.Path.Combine(ComingPath, Guid.NewGuid().ToString("N"));

    /// <summary>Creates the folders that are missing.</summary>
    /// <exception cref="IOException">A folder cannot be created, or is a link to another place.</exception>
    public void Create()
    {
        foreach (var folder in new[] { path, ContentPath, ComingPath })
        {
            Create(folder);
            if (folder != path && new DirectoryInfo(folder).LinkTarget is { } target)
                throw new IOException($"{folder} is a link to {target}");
        }
    }

    /// <summary>A lock that this process holds until it is disposed of; null where another process holds it.</summary>
    public FileStream? TryLock()
    {
        try
        {
            return new FileStream(LockPath, OwnerFile.Options(FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None));
        }
        catch (IOException exception) when (exception.HResult is WouldBlockLinux or WouldBlockMac or SharingViolation)
        {
            return null;
        }
    }

    /// <summary>Removes what a killed process left behind. Files with other names are not ours.</summary>
    public void EmptyComing()
    {
        foreach (var file in Directory.EnumerateFiles(ComingPath).Where(file => ComingName().IsMatch(System.IO.Path.GetFileName(file))))
            File.Delete(file);
    }

    /// <summary>Moves a finished file to its place, and replaces the one that may be there.</summary>
    public void Publish(string coming, Digest digest)
    {
        var place = PathOf(digest);
        try
        {
            File.Move(coming, place, overwrite: true);
        }
        catch (DirectoryNotFoundException)
        {
            Create(FolderOf(digest));
            File.Move(coming, place, overwrite: true);
        }
    }

    /// <summary>The content of this digest as it is on disk, not yet read; null where there is none.</summary>
    public KeptContent? Find(Digest digest)
    {
        var file = new FileInfo(PathOf(digest));
        return file.Exists && IsContent(file.Attributes, file.Length, digest) ? new KeptContent(digest, file.Length, new DateTimeOffset(file.LastWriteTimeUtc)) : null;
    }

    /// <summary>All contents. Files in other places or with other names are not ours, and are left alone.</summary>
    public IEnumerable<KeptContent> FindAll()
    {
        foreach (var algorithm in new[] { "sha256", "sha512" })
        {
            var root = System.IO.Path.Combine(ContentPath, algorithm);
            for (var shard = 0; shard < 256; shard++)
            {
                var folder = new DirectoryInfo(System.IO.Path.Combine(root, shard.ToString("x2", System.Globalization.CultureInfo.InvariantCulture)));
                if (!folder.Exists || folder.LinkTarget is not null)
                    continue;
                foreach (var found in FindAll(folder, algorithm))
                    yield return found;
            }
        }
    }

    /// <exception cref="IOException">It cannot be read.</exception>
    public DiskSpace Space() => DiskSpace.Read(path);

    /// <summary>The folder of a digest's content, which others share.</summary>
    public string FolderOf(Digest digest) => System.IO.Path.GetDirectoryName(PathOf(digest))!;

    /// <summary>Removes a folder of contents that has none any more: it takes up a file of the disk. Nothing may be published meanwhile.</summary>
    public static void RemoveIfEmpty(string folder)
    {
        try
        {
            if (!Directory.EnumerateFileSystemEntries(folder).Any())
                Directory.Delete(folder);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // It stays; there are at most 512.
        }
    }

    private static IEnumerable<KeptContent> FindAll(DirectoryInfo folder, string algorithm)
    {
        var options = new EnumerationOptions { IgnoreInaccessible = true, AttributesToSkip = FileAttributes.None };
        return new FileSystemEnumerable<KeptContent?>(folder.FullName, (ref entry) => Read(ref entry, algorithm, folder.Name), options)
            .OfType<KeptContent>();

        static KeptContent? Read(ref FileSystemEntry entry, string algorithm, string shard) =>
            entry.FileName.StartsWith(shard, StringComparison.Ordinal)
            && Digest.TryParse($"{algorithm}:{entry.FileName}", out var digest)
            && !entry.IsDirectory && IsContent(entry.Attributes, entry.Length, digest)
                ? new KeptContent(digest, entry.Length, entry.LastWriteTimeUtc)
                : null;
    }

    /// <summary>It is a plain file. An empty one counts only for the digest of nothing: else it may not be a file at all.</summary>
    private static bool IsContent(FileAttributes attributes, long length, Digest digest) =>
        (attributes & (FileAttributes.Directory | FileAttributes.ReparsePoint | FileAttributes.Device)) == FileAttributes.None
        && (length > 0 || DigestCheck.Verifies(digest, []));

    private static void Create(string folder)
    {
        if (OperatingSystem.IsWindows())
            Directory.CreateDirectory(folder);
        else
            Directory.CreateDirectory(folder, OwnersFolder);
    }

    [GeneratedRegex("^[0-9a-f]{32}$", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex ComingName();
}
