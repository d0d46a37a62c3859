using System.Text.Json;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Policies.Store;

/// <summary>
/// Brings each version of the policy that comes into force into the database: in their order, and once. What waits to be written is kept in a
/// file as well, so that neither an outage of the database nor a restart loses it. Replicas see the same changes of the same document: each
/// remembers the row that it has come to, and takes a later row of the same version for its own.
/// </summary>
internal sealed class PolicyHistory(IOptions<PolicyStoreOptions> options, DatabaseState database, TimeProvider time, ILogger<PolicyHistory> logger)
    : IDatabaseWriter
{
    /// <summary>Versions that wait; beyond it the oldest is given up.</summary>
    public const int MaximumWaiting = 64;

    private const string FoundAtStart = "in force at the start";

    private readonly Lock _gate = new();
    private HistoryProgress _kept = new(null, []);
    private (Policy Policy, byte[] Document, bool IsWritten)? _inForce;
    private bool _isCompared;

    private KeptCopy Copy => field ??= new KeptCopy(options.Value.HistoryPath, logger.HistoryNotKept);

    /// <summary>Also once after the start: the database may be another than before.</summary>
    public bool IsWaiting
    {
        get
        {
            lock (_gate)
                return !_isCompared || Copy.Failure is not null || _kept.Waiting.Count > 0;
        }
    }

    /// <summary>Sees each policy that comes into force, from the first on.</summary>
    public void Follow(PolicyStore store)
    {
        var reading = new WholeFile(options.Value.HistoryPath, HistoryProgress.MaximumSize).Read();
        if (!reading.IsMissing)
            Read(reading);
        store.WhenChanged(policy =>
        {
            if (store.Source == PolicySource.Database)
                Find(policy, store.Document, store.Written);
            else
                Add(policy, store.Document);
        });
    }

    public async Task WriteAsync(SqlDatabase database, CancellationToken cancellationToken)
    {
        HistoryProgress progress;
        PolicyVersionRow? inForce;
        lock (_gate)
            (progress, inForce) = (_kept, _inForce is { IsWritten: false } now && now.Policy.DocumentVersion != Policy.Off.DocumentVersion ? Row(now.Policy, now.Document, null, FoundAtStart) : null);

        var reached = progress.Written;
        await database.WriteAsync(
            async context => reached = await new PolicyVersions(context).AddAsync(progress, inForce, cancellationToken),
            cancellationToken);

        lock (_gate)
        {
            _isCompared = true;
            if (Copy.Failure is not null || progress.Waiting.Count > 0 || reached != _kept.Written)
                Keep(new HistoryProgress(reached, [.. _kept.Waiting.Except(progress.Waiting)]));
        }
    }

    private void Add(Policy policy, byte[] document)
    {
        lock (_gate)
        {
            var before = _inForce?.Policy.With(policy.Followed);
            _inForce = (policy, document, false);
            if (policy.DocumentVersion == Policy.Off.DocumentVersion || policy.DocumentVersion == _kept.LastVersion)
                return;

            var row = Row(policy, document, _kept.LastVersion, before is null ? FoundAtStart : $"{options.Value.DocumentPath} changed");
            if (before is not null && before.DocumentVersion != Policy.Off.DocumentVersion)
            {
                var today = DateOnly.FromDateTime(row.Since.UtcDateTime);
                row = row with { Opens = [.. PolicyChanges.Opens(before, policy, today)], TakesBack = [.. PolicyChanges.Opens(policy, before, today)] };
            }

            if (_kept.Waiting.Count == MaximumWaiting)
                logger.HistoryMisses(_kept.Waiting[0].Version, MaximumWaiting);
            Keep(_kept with { Waiting = [.. _kept.Waiting.TakeLast(MaximumWaiting - 1), row] });
        }

        database.Wake();
    }

    /// <summary>Who put it into the database has entered it there.</summary>
    private void Find(Policy policy, byte[] document, WrittenVersion? written)
    {
        lock (_gate)
        {
            _inForce = (policy, document, true);
            if (written?.Version == policy.DocumentVersion && written != _kept.Written)
                Keep(_kept with { Written = written });
        }
    }

    private PolicyVersionRow Row(Policy policy, byte[] document, string? before, string why) => new()
    {
        Id = Guid.NewGuid().ToString("N"),
        Version = policy.DocumentVersion,
        PreviousVersion = before,
        Since = time.GetUtcNow(),
        Document = document,
        Why = why,
    };

    private void Read(FileReading reading)
    {
        try
        {
            _kept = HistoryProgress.Parse(reading.Bytes ?? throw new IOException(reading.Failure));
        }
        catch (IOException exception)
        {
            logger.HistoryUnusable(options.Value.HistoryPath, exception.Message);
        }
    }

    private void Keep(HistoryProgress progress)
    {
        _kept = progress;
        Copy.Keep(progress.Write);
    }
}

/// <summary>A row of the history.</summary>
internal sealed record WrittenVersion(string Id, string Version);

/// <summary>How far a process has come with the history.</summary>
/// <param name="Written">The row of the last version that it has brought there, or found there; null before the first.</param>
/// <param name="Waiting">Those that are not there yet, in their order.</param>
internal sealed record HistoryProgress(WrittenVersion? Written, IReadOnlyList<PolicyVersionRow> Waiting)
{
    public const long MaximumSize = 256L * 1024 * 1024;

    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true };

    public string? LastVersion => Waiting is [.., var last] ? last.Version : Written?.Version;

    /// <exception cref="IOException">It is not what was written.</exception>
    public static HistoryProgress Parse(ReadOnlyMemory<byte> content)
    {
        try
        {
            return JsonSerializer.Deserialize<HistoryProgress>(content.Span, Json) ?? throw new IOException("holds nothing");
        }
        catch (JsonException exception)
        {
            throw new IOException("is not what was written", exception);
        }
    }

    public void Write(Stream file) => JsonSerializer.Serialize(file, this, Json);
}

/// <summary>The table of the policy's history.</summary>
internal sealed class PolicyVersions(DatabaseContext context)
{
    /// <summary>What one answer may hold; a document is read by itself.</summary>
    public const int MaximumListed = 1000;

    /// <summary>The name of the sequence of the document that the database is the home of. Its change is the id of the version that is in force.</summary>
    public const string Sequence = "policy";

    /// <summary>The document of the database.</summary>
    /// <param name="database">The database.</param>
    /// <param name="point">Where the sequence is, or a little later: where nobody has put a document there, no table is read.</param>
    /// <param name="maximumSize">The bytes that it may have.</param>
    /// <param name="cancellationToken">Nobody waits any longer.</param>
    public static async Task<DocumentReading> ReadDocumentAsync(SqlDatabase database, SequencePoint point, long maximumSize, CancellationToken cancellationToken) =>
        point == SequencePoint.None
            ? new DocumentReading(point, null, FileReading.Failed("has no policy document: imageaccess policy import FILE brings one in"))
            : await database.ReadAsync(context => new PolicyVersions(context).ReadDocumentAsync(maximumSize, cancellationToken), cancellationToken);

    /// <summary>Adds what another process has not added before, in a transaction that lets nobody else write.</summary>
    /// <returns>The row that the process has come to.</returns>
    public async Task<WrittenVersion?> AddAsync(HistoryProgress progress, PolicyVersionRow? inForce, CancellationToken cancellationToken)
    {
        var reached = progress.Written is { } written
            ? await context.PolicyVersions.Where(row => row.Id == written.Id).Select(row => new Place(row.Sequence, row.Id, row.Version)).FirstOrDefaultAsync(cancellationToken)
            : null;
        var after = reached?.Sequence ?? await BeforeLastAsync(progress.Waiting.Count, cancellationToken);

        // Nothing waits, and the database does not know what is in force: it is new, or another one than before.
        IReadOnlyList<PolicyVersionRow> rows = progress.Waiting.Count == 0 && reached is null && inForce is not null ? [inForce] : progress.Waiting;
        foreach (var row in rows)
        {
            reached = await FindAsync(row.Version, after, cancellationToken) ?? await AddAsync(row, cancellationToken);
            after = reached.Sequence;
        }

        return reached is null ? null : new WrittenVersion(reached.Id, reached.Version);
    }

    /// <summary>The newest, the newest of all first; without their documents.</summary>
    public Task<List<PolicyVersionRow>> ListAsync(int count, CancellationToken cancellationToken) => PageAsync(long.MaxValue, count, cancellationToken);

    /// <summary>The same, those before one.</summary>
    public Task<List<PolicyVersionRow>> PageAsync(long before, int count, CancellationToken cancellationToken) => context.PolicyVersions
        .Where(row => row.Sequence < before)
        .OrderByDescending(row => row.Sequence)
        .Take(Math.Min(count, MaximumListed))
        .Select(row => new PolicyVersionRow
        {
            Sequence = row.Sequence,
            Id = row.Id,
            Version = row.Version,
            PreviousVersion = row.PreviousVersion,
            Since = row.Since,
            Who = row.Who,
            Why = row.Why,
            Ticket = row.Ticket,
            Opens = row.Opens,
            TakesBack = row.TakesBack,
            Document = Array.Empty<byte>(),
        })
        .ToListAsync(cancellationToken);

    /// <summary>The newest that changed the section of an organization, and of their words those about it; without their documents.</summary>
    public Task<List<PolicyVersionRow>> ListAsync(string organization, int count, CancellationToken cancellationToken) => PageAsync(organization, long.MaxValue, count, cancellationToken);

    /// <summary>The same, those before one.</summary>
    /// <param name="organization">The organization.</param>
    /// <param name="before">The sequence of the one.</param>
    /// <param name="count">How many.</param>
    /// <param name="cancellationToken">Nobody waits any longer.</param>
    public async Task<List<PolicyVersionRow>> PageAsync(string organization, long before, int count, CancellationToken cancellationToken)
    {
        var found = new List<PolicyVersionRow>();
        (PolicyVersionRow Row, string? Tag)? later = null;
        var rows = context.PolicyVersions.AsNoTracking().Where(row => row.Sequence < before).OrderByDescending(row => row.Sequence).Take(MaximumListed);
        await foreach (var row in rows.AsAsyncEnumerable().WithCancellation(cancellationToken))
        {
            var tag = PolicySections.TagOf(row.Document, organization);
            if (later is { } one && one.Tag != tag)
                found.Add(one.Row);
            if (found.Count == Math.Min(count, MaximumListed))
                return found;
            later = (row with { Document = [], Opens = WordsOf(row.Opens, organization), TakesBack = WordsOf(row.TakesBack, organization) }, tag);
        }

        if (later is { Tag: not null } first)
            found.Add(first.Row);
        return found;
    }

    /// <summary>The newest row of a version, with its document.</summary>
    public Task<PolicyVersionRow?> FindAsync(string version, CancellationToken cancellationToken) =>
        context.PolicyVersions.AsNoTracking().Where(row => row.Version == version).OrderByDescending(row => row.Sequence).FirstOrDefaultAsync(cancellationToken);

    /// <summary>The version that the sequence names, without those of its columns that a later schema may add.</summary>
    private async Task<DocumentReading> ReadDocumentAsync(long maximumSize, CancellationToken cancellationToken)
    {
        var point = await SequenceRow.ReadAsync(context, Sequence, cancellationToken);
        var found = await context.PolicyVersions.Where(row => row.Id == point.Change)
            .Select(row => new { row.Id, row.Version, row.Who, row.Why, row.Ticket, Size = row.Document.Length }).FirstOrDefaultAsync(cancellationToken);
        if (found is null)
            return new DocumentReading(point, null, FileReading.Failed("has lost the version that is in force: imageaccess policy import FILE brings one in"));
        if (found.Size > maximumSize)
            return new DocumentReading(point, null, FileReading.Failed(WholeFile.TooLarge(maximumSize)));
        var document = await context.PolicyVersions.Where(row => row.Id == point.Change).Select(row => row.Document).FirstAsync(cancellationToken);
        return new DocumentReading(point, new WrittenVersion(found.Id, found.Version), FileReading.Found(document)) { Author = new PolicyAuthor(found.Who ?? "", found.Why, found.Ticket) };
    }

    private static List<string> WordsOf(IEnumerable<string> words, string organization) =>
        [.. words.Where(word => word.StartsWith($"organization {organization}:", StringComparison.Ordinal) || word.StartsWith($"organization {organization} ", StringComparison.Ordinal))];

    /// <summary>A process that is new to the database may have seen what its last rows tell: so many of them as wait here.</summary>
    private Task<long> BeforeLastAsync(int waiting, CancellationToken cancellationToken) => context.PolicyVersions
        .OrderByDescending(row => row.Sequence)
        .Skip(Math.Max(1, waiting))
        .Select(row => row.Sequence)
        .FirstOrDefaultAsync(cancellationToken);

    private Task<Place?> FindAsync(string version, long after, CancellationToken cancellationToken) => context.PolicyVersions
        .Where(row => row.Sequence > after && row.Version == version)
        .OrderBy(row => row.Sequence)
        .Select(row => new Place(row.Sequence, row.Id, row.Version))
        .FirstOrDefaultAsync(cancellationToken);

    private async Task<Place> AddAsync(PolicyVersionRow row, CancellationToken cancellationToken)
    {
        var added = row with { Sequence = 0 };
        context.PolicyVersions.Add(added);
        await context.SaveChangesAsync(cancellationToken);
        return new Place(added.Sequence, added.Id, added.Version);
    }

    private sealed record Place(long Sequence, string Id, string Version);
}
