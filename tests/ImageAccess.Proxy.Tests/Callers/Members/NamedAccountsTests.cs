using System.Text.Json;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Callers.Members;
using ImageAccess.Proxy.Tests.Walk;
using Microsoft.Extensions.DependencyInjection;

namespace ImageAccess.Proxy.Tests.Callers.Members;

/// <summary>What the policy grants to a user name is for one account, also where no member list is read.</summary>
public sealed class NamedAccountsTests : IAsyncLifetime
{
    private const string Community = "/v2/someuser/custom-image/manifests/latest";
    private const string Official = "/v2/library/nginx/manifests/latest";

    private static readonly string Stranger = new('b', 32);

    /// <summary>Callers who belong to nobody are denied: a member's name grants something.</summary>
    private static readonly string MembersOnly = Surroundings.Policy.Replace(
        "\"organizations\"", "\"callers\": { \"outsiders\": \"deny\" }, \"organizations\"", StringComparison.Ordinal);

    private Surroundings _here = null!;

    private string AccountsFile => Path.Combine(_here.DataDirectory, "accounts.json");

    public async Task InitializeAsync() => _here = await Surroundings.StartAsync(MembersOnly);

    public async Task DisposeAsync() => await _here.DisposeAsync();

    [Theory]
    [InlineData("alice", Community)]
    [InlineData("bob", Official)]
    [InlineData("ALICE", Community)]
    [InlineData("Bob", Official)]
    public async Task Another_account_with_the_name_is_granted_nothing_by_it(string name, string image)
    {
        var lower = name.ToLowerInvariant();
        Assert.Equal(200, await AskAsync(lower, image));

        var denied = await AnswerAsync(name, image, Stranger);

        Assert.Equal((403, $"image access denied: {lower} is not a member of acme"), (denied.Status, denied.Message!.Split(" (")[0]));
        Assert.Equal(200, await AskAsync(lower, image)); // whose name it is keeps what it grants
    }

    [Fact]
    public async Task It_is_told_once_in_log_audit_and_readiness()
    {
        await AskAsync("alice", Community);
        await AskAsync("alice", Community, Stranger);
        await AskAsync("alice", Community, Stranger);
        await _here.RestartAsync();
        await AskAsync("alice", Community, Stranger);

        var own = Own("alice");
        Assert.Single(_here.Log.Lines, line => line.Contains($"The user name alice belongs to account {own}, and ", StringComparison.Ordinal)
            && line.Contains(Stranger, StringComparison.Ordinal));
        var change = Assert.Single(await _here.AuditAsync(5), line => line.TryGetProperty("event", out _));
        Assert.Equal(
            ("account", "alice", own, Stranger),
            (Text(change, "event"), Text(change, "caller"), Text(change, "formerAccount"), Text(change, "account")));
        Assert.Equal(
            "more than one account was seen with the user name alice: write the right account into the policy, or confirm it: imageaccess accounts confirm NAME --account ID", await ConcernAsync());

        await _here.WritePolicyAsync(Confirmed("alice", own));
        Assert.Null(await ConcernAsync());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task It_holds_over_a_restart_and_over_a_policy_that_says_nothing_of_the_name(bool changesFirst)
    {
        await AskAsync("alice", Community);
        if (changesFirst)
            await _here.WritePolicyAsync(MembersOnly.Replace("#platform", "#other", StringComparison.Ordinal));
        await _here.RestartAsync();
        await _here.WritePolicyAsync(MembersOnly.Replace("\"bob\"", "\"bob\", \"dave\"", StringComparison.Ordinal));

        Assert.Equal(403, await AskAsync("alice", Community, Stranger));
        Assert.Equal(200, await AskAsync("alice", Community));
    }

    [Fact]
    public async Task The_document_says_which_account_a_name_stands_for()
    {
        await AskAsync("alice", Community);
        Assert.Equal(403, await AskAsync("alice", Community, Stranger));

        await _here.WritePolicyAsync(Confirmed("alice", Stranger));
        Assert.Equal(200, await AskAsync("alice", Community, Stranger));
        Assert.Equal(403, await AskAsync("alice", Community));

        await _here.WritePolicyAsync(MembersOnly); // what was confirmed stays, though the document no longer says it
        Assert.Equal(200, await AskAsync("alice", Community, Stranger));
        Assert.Equal(403, await AskAsync("alice", Community));
    }

    [Fact]
    public async Task With_the_account_in_the_document_the_first_to_come_is_nobody()
    {
        await _here.WritePolicyAsync(Confirmed("alice", Own("alice")));
        Assert.Equal(403, await AskAsync("alice", Community, Stranger));
        Assert.Equal(200, await AskAsync("alice", Community));
    }

    [Fact]
    public async Task A_name_that_left_the_policy_and_came_back_stands_for_whom_is_seen_next()
    {
        await AskAsync("alice", Community);
        await _here.WritePolicyAsync(MembersOnly.Replace("[ \"alice\" ]", "[ \"dave\" ]", StringComparison.Ordinal));
        await _here.WritePolicyAsync(MembersOnly);

        Assert.Equal(200, await AskAsync("alice", Community, Stranger));
        Assert.Equal(403, await AskAsync("alice", Community));
    }

    /// <summary>What is promised and what is not: without an account in the document, and without a file, the first to come has the name.</summary>
    [Fact]
    public async Task Without_the_file_the_first_to_come_has_the_name()
    {
        await AskAsync("alice", Community);
        await _here.RestartAsync(() => File.Delete(AccountsFile));
        Assert.Equal(200, await AskAsync("alice", Community, Stranger));
        Assert.Equal(403, await AskAsync("alice", Community));
    }

    [Theory]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("""{ "alice": null }""")]
    [InlineData("""{ "alice": { "account": "x" } }""")]
    public async Task With_a_file_that_cannot_be_read_no_name_is_anybodys_until_it_is_gone(string content)
    {
        await AskAsync("alice", Community);
        await _here.RestartAsync(() => File.WriteAllText(AccountsFile, content));

        Assert.Equal(403, await AskAsync("alice", Community));
        Assert.Equal(403, await AskAsync("alice", Community, Stranger));
        Assert.Contains(_here.Log.Lines, line => line.StartsWith($"Error {AccountsFile} is not what was written: ", StringComparison.Ordinal));
        Assert.Equal(
            $"{AccountsFile} is not what was written: owners and members without an account in the policy are granted nothing", await ConcernAsync());
        Assert.Equal(content, File.ReadAllText(AccountsFile));

        await _here.WritePolicyAsync(Confirmed("alice", Own("alice")));
        Assert.Equal(200, await AskAsync("alice", Community));

        File.Delete(AccountsFile);
        await Eventually.TrueAsync(() => _here.Proxy.Services.GetRequiredService<NamedAccounts>().Flaw is null);
        Assert.Equal(200, await AskAsync("bob", Official));
    }

    [Fact]
    public async Task Only_names_of_the_policy_are_kept()
    {
        for (var i = 0; i < 20; i++)
        {
            _here.Hub.Users.Add($"user{i}", "password");
            await AskAsync($"user{i}", Official);
        }

        await AskAsync("alice", Community);
        for (var i = 0; i < 20; i++)
            await AskAsync("alice", Community, Guid.NewGuid().ToString("N"));
        await Eventually.TrueAsync(() => File.Exists(AccountsFile));
        await _here.RestartAsync();

        var kept = JsonSerializer.Deserialize<JsonElement>(File.ReadAllText(AccountsFile));
        Assert.Equal("alice", Assert.Single(kept.EnumerateObject()).Name);
        Assert.Equal(4, kept.GetProperty("alice").GetProperty("others").GetArrayLength());
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, new FileInfo(AccountsFile).UnixFileMode);
    }

    private static string Confirmed(string name, string account) => MembersOnly.Replace(
        $"[ \"{name}\" ]", $$"""[ { "name": "{{name}}", "account": "{{account}}" } ]""", StringComparison.Ordinal);

    private static string Own(string name) => new FakeMember(name, "Member").Id;

    private static string? Text(JsonElement line, string member) => line.GetProperty(member).GetString();

    private async Task<int> AskAsync(string name, string image, string? account = null) => (await AnswerAsync(name, image, account)).Status;

    /// <summary>As the account of this name has it, or another account that has come by the name.</summary>
    private async Task<RawAnswer> AnswerAsync(string name, string image, string? account)
    {
        _here.Hub.ShapeToken = draft =>
        {
            draft.Username = name;
            draft.Subject = account ?? draft.Subject;
        };
        var repository = image[4..image.IndexOf("/manifests", StringComparison.Ordinal)];
        return await _here.AskAsync("GET", image, await _here.PullTokenAsync(name.ToLowerInvariant(), repository));
    }

    private async Task<string?> ConcernAsync()
    {
        using var admin = Surroundings.NewClient(_here.Admin);
        var ready = JsonSerializer.Deserialize<JsonElement>(await admin.GetStringAsync(new Uri("/readyz", UriKind.Relative)));
        return ready.GetProperty("degraded").TryGetProperty("accounts", out var concern) ? concern.GetString() : null;
    }
}
