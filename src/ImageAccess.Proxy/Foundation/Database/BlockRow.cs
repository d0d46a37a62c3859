using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace ImageAccess.Proxy.Foundation.Database;

/// <summary>A block that some process has told of, also one that was lifted. Times are in ticks of 100 ns since the year 1: the key is made of them.</summary>
internal sealed record BlockRow
{
    /// <summary>The same for the same block, whichever process tells of it.</summary>
    public required string Key { get; init; }

    public required string Image { get; init; }

    public required string Reason { get; init; }

    public required string By { get; init; }

    public long AtTicks { get; init; }

    public string? Ticket { get; init; }

    /// <summary>Whether what is kept of it is to be forgotten.</summary>
    public bool Forgets { get; init; }

    /// <summary>The change with which it came.</summary>
    public long Version { get; init; }

    /// <summary>The change that lifted it; null while it is in force.</summary>
    public long? LiftedVersion { get; set; }

    public string? LiftedReason { get; set; }

    public string? LiftedBy { get; set; }

    public long? LiftedAtTicks { get; set; }

    public string? LiftedTicket { get; set; }

    internal sealed class Table : IEntityTypeConfiguration<BlockRow>
    {
        public void Configure(EntityTypeBuilder<BlockRow> row)
        {
            row.ToTable("Blocks");
            row.HasKey(block => block.Key);
            row.HasIndex(block => block.LiftedVersion);
            row.Property(block => block.Key).HasMaxLength(32);
        }
    }
}
