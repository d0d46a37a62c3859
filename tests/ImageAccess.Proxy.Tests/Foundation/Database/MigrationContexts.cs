using ImageAccess.Proxy.Foundation.Database;
using Microsoft.EntityFrameworkCore.Design;

namespace ImageAccess.Proxy.Tests.Foundation.Database;

/// <summary>What <c>dotnet ef migrations add NAME --context SqliteContext</c> asks for; it connects to nothing.</summary>
internal sealed class SqliteContexts : IDesignTimeDbContextFactory<SqliteContext>
{
    public SqliteContext CreateDbContext(string[] args) => (SqliteContext)new SqliteDatabase("imageaccess.db").CreateContext();
}

/// <inheritdoc cref="SqliteContexts"/>
internal sealed class PostgresContexts : IDesignTimeDbContextFactory<PostgresContext>
{
    public PostgresContext CreateDbContext(string[] args) =>
        (PostgresContext)new PostgresDatabase(new DatabaseOptions { ConnectionString = "Host=localhost" }).CreateContext();
}
