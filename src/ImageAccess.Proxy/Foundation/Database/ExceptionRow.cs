using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace ImageAccess.Proxy.Foundation.Database;

/// <summary>An exception that somebody granted, also one that is over.</summary>
internal sealed record ExceptionRow
{
    /// <summary>A number that no other exception of this database has or had.</summary>
    public long Id { get; init; }

    public required string Organization { get; init; }

    /// <summary>What it is for, as people write it.</summary>
    public required string Image { get; init; }

    /// <summary>Of a tag: the digest that the approver saw.</summary>
    public string? Digest { get; init; }

    /// <summary>Of a tag: it counts also for what the tag comes to later.</summary>
    public bool Follow { get; init; }

    public required string Reason { get; init; }

    public string? Ticket { get; init; }

    public string? AskedBy { get; init; }

    public required string ApprovedBy { get; init; }

    public DateTimeOffset Since { get; init; }

    /// <summary>When it ends by itself, in milliseconds since 1970: SQLite compares no times.</summary>
    public long? UntilMilliseconds { get; init; }

    public DateTimeOffset? Until => UntilMilliseconds is { } milliseconds ? DateTimeOffset.FromUnixTimeMilliseconds(milliseconds) : null;

    /// <summary>The change that it came with.</summary>
    public long Version { get; init; }

    /// <summary>The change that ended it; null where nobody has.</summary>
    public long? EndedVersion { get; set; }

    public DateTimeOffset? Ended { get; set; }

    public string? EndedBy { get; set; }

    public string? EndedReason { get; set; }

    public string? EndedTicket { get; set; }

    public DateTimeOffset? LastUsed { get; set; }

    public long Uses { get; set; }

    internal sealed class Table : IEntityTypeConfiguration<ExceptionRow>
    {
        public void Configure(EntityTypeBuilder<ExceptionRow> row)
        {
            row.ToTable("Exceptions");
            row.HasKey(granted => granted.Id);
            row.HasIndex(granted => granted.EndedVersion);
            row.Ignore(granted => granted.Until);
        }
    }
}
