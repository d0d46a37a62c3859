using System.Text.Json;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Policies.Store;

/// <summary>
/// What is opened in an emergency: a file that the verbs write and this program watches, so that it needs neither a database nor Docker Hub. A file
/// that is gone or cannot be used opens nothing more. Each step of each emergency is recorded once, also what happened while the program did not run.
/// </summary>
internal sealed class BreakGlassFile(PolicyStoreOptions options, AuditTrail trail, TimeProvider time, ILogger logger)
{
    private readonly WatchedFile<ParsedFile<BreakGlassDocument>> _file =
        new(new WholeFile(options.BreakGlassPath, BreakGlassDocument.MaximumSize), BreakGlassDocument.Parse);

    private readonly KeptCopy _copy = new(options.BreakGlassToldPath, logger.BreakGlassNotKept);

    private HashSet<string> _told = [];
    private DateTimeOffset _looked = DateTimeOffset.MaxValue;
    private DateTimeOffset _nextEnd;

    /// <summary>Those that have not ended; each says until when it holds.</summary>
    public IReadOnlyList<BreakGlass> Current { get; private set; } = [];

    /// <summary>Why it is not what somebody wrote last; null when all is well.</summary>
    public string? Concern => _file.Refusal is { } refusal ? $"{options.BreakGlassPath} {refusal.Flaw}; nothing more is opened by it" : null;

    /// <summary>The file, for what is no running proxy.</summary>
    /// <exception cref="IOException">It cannot be used.</exception>
    public static BreakGlassDocument Read(PolicyStoreOptions options)
    {
        var file = BreakGlassDocument.Parse(new WholeFile(options.BreakGlassPath, BreakGlassDocument.MaximumSize).Read());
        return file.Value ?? throw new IOException($"{options.BreakGlassPath} {file.Flaw}; correct it, or remove it");
    }

    /// <summary>Changes what the file says; in force where it runs within a second.</summary>
    /// <exception cref="IOException">It cannot be used or written, or somebody else does not end changing it.</exception>
    public static async Task<BreakGlassEntry> ChangeAsync(
        PolicyStoreOptions options, Func<BreakGlassDocument, (BreakGlassDocument After, long Id)> change, CancellationToken cancellationToken)
    {
        await using var held = await LockFile.HoldAsync(options.BreakGlassPath + ".lock", cancellationToken);
        var (after, id) = change(Read(options));
        AtomicFile.Write(options.BreakGlassPath, after.ToBytes());
        return after.Find(id)!;
    }

    public void Open()
    {
        var kept = new WholeFile(options.BreakGlassToldPath, BreakGlassDocument.MaximumSize).Read();
        if (kept.Bytes is { } bytes)
            _told = TryRead(bytes) ?? [];
        Look();
    }

    /// <summary>Reads the file again, and records what was not recorded yet.</summary>
    public void Look()
    {
        var change = _file.Look();
        if (change == FileChange.Refused)
            logger.BreakGlassRefused(options.BreakGlassPath, _file.Refusal!.Flaw!);
        var (document, now) = (_file.Current?.Value ?? BreakGlassDocument.Empty, time.GetUtcNow());
        if (change == FileChange.None && now >= _looked && now < _nextEnd && _copy.Failure is null)
            return;
        (_looked, _nextEnd) = (now, document.Entries.Where(entry => now < entry.Until).Select(entry => entry.Until).DefaultIfEmpty(DateTimeOffset.MaxValue).Min());
        Current = document.InForce(now);
        Tell(document, now);
    }

    private void Tell(BreakGlassDocument document, DateTimeOffset now)
    {
        var steps = StepsOf(document, now);
        foreach (var step in steps.Where(step => !_told.Contains(step.Key)))
        {
            trail.RecordBreakGlass(step);
            logger.BreakGlass(step.Words, step.Id, step.What, step.By ?? "nobody", step.Reason ?? "its time is over");
        }

        if (_copy.Failure is null && steps.Count == _told.Count && steps.TrueForAll(step => _told.Contains(step.Key)))
            return;
        _told = [.. steps.Select(step => step.Key)];
        _copy.Keep(JsonSerializer.SerializeToUtf8Bytes(_told)); // after it was recorded: a program that ends between the two records it again
    }

    /// <summary>What has happened up to a moment.</summary>
    public static List<BreakGlassEvent.Step> StepsOf(BreakGlassDocument document, DateTimeOffset now) => [.. document.Entries.SelectMany(entry => StepsOf(entry, now))];

    private static IEnumerable<BreakGlassEvent.Step> StepsOf(BreakGlassEntry entry, DateTimeOffset now)
    {
        yield return Step("begun", entry.By, entry.Reason, entry.Since);
        if (entry.Ended is { } ended && ended.At < entry.Until)
            yield return Step("ended", ended.By, ended.Reason, ended.At);
        else if (now >= entry.Until)
            yield return Step("ended", null, null, entry.Until);
        if (entry.Reviewed is { } reviewed)
            yield return Step("reviewed", reviewed.By, reviewed.Reason, reviewed.At);

        BreakGlassEvent.Step Step(string what, string? by, string? reason, DateTimeOffset at) =>
            new(entry.Id, what, entry.Organization, entry.Words(), entry.Until, by, reason, at) { Ticket = entry.Ticket };
    }

    private static HashSet<string>? TryRead(ReadOnlyMemory<byte> bytes)
    {
        try
        {
            return JsonSerializer.Deserialize<HashSet<string>>(bytes.Span);
        }
        catch (JsonException)
        {
            return null; // they are recorded again
        }
    }
}
