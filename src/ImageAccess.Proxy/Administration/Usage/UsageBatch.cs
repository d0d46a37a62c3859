using ImageAccess.Proxy.Foundation.Audit;

namespace ImageAccess.Proxy.Administration.Usage;

/// <summary>Some lines of a file that are brought into the database together, and how far the file is read with them.</summary>
/// <param name="Decisions">Those among them.</param>
/// <param name="Place">Where the next line begins.</param>
internal sealed record UsageBatch(IReadOnlyList<UsageEvent> Decisions, long Place)
{
    /// <summary>How many decisions are written in one transaction.</summary>
    public const int MaximumDecisions = 2000;

    /// <summary>How many lines that are no event are named.</summary>
    public const int MaximumNamed = 5;

    private const int MaximumLines = 10_000;

    public int Lines { get; init; }

    public int Malformed { get; init; }

    public int TooLong { get; init; }

    public int Others { get; init; }

    /// <summary>Which lines are no event, counted from 1; the first of them.</summary>
    public IReadOnlyList<int> Flawed { get; init; } = [];

    public static async Task<UsageBatch> ReadAsync(TrailLines lines, CancellationToken cancellationToken)
    {
        var (decisions, flawed) = (new List<UsageEvent>(), new List<int>());
        var (all, malformed, tooLong, others) = (0, 0, 0, 0);
        while (decisions.Count < MaximumDecisions && all < MaximumLines && await lines.ReadAsync(cancellationToken) is { } line)
        {
            all++;
            if (line.IsTooLong)
            {
                tooLong++;
                Name(all);
                continue;
            }

            switch (UsageEvent.TryRead(line.Bytes, out var decision))
            {
                case LineKind.Decision:
                    decisions.Add(decision!);
                    break;
                case LineKind.Other:
                    others++;
                    break;
                case LineKind.Malformed when !line.Bytes.IsEmpty:
                    malformed++;
                    Name(all);
                    break;
            }
        }

        return new UsageBatch(decisions, lines.Place) { Lines = all, Malformed = malformed, TooLong = tooLong, Others = others, Flawed = flawed };

        void Name(int line)
        {
            if (flawed.Count < MaximumNamed)
                flawed.Add(line);
        }
    }
}

/// <summary>How far a file of the trail is in the database.</summary>
/// <param name="File">What it is known by.</param>
/// <param name="Place">Where the next line begins.</param>
internal sealed record TrailPosition(string File, long Place);

/// <summary>What became of decisions that were to be added; the others were there already.</summary>
internal sealed record UsageAdded(int New, int Old, int Future);
