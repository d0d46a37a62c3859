using System.Text.Json;
using ImageAccess.FakeHubs;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>What a whole request leaves in the trail.</summary>
public abstract class AuditTests(string transport) : WalkTests(transport), IAsyncLifetime
{
    private static readonly string[] Fields =
    [
        "id", "time", "caller", "organizations", "client", "userAgent", "method", "repository", "reference", "category", "categorySource",
        "categoryAgeSeconds", "rule", "outcome", "policyVersion", "upstreamStatus", "durationMs",
    ];

    private Surroundings _surroundings = null!;

    public async Task InitializeAsync() => _surroundings = await StartAsync();

    public async Task DisposeAsync() => await _surroundings.DisposeAsync();

    [Fact]
    public async Task A_denial_has_one_id_in_header_body_and_event()
    {
        var answer = await AskAsync("bob", "GET", "someuser/custom-image", "manifests/latest", "curl/8");
        var detail = JsonSerializer.Deserialize<JsonElement>(answer.Body).GetProperty("errors")[0].GetProperty("detail");
        var audit = Assert.Single(await _surroundings.AuditAsync(1));

        Assert.Equal(Fields, audit.EnumerateObject().Select(field => field.Name));
        Assert.Equal(answer.Header("X-ImageAccess-Decision"), Text(audit, "id"));
        Assert.Equal((Text(audit, "id"), Text(audit, "policyVersion")), (detail.GetProperty("decision").GetString(), detail.GetProperty("policyVersion").GetString()));
        Assert.Equal(("bob", "127.0.0.1", "curl/8", "GET"), (Text(audit, "caller"), Text(audit, "client"), Text(audit, "userAgent"), Text(audit, "method")));
        Assert.Equal(("someuser/custom-image", "latest", "community", "deny"), (Text(audit, "repository"), Text(audit, "reference"), Text(audit, "rule"), Text(audit, "outcome")));
        Assert.Equal("acme", Assert.Single(audit.GetProperty("organizations").EnumerateArray()).GetString());
        Assert.Equal(JsonValueKind.Null, audit.GetProperty("upstreamStatus").ValueKind);
        Assert.Matches("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z$", Text(audit, "time")!);
    }

    [Theory]
    [InlineData("bob", "GET", "library/nginx", "manifests/latest", "official", "latest", 200)]
    [InlineData("bob", "HEAD", "library/nginx", "manifests/latest", "official", "latest", 200)]
    [InlineData("bob", "GET", "library/nginx", "manifests/nosuchtag", "official", "nosuchtag", 404)]
    [InlineData("bob", "GET", "library/nginx", "tags/list", "official", "tags/list", 200)]
    [InlineData("bob", "GET", "acme/app", "manifests/latest", "organization", "latest", 200)]
    [InlineData("alice", "GET", "someuser/custom-image", "manifests/latest", "owner", "latest", 200)]
    [InlineData("alice", "POST", "acme/app", "blobs/uploads/", "owner", "blobs/uploads", 202)]
    [InlineData("alice", "DELETE", "acme/app", "manifests/nosuchtag", "owner", "nosuchtag", 404)]
    [InlineData(null, "GET", "library/nginx", "manifests/latest", "official", "latest", 200)]
    public async Task What_is_allowed_is_recorded(string? user, string method, string repository, string rest, string rule, string reference, int status)
    {
        var answer = await AskAsync(user, method, repository, rest);
        Assert.Equal(status, answer.Status);
        Assert.Null(answer.Header("X-ImageAccess-Decision"));

        var audit = Assert.Single(await _surroundings.AuditAsync(1));
        Assert.Equal(
            (user ?? "anonymous", method, repository, reference, rule, "allow", status),
            (Text(audit, "caller"), Text(audit, "method"), Text(audit, "repository"), Text(audit, "reference"), Text(audit, "rule"), Text(audit, "outcome"), audit.GetProperty("upstreamStatus").GetInt32()));
    }

    [Fact]
    public async Task Reading_an_allowed_blob_leaves_no_event_and_a_denied_one_does()
    {
        var layer = _surroundings.Hub.Images.FindManifest("acme/app", "latest")!.Layers[0];
        Assert.Equal(200, (await AskAsync("bob", "GET", "acme/app", $"blobs/{layer}")).Status);
        Assert.Equal(200, (await AskAsync("bob", "HEAD", "acme/app", $"blobs/{layer}")).Status);
        Assert.Equal(403, (await AskAsync("bob", "GET", "someuser/custom-image", $"blobs/{layer}")).Status);

        var audit = Assert.Single(await _surroundings.AuditAsync(1));
        Assert.Equal(("deny", layer), (Text(audit, "outcome"), Text(audit, "reference")));
    }

    [Fact]
    public async Task What_needs_no_decision_leaves_no_event()
    {
        await _surroundings.AskAsync("GET", "/v2/");
        await _surroundings.AskAsync("GET", "/v2/acme/app/manifests/latest");
        await _surroundings.AskAsync("GET", "/v2/acme/app/manifests/.x");
        await _surroundings.AskAsync("GET", "/v2/acme/app/manifests/latest", "forged");
        await AskAsync("bob", "GET", "library/nginx", "manifests/latest");

        Assert.Equal("library/nginx", Text(Assert.Single(await _surroundings.AuditAsync(1)), "repository"));
    }

    [Fact]
    public async Task Upstreams_failure_is_no_allowance_of_content()
    {
        _surroundings.Hub.Faults.Add(Face.Registry, Fault.CloseConnection());
        Assert.Equal(502, (await AskAsync("bob", "GET", "library/nginx", "manifests/latest")).Status);
        var audit = Assert.Single(await _surroundings.AuditAsync(1));
        Assert.Equal(("allow", JsonValueKind.Null), (Text(audit, "outcome"), audit.GetProperty("upstreamStatus").ValueKind));
    }

    [Fact]
    public async Task A_clients_text_is_cut_and_escaped()
    {
        await AskAsync("bob", "GET", "someuser/custom-image", "manifests/latest", "a\u00e2\u0080\u00aeb\"\t" + new string('x', 1000));
        var line = Assert.Single((await File.ReadAllTextAsync(await WrittenAsync())).Split('\n', StringSplitOptions.RemoveEmptyEntries));

        Assert.All(line, c => Assert.InRange(c, ' ', '~'));
        Assert.Contains("\"userAgent\":\"a\\u202Eb\\u0022\\t" + new string('x', 256 - 5) + "\"", line, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_policy_that_opens_something_is_an_event()
    {
        await File.WriteAllTextAsync(_surroundings.PolicyFile, Surroundings.Policy.Replace("\"official\": true", "\"official\": true, \"community\": true", StringComparison.Ordinal));
        var audit = Assert.Single(await _surroundings.AuditAsync(1));
        Assert.Equal("policy", Text(audit, "event"));
        Assert.Contains("community", Assert.Single(audit.GetProperty("opens").EnumerateArray()).GetString(), StringComparison.Ordinal);
        Assert.Equal(200, (await AskAsync("bob", "GET", "someuser/custom-image", "manifests/latest")).Status);
    }

    private static string? Text(JsonElement audit, string name) => audit.GetProperty(name).GetString();

    private async Task<string> WrittenAsync()
    {
        await _surroundings.AuditAsync(1);
        return _surroundings.AuditFile;
    }

    private async Task<RawAnswer> AskAsync(string? user, string method, string repository, string rest, string? userAgent = null)
    {
        var token = _surroundings.Hub.Signer.IssueToken(draft =>
        {
            draft.Access = [new TokenAccess(repository, "pull", "push", "delete")];
            if (user is not null)
                draft.For(_surroundings.Hub.Users.Find(user)!);
        });
        return await _surroundings.AskAsync(method, $"/v2/{repository}/{rest}", token, userAgent);
    }
}

public sealed class AuditTests_direct() : AuditTests(Direct);

public sealed class AuditTests_kestrel() : AuditTests(Kestrel);
