using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace ImageAccess.Proxy.Foundation.Database;

/// <summary>A change that opens something and waits for a second person, also one that waits no longer.</summary>
internal sealed record PendingChangeRow
{
    public const string Waiting = "waiting", Done = "done", Declined = "declined", Ended = "ended";

    public long Id { get; init; }

    /// <summary>What it is about: <c>exception</c>, <c>unblock</c>, <c>policy</c>, <c>token</c>, <c>account</c>, <c>caller</c>.</summary>
    public required string Kind { get; init; }

    /// <summary>Whose; null for what all organizations share.</summary>
    public string? Organization { get; init; }

    /// <summary>The change itself, as JSON: up to a whole document. Empty where it waits no longer, and in lists.</summary>
    public required string Payload { get; set; }

    /// <summary>What it opens, in words.</summary>
    public List<string> Opens { get; init; } = [];

    public required string By { get; init; }

    /// <summary>Who stands behind that name, and so may not approve it.</summary>
    public required string Person { get; init; }

    public required string Reason { get; init; }

    public string? Ticket { get; init; }

    public DateTimeOffset At { get; init; }

    /// <summary>From when on nobody can approve it, in milliseconds since 1970: SQLite compares no times.</summary>
    public long UntilMilliseconds { get; init; }

    public DateTimeOffset Until => DateTimeOffset.FromUnixTimeMilliseconds(UntilMilliseconds);

    /// <summary><see cref="Waiting"/>, <see cref="Done"/>, <see cref="Declined"/>, or <see cref="Ended"/>: it could not be done any more.</summary>
    public required string State { get; set; }

    /// <summary>The change of the table that it came with.</summary>
    public long Version { get; init; }

    /// <summary>The change of the table that it ceased to wait with.</summary>
    public long? DecidedVersion { get; set; }

    public string? DecidedBy { get; set; }

    public DateTimeOffset? DecidedAt { get; set; }

    public string? DecidedReason { get; set; }

    internal sealed class Table : IEntityTypeConfiguration<PendingChangeRow>
    {
        public void Configure(EntityTypeBuilder<PendingChangeRow> row)
        {
            row.ToTable("PendingChanges");
            row.HasKey(change => change.Id);
            row.HasIndex(change => change.State);
            row.Property(change => change.Kind).HasMaxLength(32);
            row.Property(change => change.State).HasMaxLength(16);
            row.Ignore(change => change.Until);
        }
    }
}
