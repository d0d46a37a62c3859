using ImageAccess.Proxy.Administration.Denials;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Tests.Policies.Store;

namespace ImageAccess.Proxy.Tests.Tools.Verbs;

/// <summary><c>imageaccess denials</c>: over the database alone.</summary>
public sealed class DenialCommandTests : IDisposable
{
    private const string Id = "00112233445566778899aabbccddeeff";

    private readonly PolicyFixture _fixture = new();

    private SqliteDatabase Database => new(Path.Combine(_fixture.Data, "imageaccess.db"));

    public void Dispose() => _fixture.Dispose();

    [Fact]
    public async Task It_lists_and_shows()
    {
        await Database.MigrateAsync(default);
        Assert.Equal((0, "no denial is kept\n", ""), Said(await RunAsync("list")));
        var row = new DenialRow
        {
            Id = Id,
            TimeMilliseconds = DateTimeOffset.UnixEpoch.AddDays(20_000).ToUnixTimeMilliseconds(),
            Caller = "bob",
            Repository = "someuser/custom-image",
            Reference = "latest",
            Rule = "community",
            Message = "image access denied: community images not allowed (ask in #platform)",
            Organizations = ["acme", "beta"],
            Client = "192.0.2.7",
            WayIn = "mirror",
        };
        await AddAsync(row, row with { Id = "2", Caller = null, Reference = $"sha256:{new string('a', 64)}", Organizations = [] }, row with { Id = "3", Reference = "tags/list", Caller = "eve\u001b[31m" }, row with { Id = "4", Reference = null });
        Assert.Equal(
            (0, """
                TIME                  CALLER    RULE       IMAGE
                2024-10-04 00:00:00Z  bob       community  someuser/custom-image
                    4
                2024-10-04 00:00:00Z  eve?[31m  community  someuser/custom-image (tags/list)
                    3

                """, ""),
            Said(await RunAsync("list", "--organization", "acme", "--last", "2")));
        Assert.Equal(4, (await RunAsync("list", "--json")).Json.GetProperty("denials").GetArrayLength());
        Assert.Equal("3", Assert.Single((await RunAsync("list", "--json", "--caller", "eve\u001b[31m")).Json.GetProperty("denials").EnumerateArray()).GetProperty("id").GetString());
        Assert.Equal(
            (0, $"""
                denial     {Id}
                time       2024-10-04 00:00:00Z
                caller     bob
                client     192.0.2.7
                way in     mirror
                image      someuser/custom-image:latest
                rule       community
                judged by  acme, beta
                message    image access denied: community images not allowed (ask in #platform)

                """, ""),
            Said(await RunAsync("show", Id)));
        var facts = (await RunAsync("show", "2", "--json")).Json;
        Assert.Equal(("2", "community", false), (facts.GetProperty("id").GetString(), facts.GetProperty("rule").GetString(), facts.TryGetProperty("caller", out _)));
        Assert.Contains($"image      someuser/custom-image@sha256:{new string('a', 64)}\n", (await RunAsync("show", "2")).Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_not_there_is_said()
    {
        Assert.Equal(2, (await RunAsync("list")).ExitCode);
        Assert.Contains("there is no database in ", (await RunAsync("list")).Error, StringComparison.Ordinal);
        await Database.MigrateAsync(default);
        Assert.Equal(
            (1, "", "imageaccess: no denial 7? is kept: they are for 30 days; of a client that was denied too much at once the audit trail has the count alone\n"),
            Said(await RunAsync("show", "7\u001b")));
        Assert.Equal(1, (await RunAsync("list", "--last", "1001")).ExitCode);
    }

    private static (int ExitCode, string Output, string Error) Said(CommandLine run) => (run.ExitCode, run.Output, run.Error);

    private Task AddAsync(params DenialRow[] rows) =>
        Database.WriteAsync(context => new DenialTable(context).AddAsync(rows, DateTimeOffset.UnixEpoch, default), default);

    private async Task<CommandLine> RunAsync(params string[] arguments)
    {
        await File.WriteAllTextAsync(_fixture["imageaccess.json"], """{ "Data": { "Directory": "../data" } }""");
        return await CommandLine.RunAsync(["denials", .. arguments, "--config", _fixture["imageaccess.json"]]);
    }
}
