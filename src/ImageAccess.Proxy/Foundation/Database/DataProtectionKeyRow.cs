using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace ImageAccess.Proxy.Foundation.Database;

/// <summary>A key of ASP.NET Core's data protection, wrapped by a key that is not in the database.</summary>
internal sealed record DataProtectionKeyRow
{
    public long Id { get; init; }

    /// <summary>As data protection calls it.</summary>
    public required string Name { get; init; }

    /// <summary>Which key wraps it: the fingerprint of the key file.</summary>
    public required string WrappedBy { get; init; }

    public required byte[] Wrapped { get; init; }

    public DateTimeOffset At { get; init; }

    internal sealed class Table : IEntityTypeConfiguration<DataProtectionKeyRow>
    {
        public void Configure(EntityTypeBuilder<DataProtectionKeyRow> row)
        {
            row.ToTable("DataProtectionKeys");
            row.HasKey(key => key.Id);
            row.Property(key => key.Name).HasMaxLength(128);
            row.Property(key => key.WrappedBy).HasMaxLength(16);
        }
    }
}
