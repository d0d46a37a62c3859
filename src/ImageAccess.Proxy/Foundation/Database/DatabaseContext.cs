using Microsoft.EntityFrameworkCore;

namespace ImageAccess.Proxy.Foundation.Database;

/// <summary>The tables of all rooms. They are declared together, because a migration is about all of them.</summary>
internal abstract class DatabaseContext(DbContextOptions options) : DbContext(options)
{
    public DbSet<PolicyVersionRow> PolicyVersions => Set<PolicyVersionRow>();

    protected override void OnModelCreating(ModelBuilder modelBuilder) => modelBuilder.Entity<PolicyVersionRow>(row =>
    {
        row.ToTable("PolicyVersions");
        row.HasKey(version => version.Sequence);
        row.HasIndex(version => version.Id).IsUnique();
        row.HasIndex(version => version.Version);
        row.Property(version => version.Id).IsRequired().HasMaxLength(32);
        row.Property(version => version.Version).HasMaxLength(64);
        row.Property(version => version.PreviousVersion).HasMaxLength(64);
    });
}

/// <summary>Each has its own migrations: the two databases have other types.</summary>
internal sealed class SqliteContext(DbContextOptions<SqliteContext> options) : DatabaseContext(options);

/// <inheritdoc cref="SqliteContext"/>
internal sealed class PostgresContext(DbContextOptions<PostgresContext> options) : DatabaseContext(options);

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

    /// <summary>What it opens, in words.</summary>
    public List<string> Opens { get; init; } = [];

    /// <summary>What it takes back, in words.</summary>
    public List<string> TakesBack { get; init; } = [];
}
