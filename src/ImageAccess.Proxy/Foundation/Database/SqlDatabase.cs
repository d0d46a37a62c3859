using System.Data.Common;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Microsoft.EntityFrameworkCore.Storage;

namespace ImageAccess.Proxy.Foundation.Database;

/// <summary>
/// The database in which is kept what people decide: one schema in two dialects. Nothing that answers a request calls it. EF is loaded
/// only to migrate, to read and to write: looking at the schema does without it, because EF takes seconds of a processor to load.
/// </summary>
internal abstract class SqlDatabase
{
    /// <summary>The last migration that this program knows; it has the same name in both dialects.</summary>
    public const string NewestMigration = "20261201180000_SignIns";

    /// <summary>What a sentence calls it; without a secret.</summary>
    public abstract string Name { get; }

    /// <summary>Whether there is anything to connect to.</summary>
    public virtual bool Exists => true;

    /// <summary>Whether a table of this name is there: a query without parameters that gives a number.</summary>
    protected abstract string HasHistory { get; }

    public static SqlDatabase Of(DatabaseOptions options) => options.IsPostgres ? new PostgresDatabase(options) : new SqliteDatabase(options.FilePath);

    /// <summary>Now, to the millisecond: PostgreSQL keeps no more than microseconds, and numbers of milliseconds are kept beside.</summary>
    public static DateTimeOffset NowOf(TimeProvider time) => DateTimeOffset.FromUnixTimeMilliseconds(time.GetUtcNow().ToUnixTimeMilliseconds());

    public abstract DatabaseContext CreateContext();

    /// <summary>Why something failed, as what follows <see cref="Name"/> in a sentence, and what to do; without a secret.</summary>
    public string Explain(Exception exception)
    {
        for (var cause = exception; cause is not null; cause = cause.InnerException)
        {
            if (cause is DatabaseException own)
                return own.Message;
            if (ExplainOwn(cause) is { } known)
                return PrintableText.Of(known);
        }

        return exception is TimeoutException ? "did not answer in time" : $"failed: {exception.GetBaseException().GetType().Name}";
    }

    /// <summary>The last migration that it has had; null where it has had none, or does not exist yet.</summary>
    /// <exception cref="NewerSchemaException">This program does not know it.</exception>
    public async Task<string?> ReadMigrationAsync(CancellationToken cancellationToken)
    {
        if (!Exists)
            return null;
        await using var connection = CreateConnection();
        await connection.OpenAsync(cancellationToken);
        return await ReadMigrationAsync(connection, null, cancellationToken);
    }

    /// <summary>
    /// Brings the schema up to date, in one transaction under the lock of whoever writes: who is killed in the middle has done nothing, and of
    /// two who begin at once the second finds it done. EF's own way would leave a row in SQLite that locks everybody out after a kill.
    /// </summary>
    /// <returns>The migrations that were applied.</returns>
    public async Task<IReadOnlyList<string>> MigrateAsync(CancellationToken cancellationToken)
    {
        await PrepareAsync(cancellationToken);
        List<string> pending = [];
        await WriteAsync(
            async context =>
            {
                var (connection, transaction) = (context.Database.GetDbConnection(), context.Database.CurrentTransaction!.GetDbTransaction());
                var last = await ReadMigrationAsync(connection, transaction, cancellationToken);
                pending = [.. context.Database.GetMigrations().Where(migration => string.CompareOrdinal(migration, last) > 0)];
                if (pending.Count > 0)
                {
                    var script = context.GetService<IMigrator>().GenerateScript(last, options: MigrationsSqlGenerationOptions.NoTransactions);
                    await using var command = Command(connection, transaction, script);
                    await command.ExecuteNonQueryAsync(cancellationToken);
                }
            },
            cancellationToken);
        return pending;
    }

    /// <summary>Does something in one transaction, as the only writer of all processes.</summary>
    public async Task WriteAsync(Func<DatabaseContext, Task> write, CancellationToken cancellationToken)
    {
        await using var context = CreateContext();
        await using var transaction = await context.Database.BeginTransactionAsync(cancellationToken);
        await LockAsync(context, cancellationToken);
        await write(context);
        await transaction.CommitAsync(cancellationToken);
    }

    /// <summary>Reads one state of it, whoever writes meanwhile.</summary>
    public async Task<T> ReadAsync<T>(Func<DatabaseContext, Task<T>> read, CancellationToken cancellationToken)
    {
        await using var context = CreateContext();
        await context.Database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await BeginReadingAsync(context.Database.GetDbConnection(), cancellationToken);
        await context.Database.UseTransactionAsync(transaction, cancellationToken);
        return await read(context);
    }

    /// <summary>Where a sequence is; without EF, because it is asked often.</summary>
    /// <param name="name">Its name: a constant of this program.</param>
    public async Task<SequencePoint> ReadSequenceAsync(string name, CancellationToken cancellationToken)
    {
        await using var connection = CreateConnection();
        await connection.OpenAsync(cancellationToken);
        await using var command = Command(connection, null, $"""SELECT "Value", "Change" FROM "Sequences" WHERE "Name" = '{name}';""");
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken) ? new SequencePoint(reader.GetInt64(0), reader.GetString(1)) : SequencePoint.None;
    }

    /// <summary>Begins to watch for changes of other processes: before the first reading, so that none falls between the two.</summary>
    public abstract Task<IDatabaseWatch> WatchAsync(CancellationToken cancellationToken);

    /// <summary>Tells those who watch, when the transaction has been committed.</summary>
    public virtual Task TellAsync(DatabaseContext context, CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>What is wrong with its content, in lines; none when all is well.</summary>
    public abstract Task<IReadOnlyList<string>> CheckAsync(CancellationToken cancellationToken);

    protected static DbCommand Command(DbConnection connection, DbTransaction? transaction, string text)
    {
        var command = connection.CreateCommand();
#pragma warning disable CA2100 // No text of it comes from outside.
        command.CommandText = text;
#pragma warning restore CA2100
        command.Transaction = transaction;
        return command;
    }

    protected async Task<string?> ReadMigrationAsync(DbConnection connection, DbTransaction? transaction, CancellationToken cancellationToken)
    {
        await using (var has = Command(connection, transaction, HasHistory))
        {
            if (Convert.ToInt64(await has.ExecuteScalarAsync(cancellationToken), provider: null) == 0)
                return null;
        }

        var applied = new List<string>();
        await using var command = Command(connection, transaction, """SELECT "MigrationId" FROM "__EFMigrationsHistory";""");
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            applied.Add(reader.GetString(0));
        var last = applied.Max(StringComparer.Ordinal);
        return string.CompareOrdinal(last, NewestMigration) <= 0 ? last : throw new NewerSchemaException(last!);
    }

    public abstract DbConnection CreateConnection();

    /// <summary>A transaction that sees one state, and waits for nobody.</summary>
    protected abstract Task<DbTransaction> BeginReadingAsync(DbConnection connection, CancellationToken cancellationToken);

    /// <summary>What has to be so before the first transaction.</summary>
    protected virtual Task PrepareAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Waits until no other process writes, within the transaction that has begun.</summary>
    protected virtual Task LockAsync(DatabaseContext context, CancellationToken cancellationToken) => Task.CompletedTask;

    protected abstract string? ExplainOwn(Exception cause);
}

/// <summary>Sees that another process may have changed the database. What is read then is the truth: it may wake its reader for nothing.</summary>
internal interface IDatabaseWatch : IAsyncDisposable
{
    /// <summary>Waits until somebody may have changed it, and no longer than this.</summary>
    Task WaitAsync(TimeSpan longest, TimeProvider time, CancellationToken cancellationToken);
}

/// <summary>It cannot be used as it is.</summary>
/// <param name="message">What follows its name in a sentence, and what to do.</param>
internal class DatabaseException(string message) : Exception(message);

/// <summary>A newer program has changed the schema, and this one might destroy what it does not know.</summary>
internal sealed class NewerSchemaException(string migration) : DatabaseException(
    $"belongs to a newer version of imageaccess ({PrintableText.Of(migration)}): start that version, or restore a backup that is as old as this one");
