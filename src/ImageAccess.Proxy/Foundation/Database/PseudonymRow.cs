using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace ImageAccess.Proxy.Foundation.Database;

/// <summary>Who a pseudonym is: the one place that says it. Another row has the salt that new pseudonyms are made with.</summary>
internal sealed record PseudonymRow
{
    /// <summary>What the row of the salt has in the place of a pseudonym.</summary>
    public const string Salt = "salt";

    public long Id { get; init; }

    public required string Pseudonym { get; init; }

    /// <summary>The caller's name, wrapped by the key outside the database.</summary>
    public required byte[] Wrapped { get; set; }

    /// <summary>Tells that key from others.</summary>
    public required string WrappedBy { get; set; }

    internal sealed class Table : IEntityTypeConfiguration<PseudonymRow>
    {
        public void Configure(EntityTypeBuilder<PseudonymRow> row)
        {
            row.ToTable("Pseudonyms");
            row.HasKey(pseudonym => pseudonym.Id);
            row.HasIndex(pseudonym => pseudonym.Pseudonym).IsUnique();
            row.Property(pseudonym => pseudonym.Pseudonym).HasMaxLength(32);
            row.Property(pseudonym => pseudonym.WrappedBy).HasMaxLength(16);
        }
    }
}
