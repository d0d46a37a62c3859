using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Foundation.Audit;

/// <summary>Where the chain goes on at the start of the program.</summary>
/// <param name="Link">What the next line follows.</param>
/// <param name="Missing">The line that should be in the trail and is not.</param>
internal sealed record TrailEnd(ChainLink Link, long? Missing)
{
    /// <summary>More than a batch has, with its places in the chain.</summary>
    private const int Window = 512 * 1024;

    /// <summary>
    /// The chain goes on from the last line of the file, or of its youngest predecessor where it has none. Where that is not what the head says, it goes on
    /// from the head: so a cut that was made while nobody wrote stays visible.
    /// </summary>
    public static TrailEnd Of(string trail)
    {
        var head = AuditHead.Read(trail);
        var isEmpty = new FileInfo(trail) is not { Exists: true, Length: > 0 };
        var lines = LastLines(isEmpty ? RotatedFiles.PredecessorsOf(trail).Select(file => file.Path).FirstOrDefault() : trail);
        var (last, isAsHead) = Follow(lines, head);
        if (head is not { } written || (last is { } end && isAsHead && end.Sequence >= written.Sequence))
            return new TrailEnd(last ?? ChainLink.None, null);
        return new TrailEnd(written, isEmpty || last is null ? null : written.Sequence);
    }

    /// <returns>The last place, with what was torn after it; and whether the head's own line, if it is among these, is the one that the head means.</returns>
    private static (ChainLink? Last, bool IsAsHead) Follow(List<byte[]> lines, ChainLink? head)
    {
        ChainLink? last = null;
        var isAsHead = true;
        foreach (var line in lines)
        {
            if (ChainedLine.TryParse(line, out var link, out _))
            {
                last = link;
                isAsHead &= link.Sequence != head?.Sequence || link == head;
            }
            else
            {
                last = last?.Over(line);
            }
        }

        return (last, isAsHead);
    }

    private static List<byte[]> LastLines(string? path)
    {
        if (path is null)
            return [];
        try
        {
            using var file = new FileStream(path, OwnerFile.Options(FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete));
            var begin = Math.Max(0, file.Length - Window);
            var bytes = new byte[file.Length - begin];
            file.Position = begin;
            file.ReadExactly(bytes);
            return [.. Lines(bytes)];
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return []; // a predecessor of another owner stops no writing
        }
    }

    private static IEnumerable<byte[]> Lines(byte[] bytes)
    {
        for (var begin = 0; begin < bytes.Length;)
        {
            var end = Array.IndexOf(bytes, (byte)'\n', begin);
            if (end < 0)
                end = bytes.Length;
            if (end > begin)
                yield return bytes[begin..end];
            begin = end + 1;
        }
    }
}
