using System.Data.Common;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using SQLitePCL;

namespace ImageAccess.Proxy.Foundation.Database;

/// <summary>A file in the data directory. A transaction of SQLite that begins to write is the only one that does.</summary>
internal sealed class SqliteDatabase(string path) : SqlDatabase
{
    /// <summary>How long a connection waits, in seconds, while another one writes.</summary>
    public const int BusyTimeout = 5;

    private static readonly string[] Companions = ["", "-wal", "-shm", "-journal"];

    public string Path { get; } = path;

    public override string Name => Path;

    public override bool Exists => File.Exists(Path);

    protected override string HasHistory => "SELECT COUNT(*) FROM sqlite_master WHERE name = '__EFMigrationsHistory';";

    /// <summary>Connections are not kept: the last one that closes leaves one file with everything in it.</summary>
    private string ConnectionString => FileRights.Of(Path) is { IsWritableByOthers: true }
        ? throw new DatabaseException($"{FileRights.Fault} {Path}")
        : new SqliteConnectionStringBuilder { DataSource = Path, Mode = SqliteOpenMode.ReadWrite, Pooling = false, DefaultTimeout = BusyTimeout }.ToString();

    public override DatabaseContext CreateContext() =>
        new SqliteContext(new DbContextOptionsBuilder<SqliteContext>().UseSqlite(ConnectionString).Options);

    public override Task<IDatabaseWatch> WatchAsync(CancellationToken cancellationToken) => Task.FromResult<IDatabaseWatch>(new SqliteWatch(Path));

    public override async Task<IReadOnlyList<string>> CheckAsync(CancellationToken cancellationToken)
    {
        var faults = new List<string>();
        await using var connection = new SqliteConnection(ConnectionString);
        await connection.OpenAsync(cancellationToken);
        await using var command = Command(connection, null, "PRAGMA integrity_check(20);");
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            faults.Add(reader.GetString(0));
        return faults is ["ok"] ? [] : faults;
    }

    /// <summary>Copies it while it is in use.</summary>
    /// <exception cref="IOException">The file is there already, or cannot be written.</exception>
    public async Task BackUpAsync(string file, CancellationToken cancellationToken)
    {
        await using (new FileStream(file, OwnerFile.Options(FileMode.CreateNew, FileAccess.Write, FileShare.None)))
        {
            // Empty, and its owner's alone: SQLite fills it.
        }

        try
        {
            await using var connection = new SqliteConnection(ConnectionString);
            await connection.OpenAsync(cancellationToken);
            await using var command = connection.CreateCommand();
            command.CommandText = "VACUUM INTO $file;";
            command.Parameters.AddWithValue("$file", file);
            await command.ExecuteNonQueryAsync(cancellationToken);
        }
        catch
        {
            File.Delete(file);
            throw;
        }
    }

    /// <summary>Whether it can take the place of a database of this program.</summary>
    /// <exception cref="DatabaseException">It cannot.</exception>
    public async Task<string> CheckBackupAsync(CancellationToken cancellationToken)
    {
        if (await CheckAsync(cancellationToken) is [var fault, ..])
            throw new DatabaseException($"is damaged: {fault}");
        return await ReadMigrationAsync(cancellationToken) ?? throw new DatabaseException("is no backup of imageaccess");
    }

    /// <summary>Puts the content of a backup in the place of what is there, in one transaction: a running proxy need not be stopped.</summary>
    /// <returns>Where a file lies now that was no database; null where there was none.</returns>
    public async Task<string?> RestoreAsync(SqliteDatabase backup, CancellationToken cancellationToken)
    {
        var aside = await MoveDamagedAsync(cancellationToken);
        CreateFile();
        await using var source = new SqliteConnection(backup.ConnectionString);
        await source.OpenAsync(cancellationToken);
        await using var target = new SqliteConnection(ConnectionString);
        await target.OpenAsync(cancellationToken);
        source.BackupDatabase(target);
        return aside;
    }

    public override DbConnection CreateConnection() => new SqliteConnection(ConnectionString);

    /// <summary>A deferred one: EF's own would wait for whoever writes.</summary>
    protected override Task<DbTransaction> BeginReadingAsync(DbConnection connection, CancellationToken cancellationToken) =>
        Task.FromResult<DbTransaction>(((SqliteConnection)connection).BeginTransaction(deferred: true));

    /// <summary>Makes the file where there is none, for its owner alone, and lets readers read while somebody writes.</summary>
    protected override async Task PrepareAsync(CancellationToken cancellationToken)
    {
        CreateFile();
        await using var connection = new SqliteConnection(ConnectionString);
        await connection.OpenAsync(cancellationToken);
        await using var command = Command(connection, null, "PRAGMA journal_mode = WAL;");
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    protected override string? ExplainOwn(Exception cause) => cause switch
    {
        SqliteException sqlite => sqlite.SqliteErrorCode switch
        {
            raw.SQLITE_BUSY or raw.SQLITE_LOCKED => "is locked by another process: end that process, or wait until it has finished",
            raw.SQLITE_FULL => "cannot grow: its disk has no space left; make room",
            raw.SQLITE_READONLY => $"cannot be written: let the user {Environment.UserName} write it and its directory, and see that the disk is not mounted read-only",
            raw.SQLITE_CANTOPEN => $"cannot be opened: let the user {Environment.UserName} write it and its directory, and see that the disk is not mounted read-only",
            raw.SQLITE_NOTADB => "is no database of SQLite: put a backup in its place with imageaccess database restore FILE, or move it away to begin anew",
            raw.SQLITE_CORRUPT => "is damaged: put a backup in its place with imageaccess database restore FILE",
            raw.SQLITE_IOERR => "cannot be read or written: look at its disk, and whether it has space",
            _ => $"failed: {sqlite.Message}",
        },
        IOException when FullDisk.IsCauseOf(cause) => "cannot be made: its disk has no space or no inodes left; make room",
        IOException or UnauthorizedAccessException => $"cannot be used: {cause.Message}",
        _ => null,
    };

    private void CreateFile()
    {
        using var file = new FileStream(Path, OwnerFile.Options(FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete));
        if (!OperatingSystem.IsWindows() && FileRights.Of(file.SafeFileHandle) is { IsReadableByEverybody: true, IsWritableByOthers: false, IsAnothers: false })
            File.SetUnixFileMode(file.SafeFileHandle, OwnerFile.Mode);
    }

    /// <summary>Moves a file away that no backup could be written into.</summary>
    private async Task<string?> MoveDamagedAsync(CancellationToken cancellationToken)
    {
        if (!Exists)
            return null;
        try
        {
            await ReadMigrationAsync(cancellationToken);
            return null;
        }
        catch (NewerSchemaException)
        {
            return null;
        }
        catch (SqliteException exception) when (exception.SqliteErrorCode is raw.SQLITE_NOTADB or raw.SQLITE_CORRUPT)
        {
            var aside = $"{Path}.damaged";
            foreach (var companion in Companions.Where(companion => File.Exists(Path + companion)))
                File.Move(Path + companion, aside + companion, overwrite: true);
            return aside;
        }
    }
}
