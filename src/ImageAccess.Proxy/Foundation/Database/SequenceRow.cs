using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace ImageAccess.Proxy.Foundation.Database;

/// <summary>How often something of the database has changed: whoever keeps a copy sees by it that there is more to read.</summary>
internal sealed record SequenceRow
{
    public required string Name { get; init; }

    /// <summary>It rises with each change.</summary>
    public long Value { get; set; }

    /// <summary>Another text with each change: after a restore the same number may come again.</summary>
    public required string Change { get; set; }

    /// <summary>Where a sequence is, in the same state of the database as whatever else the context reads.</summary>
    public static async Task<SequencePoint> ReadAsync(DatabaseContext context, string name, CancellationToken cancellationToken)
    {
        var row = await context.Sequences.AsNoTracking().FirstOrDefaultAsync(row => row.Name == name, cancellationToken);
        return row is null ? SequencePoint.None : new SequencePoint(row.Value, row.Change);
    }

    /// <summary>Raises a sequence, within the transaction of the change itself.</summary>
    public static Task<SequenceRow> RaiseAsync(DatabaseContext context, string name, CancellationToken cancellationToken) =>
        RaiseAsync(context, name, Guid.NewGuid().ToString("N"), cancellationToken);

    /// <inheritdoc cref="RaiseAsync(DatabaseContext, string, CancellationToken)"/>
    /// <param name="change">A text that no other change has.</param>
    public static async Task<SequenceRow> RaiseAsync(DatabaseContext context, string name, string change, CancellationToken cancellationToken)
    {
        var row = await context.Sequences.FindAsync([name], cancellationToken);
        if (row is null)
            context.Sequences.Add(row = new SequenceRow { Name = name, Change = "" });
        row.Value++;
        row.Change = change;
        return row;
    }

    internal sealed class Table : IEntityTypeConfiguration<SequenceRow>
    {
        public void Configure(EntityTypeBuilder<SequenceRow> row)
        {
            row.ToTable("Sequences");
            row.HasKey(sequence => sequence.Name);
            row.Property(sequence => sequence.Name).HasMaxLength(32);
            row.Property(sequence => sequence.Change).HasMaxLength(32);
        }
    }
}

/// <summary>Where a sequence is.</summary>
/// <param name="Value">The number of the last change; 0 where there was none.</param>
/// <param name="Change">Which change that was.</param>
internal readonly record struct SequencePoint(long Value, string Change)
{
    public static SequencePoint None { get; } = new(0, "");
}
