using System.Globalization;

namespace ImageAccess.Proxy.Tests.Administration.Api;

/// <summary>Where the policy demands two persons, what opens waits by the API too, and what closes does not.</summary>
public sealed class ApprovalTests : IAsyncLifetime
{
    private const string Policy =
        """
        {
          "changes": { "approvals": 2 },
          "organizations": [
            { "name": "acme", "owners": [ "alice" ], "members": [ "bob" ], "roles": { "administrators": [ "dan" ] }, "enabled": true, "allow": { "official": true } }
          ]
        }
        """;

    private readonly ApiRoom _room = new();
    private string _alice = "";
    private string _dan = "";

    public async Task InitializeAsync()
    {
        await _room.InitializeAsync();
        await _room.Here.WritePolicyAsync(Policy);
        (_alice, _dan) = (await _room.TokenAsync("owner", person: "alice"), await _room.TokenAsync("administrator", person: "dan"));
    }

    public Task DisposeAsync() => _room.DisposeAsync();

    [Fact]
    public async Task An_exception_waits_for_another_persons_token_and_ends_at_once()
    {
        var change = await WaitsAsync("/api/v1/exceptions", """{ "organization": "acme", "image": "tools/x", "reason": "a trial" }""", status: 202);
        Assert.Empty((await _room.SendAsync("GET", "/api/v1/exceptions", _dan)).Json.GetProperty("items").EnumerateArray());

        var own = await ApproveAsync(change, _dan);
        Assert.Equal((403, $"dan asked for the change {change}: another person has to approve it"), (own.Status, own.Detail));
        var nobody = await ApproveAsync(change, await _room.TokenAsync("administrator"));
        Assert.Equal((403, "a change is approved by a person, and this token is nobody's"), (nobody.Status, nobody.Detail));
        var done = await ApproveAsync(change, _alice);
        Assert.Equal((200, "done", "alice"), (done.Status, done.Json.GetProperty("state").GetString(), done.Json.GetProperty("decidedBy").GetString()));
        Assert.Equal(404, (await ApproveAsync(change, _alice)).Status);

        var granted = Assert.Single((await _room.SendAsync("GET", "/api/v1/exceptions", _dan)).Json.GetProperty("items").EnumerateArray());
        Assert.Equal("dan and alice", granted.GetProperty("approvedBy").GetString());
        Assert.Equal(200, (await _room.SendAsync("POST", $"/api/v1/exceptions/{granted.GetProperty("id").GetInt64()}/end", _dan, """{ "reason": "over" }""")).Status);
    }

    [Fact]
    public async Task A_block_is_made_at_once_and_lifted_by_two()
    {
        var made = await _room.SendAsync("POST", "/api/v1/blocks", _dan, """{ "image": "evil/tool", "reason": "malware" }""");
        Assert.Equal(201, made.Status);
        await Eventually.TrueAsync(() => _room.Service<Proxy.Policies.Store.IPolicyStore>().Current.Blocks.Count == 1);
        var change = await WaitsAsync($"/api/v1/blocks/{made.Json.GetProperty("id").GetInt64()}/lift", """{ "reason": "cleaned" }""", status: 202);
        Assert.Equal(200, (await ApproveAsync(change, _alice)).Status);
        await Eventually.TrueAsync(() => _room.Service<Proxy.Policies.Store.IPolicyStore>().Current.Blocks.Count == 0);
    }

    [Fact]
    public async Task A_token_that_does_more_than_read_is_good_once_it_is_approved()
    {
        var made = await _room.SendAsync("POST", "/api/v1/tokens", _dan, """{ "role": "administrator", "label": "ci" }""");
        Assert.Equal(201, made.Status);
        var (secret, change) = (made.Json.GetProperty("secret").GetString(), made.Json.GetProperty("waiting").GetProperty("id").GetInt64());
        Assert.Equal(401, (await _room.SendAsync("GET", "/api/v1/status", secret)).Status);
        Assert.Equal(200, (await ApproveAsync(change, _alice)).Status);
        Assert.Equal(200, (await _room.SendAsync("GET", "/api/v1/status", secret)).Status);
    }

    [Fact]
    public async Task A_draft_says_that_it_would_wait_and_does_not()
    {
        foreach (var (community, waits) in new[] { ("true", true), ("false", false) })
        {
            var draft = $$"""{ "owners": [ "alice" ], "members": [ "bob" ], "roles": { "administrators": [ "dan" ] }, "enabled": true, "allow": { "community": {{community}} } }""";
            var answer = await _room.SendAsync("POST", "/api/v1/organizations/acme/policy/drafts", _dan, draft);
            Assert.True(answer.Status == 200, answer.Text);
            Assert.Equal(waits, answer.Json.GetProperty("waits").GetBoolean());
            Assert.Equal(["organization acme: official images allowed"], answer.Json.GetProperty("takesBack").EnumerateArray().Select(taken => taken.GetString()));
        }

        Assert.Empty((await _room.SendAsync("GET", "/api/v1/changes", _dan)).Json.GetProperty("items").EnumerateArray());
    }

    [Fact]
    public async Task An_account_behind_a_name_is_confirmed_by_two_and_by_neither_of_the_name()
    {
        var account = new string('b', 32);
        var body = $$"""{ "account": "{{account}}", "reason": "asked her" }""";
        var change = await WaitsAsync("/api/v1/accounts/bob/confirm", body, status: 202);
        Assert.Equal(403, (await _room.SendAsync("POST", "/api/v1/accounts/dan/confirm", _dan, body)).Status);
        Assert.Empty((await _room.SendAsync("GET", "/api/v1/accounts", _dan)).Json.GetProperty("items").EnumerateArray());
        Assert.Equal(200, (await ApproveAsync(change, _alice)).Status);
        ApiAnswer answer = null!;
        await Eventually.TrueAsync(async () => (answer = await _room.SendAsync("GET", "/api/v1/accounts", _dan)).Json.GetProperty("items").GetArrayLength() == 1);
        var one = answer.Json.GetProperty("items")[0];
        Assert.Equal(
            ("bob", account, false, "acme", "dan and alice", "asked her"),
            (one.GetProperty("name").GetString(), one.GetProperty("account").GetString(), one.GetProperty("disputed").GetBoolean(), one.GetProperty("organizations")[0].GetString(), one.GetProperty("confirmed").GetProperty("by").GetString(), one.GetProperty("confirmed").GetProperty("reason").GetString()));

        var ofAll = await _room.SendAsync("POST", "/api/v1/accounts/nobody/confirm", _dan, body);
        Assert.Equal((404, "the policy does not name nobody: only its owners, members and roles stand for an account"), (ofAll.Status, ofAll.Detail));
        var wrong = await _room.SendAsync("POST", "/api/v1/accounts/bob/confirm", _dan, """{ "account": "x", "reason": "asked her" }""");
        Assert.Equal((400, "account"), (wrong.Status, wrong.Json.GetProperty("errors")[0].GetProperty("member").GetString()));
    }

    [Theory]
    [InlineData("""{ "organization": "acme" }""", 400, "the body has a member that is not known: organization")]
    [InlineData("""{ "days": 1 }""", 400, "the body has a member that is not known: days")]
    [InlineData("[ ]", 400, "the body has a wrong value: write an object")]
    [InlineData("null", 400, "the body is null: write an object")]
    [InlineData("{ ", 400, null)]
    [InlineData("{ }", 200, null)]
    [InlineData("", 200, null)]
    public async Task An_approval_takes_nothing_and_says_so_to_who_writes_something(string body, int status, string? detail)
    {
        var change = await WaitsAsync("/api/v1/exceptions", """{ "organization": "acme", "image": "tools/y", "reason": "a trial" }""", status: 202);
        var answer = await _room.SendAsync("POST", Path(change, "approve"), _alice, body);
        Assert.True(answer.Status == status, answer.Text);
        if (detail is not null)
            Assert.Equal(detail, answer.Detail);
        Assert.Equal(status == 200 ? 1 : 0, (await _room.SendAsync("GET", "/api/v1/exceptions", _dan)).Json.GetProperty("items").GetArrayLength());
    }

    [Fact]
    public async Task What_is_declined_is_never_done()
    {
        var change = await WaitsAsync("/api/v1/exceptions", """{ "organization": "acme", "image": "tools/y", "reason": "a trial" }""", status: 202);
        Assert.Equal(200, (await _room.SendAsync("POST", Path(change, "decline"), _alice, """{ "reason": "use valkey" }""")).Status);
        Assert.Equal(404, (await ApproveAsync(change, _alice)).Status);
        Assert.Empty((await _room.SendAsync("GET", "/api/v1/exceptions", _dan)).Json.GetProperty("items").EnumerateArray());
    }

    private static string Path(long change, string act) => string.Create(CultureInfo.InvariantCulture, $"/api/v1/changes/{change}/{act}");

    private Task<ApiAnswer> ApproveAsync(long change, string token) => _room.SendAsync("POST", Path(change, "approve"), token);

    private async Task<long> WaitsAsync(string target, string body, int status)
    {
        var answer = await _room.SendAsync("POST", target, _dan, body);
        Assert.Equal(status, answer.Status);
        return answer.Json.GetProperty("waiting").GetProperty("id").GetInt64();
    }
}
