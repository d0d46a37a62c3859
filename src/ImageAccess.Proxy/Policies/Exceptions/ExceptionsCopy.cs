using System.Text.Json;
using System.Text.Json.Serialization;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Policies.Exceptions;

/// <summary>The exceptions of the database as they were read last, in a file of the data directory. A person does not edit it.</summary>
internal sealed record ExceptionsCopy(SequencePoint Point, Core.Policies.Exceptions Exceptions)
{
    private static readonly JsonSerializerOptions Json = new(ReadableJson.Web)
    {
        WriteIndented = true,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        AllowDuplicateProperties = false,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
    };

    /// <summary>What a start would begin with; none where the file is not there or is damaged.</summary>
    public static Core.Policies.Exceptions Find(string dataDirectory)
    {
        var options = new ExceptionsOptions { DataDirectory = dataDirectory };
        return Read(options.CopyPath).Value?.Exceptions ?? Core.Policies.Exceptions.None;
    }

    public static ParsedFile<ExceptionsCopy> Read(string path) => new(new WholeFile(path, ExceptionsOptions.MaximumCopySize).Read(), Parse);

    public byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(new Written(Point.Value, Point.Change, [.. Exceptions.All.Select(EntryOf)]), Json);

    private static ExceptionsCopy? Parse(ReadOnlyMemory<byte> content, out IReadOnlyList<string> problems)
    {
        problems = [];
        try
        {
            var written = JsonSerializer.Deserialize<Written>(content.Span, Json) ?? throw new JsonException();
            var exceptions = written.Exceptions.Select(entry => ExceptionOf(entry ?? throw new JsonException())).ToList();
            return new ExceptionsCopy(new SequencePoint(written.Version, written.Change), new Core.Policies.Exceptions(exceptions, written.Version));
        }
        catch (Exception exception) when (exception is JsonException or ArgumentException or FormatException)
        {
            problems = ["it is not what was written"];
            return null;
        }
    }

    private static GrantedException ExceptionOf(Entry entry) =>
        ExceptionTable.Parse(RowOf(entry), out var problem) ?? throw new FormatException(problem);

    private static ExceptionRow RowOf(Entry entry) => new()
    {
        Id = entry.Id,
        Organization = entry.Organization,
        Image = entry.Image,
        Digest = entry.Digest,
        Follow = entry.Follow,
        Reason = entry.Reason,
        AskedBy = entry.AskedBy,
        Ticket = entry.Ticket,
        ApprovedBy = entry.ApprovedBy,
        Since = entry.Since,
        UntilMilliseconds = entry.Until?.ToUnixTimeMilliseconds(),
    };

    private static Entry EntryOf(GrantedException exception) => new(
        exception.Id, exception.Organization, exception.Pattern.ToString(), exception.Follow, exception.Reason, exception.ApprovedBy, exception.Since)
    {
        Digest = exception.Approved?.Value,
        AskedBy = exception.AskedBy,
        Ticket = exception.Ticket,
        Until = exception.Until,
    };

    private sealed record Written(long Version, string Change, IReadOnlyList<Entry?> Exceptions);

    private sealed record Entry(long Id, string Organization, string Image, bool Follow, string Reason, string ApprovedBy, DateTimeOffset Since)
    {
        public string? Digest { get; init; }

        public string? AskedBy { get; init; }

        public string? Ticket { get; init; }

        public DateTimeOffset? Until { get; init; }
    }
}
