using System.Data;
using System.Data.Common;
using System.Globalization;
using System.Net.Sockets;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace ImageAccess.Proxy.Foundation.Database;

/// <summary>A server that several replicas have together. Its connection string is read anew for each connection, and is shown nowhere.</summary>
internal sealed class PostgresDatabase(DatabaseOptions options) : SqlDatabase
{
    /// <summary>What is said of a string that cannot be parsed: the parser's own words have parts of it.</summary>
    public const string NotParsed = "is no connection string, as Host=db.example.com;Database=imageaccess;Username=imageaccess;Password=…; "
        + "put a value that has ; or = in it into double quotes";

    /// <summary>The number of the advisory lock that every writer takes; any number does that nobody else takes.</summary>
    private const long WriterLock = 0x696D_6167_6561;

    /// <summary>The channel on which a change is told.</summary>
    private const string Channel = "imageaccess";

    /// <summary>In seconds: a connection that waits for changes sees by it that its server is gone.</summary>
    private const int KeepAlive = 10;

    /// <summary>In seconds, where the connection string says nothing.</summary>
    private const int ConnectTimeout = 5;
    private const int CommandTimeout = 10;

    public override string Name => Read() is { } parsed ? NameOf(parsed) : "PostgreSQL";

    protected override string HasHistory => """SELECT CASE WHEN to_regclass('"__EFMigrationsHistory"') IS NULL THEN 0 ELSE 1 END;""";

    private string ConnectionString => Read()?.ConnectionString ?? throw new DatabaseException(NoConnectionString());

    /// <summary>Why a text is no connection string; null where it is one.</summary>
    public static string? Fault(string text) => Parse(text) is null ? NotParsed : null;

    public override DatabaseContext CreateContext() =>
        new PostgresContext(new DbContextOptionsBuilder<PostgresContext>().UseNpgsql(ConnectionString).Options);

    /// <summary>PostgreSQL looks after its own files.</summary>
    public override Task<IReadOnlyList<string>> CheckAsync(CancellationToken cancellationToken) => Task.FromResult<IReadOnlyList<string>>([]);

    /// <summary>The command that makes a backup, without the password.</summary>
    public string BackupCommand(string file) => $"pg_dump --format=custom --file={file} {Address()}";

    /// <summary>The command that puts it back.</summary>
    public string RestoreCommand(string file) => $"pg_restore --clean --if-exists --single-transaction {Address()} {file}";

    public override async Task<IDatabaseWatch> WatchAsync(CancellationToken cancellationToken)
    {
        var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(ConnectionString) { Pooling = false, KeepAlive = KeepAlive }.ToString());
        try
        {
            await connection.OpenAsync(cancellationToken);
            await using var command = Command(connection, null, $"LISTEN {Channel};");
            await command.ExecuteNonQueryAsync(cancellationToken);
            return new PostgresWatch(connection);
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }
    }

    public override Task TellAsync(DatabaseContext context, CancellationToken cancellationToken) =>
        context.Database.ExecuteSqlAsync($"SELECT pg_notify({Channel}, '')", cancellationToken);

    public override DbConnection CreateConnection() => new NpgsqlConnection(ConnectionString);

    protected override async Task<DbTransaction> BeginReadingAsync(DbConnection connection, CancellationToken cancellationToken) =>
        await connection.BeginTransactionAsync(IsolationLevel.RepeatableRead, cancellationToken);

    protected override Task LockAsync(DatabaseContext context, CancellationToken cancellationToken) =>
        context.Database.ExecuteSqlAsync($"SELECT pg_advisory_xact_lock({WriterLock})", cancellationToken);

    /// <summary>The server's own words have no secret: it never gets the password itself to print.</summary>
    protected override string? ExplainOwn(Exception cause) => cause switch
    {
        PostgresException { SqlState: PostgresErrorCodes.InvalidPassword or PostgresErrorCodes.InvalidAuthorizationSpecification } refusal =>
            $"refuses us: {refusal.MessageText}; look at user and password of the connection string",
        PostgresException { SqlState: PostgresErrorCodes.InvalidCatalogName } refusal => $"has no such database: {refusal.MessageText}; create it",
        PostgresException { SqlState: PostgresErrorCodes.InsufficientPrivilege } refusal =>
            $"refuses us: {refusal.MessageText}; let the user of the connection string own the database",
        PostgresException { SqlState: PostgresErrorCodes.ReadOnlySqlTransaction } => "is read-only: name the primary in the connection string",
        PostgresException { SqlState: PostgresErrorCodes.DiskFull } => "has no space left on its disk; make room",
        PostgresException refusal => $"failed: {refusal.MessageText} ({refusal.SqlState})",
        SocketException socket => $"cannot be reached: {socket.Message}; see that it runs and that the connection string names its host and port",
        TimeoutException or OperationCanceledException => "did not answer in time; see that it runs and that the connection string names its host and port",
        NpgsqlException { InnerException: null } => "closed the connection; see that it runs",
        IOException => "closed the connection; see that it runs",
        _ => null,
    };

    /// <summary>The connection string, with the timeouts that it leaves out; null where it is none.</summary>
    private static NpgsqlConnectionStringBuilder? Parse(string text)
    {
        try
        {
            var parsed = new NpgsqlConnectionStringBuilder(text) { ApplicationName = "imageaccess", PersistSecurityInfo = false };
            if (!parsed.ContainsKey("Timeout"))
                parsed.Timeout = ConnectTimeout;
            if (!parsed.ContainsKey("Command Timeout"))
                parsed.CommandTimeout = CommandTimeout;
            return parsed.Host is { Length: > 0 } ? parsed : null;
        }
        catch (Exception exception) when (exception is ArgumentException or FormatException or KeyNotFoundException)
        {
            return null;
        }
    }

    private static string NameOf(NpgsqlConnectionStringBuilder parsed) =>
        string.Create(CultureInfo.InvariantCulture, $"PostgreSQL at {parsed.Host}:{parsed.Port}, database {DatabaseOf(parsed)}");

    private static string? DatabaseOf(NpgsqlConnectionStringBuilder parsed) => parsed.Database ?? parsed.Username;

    private string Address() => Read() is { } parsed
        ? string.Create(CultureInfo.InvariantCulture, $"--host={parsed.Host} --port={parsed.Port} --username={parsed.Username} --dbname={DatabaseOf(parsed)}")
        : "";

    private NpgsqlConnectionStringBuilder? Read() => options.ReadConnectionString(out _) is { } text ? Parse(text) : null;

    private string NoConnectionString() => options.ReadConnectionString(out var problem) is null ? $"has no connection string: {problem}" : NotParsed;
}

/// <summary>Is told of changes by the server. A connection that breaks ends the waiting with a failure.</summary>
internal sealed class PostgresWatch(NpgsqlConnection connection) : IDatabaseWatch
{
    public async Task WaitAsync(TimeSpan longest, TimeProvider time, CancellationToken cancellationToken)
    {
        using var enough = new CancellationTokenSource(longest, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(enough.Token, cancellationToken);
        try
        {
            await connection.WaitAsync(either.Token);
        }
        catch (OperationCanceledException) when (enough.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            // Nobody told anything; it is looked at all the same.
        }
    }

    public ValueTask DisposeAsync() => connection.DisposeAsync();
}
