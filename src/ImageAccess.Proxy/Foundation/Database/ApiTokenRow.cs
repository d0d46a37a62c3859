using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace ImageAccess.Proxy.Foundation.Database;

/// <summary>A token of the HTTP API, also one that is over. The token itself is kept nowhere.</summary>
internal sealed record ApiTokenRow
{
    /// <summary>A number that no other token of this database has or had.</summary>
    public long Id { get; init; }

    /// <summary>What it is for.</summary>
    public required string Label { get; init; }

    /// <summary>The token's SHA-256.</summary>
    public required byte[] Hash { get; init; }

    /// <summary>The Docker Hub user without whose role it ends; null for one of the server's own.</summary>
    public string? Person { get; init; }

    public required string Role { get; init; }

    /// <summary>Null for every organization.</summary>
    public string? Organization { get; init; }

    public DateTimeOffset Created { get; init; }

    public required string CreatedBy { get; init; }

    /// <summary>The token that it was made with, which takes it along when it is revoked; null where it was made on the server.</summary>
    public long? Parent { get; init; }

    /// <summary>In milliseconds since 1970: SQLite compares no times.</summary>
    public long ExpiresMilliseconds { get; init; }

    public DateTimeOffset Expires => DateTimeOffset.FromUnixTimeMilliseconds(ExpiresMilliseconds);

    public DateTimeOffset? LastUsed { get; set; }

    public DateTimeOffset? Revoked { get; set; }

    public string? RevokedBy { get; set; }

    /// <summary>It is not good yet: a second person has to approve it.</summary>
    public bool Waits { get; set; }

    /// <summary>What of it the audit trail has: 1 that it was made, 2 that it was revoked as well.</summary>
    public int Told { get; set; }

    internal sealed class Table : IEntityTypeConfiguration<ApiTokenRow>
    {
        public void Configure(EntityTypeBuilder<ApiTokenRow> row)
        {
            row.ToTable("ApiTokens");
            row.HasKey(token => token.Id);
            row.HasIndex(token => token.Hash).IsUnique();
            row.HasIndex(token => token.Parent);
            row.Ignore(token => token.Expires);
            row.Property(token => token.Label).HasMaxLength(64);
            row.Property(token => token.Role).HasMaxLength(32);
        }
    }
}
