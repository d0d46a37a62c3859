using System.Runtime.InteropServices;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Files;

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

/// <summary>Decisions of a batch counted together, so that each row of counts is written once.</summary>
internal sealed class BatchCounts
{
    private readonly Dictionary<CountKey, Total> _counts = [];
    private readonly Dictionary<DigestKey, Total> _digests = [];
    private readonly Dictionary<TagKey, long> _tags = [];
    private readonly Dictionary<CameFrom, PullCount> _machines = [];

    public IReadOnlyDictionary<CountKey, Total> Counts => _counts;

    public IReadOnlyDictionary<DigestKey, Total> Digests => _digests;

    /// <summary>When tags first came to a digest, in milliseconds since 1970.</summary>
    public IReadOnlyDictionary<TagKey, long> Tags => _tags;

    public IReadOnlyDictionary<CameFrom, PullCount> Machines => _machines;

    public void Add(UsageEvent one)
    {
        Add(_counts, new CountKey(one.Day, one.Organizations, one.Caller, one.Repository, one.Type, one.Rule, one.Outcome, one.WayIn, one.Family), one.Decisions, one.Pulls);
        if (one.Digest is not null)
            Add(_digests, new DigestKey(one.Day, one.Organizations, one.Repository, one.Digest, one.Outcome), one.Decisions, one.Pulls);
        if (one.ServedTag is { } tag)
        {
            ref var first = ref CollectionsMarshal.GetValueRefOrAddDefault(_tags, tag, out var isKnown);
            first = isKnown ? Math.Min(first, one.Time) : one.Time;
        }

        if (one.Client is not { Length: > 0 } client)
            return;
        var from = new CameFrom(one.Day, PrintableText.Cut(client, UsageEvent.MaximumWord), one.Organizations, one.Caller, one.WayIn, one.Family);
        var came = new PullCount(one.Decisions, one.Pulls, one.Time, one.Time);
        _machines[from] = _machines.GetValueOrDefault(from)?.With(came) ?? came;
    }

    public IReadOnlyDictionary<(SumKind Kind, CountKey Of), Total> Sums()
    {
        var sums = new Dictionary<(SumKind, CountKey), Total>();
        foreach (var kind in Enum.GetValues<SumKind>())
        {
            var dropped = kind.Dropped();
            foreach (var (of, total) in _counts)
                Add(sums, (kind, of.Without(dropped)), total.Decisions, total.Pulls);
        }

        return sums;
    }

    private static void Add<T>(Dictionary<T, Total> totals, T key, long decisions, long pulls)
        where T : notnull
    {
        ref var total = ref CollectionsMarshal.GetValueRefOrAddDefault(totals, key, out _);
        total = new Total(total.Decisions + decisions, total.Pulls + pulls);
    }
}

[StructLayout(LayoutKind.Auto)]
internal readonly record struct Total(long Decisions, long Pulls);

/// <summary>By what decisions of a day are counted together.</summary>
internal readonly record struct CountKey(
    int Day, string Organizations, string Caller, string Repository, string Type, string Rule, string Outcome, string WayIn, string Family)
{
    public CountKey Without(string[] dropped)
    {
        return this with
        {
            Caller = Of(nameof(Caller), Caller),
            Repository = Of(nameof(Repository), Repository),
            Type = Of(nameof(Type), Type),
            Rule = Of(nameof(Rule), Rule),
            WayIn = Of(nameof(WayIn), WayIn),
            Family = Of(nameof(Family), Family),
        };

        string Of(string name, string value) => dropped.Contains(name) ? "" : value;
    }
}

/// <summary>By what they are counted together for each digest.</summary>
internal readonly record struct DigestKey(int Day, string Organizations, string Repository, string Digest, string Outcome);

/// <summary>What a tag came to on a day.</summary>
internal readonly record struct TagKey(int Day, string Organizations, string Repository, string Reference, string Digest);

/// <summary>By what they are counted together for each machine.</summary>
internal readonly record struct CameFrom(int Day, string Client, string Organizations, string Caller, string WayIn, string Family);

/// <summary>How far a file of the trail is in the database.</summary>
/// <param name="File">What it is known by.</param>
/// <param name="Place">Where the next line begins.</param>
internal sealed record TrailPosition(string File, long Place);

/// <summary>What became of decisions that were to be added; the others were there already.</summary>
internal sealed record UsageAdded(int New, int Old, int Future);
