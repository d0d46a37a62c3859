using System.Globalization;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Tests.Policies.Store;
using Microsoft.EntityFrameworkCore;

namespace ImageAccess.Proxy.Tests.Tools.Verbs;

/// <summary><c>imageaccess changes</c>, and the verbs whose changes wait: over the data directory alone, without a running proxy.</summary>
public sealed class ChangeCommandTests : IAsyncLifetime, IDisposable
{
    private const string TwoPersons = """
        { "changes": { "approvals": 2 }, "organizations": [ { "name": "acme", "enabled": true, "owners": [ "alice", "bob" ] } ] }
        """;

    private readonly PolicyFixture _fixture = new();

    private string DatabasePath => Path.Combine(_fixture.Data, "imageaccess.db");

    private SqliteDatabase Database => new(DatabasePath);

    public async Task InitializeAsync()
    {
        await File.WriteAllTextAsync(_fixture.Document, TwoPersons);
        await File.WriteAllTextAsync(_fixture["imageaccess.json"], """{ "Data": { "Directory": "../data" }, "Policy": { "File": "policy.json" } }""");
        await Database.MigrateAsync(default);
    }

    public Task DisposeAsync() => Task.CompletedTask;

    public void Dispose() => _fixture.Dispose();

    [Fact]
    public async Task An_exception_waits_is_listed_and_is_approved_by_another()
    {
        Assert.Equal((0, "no change waits\n", ""), Said(await RunAsync("changes", "list")));
        var asked = await RunAsync("exceptions", "add", "bitnami/redis", "--organization", "acme", "--reason", "for the build", "--by", "alice", "--ticket", "OPS-1");
        var until = DateTime.UtcNow.AddDays(30).ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
        Assert.Equal((0, ""), (asked.ExitCode, asked.Error));
        Assert.Matches(
            $"^the change 1 waits for a second person, until {until} [0-9:]{{5}}Z: bitnami/redis to acme without an end; imageaccess changes approve 1\n$", asked.Output);
        Assert.Equal((0, "no exception is in force\n", ""), Said(await RunAsync("exceptions", "list")));

        Assert.Matches(
            $"""
            ^CHANGE  KIND       ORGANIZATION  ASKED              UNTIL              BY
                 1  exception  acme          [0-9-]+ [0-9:]+Z  {until} [0-9:]+Z  alice
             +opens bitnami/redis to acme without an end
             +for the build \(OPS-1\)
            $
            """,
            (await RunAsync("changes", "list")).Output);
        Assert.Equal((0, "no change waits\n", ""), Said(await RunAsync("changes", "list", "--organization", "beta")));

        Assert.Equal((2, "", "imageaccess: Alice asked for the change 1: another person has to approve it\n"), Said(await RunAsync("changes", "approve", "1", "--by", "Alice")));
        Assert.Equal((0, "the change 1 is done: bitnami/redis to acme without an end\n", ""), Said(await RunAsync("changes", "approve", "1", "--by", "bob")));
        var exception = (await RunAsync("exceptions", "list", "--json")).Json.GetProperty("exceptions")[0];
        Assert.Equal(("alice and bob", "OPS-1"), (exception.GetProperty("approvedBy").GetString(), exception.GetProperty("ticket").GetString()));
        var again = await RunAsync("changes", "approve", "1", "--by", "carol");
        Assert.Equal(2, again.ExitCode);
        Assert.Matches("^imageaccess: the change 1 was approved already, [0-9-]{10} [0-9:]{5}Z by bob\n$", again.Error);
        Assert.Equal(0, (await RunAsync("exceptions", "end", "1", "--by", "alice")).ExitCode); // what closes is done at once
    }

    [Fact]
    public async Task A_lifted_block_waits_and_is_declined_or_approved()
    {
        await RunAsync("block", "nginx", "--reason", "CVE", "--by", "alice");
        var asked = await RunAsync("unblock", "nginx", "--reason", "fixed", "--by", "alice");
        Assert.Equal((0, ""), (asked.ExitCode, asked.Error));
        Assert.StartsWith("the change 1 waits for a second person, until ", asked.Output, StringComparison.Ordinal);
        Assert.EndsWith("Z: nginx is blocked no longer; imageaccess changes approve 1\n", asked.Output, StringComparison.Ordinal);
        Assert.Equal((0, "the change 1 is declined: nginx is blocked no longer\n", ""), Said(await RunAsync("changes", "decline", "1", "--reason", "not yet", "--by", "bob")));
        Assert.Single((await RunAsync("block", "list", "--json")).Json.GetProperty("blocks").EnumerateArray());

        await RunAsync("unblock", "nginx", "--reason", "fixed", "--by", "alice");
        var done = (await RunAsync("changes", "approve", "2", "--by", "bob", "--json")).Json.GetProperty("change");
        Assert.Equal(
            ("unblock", "done", "alice", "bob"),
            (done.GetProperty("kind").GetString(), done.GetProperty("state").GetString(), done.GetProperty("by").GetString(), done.GetProperty("decidedBy").GetString()));
        Assert.Equal("nothing is blocked\n", (await RunAsync("block", "list")).Output);
    }

    [Fact]
    public async Task Without_the_database_a_block_is_lifted_only_where_one_person_may()
    {
        await RunAsync("block", "nginx", "--reason", "CVE");
        File.Delete(DatabasePath);
        Assert.Equal(
            (1, "", $"imageaccess: there is no database in {DatabasePath}: the proxy makes it when it starts\n"), Said(await RunAsync("unblock", "nginx", "--reason", "fixed")));
        Assert.Equal(0, (await RunAsync("block", "redis", "--reason", "CVE")).ExitCode);
        Assert.Equal(2, (await RunAsync("block", "list", "--json")).Json.GetProperty("blocks").GetArrayLength());
        await File.WriteAllTextAsync(_fixture.Document, PolicyFixture.Strict);
        Assert.Equal(0, (await RunAsync("unblock", "nginx", "--reason", "fixed")).ExitCode);
        Assert.False(File.Exists(DatabasePath));
    }

    [Fact]
    public async Task Where_a_ticket_is_demanded_it_is_asked_for()
    {
        await File.WriteAllTextAsync(_fixture.Document, """{ "changes": { "ticket": true }, "organizations": [ { "name": "acme", "enabled": true } ] }""");
        const string Missing = "imageaccess: --ticket is missing: the policy demands one for whatever opens (changes.ticket)\n";
        await RunAsync("block", "nginx", "--reason", "CVE");
        Assert.Equal((2, "", Missing), Said(await RunAsync("unblock", "nginx", "--reason", "fixed")));
        Assert.Equal((2, "", Missing), Said(await RunAsync("exceptions", "add", "redis", "--organization", "acme", "--reason", "r")));
        Assert.Equal(0, (await RunAsync("unblock", "nginx", "--reason", "fixed", "--ticket", "OPS-1")).ExitCode);
        Assert.Equal(0, (await RunAsync("exceptions", "add", "redis", "--organization", "acme", "--reason", "r", "--ticket", "OPS-2")).ExitCode);
    }

    [Theory]
    [InlineData("there is no change 7; imageaccess changes list names those that wait", "approve", "7")]
    [InlineData("there is no change 7; imageaccess changes list names those that wait", "decline", "7", "--reason", "r")]
    [InlineData("--reason must have 1 to 1000 characters", "decline", "7", "--reason", "")]
    [InlineData("--reason has characters that cannot be seen, as line ends or marks of direction", "decline", "7", "--reason", "a\u202eb")]
    [InlineData("--by must have 1 to 64 characters", "approve", "7", "--by", "")]
    public async Task What_cannot_be_done_is_refused_with_a_line(string problem, params string[] arguments)
    {
        Assert.Equal((2, "", $"imageaccess: {problem}\n"), Said(await RunAsync(["changes", .. arguments])));
        Assert.Equal(0, await Database.ReadAsync(context => context.PendingChanges.CountAsync(), default));
    }

    [Theory]
    [InlineData("approve")]
    [InlineData("approve", "one")]
    [InlineData("decline", "1")]
    public async Task Without_what_it_needs_it_does_nothing(params string[] arguments) => Assert.NotEqual(0, (await RunAsync(["changes", .. arguments])).ExitCode);

    [Fact]
    public async Task Facts_are_whole_as_JSON()
    {
        var waiting = (await RunAsync("exceptions", "add", "nginx", "--organization", "acme", "--reason", "r", "--by", "alice", "--json")).Json.GetProperty("waiting");
        Assert.Equal(
            (1, "exception", "acme", "alice", "r", "waiting"),
            (waiting.GetProperty("id").GetInt32(), waiting.GetProperty("kind").GetString(), waiting.GetProperty("organization").GetString(),
                waiting.GetProperty("by").GetString(), waiting.GetProperty("reason").GetString(), waiting.GetProperty("state").GetString()));
        Assert.Equal(1, (await RunAsync("changes", "list", "--json")).Json.GetProperty("changes")[0].GetProperty("id").GetInt32());
    }

    private static (int ExitCode, string Output, string Error) Said(CommandLine run) => (run.ExitCode, run.Output, run.Error);

    private Task<CommandLine> RunAsync(params string[] arguments) => CommandLine.RunAsync([.. arguments, "--config", _fixture["imageaccess.json"]]);
}
