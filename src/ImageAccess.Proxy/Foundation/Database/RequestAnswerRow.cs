using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace ImageAccess.Proxy.Foundation.Database;

/// <summary>What one organization says to a request: a row from the beginning.</summary>
internal sealed record RequestAnswerRow
{
    /// <summary><see cref="Waiting"/>: somebody has approved, and a second person has to.</summary>
    public const string Open = "open", Waiting = "waiting", Approved = "approved", Declined = "declined";

    public long Id { get; init; }

    public long Request { get; init; }

    public required string Organization { get; init; }

    public required string State { get; set; }

    /// <summary>Who answered.</summary>
    public string? By { get; set; }

    public DateTimeOffset? At { get; set; }

    /// <summary>What those who asked are told.</summary>
    public string? Comment { get; set; }

    /// <summary>What was granted; it may be less than what was asked for.</summary>
    public string? Image { get; set; }

    public DateTimeOffset? Until { get; set; }

    /// <summary>The exception that it came to.</summary>
    public long? Exception { get; set; }

    /// <summary>The change that waits for a second person.</summary>
    public long? Change { get; set; }

    internal sealed class Table : IEntityTypeConfiguration<RequestAnswerRow>
    {
        public void Configure(EntityTypeBuilder<RequestAnswerRow> row)
        {
            row.ToTable("RequestAnswers");
            row.HasKey(answer => answer.Id);
            row.HasIndex(answer => new { answer.Request, answer.Organization }).IsUnique();
            row.HasIndex(answer => answer.Organization);
            row.HasIndex(answer => answer.Change);
            row.Property(answer => answer.State).HasMaxLength(16);
        }
    }
}
