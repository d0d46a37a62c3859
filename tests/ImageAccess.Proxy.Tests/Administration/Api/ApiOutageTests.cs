using ImageAccess.Proxy.Policies.Store;
using Microsoft.Data.Sqlite;

namespace ImageAccess.Proxy.Tests.Administration.Api;

/// <summary>The database cannot be used: 503 and the sentence, nothing half done, and well again by itself.</summary>
public sealed class ApiOutageTests(ApiRoom room) : IClassFixture<ApiRoom>
{
    [Fact]
    public async Task A_database_that_cannot_be_used_is_told_and_mends()
    {
        await room.ImportAsync(ApiRoom.Policy);
        var token = await room.TokenAsync("administrator");
        var existing = room.ExceptionAsync();
        var section = room.SendAsync("GET", "/api/v1/organizations/acme/policy", token);
        await Task.WhenAll(existing, section);
        var file = Path.Combine(room.Here.DataDirectory, "imageaccess.db");
        await using (var other = new SqliteConnection($"Data Source={file};Pooling=false"))
        {
            await other.OpenAsync();
            await using var locking = other.CreateCommand();
            locking.CommandText = "BEGIN IMMEDIATE";
            await locking.ExecuteNonQueryAsync();
            var id = await existing;
            var version = room.Service<IPolicyStore>().Current.Version;
            var all = await Task.WhenAll(
                GrantAsync(token),
                room.SendAsync("POST", $"/api/v1/exceptions/{id}/end", token, """{ "reason": "over" }"""),
                room.SendAsync("POST", "/api/v1/tokens", token, """{ "role": "auditor", "label": "never made" }"""),
                room.SendAsync("PUT", "/api/v1/organizations/acme/policy?reason=because", token, """{ "name": "acme", "enabled": true, "help": "never" }""", (await section).Tag));
            Assert.All(all, locked => Assert.Equal(
                (503, "the database is locked by another process: end that process, or wait until it has finished; nothing was changed"), (locked.Status, locked.Detail)));
            Assert.Equal((version, false), (room.Service<IPolicyStore>().Current.Version, (await room.SendAsync("GET", $"/api/v1/exceptions/{id}", token)).Json.TryGetProperty("ended", out _)));
            Assert.DoesNotContain("never made", (await room.SendAsync("GET", "/api/v1/tokens", token)).Text, StringComparison.Ordinal);
            Assert.Equal(201, (await room.SendAsync("POST", "/api/v1/blocks", token, """{ "image": "evil/locked", "reason": "malware" }""")).Status); // it needs no database
            foreach (var list in new[] { "exceptions", "people", "blocks" })
                Assert.Equal(200, (await room.SendAsync("GET", $"/api/v1/{list}", token)).Status); // readers go on
            var denials = await room.SendAsync("GET", "/api/v1/denials", token); // who looks at those of others is entered first
            Assert.Equal((503, "the database is locked by another process: end that process, or wait until it has finished; nothing was changed"), (denials.Status, denials.Detail));
        }

        Assert.Equal(201, (await GrantAsync(token)).Status);
        await EmptyLogAsync(file); // what is in it alone would be lost with the file that it is about
        File.Move(file, file + ".aside");
        await File.WriteAllTextAsync(file, new string('x', 5000));
        var damaged = await GrantAsync(token);
        Assert.Equal(503, damaged.Status);
        Assert.StartsWith("the database is no database of SQLite: put a backup in its place", damaged.Detail, StringComparison.Ordinal);
        foreach (var (method, target) in new[] { ("GET", "denials"), ("GET", "denials/x"), ("GET", "people"), ("POST", "organizations/acme/policy/drafts") })
        {
            var away = await room.SendAsync(method, $"/api/v1/{target}", token, method == "POST" ? "{ }" : null);
            Assert.Equal((503, damaged.Detail), (away.Status, away.Detail));
        }

        File.Move(file + ".aside", file, overwrite: true);
        Assert.Equal(201, (await GrantAsync(token)).Status);
    }

    private static async Task EmptyLogAsync(string file)
    {
        await using var connection = new SqliteConnection($"Data Source={file};Pooling=false");
        await connection.OpenAsync();
        await using var command = connection.CreateCommand();
        command.CommandText = "PRAGMA wal_checkpoint(TRUNCATE)";
        await Eventually.TrueAsync(async () => (long)(await command.ExecuteScalarAsync())! == 0);
    }

    private Task<ApiAnswer> GrantAsync(string token) => room.SendAsync(
        "POST", "/api/v1/exceptions", token, $$"""{ "organization": "acme", "image": "a/t{{room.Next()}}", "reason": "because", "until": "{{DateTime.UtcNow.AddDays(3):yyyy-MM-dd}}T00:00:00Z" }""");
}
