using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace ImageAccess.Proxy.Foundation.Database;

/// <summary>Somebody has confirmed which account a user name of the policy stands for; also one that another has replaced.</summary>
internal sealed record ConfirmedAccountRow
{
    public long Id { get; init; }

    /// <summary>In lower case.</summary>
    public required string Name { get; init; }

    /// <summary>Docker Hub's id: 32 hexadecimal digits in lower case.</summary>
    public required string Account { get; init; }

    /// <summary>It counts while this organization alone names the user; null for every one.</summary>
    public string? Organization { get; init; }

    public required string By { get; init; }

    public DateTimeOffset At { get; init; }

    public required string Reason { get; init; }

    public string? Ticket { get; init; }

    /// <summary>The change that it came with.</summary>
    public long Version { get; init; }

    /// <summary>The change with which another one of the same name came; null for the one that counts.</summary>
    public long? ReplacedVersion { get; set; }

    internal sealed class Table : IEntityTypeConfiguration<ConfirmedAccountRow>
    {
        public void Configure(EntityTypeBuilder<ConfirmedAccountRow> row)
        {
            row.ToTable("ConfirmedAccounts");
            row.HasKey(confirmed => confirmed.Id);
            row.HasIndex(confirmed => confirmed.Name);
            row.Property(confirmed => confirmed.Account).HasMaxLength(32);
        }
    }
}
