using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Tests.Policies.Store;

namespace ImageAccess.Proxy.Tests.Tools.Verbs;

/// <summary><c>imageaccess accounts</c>: over the data directory alone, without a running proxy.</summary>
public sealed class AccountCommandTests : IAsyncLifetime, IDisposable
{
    private const string Policy = """{ "changes": { "approvals": APPROVALS }, "organizations": [ { "name": "acme", "enabled": true, "owners": [ "alice", "bob" ] } ] }""";

    private static readonly string One = new('a', 32);
    private static readonly string Two = new('b', 32);

    private readonly PolicyFixture _fixture = new();

    public async Task InitializeAsync()
    {
        await WriteAsync(1);
        await File.WriteAllTextAsync(_fixture["imageaccess.json"], """{ "Data": { "Directory": "../data" }, "Policy": { "File": "policy.json" } }""");
        await new SqliteDatabase(Path.Combine(_fixture.Data, "imageaccess.db")).MigrateAsync(default);
    }

    public Task DisposeAsync() => Task.CompletedTask;

    public void Dispose() => _fixture.Dispose();

    [Fact]
    public async Task A_name_with_two_accounts_is_listed_and_confirmed()
    {
        Assert.Equal((0, "no name of the policy was seen with two accounts, and none is confirmed\n", ""), Said(await RunAsync("accounts", "list")));
        await File.WriteAllTextAsync(
            Path.Combine(_fixture.Data, "accounts.json"),
            $$"""{ "alice": { "account": "{{One}}", "others": [ "{{Two}}" ] }, "bob": { "account": "{{One}}", "others": [] }, "mallory": { "account": "{{One}}", "others": [ "{{Two}}" ] } }""");
        Assert.Equal(
            (0, $"""
                NAME   ACCOUNT                           STATE     ORGANIZATIONS
                alice  {One}  disputed  acme
                    also seen with {Two}

                """, ""),
            Said(await RunAsync("accounts", "list")));

        Assert.Equal((0, $"the user name alice stands for the account {Two}\n", ""), Said(await RunAsync("accounts", "confirm", "Alice", "--account", Two, "--reason", "asked her", "--by", "bob")));
        var listed = await RunAsync("accounts", "list");
        Assert.Matches($"""
            ^NAME   ACCOUNT                           STATE                               ORGANIZATIONS
            alice  {Two}  confirmed [0-9-]+ [0-9:]+Z by bob  acme
                asked her
                also seen with {One}
            $
            """, listed.Output);
        var facts = Assert.Single((await RunAsync("accounts", "list", "--json")).Json.GetProperty("accounts").EnumerateArray());
        Assert.Equal((false, Two, "bob"), (facts.GetProperty("disputed").GetBoolean(), facts.GetProperty("account").GetString(), facts.GetProperty("confirmed").GetProperty("by").GetString()));

        Assert.Equal(2, (await RunAsync("accounts", "confirm", "mallory", "--account", Two, "--reason", "x")).ExitCode);
        Assert.Equal(
            (2, "", "imageaccess: --account 'x' is no id of Docker Hub: 32 hexadecimal digits, as the log and the audit trail show it\n"),
            Said(await RunAsync("accounts", "confirm", "alice", "--account", "x", "--reason", "x", "--by", "root")));
    }

    [Fact]
    public async Task It_waits_where_the_policy_demands_two_persons()
    {
        await WriteAsync(2);
        var asked = await RunAsync("accounts", "confirm", "alice", "--account", Two, "--reason", "asked her", "--by", "carol");
        Assert.Equal((0, ""), (asked.ExitCode, asked.Error));
        Assert.Matches($"^the change 1 waits for a second person, until .*: what the user name alice is granted to the account {Two}; imageaccess changes approve 1\n$", asked.Output);
        Assert.Equal((2, "", "imageaccess: alice cannot confirm an account behind alice: another person has to\n"), Said(await RunAsync("changes", "approve", "1", "--by", "alice")));
        Assert.Equal((0, $"the change 1 is done: what the user name alice is granted to the account {Two}\n", ""), Said(await RunAsync("changes", "approve", "1", "--by", "bob")));
        Assert.Contains("by carol and bob", (await RunAsync("accounts", "list")).Output, StringComparison.Ordinal);
    }

    private static (int ExitCode, string Output, string Error) Said(CommandLine run) => (run.ExitCode, run.Output, run.Error);

    private Task<CommandLine> RunAsync(params string[] arguments) => CommandLine.RunAsync([.. arguments, "--config", _fixture["imageaccess.json"]]);

    private Task WriteAsync(int approvals) => File.WriteAllTextAsync(_fixture.Document, Policy.Replace("APPROVALS", $"{approvals}", StringComparison.Ordinal));
}
