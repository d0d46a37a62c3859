using Microsoft.EntityFrameworkCore;

namespace ImageAccess.Proxy.Foundation.Database;

/// <summary>The tables of all rooms, each declared beside its row. They stand together, because a migration is about all of them.</summary>
internal abstract class DatabaseContext(DbContextOptions options) : DbContext(options)
{
    public DbSet<PolicyVersionRow> PolicyVersions => Set<PolicyVersionRow>();

    public DbSet<ExceptionRow> Exceptions => Set<ExceptionRow>();

    public DbSet<BlockRow> Blocks => Set<BlockRow>();

    public DbSet<DenialRow> Denials => Set<DenialRow>();

    public DbSet<PendingChangeRow> PendingChanges => Set<PendingChangeRow>();

    public DbSet<ApiTokenRow> ApiTokens => Set<ApiTokenRow>();

    public DbSet<ConfirmedAccountRow> ConfirmedAccounts => Set<ConfirmedAccountRow>();

    public DbSet<PseudonymRow> Pseudonyms => Set<PseudonymRow>();

    public DbSet<DataProtectionKeyRow> DataProtectionKeys => Set<DataProtectionKeyRow>();

    public DbSet<OutboxRow> Outbox => Set<OutboxRow>();

    public DbSet<AccessRequestRow> AccessRequests => Set<AccessRequestRow>();

    public DbSet<RequestVoiceRow> RequestVoices => Set<RequestVoiceRow>();

    public DbSet<RequestAnswerRow> RequestAnswers => Set<RequestAnswerRow>();

    public DbSet<RequestStepRow> RequestSteps => Set<RequestStepRow>();

    public DbSet<ActivityRow> Activity => Set<ActivityRow>();

    public DbSet<SignInRow> SignIns => Set<SignInRow>();

    public DbSet<SequenceRow> Sequences => Set<SequenceRow>();

    protected override void OnModelCreating(ModelBuilder modelBuilder) => modelBuilder.ApplyConfigurationsFromAssembly(typeof(DatabaseContext).Assembly);
}

/// <summary>Each has its own migrations: the two databases have other types.</summary>
internal sealed class SqliteContext(DbContextOptions<SqliteContext> options) : DatabaseContext(options);

/// <inheritdoc cref="SqliteContext"/>
internal sealed class PostgresContext(DbContextOptions<PostgresContext> options) : DatabaseContext(options);
