using System.Runtime.Versioning;
using ImageAccess.Proxy.Foundation.Database;

namespace ImageAccess.Proxy.Tests.Foundation.Database;

/// <summary>What is PostgreSQL's own: the connection string, which nothing shows, and what the server refuses.</summary>
[UnsupportedOSPlatform("windows")]
[Collection(PostgresRoom.Name)]
public sealed class PostgresTests(PostgresServer server)
{
    [Theory]
    [InlineData("postgres://imageaccess:canary=x@db.example.com/imageaccess")]
    [InlineData("Host=db.example.com;Password=canary;can=ary")]
    [InlineData("Host=db.example.com;Password=\"canary")]
    [InlineData("Host=db.example.com;Port=canary")]
    [InlineData("Password=canary")]
    [InlineData("canary")]
    public void What_is_no_connection_string_is_refused_without_a_part_of_it(string text)
    {
        var fault = Assert.Single(new DatabaseOptions { ConnectionString = text, DataDirectory = "data" }.Faults());
        Assert.Equal($"Database:ConnectionString: {PostgresDatabase.NotParsed}", fault);
    }

    [Fact]
    public void It_is_named_once_and_its_file_is_the_owners()
    {
        using var directory = new TemporaryDirectory();
        var file = directory["connection"];
        Assert.Equal(
            ["Database:ConnectionStringFile: name a file, or set IMAGEACCESS_Database__ConnectionString: one of the two"],
            new DatabaseOptions { ConnectionString = "Host=a", ConnectionStringFile = file, DataDirectory = "data" }.Faults());

        var options = new DatabaseOptions { ConnectionStringFile = file, DataDirectory = "data" };
        Assert.Equal([$"Database:ConnectionStringFile: {file} is not there"], options.Faults());
        File.WriteAllText(file, "Host=db.example.com;Username=u;Password=canary\n");
        Assert.Empty(options.Faults());
        Assert.Equal("PostgreSQL at db.example.com:5432, database u", SqlDatabase.Of(options).Name);
        File.SetUnixFileMode(file, (UnixFileMode)0b110_110_110);
        Assert.Equal([$"Database:ConnectionStringFile: {file} can be changed by others than its owner: chmod go-w {file}"], options.Faults());
    }

    [Fact]
    public async Task What_it_refuses_is_told_without_the_password()
    {
        var good = await server.CreateDatabaseAsync();
        var wrong = await ExplainAsync(good + ";Password=canary");
        Assert.Equal("refuses us: password authentication failed for user \"postgres\"; look at user and password of the connection string", wrong);
        Assert.Equal("has no such database: database \"nowhere\" does not exist; create it", await ExplainAsync(server.ConnectionString("nowhere")));
        Assert.StartsWith("cannot be reached: ", await ExplainAsync(good + ";Port=1"), StringComparison.Ordinal);

        await server.ExecuteAsync("postgres", $"CREATE ROLE reader LOGIN PASSWORD 'reader'");
        var reader = await ExplainAsync(good + ";Username=reader;Password=reader");
        Assert.Equal("refuses us: permission denied for schema public; let the user of the connection string own the database", reader);
    }

    private static async Task<string> ExplainAsync(string connectionString)
    {
        var database = PostgresServer.Open(connectionString);
        var failure = await Record.ExceptionAsync(() => database.MigrateAsync(default));
        Assert.NotNull(failure);
        return database.Explain(failure);
    }
}
