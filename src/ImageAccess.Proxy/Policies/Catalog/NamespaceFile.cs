using System.Text.Json;
using ImageAccess.Core.Classification;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Policies.Catalog;

/// <summary>
/// What was learnt of namespaces, one JSON object a line, the last one of a namespace counts. Lines are appended; the file
/// is written anew once it holds too many that no longer count, or one that cannot be read.
/// </summary>
internal sealed class NamespaceFile(IOptions<CatalogOptions> options, TimeProvider time, ILogger<NamespaceFile> logger)
{
    /// <summary>What the file may measure, in bytes; it is far smaller when written here.</summary>
    public const long MaximumSize = 64 * 1024 * 1024;

    /// <summary>Lines that no longer count, for each that does, before the file is written anew; and some for nothing.</summary>
    private const int Surplus = 1000;

    private readonly Lock _saving = new();
    private int _lines;
    private bool _mustRewrite;

    /// <summary>Why what is learnt now may be asked again after a restart; null when all is well.</summary>
    public string? Concern { get; private set; }

    private string FilePath => options.Value.RecordsPath;

    /// <summary>Puts what is still of use into memory. What cannot be read is asked for again: never a reason not to start.</summary>
    public void Load(NamespaceMemory memory)
    {
        if (!options.Value.Hub)
            return;
        var reading = new WholeFile(FilePath, MaximumSize).Read();
        if (reading.Bytes is { } bytes)
            Load(bytes.Span, memory);
        else if (!reading.IsMissing)
            Distrust($"it {reading.Failure}");
    }

    private void Load(ReadOnlySpan<byte> bytes, NamespaceMemory memory)
    {
        var now = time.GetUtcNow();
        var usefulFor = options.Value.StaleFor > HubCatalogSource.KeepOrganization ? options.Value.StaleFor : HubCatalogSource.KeepOrganization;
        var isTorn = bytes.Length > 0 && bytes[^1] != '\n'; // cut off by a crash, be it of its end alone
        var unreadable = 0;
        while (!bytes.IsEmpty)
        {
            var end = bytes.IndexOf((byte)'\n');
            var line = end < 0 ? bytes : bytes[..end];
            bytes = end < 0 ? [] : bytes[(end + 1)..];
            _lines++;
            if (!RecordLine.TryRead(line, out var answer) || answer.Record.ReadAt > now)
                unreadable++;
            else if (now - answer.Record.ReadAt <= usefulFor)
                memory.Recall(answer);
        }

        if (unreadable > 0)
            logger.RecordsUnreadable(FilePath, unreadable);
        logger.RecordsRead(memory.Badged + memory.Plain, FilePath);
        _mustRewrite = unreadable > 0 || isTorn;
    }

    private void Distrust(string cause)
    {
        logger.RecordsUnusable(FilePath, cause);
        _mustRewrite = true;
    }

    /// <summary>Writes what came in since the last time.</summary>
    public void Save(NamespaceMemory memory)
    {
        lock (_saving)
            SaveUnsaved(memory);
    }

    private void SaveUnsaved(NamespaceMemory memory)
    {
        var unsaved = memory.TakeUnsaved();
        if (unsaved.Count == 0 && !_mustRewrite)
            return;

        try
        {
            Directory.CreateDirectory(options.Value.DataDirectory);
            if (_mustRewrite || _lines + unsaved.Count > (2 * (memory.Badged + memory.Plain)) + Surplus)
                Rewrite(memory);
            else
                Append(unsaved);
            _mustRewrite = false;
            Concern = null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            if (Concern is null)
                logger.RecordsNotKept(FilePath, exception.Message);
            Concern = $"what is known of namespaces cannot be kept: {exception.Message}";
            _mustRewrite = true; // half a line may be there, and these lines are not
        }
    }

    private void Append(IReadOnlyList<CatalogAnswer> answers)
    {
        using var file = new FileStream(FilePath, OwnerFile.Options(FileMode.Append, FileAccess.Write, FileShare.Read | FileShare.Delete));
        Write(file, answers);
        _lines += answers.Count;
    }

    private void Rewrite(NamespaceMemory memory)
    {
        var answers = memory.All.Select(remembered => remembered.Answer).ToList();
        AtomicFile.Write(FilePath, file => Write(file, answers));
        _lines = answers.Count;
    }

    private static void Write(Stream file, IReadOnlyList<CatalogAnswer> answers)
    {
        using var lines = new MemoryStream();
        foreach (var answer in answers)
            RecordLine.Write(lines, answer);
        file.Write(lines.GetBuffer().AsSpan(0, (int)lines.Length));
    }
}

/// <summary>One line: <c>{"namespace":"bitnami","badge":"verified_publisher","readAt":"…","freshUntil":"…"}</c>.</summary>
internal sealed record RecordLine(string? Namespace, string? Badge, DateTimeOffset ReadAt, DateTimeOffset FreshUntil)
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web);

    public static string NameOf(NamespaceBadge badge) => badge switch
    {
        NamespaceBadge.None => "none",
        NamespaceBadge.VerifiedPublisher => "verified_publisher",
        NamespaceBadge.OpenSource => "open_source",
        _ => throw new ArgumentOutOfRangeException(nameof(badge)),
    };

    public static void Write(Stream lines, CatalogAnswer answer)
    {
        var record = answer.Record;
        JsonSerializer.Serialize(lines, new RecordLine(record.Namespace, NameOf(record.Badge), record.ReadAt, answer.FreshUntil), Json);
        lines.WriteByte((byte)'\n');
    }

    public static bool TryRead(ReadOnlySpan<byte> text, out CatalogAnswer answer)
    {
        answer = null!;
        try
        {
            if (JsonSerializer.Deserialize<RecordLine>(text, Json) is not { } line
                || !RepositoryName.IsComponent(line.Namespace)
                || line.FreshUntil < line.ReadAt
                || line.FreshUntil - line.ReadAt > HubCatalogSource.KeepOrganization)
                return false;

            NamespaceBadge? badge = line.Badge switch
            {
                "none" => NamespaceBadge.None,
                "verified_publisher" => NamespaceBadge.VerifiedPublisher,
                "open_source" => NamespaceBadge.OpenSource,
                _ => null,
            };
            if (badge is { } known)
                answer = new CatalogAnswer(new NamespaceRecord(line.Namespace!, known, "hub", line.ReadAt), line.FreshUntil);
            return badge is not null;
        }
        catch (JsonException)
        {
            return false;
        }
    }
}
