using System.Text.Json;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Callers.Members;
using ImageAccess.Proxy.Tests.Walk;
using Microsoft.Extensions.DependencyInjection;

namespace ImageAccess.Proxy.Tests.Callers.Members;

/// <summary>Member lists in the whole proxy: what they change between two requests, what the audit and readiness say.</summary>
public sealed class MembershipWalkTests : IAsyncLifetime
{
    private const string Community = "/v2/someuser/custom-image/manifests/latest";
    private const string Secret = "dckr_pat_the-directorys-own";

    private static readonly string Stranger = new('b', 32);

    private Surroundings _here = null!;

    public async Task InitializeAsync()
    {
        _here = await Surroundings.StartAsync(settings:
        [
            ("Identity:Directory:Organization", "acme"), ("Identity:Directory:Username", "bob"), ("Identity:Directory:Secret", Secret),
        ]);
        _here.Hub.Users.Find("bob")!.AccessTokens.Add(Secret);
        await ReadAsync();
    }

    public async Task DisposeAsync() => await _here.DisposeAsync();

    [Fact]
    public async Task A_role_is_looked_up_for_every_request_and_not_remembered_with_the_token()
    {
        var token = await _here.PullTokenAsync("carol", "someuser/custom-image");
        Assert.Equal(403, (await _here.AskAsync("GET", Community, token)).Status);
        _here.Hub.Namespaces.Find("acme")!.AddMember("carol", "Owner");
        await ReadAsync();
        Assert.Equal(200, (await _here.AskAsync("GET", Community, token)).Status);
        _here.Hub.Namespaces.Find("acme")!.AddMember("carol", "Member");
        await ReadAsync();
        Assert.Equal(403, (await _here.AskAsync("GET", Community, token)).Status);
    }

    [Fact]
    public async Task An_owner_is_judged_as_a_member_where_the_policy_says_so_whoever_calls_her_an_owner()
    {
        var token = await _here.PullTokenAsync("alice", "someuser/custom-image");
        Assert.Equal(200, (await _here.AskAsync("GET", Community, token)).Status);

        await _here.WritePolicyAsync(Surroundings.Policy.Replace(
            "\"organizations\"", "\"callers\": { \"owners\": \"judged\" }, \"organizations\"", StringComparison.Ordinal));
        _here.Hub.Requests.Clear();
        var denied = await _here.AskAsync("GET", Community, token);
        Assert.Equal((403, "image access denied: community images not allowed (ask in #platform)"), (denied.Status, denied.Message));
        Assert.Empty(_here.Hub.Requests.Of(Face.Registry));
        Assert.Equal(200, (await _here.AskAsync("GET", "/v2/library/nginx/manifests/latest", await _here.PullTokenAsync("alice", "library/nginx"))).Status);
        var recorded = (await _here.AuditAsync(3))[1];
        Assert.Equal(("deny", "community"), (recorded.GetProperty("outcome").GetString(), recorded.GetProperty("rule").GetString()));
        Assert.Equal(["owner of acme"], recorded.GetProperty("memberships").EnumerateArray().Select(membership => membership.GetString()));

        await _here.WritePolicyAsync(Surroundings.Policy);
        Assert.Equal(200, (await _here.AskAsync("GET", Community, token)).Status);
        Assert.Equal(["owners are exempt"], (await _here.AuditAsync(5)).Where(line => line.TryGetProperty("opens", out _))
            .SelectMany(line => line.GetProperty("opens").EnumerateArray()).Select(opened => opened.GetString()));
    }

    [Fact]
    public async Task Who_takes_an_owners_name_is_no_owner_until_the_policy_has_the_account_and_the_audit_tells()
    {
        _here.Hub.Namespaces.Find("acme")!.RemoveMember("alice");
        await ReadAsync();
        _here.Hub.ShapeToken = draft =>
            draft.Subject = draft.Username == "alice" ? Guid.ParseExact(Stranger, "N").ToString("D") : draft.Subject;
        var token = await _here.PullTokenAsync("alice", "someuser/custom-image");

        // The policy names alice as an owner; it meant the account that had the name.
        Assert.Equal(403, (await _here.AskAsync("GET", Community, token)).Status);
        var events = await _here.AuditAsync(2);
        var change = Assert.Single(events, line => line.TryGetProperty("event", out _));
        Assert.Equal(["id", "time", "event", "caller", "account", "formerAccount", "seq", "chain"], change.EnumerateObject().Select(member => member.Name));
        Assert.Equal("account", change.GetProperty("event").GetString());
        Assert.Equal("alice", change.GetProperty("caller").GetString());
        Assert.Equal(Stranger, change.GetProperty("account").GetString());
        Assert.Equal(new FakeMember("alice", "Owner").Id, change.GetProperty("formerAccount").GetString());

        // A change that says nothing of alice is no word about her account.
        var silent = Surroundings.Policy.Replace("ask in #platform", "ask alice", StringComparison.Ordinal);
        await _here.WritePolicyAsync(silent);
        Assert.Equal(403, (await _here.AskAsync("GET", Community, token)).Status);

        // Its account alone makes nobody an owner who is not on the member list.
        var confirmed = $$"""{ "name": "alice", "account": "{{Stranger}}" }""";
        await _here.WritePolicyAsync(silent.Replace("\"alice\"", confirmed, StringComparison.Ordinal));
        Assert.Equal(403, (await _here.AskAsync("GET", Community, token)).Status);

        await _here.WritePolicyAsync(silent.Replace(
            "\"alice\"", confirmed.Replace(" }", ", \"external\": true }", StringComparison.Ordinal), StringComparison.Ordinal));
        Assert.Equal(200, (await _here.AskAsync("GET", Community, token)).Status);
    }

    [Fact]
    public async Task An_owner_who_left_the_member_list_is_judged_as_a_member_unless_external_and_it_is_told()
    {
        var token = await _here.PullTokenAsync("alice", "someuser/custom-image");
        Assert.Equal(200, (await _here.AskAsync("GET", Community, token)).Status);
        _here.Hub.Namespaces.Find("acme")!.RemoveMember("alice");
        await ReadAsync();
        _here.Hub.Requests.Clear();

        var denied = await _here.AskAsync("GET", Community, token);
        Assert.Equal((403, "image access denied: community images not allowed (ask in #platform)"), (denied.Status, denied.Message));
        Assert.Empty(_here.Hub.Requests.Of(Face.Registry));
        var recorded = (await _here.AuditAsync(2))[1];
        Assert.Equal("community", recorded.GetProperty("rule").GetString());
        Assert.Equal(["absent from acme"], recorded.GetProperty("memberships").EnumerateArray().Select(membership => membership.GetString()));
        Assert.Equal("the policy has owners of acme who are not on its member list and count as members: alice", await ConcernAsync());
        Assert.Single(_here.Log.Lines, line => line.Contains("does not name owners of the policy, who count as members: alice", StringComparison.Ordinal));
        using var admin = Surroundings.NewClient(_here.Admin);
        var check = await admin.GetStringAsync(new Uri("/check?image=someuser/custom-image&as=alice", UriKind.Relative));
        Assert.Equal("deny", JsonSerializer.Deserialize<JsonElement>(check).GetProperty("image").GetProperty("verdict").GetString());

        // Without Docker Hub, and after a restart, she does not become one again.
        using (_here.Hub.Faults.Add(Face.Hub, "/v2/orgs", Fault.CloseConnection()))
        {
            await _here.RestartAsync();
            await ReadAsync();
            Assert.Equal(403, (await _here.AskAsync("GET", Community, token)).Status);
        }

        await _here.WritePolicyAsync(Surroundings.Policy.Replace("\"alice\"", "{ \"name\": \"alice\", \"external\": true }", StringComparison.Ordinal));
        Assert.Equal(200, (await _here.AskAsync("GET", Community, token)).Status);
        Assert.Null(await ConcernAsync());

        // A policy that names somebody else who is not on the list is told of at once, not with the next list.
        await _here.WritePolicyAsync(Surroundings.Policy.Replace("\"alice\"", "\"carol\"", StringComparison.Ordinal));
        await Eventually.TrueAsync(() => _here.Log.Lines.Any(line => line.Contains("count as members: carol. ", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Readiness_tells_of_a_list_that_is_refused_and_stays_ready()
    {
        using var fault = _here.Hub.Faults.Add(Face.Hub, "/members", Fault.Status(403));
        await ReadAsync();
        using var admin = Surroundings.NewClient(_here.Admin);
        using var answer = await admin.GetAsync(new Uri("/readyz", UriKind.Relative));
        Assert.Equal(200, (int)answer.StatusCode);
        var body = JsonSerializer.Deserialize<JsonElement>(await answer.Content.ReadAsStringAsync());
        Assert.Contains("(403)", body.GetProperty("degraded").GetProperty("members").GetString(), StringComparison.Ordinal);

        var metrics = await admin.GetStringAsync(new Uri("/metrics", UriKind.Relative));
        Assert.Contains("imageaccess_members_reads_total{result=\"failed\"} ", metrics, StringComparison.Ordinal);
        Assert.Contains("imageaccess_members_age_seconds{organization=\"acme\"} ", metrics, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_secret_reaches_neither_log_nor_disk_and_only_the_sign_in()
    {
        using (_here.Hub.Faults.Add(Face.Hub, Fault.CloseConnection()))
            await ReadAsync();
        await _here.AskAsync("GET", Community, await _here.PullTokenAsync("bob", "someuser/custom-image"));
        await _here.AuditAsync(1);
        Assert.DoesNotContain("dckr_pat_", _here.Log.ToString(), StringComparison.Ordinal);
        var directory = Path.GetDirectoryName(_here.AuditFile)!;
        await _here.RestartAsync(() => Assert.All( // while it runs a file may be held by whoever writes it
            Directory.GetFiles(directory, "*", SearchOption.AllDirectories),
            file => Assert.DoesNotContain("dckr_pat_", File.ReadAllText(file), StringComparison.Ordinal)));
        Assert.All(_here.Hub.Requests.All, request => Assert.Equal(
            request.RawTarget == "/v2/auth/token", (request.Body ?? "").Contains(Secret, StringComparison.Ordinal)));
    }

    private async Task<string?> ConcernAsync()
    {
        using var admin = Surroundings.NewClient(_here.Admin);
        var ready = JsonSerializer.Deserialize<JsonElement>(await admin.GetStringAsync(new Uri("/readyz", UriKind.Relative)));
        return ready.GetProperty("degraded").TryGetProperty("members", out var concern) ? concern.GetString() : null;
    }

    private Task<Timing> ReadAsync() =>
        _here.Proxy.Services.GetRequiredService<MembershipRefresh>().ReadAllAsync(CancellationToken.None);
}
