using System.Diagnostics.CodeAnalysis;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.EntityFrameworkCore;

namespace ImageAccess.Proxy.Policies.Store;

/// <summary>The table of the blocks, through which processes tell each other of them.</summary>
internal sealed class BlockTable(DatabaseContext context)
{
    /// <summary>The name of its sequence.</summary>
    public const string Sequence = "blocks";

    /// <summary>As many as can be in force, and those that were lifted last.</summary>
    public async Task<BlockReading> ReadAsync(CancellationToken cancellationToken)
    {
        var point = await SequenceRow.ReadAsync(context, Sequence, cancellationToken);
        var open = await context.Blocks.AsNoTracking().Where(row => row.LiftedVersion == null)
            .OrderBy(row => row.Version).ThenBy(row => row.Key)
            .Take(Blocks.Maximum)
            .ToListAsync(cancellationToken);
        var lifted = await Lifted().AsNoTracking().Take(BlockDocument.MaximumLifted).ToListAsync(cancellationToken);
        return new BlockReading(point, open, lifted);
    }

    /// <summary>Writes what a process knows and the table does not. It takes nothing back: what was lifted there stays so.</summary>
    /// <returns>Whether there was anything.</returns>
    public async Task<bool> AddAsync(BlockDocument document, CancellationToken cancellationToken)
    {
        var forgotten = Lifted().Skip(BlockDocument.MaximumLifted).Select(row => row.Key);
        await context.Blocks.Where(row => forgotten.Contains(row.Key)).ExecuteDeleteAsync(cancellationToken);
        var reading = await ReadAsync(cancellationToken);
        var (missing, over) = (reading.Missing(document), reading.Over(document));
        if (missing.Count + over.Count == 0)
            return false;

        var change = await SequenceRow.RaiseAsync(context, Sequence, cancellationToken);
        foreach (var (row, lifting) in over)
        {
            (row.LiftedVersion, row.LiftedReason, row.LiftedBy, row.LiftedAtTicks, row.LiftedTicket) =
                (change.Value, lifting.Reason, lifting.By, lifting.At.UtcTicks, lifting.Ticket);
        }

        context.Blocks.UpdateRange(over.Select(each => each.Row));
        var rows = missing.Select(block => RowOf(block, change.Value)).ToList();
        context.Blocks.RemoveRange(reading.Unusable.IntersectBy(rows.Select(row => row.Key), row => row.Key));
        await context.SaveChangesAsync(cancellationToken);
        context.Blocks.AddRange(rows);
        await context.SaveChangesAsync(cancellationToken);
        return true;
    }

    /// <summary>The last one first.</summary>
    private IQueryable<BlockRow> Lifted() =>
        context.Blocks.Where(row => row.LiftedVersion != null).OrderByDescending(row => row.LiftedVersion).ThenBy(row => row.Key);

    /// <summary>A block as it is written with a change.</summary>
    public static BlockRow RowOf(Block block, long version) => new()
    {
        Key = BlockDocument.KeyOf(block),
        Image = block.Pattern.ToString(),
        Reason = block.Reason,
        By = block.By,
        AtTicks = block.At.UtcTicks,
        Ticket = block.Ticket,
        Forgets = block.Forgets,
        Version = version,
    };
}

/// <summary>What a reading of the table found. A row that is not what was written blocks nothing and lifts nothing.</summary>
internal sealed class BlockReading
{
    private readonly Dictionary<string, BlockRow> _open = [];

    public BlockReading(SequencePoint point, IReadOnlyList<BlockRow> open, IReadOnlyList<BlockRow> lifted)
    {
        (Point, IsFull) = (point, open.Count == Core.Policies.Blocks.Maximum);
        foreach (var row in open)
        {
            if (TryParse(row, out var block) && _open.TryAdd(row.Key, row))
                Blocks.Add(block);
            else
                Unusable.Add(row);
        }

        foreach (var row in lifted)
        {
            if (LiftedOf(row) is { } lifting)
                Lifted.Add(row.Key, lifting);
            else
                Unusable.Add(row);
        }
    }

    /// <summary>Where the sequence was.</summary>
    public SequencePoint Point { get; }

    /// <summary>Those in force; their numbers are none.</summary>
    public List<Block> Blocks { get; } = [];

    /// <summary>The last ones that were lifted, by their keys.</summary>
    public Dictionary<string, LiftedBlock> Lifted { get; } = [];

    public List<BlockRow> Unusable { get; } = [];

    private bool IsFull { get; }

    /// <summary>What the document has in force and the table does not know.</summary>
    public IReadOnlyList<Block> Missing(BlockDocument document) => IsFull
        ? []
        : [.. document.Blocks
            .Where(block => BlockDocument.KeyOf(block) is var key && !_open.ContainsKey(key) && !Lifted.ContainsKey(key))
            .Take(Core.Policies.Blocks.Maximum - _open.Count)];

    /// <summary>What the table has in force and the document names as lifted.</summary>
    public IReadOnlyList<(BlockRow Row, LiftedBlock Lifting)> Over(BlockDocument document) =>
    [
        .. document.Lifted.Select(lifted => (Row: _open.GetValueOrDefault(BlockDocument.KeyOf(lifted.Block)), lifted))
            .Where(over => over.Row is not null)
            .Select(over => (over.Row!, over.lifted)),
    ];

    private static LiftedBlock? LiftedOf(BlockRow row) =>
        TryParse(row, out var block) && row is { LiftedReason: { } reason, LiftedBy: { } by, LiftedAtTicks: { } at } && IsTime(at) && IsText(reason, by)
            ? new LiftedBlock(block, reason, by, new DateTimeOffset(at, TimeSpan.Zero)) { Ticket = row.LiftedTicket }
            : null;

    private static bool TryParse(BlockRow row, [NotNullWhen(true)] out Block? block)
    {
        block = ImagePattern.TryParse(row.Image, out var pattern, out _) && IsTime(row.AtTicks) && IsText(row.Reason, row.By)
            ? new Block(0, pattern, row.Reason, row.By, new DateTimeOffset(row.AtTicks, TimeSpan.Zero)) { Ticket = row.Ticket, Forgets = row.Forgets }
            : null;
        return block is not null && BlockDocument.KeyOf(block) == row.Key;
    }

    private static bool IsTime(long ticks) => ticks >= 0 && ticks <= DateTimeOffset.MaxValue.UtcTicks;

    private static bool IsText(string reason, string by) =>
        PrintableText.FaultOf(reason, BlockDocument.MaximumReason) is null && PrintableText.FaultOf(by, BlockDocument.MaximumName) is null;
}
