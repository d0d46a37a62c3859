using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Policies.Store;

/// <summary>What the file of emergencies says: the last ones, each with what became of it.</summary>
internal sealed record BreakGlassDocument(IReadOnlyList<BreakGlassEntry> Entries)
{
    /// <summary>What the file may measure.</summary>
    public const long MaximumSize = 4 * 1024 * 1024;

    /// <summary>How many are kept.</summary>
    public const int MaximumKept = 1000;

    /// <summary>The characters of a reason.</summary>
    public const int MaximumReason = BlockDocument.MaximumReason;

    /// <summary>The characters of a name.</summary>
    public const int MaximumName = BlockDocument.MaximumName;

    private static readonly JsonSerializerOptions Json = new(ReadableJson.Web)
    {
        WriteIndented = true,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        AllowDuplicateProperties = false,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
    };

    public static BreakGlassDocument Empty { get; } = new([]);

    /// <summary>A file that is not there says that there is no emergency.</summary>
    public static ParsedFile<BreakGlassDocument> Parse(FileReading reading) => new(reading.IsMissing ? FileReading.Found(Empty.ToBytes()) : reading, Read);

    /// <summary>Those that hold or will, and end by themselves.</summary>
    public IReadOnlyList<BreakGlass> InForce(DateTimeOffset now) => [.. Entries.Where(entry => entry.Ended is null && now < entry.Until).Select(entry => entry.ToBreakGlass())];

    public BreakGlassEntry? Find(long id) => Entries.FirstOrDefault(entry => entry.Id == id);

    public BreakGlassDocument Add(BreakGlassEntry entry) => new([.. Entries.TakeLast(MaximumKept - 1), entry with { Id = Entries.Select(other => other.Id).DefaultIfEmpty().Max() + 1 }]);

    public BreakGlassDocument Put(BreakGlassEntry entry) => new([.. Entries.Select(other => other.Id == entry.Id ? entry : other)]);

    public byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(new Written(Entries), Json);

    private static BreakGlassDocument? Read(ReadOnlyMemory<byte> content, out IReadOnlyList<string> problems)
    {
        var found = new List<string>();
        problems = found;
        try
        {
            var entries = (JsonSerializer.Deserialize<Written>(content.Span, Json) ?? throw new JsonException("null", "$", null, null)).BreakGlass;
            if (entries.Count > MaximumKept)
                found.Add(string.Create(CultureInfo.InvariantCulture, $"breakGlass: there can be {MaximumKept:N0}"));
            if (entries.DistinctBy(entry => entry?.Id).Count() < entries.Count)
                found.Add("breakGlass: two have the same id");
            foreach (var (index, entry) in entries.Index())
                found.AddRange((entry is null ? ["it is null"] : entry.Flaws()).Select(flaw => $"breakGlass[{index}]: {flaw}"));
            return found.Count == 0 ? new BreakGlassDocument(entries!) : null;
        }
        catch (JsonException exception)
        {
            found.Add(JsonMistake.Describe(content.Span, exception));
            return null;
        }
    }

    private sealed record Written(IReadOnlyList<BreakGlassEntry?> BreakGlass);
}

/// <summary>An emergency, as the file has it.</summary>
/// <param name="Id">Its number.</param>
/// <param name="Organization">Whose rules it is about.</param>
/// <param name="Reason">Why.</param>
/// <param name="By">Who did it.</param>
/// <param name="Since">When.</param>
/// <param name="Until">When it ends by itself.</param>
internal sealed record BreakGlassEntry(long Id, string Organization, string Reason, string By, DateTimeOffset Since, DateTimeOffset Until)
{
    /// <summary>What it opens; null where the organization only observes meanwhile.</summary>
    public string? Repository { get; init; }

    public string? Ticket { get; init; }

    /// <summary>Who ended it before its time.</summary>
    public BreakGlassStep? Ended { get; init; }

    /// <summary>Which other person has looked at it since.</summary>
    public BreakGlassStep? Reviewed { get; init; }

    /// <summary>When it was over, or will be.</summary>
    public DateTimeOffset End => Ended is { At: var at } && at < Until ? at : Until;

    public BreakGlass ToBreakGlass() => new(Id, Organization, Repository is null ? null : Parse(Repository), Reason, By, Since, Until);

    /// <summary>What it opens, in words.</summary>
    public string Words() => Repository is null ? $"{Organization} only observes" : $"{Repository} for {Organization}";

    /// <summary>It ends: no file makes one last longer than one can.</summary>
    internal IEnumerable<string> Flaws()
    {
        if (Id <= 0)
            yield return "id: must be a number above 0";
        if (!AccountName.IsNamespace(Organization))
            yield return "organization: is no name of an organization";
        if (Repository is not null && !RepositoryName.TryParse(Repository, out _))
            yield return "repository: is no repository of Docker Hub";
        if (Until <= Since || Until - Since > BreakGlass.Longest)
            yield return $"until: must be after since, and at most {BreakGlass.Longest.TotalHours} hours";
        foreach (var flaw in TextFlaws(Reason, By, "").Concat(Ended is null ? [] : TextFlaws(Ended.Reason, Ended.By, "ended.")).Concat(Reviewed is null ? [] : TextFlaws(Reviewed.Reason, Reviewed.By, "reviewed.")))
            yield return flaw;
    }

    private static RepositoryName Parse(string repository) =>
        RepositoryName.TryParse(repository, out var name) ? name : throw new InvalidOperationException("The file was not checked.");

    private static IEnumerable<string> TextFlaws(string reason, string by, string path)
    {
        if (PrintableText.FaultOf(reason, BreakGlassDocument.MaximumReason) is { } reasonFault)
            yield return $"{path}reason: {reasonFault}";
        if (PrintableText.FaultOf(by, BreakGlassDocument.MaximumName) is { } nameFault)
            yield return $"{path}by: {nameFault}";
    }
}

/// <summary>What somebody did about an emergency.</summary>
internal sealed record BreakGlassStep(string By, string Reason, DateTimeOffset At);
