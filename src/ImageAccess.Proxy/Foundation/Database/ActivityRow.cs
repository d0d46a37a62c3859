using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace ImageAccess.Proxy.Foundation.Database;

/// <summary>An entry of the activity log: what somebody did, as it was told from a certain time on.</summary>
internal sealed record ActivityRow
{
    /// <summary>The order in which they were entered.</summary>
    public long Number { get; init; }

    /// <summary>The step that it tells: no second row has the same.</summary>
    public required string Key { get; init; }

    /// <summary>When it happened; where others had been told of that time already, when it was entered. In milliseconds since 1970: SQLite compares no times.</summary>
    public long TimeMilliseconds { get; init; }

    /// <summary>Whose; null for what is every organization's.</summary>
    public string? Organization { get; init; }

    public required string Action { get; init; }

    /// <summary>Who did it; empty where it came by itself.</summary>
    public required string Actor { get; init; }

    /// <summary>What it was done to.</summary>
    public required string Name { get; init; }

    /// <summary>More of it, as a JSON object of texts.</summary>
    public required string Facts { get; init; }

    internal sealed class Table : IEntityTypeConfiguration<ActivityRow>
    {
        public void Configure(EntityTypeBuilder<ActivityRow> row)
        {
            row.ToTable("Activity");
            row.HasKey(entry => entry.Number);
            row.HasIndex(entry => entry.Key).IsUnique();
            row.HasIndex(entry => entry.TimeMilliseconds);
            row.Property(entry => entry.Action).HasMaxLength(32);
        }
    }
}
