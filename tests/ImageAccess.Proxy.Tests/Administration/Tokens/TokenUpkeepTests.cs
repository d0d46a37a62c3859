using ImageAccess.Proxy.Administration.Tokens;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Tests.Foundation.Audit;
using Microsoft.EntityFrameworkCore;

namespace ImageAccess.Proxy.Tests.Administration.Tokens;

public sealed class TokenUpkeepTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly AuditFixture _audit = new();
    private readonly ManualTime _time = new();

    public void Dispose()
    {
        _audit.Dispose();
        _directory.Dispose();
    }

    [Fact]
    public async Task The_last_use_is_written_at_most_once_a_minute()
    {
        var database = new SqliteDatabase(_directory["imageaccess.db"]);
        await database.MigrateAsync(default);
        var grant = new TokenGrant { Role = "auditor", Organization = "acme", Label = "a report" };
        var (row, _) = await new TokenChanges(database, _time).CreateAsync(grant, "alice", default);
        using var upkeep = new TokenUpkeep(database, new DatabaseState(), _audit.Trail, _time);

        var first = await UseAsync();
        Assert.Equal(_time.GetUtcNow(), first);
        _time.Advance(TimeSpan.FromSeconds(59));
        Assert.Equal(first, await UseAsync());
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(_time.GetUtcNow(), await UseAsync());

        async Task<DateTimeOffset?> UseAsync()
        {
            upkeep.Note(row.Id);
            await upkeep.WriteAsync(database, default);
            return await database.ReadAsync(context => context.ApiTokens.Select(token => token.LastUsed).SingleAsync(), default);
        }
    }
}
