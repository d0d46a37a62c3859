using Microsoft.EntityFrameworkCore;

namespace ImageAccess.Proxy.Foundation.Database;

/// <summary>The tables of all rooms. They are declared together, because a migration is about all of them.</summary>
internal abstract class DatabaseContext(DbContextOptions options) : DbContext(options)
{
    public DbSet<PolicyVersionRow> PolicyVersions => Set<PolicyVersionRow>();

    public DbSet<ExceptionRow> Exceptions => Set<ExceptionRow>();

    public DbSet<BlockRow> Blocks => Set<BlockRow>();

    public DbSet<DenialRow> Denials => Set<DenialRow>();

    public DbSet<PendingChangeRow> PendingChanges => Set<PendingChangeRow>();

    public DbSet<ApiTokenRow> ApiTokens => Set<ApiTokenRow>();

    public DbSet<SequenceRow> Sequences => Set<SequenceRow>();

    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        modelBuilder.Entity<PolicyVersionRow>(row =>
        {
            row.ToTable("PolicyVersions");
            row.HasKey(version => version.Sequence);
            row.HasIndex(version => version.Id).IsUnique();
            row.HasIndex(version => version.Version);
            row.Property(version => version.Id).IsRequired().HasMaxLength(32);
            row.Property(version => version.Version).HasMaxLength(64);
            row.Property(version => version.PreviousVersion).HasMaxLength(64);
        });
        modelBuilder.Entity<ExceptionRow>(row =>
        {
            row.ToTable("Exceptions");
            row.HasKey(granted => granted.Id);
            row.HasIndex(granted => granted.EndedVersion);
            row.Ignore(granted => granted.Until);
        });
        modelBuilder.Entity<BlockRow>(row =>
        {
            row.ToTable("Blocks");
            row.HasKey(block => block.Key);
            row.HasIndex(block => block.LiftedVersion);
            row.Property(block => block.Key).HasMaxLength(32);
        });
        modelBuilder.Entity<DenialRow>(row =>
        {
            row.ToTable("Denials");
            row.HasKey(denial => denial.Number);
            row.HasIndex(denial => denial.Id).IsUnique();
            row.HasIndex(denial => denial.TimeMilliseconds);
            row.HasIndex(denial => denial.Caller);
            row.Property(denial => denial.Id).IsRequired().HasMaxLength(32);
        });
        modelBuilder.Entity<PendingChangeRow>(row =>
        {
            row.ToTable("PendingChanges");
            row.HasKey(change => change.Id);
            row.HasIndex(change => change.State);
            row.Property(change => change.Kind).HasMaxLength(32);
            row.Property(change => change.State).HasMaxLength(16);
            row.Ignore(change => change.Until);
        });
        modelBuilder.Entity<ApiTokenRow>(row =>
        {
            row.ToTable("ApiTokens");
            row.HasKey(token => token.Id);
            row.HasIndex(token => token.Hash).IsUnique();
            row.Ignore(token => token.Expires);
            row.Property(token => token.Label).HasMaxLength(64);
            row.Property(token => token.Role).HasMaxLength(32);
        });
        modelBuilder.Entity<SequenceRow>(row =>
        {
            row.ToTable("Sequences");
            row.HasKey(sequence => sequence.Name);
            row.Property(sequence => sequence.Name).HasMaxLength(32);
            row.Property(sequence => sequence.Change).HasMaxLength(32);
        });
    }
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

    public string? Ticket { get; init; }

    /// <summary>What it opens, in words.</summary>
    public List<string> Opens { get; init; } = [];

    /// <summary>What it takes back, in words.</summary>
    public List<string> TakesBack { get; init; } = [];
}

/// <summary>An exception that somebody granted, also one that is over.</summary>
internal sealed record ExceptionRow
{
    /// <summary>A number that no other exception of this database has or had.</summary>
    public long Id { get; init; }

    public required string Organization { get; init; }

    /// <summary>What it is for, as people write it.</summary>
    public required string Image { get; init; }

    /// <summary>Of a tag: the digest that the approver saw.</summary>
    public string? Digest { get; init; }

    /// <summary>Of a tag: it counts also for what the tag comes to later.</summary>
    public bool Follow { get; init; }

    public required string Reason { get; init; }

    public string? Ticket { get; init; }

    public string? AskedBy { get; init; }

    public required string ApprovedBy { get; init; }

    public DateTimeOffset Since { get; init; }

    /// <summary>When it ends by itself, in milliseconds since 1970: SQLite compares no times.</summary>
    public long? UntilMilliseconds { get; init; }

    public DateTimeOffset? Until => UntilMilliseconds is { } milliseconds ? DateTimeOffset.FromUnixTimeMilliseconds(milliseconds) : null;

    /// <summary>The change that it came with.</summary>
    public long Version { get; init; }

    /// <summary>The change that ended it; null where nobody has.</summary>
    public long? EndedVersion { get; set; }

    public DateTimeOffset? Ended { get; set; }

    public string? EndedBy { get; set; }

    public string? EndedReason { get; set; }

    public string? EndedTicket { get; set; }

    public DateTimeOffset? LastUsed { get; set; }

    public long Uses { get; set; }
}

/// <summary>A block that some process has told of, also one that was lifted. Times are in ticks of 100 ns since the year 1: the key is made of them.</summary>
internal sealed record BlockRow
{
    /// <summary>The same for the same block, whichever process tells of it.</summary>
    public required string Key { get; init; }

    public required string Image { get; init; }

    public required string Reason { get; init; }

    public required string By { get; init; }

    public long AtTicks { get; init; }

    public string? Ticket { get; init; }

    /// <summary>The change with which it came.</summary>
    public long Version { get; init; }

    /// <summary>The change that lifted it; null while it is in force.</summary>
    public long? LiftedVersion { get; set; }

    public string? LiftedReason { get; set; }

    public string? LiftedBy { get; set; }

    public long? LiftedAtTicks { get; set; }

    public string? LiftedTicket { get; set; }
}

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

    public required string Rule { get; init; }

    public required string Message { get; init; }

    /// <summary>Those that the caller was judged under.</summary>
    public List<string> Organizations { get; init; } = [];

    /// <summary>The client's address.</summary>
    public string? Client { get; init; }

    public string? WayIn { get; init; }
}

/// <summary>A change that opens something and waits for a second person, also one that waits no longer.</summary>
internal sealed record PendingChangeRow
{
    public const string Waiting = "waiting", Done = "done", Declined = "declined", Ended = "ended";

    public long Id { get; init; }

    /// <summary>What it is about: <c>exception</c>, <c>unblock</c>, <c>policy</c>, <c>token</c>.</summary>
    public required string Kind { get; init; }

    /// <summary>Whose; null for what all organizations share.</summary>
    public string? Organization { get; init; }

    /// <summary>The change itself, as JSON.</summary>
    public required string Payload { get; init; }

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
}

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
}

/// <summary>How often something of the database has changed: whoever keeps a copy sees by it that there is more to read.</summary>
internal sealed record SequenceRow
{
    public required string Name { get; init; }

    /// <summary>It rises with each change.</summary>
    public long Value { get; set; }

    /// <summary>Another text with each change: after a restore the same number may come again.</summary>
    public required string Change { get; set; }

    /// <summary>Where a sequence is, in the same state of the database as whatever else the context reads.</summary>
    public static async Task<SequencePoint> ReadAsync(DatabaseContext context, string name, CancellationToken cancellationToken)
    {
        var row = await context.Sequences.AsNoTracking().FirstOrDefaultAsync(row => row.Name == name, cancellationToken);
        return row is null ? SequencePoint.None : new SequencePoint(row.Value, row.Change);
    }

    /// <summary>Raises a sequence, within the transaction of the change itself.</summary>
    public static Task<SequenceRow> RaiseAsync(DatabaseContext context, string name, CancellationToken cancellationToken) =>
        RaiseAsync(context, name, Guid.NewGuid().ToString("N"), cancellationToken);

    /// <inheritdoc cref="RaiseAsync(DatabaseContext, string, CancellationToken)"/>
    /// <param name="change">A text that no other change has.</param>
    public static async Task<SequenceRow> RaiseAsync(DatabaseContext context, string name, string change, CancellationToken cancellationToken)
    {
        var row = await context.Sequences.FindAsync([name], cancellationToken);
        if (row is null)
            context.Sequences.Add(row = new SequenceRow { Name = name, Change = "" });
        row.Value++;
        row.Change = change;
        return row;
    }
}

/// <summary>Where a sequence is.</summary>
/// <param name="Value">The number of the last change; 0 where there was none.</param>
/// <param name="Change">Which change that was.</param>
internal readonly record struct SequencePoint(long Value, string Change)
{
    public static SequencePoint None { get; } = new(0, "");
}
