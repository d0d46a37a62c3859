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
    public async Task Who_takes_an_owners_name_is_no_owner_until_another_policy_says_so_and_the_audit_tells()
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
        Assert.Equal(["id", "time", "event", "caller", "account", "formerAccount"], change.EnumerateObject().Select(member => member.Name));
        Assert.Equal("account", change.GetProperty("event").GetString());
        Assert.Equal("alice", change.GetProperty("caller").GetString());
        Assert.Equal(Stranger, change.GetProperty("account").GetString());
        Assert.Equal(new FakeMember("alice", "Owner").Id, change.GetProperty("formerAccount").GetString());

        var file = Path.Combine(Path.GetDirectoryName(_here.AuditFile)!, "policy.json");
        await File.WriteAllTextAsync(file, Surroundings.Policy.Replace("ask in #platform", "ask alice", StringComparison.Ordinal));
        var status = 403;
        for (var tries = 0; status != 200 && tries < 200; tries++, await Task.Delay(50))
            status = (await _here.AskAsync("GET", Community, token)).Status;
        Assert.Equal(200, status);
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
        Assert.All(
            Directory.GetFiles(directory, "*", SearchOption.AllDirectories),
            file => Assert.DoesNotContain("dckr_pat_", File.ReadAllText(file), StringComparison.Ordinal));
        Assert.All(_here.Hub.Requests.All, request => Assert.Equal(
            request.RawTarget == "/v2/auth/token", (request.Body ?? "").Contains(Secret, StringComparison.Ordinal)));
    }

    private Task<Timing> ReadAsync() =>
        _here.Proxy.Services.GetRequiredService<MembershipRefresh>().ReadAllAsync(CancellationToken.None);
}
