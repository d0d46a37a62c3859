using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace ImageAccess.Proxy.Foundation.Database;

/// <summary>A denial that a client was told the id of.</summary>
internal sealed record DenialRow
{
    /// <summary>The order in which they were written.</summary>
    public long Number { get; init; }

    /// <summary>The id of its event; denials that were merged have that of the first.</summary>
    public required string Id { get; init; }

    /// <summary>In milliseconds since 1970: SQLite compares no times.</summary>
    public long TimeMilliseconds { get; init; }

    /// <summary>Null for who did not sign in.</summary>
    public string? Caller { get; init; }

    public string? Repository { get; init; }

    /// <summary>The tag or the digest.</summary>
    public string? Reference { get; init; }

    /// <summary>What was asked for, as people write it; null where it was no image.</summary>
    public string? Image => Reference switch
    {
        null => Repository,
        var digest when digest.Contains(':', StringComparison.Ordinal) => $"{Repository}@{digest}",
        var path when path.Contains('/', StringComparison.Ordinal) => $"{Repository} ({path})",
        var tag => $"{Repository}:{tag}",
    };

    public required string Rule { get; init; }

    public required string Message { get; init; }

    /// <summary>Those that the caller was judged under.</summary>
    public List<string> Organizations { get; init; } = [];

    /// <summary>The client's address.</summary>
    public string? Client { get; init; }

    public string? WayIn { get; init; }

    internal sealed class Table : IEntityTypeConfiguration<DenialRow>
    {
        public void Configure(EntityTypeBuilder<DenialRow> row)
        {
            row.ToTable("Denials");
            row.HasKey(denial => denial.Number);
            row.HasIndex(denial => denial.Id).IsUnique();
            row.HasIndex(denial => denial.TimeMilliseconds);
            row.HasIndex(denial => denial.Caller);
            row.Ignore(denial => denial.Image);
            row.Property(denial => denial.Id).IsRequired().HasMaxLength(32);
        }
    }
}
