using System.Net;
using System.Text.Json;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Database.Keys;
using ImageAccess.Proxy.Foundation.Limits;
using ImageAccess.Proxy.Tests.Foundation.Database;
using Microsoft.EntityFrameworkCore;

namespace ImageAccess.Proxy.Tests.Foundation.Audit;

/// <summary>What stands for callers, and the table that says who they are, in both databases.</summary>
[Collection(PostgresRoom.Name)]
public sealed class PseudonymsTests(PostgresServer server) : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public void A_caller_has_one_pseudonym_whatever_the_case_and_only_with_the_same_key_and_salt()
    {
        var (names, salt) = (Begin("a"), Salt(1));
        var bob = names.Of("bob");
        Assert.Matches("^caller-[0-9a-f]{24}$", bob);
        Assert.True(Pseudonyms.Is(bob));
        Assert.Equal((bob, bob, bob), (names.Of("Bob"), names.OfSelf("BOB"), Begin("a").Of("bob")));
        Assert.Equal(4, new[] { bob, names.Of("bobby"), Begin("b").Of("bob"), Begin("a", Salt(2)).Of("bob") }.Distinct().Count());
        Assert.DoesNotContain(Convert.ToHexStringLower(salt), bob, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("bob")]
    [InlineData("caller-0123456789abcdef0123456")]
    [InlineData("caller-0123456789abcdef012345678")]
    [InlineData("caller-0123456789ABCDEF01234567")]
    [InlineData("claimed-0123456789abcdef01234567")]
    [InlineData(null)]
    public void Nothing_else_is_a_pseudonym(string? name) => Assert.False(Pseudonyms.Is(name));

    /// <summary>Who reads the trail could claim a name from an address of their own, and would know the pseudonym.</summary>
    [Fact]
    public void A_name_that_is_claimed_has_not_the_pseudonym_of_the_caller_and_another_one_from_elsewhere()
    {
        var names = Begin("a");
        var (one, other) = (ClientShare.Of(IPAddress.Parse("192.0.2.7")), ClientShare.Of(IPAddress.Parse("192.0.2.8")));
        var claimed = names.OfClaimed("bob", one);
        Assert.Matches("^claimed-[0-9a-f]{24}$", claimed);
        Assert.Equal(claimed, names.OfClaimed("BOB", one));
        Assert.Equal(3, new[] { claimed, names.OfClaimed("bob", other), names.OfClaimed("bobby", one) }.Distinct().Count());
        Assert.NotEqual(names.Of("bob")["caller-".Length..], claimed["claimed-".Length..]);
    }

    [Fact]
    public void Nobody_is_remembered_who_only_claims_or_asks_about_themselves()
    {
        var names = Begin("a");
        names.OfClaimed("eve", default);
        names.OfSelf("eve");
        Assert.False(names.HasWaiting);
        names.Of("bob");
        Assert.Equal("bob", Assert.Single(names.Waiting(10).Lines).Name);
    }

    [Fact]
    public void No_more_than_a_number_of_callers_wait_and_those_beyond_have_their_pseudonym_all_the_same()
    {
        var names = Begin("a");
        for (var number = 0; number < Pseudonyms.MaximumWaiting + 5; number++)
            names.Of(FormattableString.Invariant($"user{number}"));
        Assert.Equal(Pseudonyms.MaximumWaiting, names.Waiting(int.MaxValue).Lines.Count);
        Assert.Equal(Begin("a").Of("late"), names.Of("late"));
    }

    [Fact]
    public async Task Each_line_of_the_trail_has_the_pseudonym_in_the_place_of_the_name()
    {
        var names = Begin("a");
        using var fixture = new AuditFixture(names: names);
        await fixture.Denied().DisposeAsync();
        await fixture.Denied().DisposeAsync();
        await fixture.Trail.RecordSignInAsync("mirror", IPAddress.Parse("192.0.2.7"), "bob", "refused", 401, default);
        await fixture.Trail.RecordConnectionAsync("forward-proxy", IPAddress.Parse("192.0.2.7"), "bob", "example.com", 443, "host", default);
        fixture.Time.Advance(MergedDenials.Window);
        var lines = await fixture.WrittenAsync();
        Assert.Equal(4, lines.Count);
        Assert.All(lines, line => Assert.DoesNotContain("bob", line, StringComparison.OrdinalIgnoreCase));
        var claimed = names.OfClaimed("bob", ClientShare.Of(IPAddress.Parse("192.0.2.7")));
        Assert.Equal(
            [names.Of("bob"), claimed, claimed, names.Of("bob")],
            lines.Select(line => JsonSerializer.Deserialize<JsonElement>(line)).Select(line => (line.TryGetProperty("caller", out var caller) ? caller : line.GetProperty("user")).GetString()));
    }

    [Fact]
    public async Task Whoever_is_anonymous_stays_so()
    {
        using var fixture = new AuditFixture(names: Begin("a"));
        await using (var entry = fixture.Denied())
            entry.Caller = Core.Policies.Caller.Anonymous;
        Assert.Contains("\"caller\":\"anonymous\"", Assert.Single(await fixture.WrittenAsync()), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_one_process_writes_another_reads_and_the_table_tells_names_to_nobody_without_the_key(bool inPostgres)
    {
        var (database, key) = (await OpenAsync(inPostgres), Key("a"));
        var (one, two) = (Begin("a"), Begin("a", Salt(2)));
        var bob = one.Of("bob");
        Assert.True(await WriteAsync(database, key, one));
        Assert.False(await WriteAsync(database, key, two, "carol")); // it has not read the salt yet
        Assert.False(two.HasWaiting);

        await ReadAsync(database, two);
        Assert.Equal((bob, one.Of("carol")), (two.Of("bob"), two.Of("carol")));
        Assert.True(await WriteAsync(database, key, two));
        Assert.True(await WriteAsync(database, key, one));
        var rows = await RowsAsync(database);
        Assert.Equal(3, rows.Count); // and no line twice
        Assert.Single(rows.Select(row => row.Pseudonym == PseudonymRow.Salt ? 0 : row.Wrapped.Length).Where(length => length > 0).Distinct()); // the length tells nothing
        Assert.Equal("bob", await FindAsync(database, key, bob));
        Assert.Null(await FindAsync(database, Key("b"), bob));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Who_is_forgotten_has_another_pseudonym_afterwards_and_the_others_have_theirs(bool inPostgres)
    {
        var (database, key, names) = (await OpenAsync(inPostgres), Key("a"), Begin("a"));
        var (bob, carol) = (names.Of("bob"), names.Of("carol"));
        await WriteAsync(database, key, names);
        await ReadAsync(database, names);
        names.Of("dan"); // and waits

        Assert.Equal(1, await ForgetAsync(database, key, "bob"));
        Assert.Null(await FindAsync(database, key, bob));
        Assert.Equal(bob, names.Of("bob")); // until it has read that
        Assert.False(await WriteAsync(database, key, names)); // and it brings nobody back
        await ReadAsync(database, names);
        Assert.NotEqual(bob, names.Of("bob"));
        Assert.Equal(carol, names.Of("carol"));
        await WriteAsync(database, key, names);
        Assert.Equal(["bob", "carol"], (await RowsAsync(database)).Select(row => Pseudonyms.Unwrap(Pseudonyms.NewWrapping(key), row)).Where(name => name is "bob" or "carol").Order());
        Assert.NotEqual(bob, Begin("a", names.Salt).Of("bob"));
        Assert.Equal(0, await ForgetAsync(database, key, "nobody"));
    }

    [Fact]
    public async Task Another_key_than_that_of_the_table_is_told_and_changes_nothing()
    {
        var (database, names, other) = (await OpenAsync(inPostgres: false), Begin("a"), Begin("b"));
        names.Of("bob");
        await WriteAsync(database, Key("a"), names);
        await ReadAsync(database, other);
        other.Of("carol");
        Assert.False(await WriteAsync(database, Key("b"), other));
        Assert.Equal(
            $"who a pseudonym is cannot be kept: those of {database.Name} are wrapped by another key than {_directory["b"]}: put that key back, or name it with Data:KeyFile", other.Concern);
        var refused = await Assert.ThrowsAsync<DatabaseException>(() => ForgetAsync(database, Key("b"), "bob"));
        Assert.Equal($"has pseudonyms that are wrapped by another key than {_directory["b"]}: put that key back, or name it with Data:KeyFile", refused.Message);
        await ReadAsync(database, names);
        Assert.Null(names.Concern);
    }

    /// <summary>A backup that was put back has other lines than those that were read.</summary>
    [Fact]
    public async Task A_table_that_lacks_lines_is_read_as_a_whole()
    {
        var (database, key, names) = (await OpenAsync(inPostgres: false), Key("a"), Begin("a"));
        var bob = names.Of("bob");
        await WriteAsync(database, key, names);
        await ReadAsync(database, names);
        await database.WriteAsync(context => context.Pseudonyms.Where(row => row.Pseudonym != PseudonymRow.Salt).ExecuteDeleteAsync(), default);
        Assert.False(names.Take(await PseudonymTable.ReadAsync(database, names.Last, default), database.Name));
        await ReadAsync(database, names);
        Assert.Equal(bob, names.Of("bob"));
        Assert.True(names.HasWaiting); // and has a line again
    }

    private static byte[] Salt(byte number) => [.. Enumerable.Repeat(number, Pseudonyms.SaltSize)];

    private static Task<List<PseudonymRow>> RowsAsync(SqlDatabase database) => database.ReadAsync(context => context.Pseudonyms.AsNoTracking().OrderBy(row => row.Id).ToListAsync(), default);

    private static Task<string?> FindAsync(SqlDatabase database, KeyFile key, string pseudonym) =>
        database.ReadAsync(context => new PseudonymTable(context, key).FindAsync(pseudonym, default), default);

    private static async Task<int> ForgetAsync(SqlDatabase database, KeyFile key, string name)
    {
        var forgotten = 0;
        await database.WriteAsync(async context => forgotten = await new PseudonymTable(context, key).ForgetAsync(line => line.Name == name, default), default);
        return forgotten;
    }

    private static async Task<bool> WriteAsync(SqlDatabase database, KeyFile key, Pseudonyms names, string? name = null)
    {
        if (name is not null)
            names.Of(name);
        var (salt, lines) = names.Waiting(100);
        var areWritten = false;
        await database.WriteAsync(async context => areWritten = await new PseudonymTable(context, key).AddAsync(salt, lines, default), default);
        names.EndWaiting(salt, lines, areWritten);
        return areWritten;
    }

    private static async Task ReadAsync(SqlDatabase database, Pseudonyms names)
    {
        if (!names.Take(await PseudonymTable.ReadAsync(database, names.Last, default), database.Name))
            Assert.True(names.Take(await PseudonymTable.ReadAsync(database, 0, default), database.Name));
    }

    private async Task<SqlDatabase> OpenAsync(bool inPostgres)
    {
        var database = inPostgres ? PostgresServer.Open(await server.CreateDatabaseAsync()) : SqlDatabase.Of(new DatabaseOptions { DataDirectory = _directory.Path });
        await database.MigrateAsync(default);
        return database;
    }

    private Pseudonyms Begin(string key, byte[]? salt = null)
    {
        var names = new Pseudonyms(Key(key));
        names.Begin(salt ?? Salt(1));
        return names;
    }

    /// <summary>One key for each name.</summary>
    private KeyFile Key(string name)
    {
        if (!File.Exists(_directory[name]))
        {
            File.WriteAllText(_directory[name], Convert.ToBase64String([.. Enumerable.Repeat((byte)name[0], KeyFile.Size)]));
            if (!OperatingSystem.IsWindows())
                File.SetUnixFileMode(_directory[name], UnixFileMode.UserRead | UnixFileMode.UserWrite);
        }

        var file = new KeyFile(_directory[name], _directory.Path);
        Assert.Null(file.Open());
        return file;
    }
}
