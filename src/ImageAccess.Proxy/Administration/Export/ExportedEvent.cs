using System.Text.Json;
using ImageAccess.Proxy.Foundation.Audit;

namespace ImageAccess.Proxy.Administration.Export;

/// <summary>An event of the trail on its way to a receiver.</summary>
/// <param name="Id">As the line has it. The closing line of merged denials has that of the first of them.</param>
/// <param name="Time">When it happened.</param>
/// <param name="Kind">The line's <c>event</c>; <see cref="Decision"/> and <see cref="Denials"/> for those that have none.</param>
/// <param name="IsDenied">Something was refused.</param>
/// <param name="Line">The whole line as the file has it, without its end.</param>
internal sealed record ExportedEvent(string Id, DateTimeOffset Time, string Kind, bool IsDenied, byte[] Line)
{
    public const string Decision = "decision", Denials = "denials";

    /// <summary>In characters: what RFC 5424 allows for MSGID.</summary>
    private const int MaximumKind = 32;

    private const int MaximumId = 64;

    /// <summary>The same for each copy of this line, and for no other line.</summary>
    public string Unique => Kind == Denials ? $"{Id}-{Denials}" : Id;

    /// <summary>Null where the line is no event: one that is torn, or somebody else's.</summary>
    public static ExportedEvent? TryRead(ReadOnlyMemory<byte> line)
    {
        try
        {
            using var json = JsonDocument.Parse(line);
            var audit = json.RootElement;
            var (id, time) = (audit.GetProperty("id").GetString(), audit.GetProperty("time").GetDateTimeOffset());
            var kind = audit.TryGetProperty("event", out var named) ? named.GetString() : audit.TryGetProperty("count", out _) ? Denials : Decision;
            return IsWord(id, MaximumId) && IsWord(kind, MaximumKind)
                ? new ExportedEvent(id!, time, kind!, audit.TryGetProperty("outcome", out var outcome) && outcome.ValueEquals("deny"), line.ToArray())
                : null;
        }
        catch (Exception exception) when (exception is JsonException or FormatException or InvalidOperationException or KeyNotFoundException)
        {
            return null;
        }
    }

    /// <summary>Nothing that could end a field of the message around it.</summary>
    private static bool IsWord(string? text, int maximum) => text?.Length > 0 && text.Length <= maximum && text.All(c => char.IsAsciiLetterOrDigit(c) || c == '-');
}

/// <summary>Some lines of a file that are sent together, and what is known once they are read.</summary>
/// <param name="Events">Those among them.</param>
/// <param name="Place">Where the next line begins.</param>
/// <param name="Sequence">The last line's place in the chain.</param>
internal sealed record ExportBatch(IReadOnlyList<ExportedEvent> Events, long Place, long Sequence)
{
    public const int MaximumEvents = 1000;

    private const int MaximumBytes = 1024 * 1024;

    private const int MaximumLines = 10_000;

    public int Lines { get; init; }

    /// <summary>Lines that are no event, or longer than any.</summary>
    public int Malformed { get; init; }

    /// <summary>The last line before which others are missing, by their places in the chain; 0 where none is.</summary>
    public long GapEnd { get; init; }

    /// <summary>How many are missing.</summary>
    public long Missing { get; init; }

    /// <param name="lines">Of one file.</param>
    /// <param name="sequence">The place in the chain of the line before; 0 where it is not known.</param>
    /// <param name="maximum">How many events it has at most.</param>
    /// <param name="cancellationToken">Nobody waits any longer.</param>
    public static async Task<ExportBatch> ReadAsync(TrailLines lines, long sequence, int maximum, CancellationToken cancellationToken)
    {
        var events = new List<ExportedEvent>();
        var (all, bytes, malformed) = (0, 0, 0);
        var (gapEnd, missing) = (0L, 0L);
        while (events.Count < maximum && bytes < MaximumBytes && all < MaximumLines && await lines.ReadAsync(cancellationToken) is { } line)
        {
            all++;
            bytes += line.Bytes.Length;
            if (ChainedLine.TryParse(line.Bytes.Span, out var link, out _))
            {
                if (sequence > 0 && link.Sequence > sequence + 1)
                    (gapEnd, missing) = (link.Sequence, missing + link.Sequence - sequence - 1);
                sequence = link.Sequence;
            }

            if (ExportedEvent.TryRead(line.Bytes) is { } audit)
                events.Add(audit);
            else if (line.IsTooLong || !line.Bytes.IsEmpty)
                malformed++;
        }

        return new ExportBatch(events, lines.Place, sequence) { Lines = all, Malformed = malformed, GapEnd = gapEnd, Missing = missing };
    }
}
