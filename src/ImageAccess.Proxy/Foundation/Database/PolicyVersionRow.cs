using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace ImageAccess.Proxy.Foundation.Database;

/// <summary>A version of the policy that came into force.</summary>
internal sealed record PolicyVersionRow
{
    /// <summary>The order in which they came into force.</summary>
    public long Sequence { get; init; }

    public required string Id { get; init; }

    public required string Version { get; init; }

    public string? PreviousVersion { get; init; }

    public DateTimeOffset Since { get; init; }

    /// <summary>Byte for byte, so that its hash is the version.</summary>
    public required byte[] Document { get; init; }

    /// <summary>Who changed it; null where that is not known, as of a file.</summary>
    public string? Who { get; init; }

    public required string Why { get; init; }

    public string? Ticket { get; init; }

    /// <summary>What it opens, in words.</summary>
    public List<string> Opens { get; init; } = [];

    /// <summary>What it takes back, in words.</summary>
    public List<string> TakesBack { get; init; } = [];

    internal sealed class Table : IEntityTypeConfiguration<PolicyVersionRow>
    {
        public void Configure(EntityTypeBuilder<PolicyVersionRow> row)
        {
            row.ToTable("PolicyVersions");
            row.HasKey(version => version.Sequence);
            row.HasIndex(version => version.Id).IsUnique();
            row.HasIndex(version => version.Version);
            row.Property(version => version.Id).IsRequired().HasMaxLength(32);
            row.Property(version => version.Version).HasMaxLength(64);
            row.Property(version => version.PreviousVersion).HasMaxLength(64);
        }
    }
}
