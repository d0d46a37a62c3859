using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace ImageAccess.Proxy.Foundation.Database;

/// <summary>What was done about a request, or became of it: from here it comes into the audit trail, once.</summary>
internal sealed record RequestStepRow
{
    public const string Asked = "asked", Joined = "joined", Approved = "approved", Waiting = "waiting", Reopened = "reopened", Declined = "declined", Withdrawn = "withdrawn", Ended = "ended";

    /// <summary>The change of the table that it is.</summary>
    public long Version { get; init; }

    public long Request { get; init; }

    public required string Step { get; init; }

    /// <summary>The request's state since.</summary>
    public required string State { get; init; }

    public required string Image { get; init; }

    /// <summary>All that have to answer.</summary>
    public List<string> Organizations { get; init; } = [];

    /// <summary>The one that it is about; null for all of them.</summary>
    public string? Organization { get; init; }

    /// <summary>Null where it came by itself.</summary>
    public string? By { get; init; }

    /// <summary>Whose request it is; of one who asks or withdraws, theirs.</summary>
    public List<string> AskedBy { get; init; } = [];

    public string? Reason { get; init; }

    public string? Ticket { get; init; }

    public long? Exception { get; init; }

    public long? Change { get; init; }

    public DateTimeOffset At { get; init; }

    internal sealed class Table : IEntityTypeConfiguration<RequestStepRow>
    {
        public void Configure(EntityTypeBuilder<RequestStepRow> row)
        {
            row.ToTable("RequestSteps");
            row.HasKey(step => step.Version);
            row.HasIndex(step => step.Request);
            row.Property(step => step.Version).ValueGeneratedNever();
            row.Property(step => step.Step).HasMaxLength(16);
            row.Property(step => step.State).HasMaxLength(16);
        }
    }
}
