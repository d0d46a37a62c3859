using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using ImageAccess.Proxy.Foundation.Database;
using Npgsql;

namespace ImageAccess.Proxy.Tests.Foundation.Database;

/// <summary>Debian's PostgreSQL on a free port, run by a user without rights; a database for each test.</summary>
public sealed class PostgresServer : IAsyncLifetime, IDisposable
{
    public const string Password = "s3cret;of=the'database";

    private const string User = "postgres";

    private readonly TemporaryDirectory _directory = new();
    private readonly int _port = FreePort();
    private Process? _process;
    private int _databases;

    public async Task InitializeAsync()
    {
        await File.WriteAllTextAsync(_directory["password"], Password);
        await RunAsync("chown", "-R", User, _directory.Path);
        await RunAsync([.. AsUser, Program("initdb"), "--pgdata", Data, "--username", User, "--auth", "scram-sha-256", "--pwfile", _directory["password"], "--no-sync", "--encoding", "UTF8"]);
        await StartAsync();
    }

    public Task DisposeAsync() => StopAsync();

    public void Dispose()
    {
        _process?.Dispose();
        _directory.Dispose();
    }

    /// <summary>The connection string of a database that is made with it.</summary>
    public async Task<string> CreateDatabaseAsync()
    {
        var name = string.Create(CultureInfo.InvariantCulture, $"test{Interlocked.Increment(ref _databases)}");
        await ExecuteAsync("postgres", $"CREATE DATABASE {name}");
        return ConnectionString(name);
    }

    public string ConnectionString(string database) => new NpgsqlConnectionStringBuilder
    {
        Host = "127.0.0.1",
        Port = _port,
        Database = database,
        Username = User,
        Password = Password,
        Pooling = true,
        ConnectionIdleLifetime = 5, // each test has a database, and so a pool, of its own
        ConnectionPruningInterval = 1,
    }.ToString();

    internal static SqlDatabase Open(string connectionString) => SqlDatabase.Of(new DatabaseOptions { ConnectionString = connectionString, DataDirectory = "data" });

    public async Task ExecuteAsync(string database, string sql)
    {
        await using var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(ConnectionString(database)) { Pooling = false }.ToString());
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }

    public async Task StartAsync()
    {
        string[] command =
        [
            .. AsUser, Program("postgres"), "-D", Data, "-p", _port.ToString(CultureInfo.InvariantCulture), "-h", "127.0.0.1",
            "-c", $"unix_socket_directories={_directory.Path}", "-c", "fsync=off", "-c", "max_connections=1000",
        ];
        _process = Process.Start(new ProcessStartInfo(command[0], command[1..]) { RedirectStandardError = true, RedirectStandardOutput = true, UseShellExecute = false, WorkingDirectory = "/" })!;
        _process.BeginErrorReadLine();
        _process.BeginOutputReadLine();
        await Eventually.TrueAsync(() => Answers(), "PostgreSQL answers");
    }

    /// <summary>At once, with whoever is connected.</summary>
    public async Task StopAsync()
    {
        if (_process is null)
            return;
        await RunAsync("kill", "-INT", _process.Id.ToString(CultureInfo.InvariantCulture));
        await _process.WaitForExitAsync();
        _process.Dispose();
        _process = null;
    }

    private string Data => _directory["data"];

    private static string[] AsUser => Environment.IsPrivilegedProcess ? ["setpriv", $"--reuid={User}", $"--regid={User}", "--clear-groups"] : [];

    private bool Answers()
    {
        Assert.False(_process!.HasExited, "PostgreSQL has ended");
        try
        {
            using var connection = new NpgsqlConnection(ConnectionString("postgres") + ";Pooling=false;Timeout=2");
            connection.Open();
            return true;
        }
        catch (NpgsqlException)
        {
            return false;
        }
    }

    private static string Program(string name) => Directory.GetDirectories("/usr/lib/postgresql")
        .OrderByDescending(version => int.Parse(Path.GetFileName(version), CultureInfo.InvariantCulture))
        .Select(version => Path.Combine(version, "bin", name))
        .First(File.Exists);

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private static async Task RunAsync(params string[] command)
    {
        using var process = Process.Start(new ProcessStartInfo(command[0], command[1..]) { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = "/", UseShellExecute = false })!;
        var (output, error) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0, $"{command[0]}: {await output}{await error}");
    }
}

/// <summary>One server for all tests that leave it running.</summary>
[CollectionDefinition(Name)]
public sealed class PostgresRoom : ICollectionFixture<PostgresServer>
{
    public const string Name = "PostgreSQL";
}
