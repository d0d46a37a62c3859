using System.CommandLine;
using ImageAccess.Proxy.Foundation.Configuration;
using ImageAccess.Proxy.Foundation.Database;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary><c>imageaccess database …</c>: what is kept of people's decisions. No verb asks the running proxy, and none needs it stopped.</summary>
internal static class DatabaseCommands
{
    public static Command Build() => new("database", "Shows, migrates, checks, copies and restores the database: SQLite in the data directory, or PostgreSQL.")
    {
        Status(), Migrate(), BackUp(), Restore(), Check(),
    };

    /// <summary>The database of the configuration.</summary>
    public static SqlDatabase Open(string? file)
    {
        var options = DatabaseOptions.Of(Verb.Configuration(file));
        return options.Faults().ToList() is { Count: > 0 } faults ? throw ConfigurationLoading.Failed(faults) : SqlDatabase.Of(options);
    }

    /// <summary>Does something with a database that must be there, and says what its failures mean.</summary>
    /// <exception cref="MisuseException">It is not there, or it failed.</exception>
    public static async Task<T> WithAsync<T>(SqlDatabase database, Func<Task<T>> run)
    {
        if (!database.Exists)
            throw new MisuseException(NotThere(database));
        return await ExplainAsync(database, Shown(database), run);
    }

    /// <summary>Reads one state of a database that must be there and up to date.</summary>
    /// <exception cref="PassingFaultException">It cannot be used at the moment.</exception>
    public static Task<T> ReadAsync<T>(SqlDatabase database, Func<DatabaseContext, Task<T>> read, CancellationToken cancellationToken) =>
        UseAsync(database, otherwise: "", () => database.ReadAsync(read, cancellationToken), cancellationToken);

    /// <summary>The same for a verb whose exit code 1 is an answer, as that there is nothing of a name: a database that cannot be read has another one.</summary>
    /// <exception cref="MisuseException">It cannot be used at the moment.</exception>
    public static async Task<T> FindAsync<T>(SqlDatabase database, Func<DatabaseContext, Task<T>> read, CancellationToken cancellationToken)
    {
        try
        {
            return await ReadAsync(database, read, cancellationToken);
        }
        catch (PassingFaultException fault)
        {
            throw new MisuseException([.. fault.Failures]);
        }
    }

    /// <summary>Does something with a database that must be there and up to date; what is wrong with it may pass.</summary>
    /// <param name="database">The database.</param>
    /// <param name="otherwise">What a sentence about a failure ends with.</param>
    /// <param name="run">What is done; what it refuses it says by a <see cref="MisuseException"/>.</param>
    /// <param name="cancellationToken">Nobody waits any longer.</param>
    /// <exception cref="PassingFaultException">It cannot be used at the moment.</exception>
    public static async Task<T> UseAsync<T>(SqlDatabase database, string otherwise, Func<Task<T>> run, CancellationToken cancellationToken)
    {
        if (!database.Exists)
            throw ConfigurationLoading.FailedForNow(NotThere(database));
        try
        {
            if (await database.ReadMigrationAsync(cancellationToken) != SqlDatabase.NewestMigration)
                throw new DatabaseException("is not up to date: imageaccess database migrate");
            return await run();
        }
        catch (Exception exception) when (exception is not (OperationCanceledException or MisuseException))
        {
            throw ConfigurationLoading.FailedForNow($"{Shown(database)} {database.Explain(exception)}{otherwise}");
        }
    }

    /// <summary>What a sentence of a verb calls it.</summary>
    public static string Shown(SqlDatabase database) => database is SqliteDatabase sqlite ? Verb.Shown(sqlite.Path) : database.Name;

    private static string NotThere(SqlDatabase database) => $"there is no database in {Shown(database)}: the proxy makes it when it starts";

    private static Command Status()
    {
        var (file, json) = (Verb.ConfigurationFile(), Verb.Json());
        var command = new Command("status", "Tells where the database is and whether its schema is that of this program. Exit code 1 when it cannot be used as it is.") { file, json };
        Verb.SetAction(command, (parsed, cancellationToken) =>
            StatusAsync(parsed.InvocationConfiguration.Output, Open(parsed.GetValue(file)), parsed.GetValue(json), cancellationToken));
        return command;
    }

    private static Command Migrate()
    {
        var (file, json) = (Verb.ConfigurationFile(), Verb.Json());
        var command = new Command("migrate", "Makes the database where there is none, and brings its schema up to date. The proxy does the same when it starts.") { file, json };
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            var (output, database) = (parsed.InvocationConfiguration.Output, Open(parsed.GetValue(file)));
            var migrations = await ExplainAsync(database, Shown(database), () => database.MigrateAsync(cancellationToken));
            if (parsed.GetValue(json))
                await Verb.WriteJsonAsync(output, new { Database = database.Name, Schema = SqlDatabase.NewestMigration, Applied = migrations });
            else if (migrations.Count == 0)
                await output.WriteLineAsync(TextTable.Plain($"{Shown(database)} is up to date"));
            foreach (var migration in parsed.GetValue(json) ? [] : migrations)
                await output.WriteLineAsync(TextTable.Plain($"{Shown(database)} has {migration} now"));
            return Verb.Yes;
        });
        return command;
    }

    private static Command BackUp()
    {
        var (file, json, to) = (Verb.ConfigurationFile(), Verb.Json(), FileArgument("A file that does not exist yet."));
        var command = new Command("backup", "Copies the database into a file, also while a proxy uses it.") { to, file, json };
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            var path = Path.GetFullPath(parsed.GetValue(to)!);
            var database = Open(parsed.GetValue(file));
            if (database is PostgresDatabase postgres)
                throw new MisuseException($"PostgreSQL makes its own backups: {postgres.BackupCommand(Verb.Shown(path))}");
            await WithAsync(database, async () =>
            {
                if (File.Exists(path))
                    throw new MisuseException($"{Verb.Shown(path)} exists already: name another file");
                await ((SqliteDatabase)database).BackUpAsync(path, cancellationToken);
                return true;
            });
            return await SayAsync(parsed.InvocationConfiguration.Output, parsed.GetValue(json), $"{Shown(database)} is copied into {Verb.Shown(path)}",
                new { Database = database.Name, File = path, Size = new FileInfo(path).Length });
        });
        return command;
    }

    private static Command Restore()
    {
        var (file, json, from) = (Verb.ConfigurationFile(), Verb.Json(), FileArgument("A file that backup made."));
        var command = new Command("restore", "Puts a backup in the place of what the database has, also while a proxy uses it. What was there is gone.") { from, file, json };
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            var path = Path.GetFullPath(parsed.GetValue(from)!);
            var database = Open(parsed.GetValue(file));
            if (database is PostgresDatabase postgres)
                throw new MisuseException($"PostgreSQL restores its own backups: {postgres.RestoreCommand(Verb.Shown(path))}");
            var sqlite = (SqliteDatabase)database;
            var backup = new SqliteDatabase(path);
            if (!backup.Exists)
                throw new MisuseException($"{Verb.Shown(path)} does not exist");
            await ExplainAsync(backup, Verb.Shown(path), () => backup.CheckBackupAsync(cancellationToken));
            var aside = await ExplainAsync(sqlite, Shown(sqlite), () => sqlite.RestoreAsync(backup, cancellationToken));
            await ExplainAsync(sqlite, Shown(sqlite), () => sqlite.MigrateAsync(cancellationToken));
            var moved = aside is null ? "" : $"; what was there could not be read and is in {Verb.Shown(aside)}";
            return await SayAsync(parsed.InvocationConfiguration.Output, parsed.GetValue(json), $"{Shown(sqlite)} has the content of {Verb.Shown(path)}{moved}",
                new { Database = sqlite.Name, File = path, MovedTo = aside });
        });
        return command;
    }

    private static Command Check()
    {
        var (file, json) = (Verb.ConfigurationFile(), Verb.Json());
        var command = new Command("check", "Reads the whole database and looks for damage. Exit code 1 when there is any, or the schema is not that of this program.") { file, json };
        Verb.SetAction(command, async (parsed, cancellationToken) =>
        {
            var (output, database) = (parsed.InvocationConfiguration.Output, Open(parsed.GetValue(file)));
            var faults = await WithAsync(database, () => CheckAsync(database, cancellationToken));
            if (parsed.GetValue(json))
                await Verb.WriteJsonAsync(output, new { Database = database.Name, Faults = faults });
            else
                await output.WriteLineAsync(TextTable.Plain(faults.Count == 0 ? $"{Shown(database)} is well" : $"{Shown(database)}: {string.Join("; ", faults)}"));
            return faults.Count == 0 ? Verb.Yes : Verb.No;
        });
        return command;
    }

    private static Argument<string> FileArgument(string description) => new("FILE") { Description = description };

    private static async Task<IReadOnlyList<string>> CheckAsync(SqlDatabase database, CancellationToken cancellationToken)
    {
        var migration = await database.ReadMigrationAsync(cancellationToken);
        var faults = await database.CheckAsync(cancellationToken);
        return migration == SqlDatabase.NewestMigration ? faults : [.. faults, "its schema is not up to date: imageaccess database migrate"];
    }

    private static async Task<int> StatusAsync(TextWriter output, SqlDatabase database, bool json, CancellationToken cancellationToken)
    {
        var (migration, problem) = await ReadAsync(database, cancellationToken);
        if (json)
        {
            await Verb.WriteJsonAsync(output, new
            {
                Database = database.Name,
                Kind = database is SqliteDatabase ? "sqlite" : "postgresql",
                Schema = migration,
                Newest = SqlDatabase.NewestMigration,
                Problem = problem,
            });
        }
        else
        {
            await output.WriteLineAsync(TextTable.Plain($"{"database",-12}{Shown(database)}"));
            await output.WriteLineAsync(TextTable.Plain($"{"schema",-12}{migration ?? "none"}"));
            await output.WriteLineAsync(TextTable.Plain($"{"state",-12}{problem ?? "ready"}"));
        }

        return problem is null ? Verb.Yes : Verb.No;
    }

    private static async Task<(string? Migration, string? Problem)> ReadAsync(SqlDatabase database, CancellationToken cancellationToken)
    {
        if (!database.Exists)
            return (null, "is not there yet: the proxy makes it when it starts");
        try
        {
            var migration = await database.ReadMigrationAsync(cancellationToken);
            return (migration, migration == SqlDatabase.NewestMigration ? null : "is not up to date: imageaccess database migrate");
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            return (null, database.Explain(exception));
        }
    }

    private static async Task<T> ExplainAsync<T>(SqlDatabase database, string shown, Func<Task<T>> run)
    {
        try
        {
            return await run();
        }
        catch (Exception exception) when (exception is not (OperationCanceledException or MisuseException))
        {
            throw new MisuseException($"{shown} {database.Explain(exception)}");
        }
    }

    private static async Task<int> SayAsync<T>(TextWriter output, bool json, string text, T facts)
    {
        await (json ? Verb.WriteJsonAsync(output, facts) : output.WriteLineAsync(TextTable.Plain(text)));
        return Verb.Yes;
    }
}
