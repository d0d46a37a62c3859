using ImageAccess.Proxy.Foundation.Audit;

namespace ImageAccess.Proxy.Administration.Usage;

/// <summary>What became of a file that was imported.</summary>
/// <param name="File">Its path.</param>
internal sealed record ImportedFile(string File)
{
    public long Lines { get; init; }

    /// <summary>Decisions that are in the database now, and were not before.</summary>
    public long Added { get; init; }

    /// <summary>Decisions that were there already.</summary>
    public long Known { get; init; }

    /// <summary>Decisions that are older than is kept, or whose day was removed already.</summary>
    public long Old { get; init; }

    /// <summary>Decisions of a day that has not come.</summary>
    public long Future { get; init; }

    /// <summary>Events of other kinds.</summary>
    public long Others { get; init; }

    /// <summary>Lines that are no event.</summary>
    public long Malformed { get; init; }

    /// <summary>Lines that are longer than any event.</summary>
    public long TooLong { get; init; }

    /// <summary>The last line has no end, and was left out.</summary>
    public bool IsCut { get; init; }

    /// <summary>Why it could not be read to its end.</summary>
    public string? Failure { get; init; }

    /// <summary>The numbers of the first lines that are no event.</summary>
    public IReadOnlyList<long> Flawed { get; init; } = [];

    public ImportedFile With(UsageBatch batch, UsageAdded added) => this with
    {
        Lines = Lines + batch.Lines,
        Added = Added + added.New,
        Known = Known + batch.Decisions.Count - added.New - added.Old - added.Future,
        Old = Old + added.Old,
        Future = Future + added.Future,
        Others = Others + batch.Others,
        Malformed = Malformed + batch.Malformed,
        TooLong = TooLong + batch.TooLong,
        Flawed = [.. Flawed.Concat(batch.Flawed.Select(line => Lines + line)).Take(UsageBatch.MaximumNamed)],
    };
}

/// <summary>
/// Brings the decisions of any files of a trail into the database, those of another machine too. It notes no position: a file that was picked from
/// another begins as that one does, and holds other lines. What is known already is known by its id.
/// </summary>
internal static class UsageImport
{
    /// <param name="progress">Told after each batch how far the file is read, in bytes of what lies on the disk, and of how many.</param>
    /// <exception cref="FileNotFoundException">It is not there.</exception>
    public static async Task<ImportedFile> ReadAsync(
        string path, UsageStore store, Func<UsageDays> days, Action<ImportedFile, long, long> progress, CancellationToken cancellationToken)
    {
        var imported = new ImportedFile(path);
        try
        {
            await using var file = await TrailFile.OpenAsync(path, cancellationToken);
            var lines = await file.LinesFromAsync(0, cancellationToken);
            while (await UsageBatch.ReadAsync(lines, cancellationToken) is { Lines: > 0 } batch)
            {
                imported = imported.With(batch, await store.AddAsync(batch.Decisions, null, days(), cancellationToken));
                progress(imported, file.Position, file.Length);
            }

            return imported with { IsCut = lines.Rest > 0 };
        }
        catch (Exception exception) when (exception is InvalidDataException or IOException and not FileNotFoundException or UnauthorizedAccessException)
        {
            return imported with { Failure = exception.Message }; // other files may be whole
        }
    }
}
