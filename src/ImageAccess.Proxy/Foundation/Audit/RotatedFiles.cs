using System.Globalization;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Foundation.Audit;

/// <summary>
/// The trail's file and its predecessors, <c>audit.jsonl.1</c> the youngest of them. A file is rotated at a sixteenth of
/// <c>Audit:MaximumSize</c>, and when its day is over (UTC). The oldest go when they are older than <c>Audit:Keep</c>, or when all
/// together would be too large: then evidence is lost before its time, which is counted and told. Where the files cannot be renamed or
/// removed, the trail grows: an event is worth more than a bound.
/// </summary>
internal sealed class RotatedFiles(IOptions<AuditOptions> options, TimeProvider time, AuditMetrics metrics, ILogger logger)
{
    private const int Parts = 16;

    /// <summary>How long what has failed is left alone.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromMinutes(1);

    private DateTime? _lostUntil;
    private volatile string? _hindrance;
    private long _tried;

    /// <summary>That the trail grows beyond its bounds, or does not reach back as far as it should; null while all is well.</summary>
    public string? Concern => (_hindrance, TooSmall) switch
    {
        ({ } hindrance, var tooSmall) =>
            $"its files cannot be renamed or removed, it grows beyond Audit:MaximumSize and Audit:Keep: {hindrance}{(tooSmall is null ? "" : $"; {tooSmall}")}",
        (null, var tooSmall) => tooSmall,
    };

    private string? TooSmall => _lostUntil is { } until && until > Oldest
        ? string.Create(CultureInfo.InvariantCulture, $"the audit trail is too small for Audit:Keep, events up to {until:yyyy-MM-dd HH:mm} UTC are removed: raise Audit:MaximumSize")
        : null;

    private AuditOptions Settings => options.Value;

    private DateTime Now => time.GetUtcNow().UtcDateTime;

    /// <summary>What was last written before this moment is kept no longer.</summary>
    private DateTime Oldest => Now > DateTime.UnixEpoch + Settings.Keep ? Now - Settings.Keep : DateTime.UnixEpoch;

    private long FileSize => Settings.MaximumSize / Parts;

    /// <summary>The predecessors of a trail, the youngest first; with gaps where somebody took one away.</summary>
    public static IReadOnlyList<(int Number, string Path)> PredecessorsOf(string trail)
    {
        var (directory, name) = (Path.GetDirectoryName(Path.GetFullPath(trail))!, Path.GetFileName(trail));
        return
        [
            .. Directory.EnumerateFiles(directory, name + "*")
                .Select(path => (Number: NumberOf(Path.GetFileName(path)[name.Length..]), path))
                .Where(file => file.Number > 0)
                .OrderBy(file => file.Number),
        ];
    }

    /// <summary>Before so many bytes are appended to the trail.</summary>
    /// <param name="length">How many.</param>
    /// <param name="close">Ends the file before it is rotated.</param>
    public void MakeRoom(int length, Action close)
    {
        var file = new FileInfo(Settings.FilePath);
        var isFull = file is { Exists: true, Length: > 0 } && (file.Length + length > FileSize || file.LastWriteTimeUtc.Date < Now.Date);
        if (isFull || _hindrance is not null)
            Tidy(isFull ? close : null);
    }

    /// <summary>Removes what is beyond the age or the size.</summary>
    public void RemoveOldest() => Tidy(null);

    /// <summary>Never throws for what the files' system refuses: that is told once, and tried again.</summary>
    private void Tidy(Action? close)
    {
        if (_hindrance is not null && time.GetElapsedTime(_tried) < Pause)
            return;
        var failures = new List<Exception>();
        if (close is not null)
        {
            close();
            Attempt(Rotate, failures);
        }

        Attempt(() => RemoveOldest(failures), failures);
        if (failures.Count > 0 && _hindrance is null)
            logger.NotTidied(failures[0], Settings.FilePath);
        (_hindrance, _tried) = (failures.Count == 0 ? null : failures[0].Message, time.GetTimestamp());
    }

    private static void Attempt(Action act, List<Exception> failures)
    {
        try
        {
            act();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            failures.Add(exception);
        }
    }

    /// <summary>One that cannot be removed keeps no other.</summary>
    private void RemoveOldest(List<Exception> failures)
    {
        var size = FileSize;
        foreach (var (_, path) in PredecessorsOf(Settings.FilePath))
        {
            var file = new FileInfo(path);
            size += file.Length;
            var isOld = file.LastWriteTimeUtc < Oldest;
            if (!isOld && size <= Settings.MaximumSize)
                continue;
            var (length, last) = (file.Length, file.LastWriteTimeUtc);
            Attempt(Remove, failures);

            void Remove()
            {
                file.Delete();
                if (!isOld)
                    Lost(length, last);
            }
        }
    }

    /// <summary>Of a predecessor, by what follows the trail's name; 0 for everything else.</summary>
    internal static int NumberOf(string suffix) =>
        suffix is ['.', not '0', ..] && int.TryParse(suffix.AsSpan(1), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : 0;

    /// <summary>Each file gets the next number, up to the first that is free; a crash between leaves a gap, and loses nothing.</summary>
    /// <remarks>The names are free. A move that would not overwrite copies what cannot be renamed, and so all events once more at each try.</remarks>
    private void Rotate()
    {
        var free = 1;
        while (File.Exists(Numbered(free)))
            free++;
        for (var number = free; number > 1; number--)
            File.Move(Numbered(number - 1), Numbered(number), overwrite: true);
        File.Move(Settings.FilePath, Numbered(1), overwrite: true);
    }

    private string Numbered(int number) => string.Create(CultureInfo.InvariantCulture, $"{Settings.FilePath}.{number}");

    private void Lost(long length, DateTime until)
    {
        metrics.Removed(length);
        if (TooSmall is null)
            logger.RemovedEarly(Settings.FilePath, until);
        if (_lostUntil is null || until > _lostUntil)
            _lostUntil = until;
    }
}
