using System.Globalization;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Administration.Tokens;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Store;
using ImageAccess.Proxy.Portal.Pages;
using Microsoft.AspNetCore.Routing;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Tests.Administration.Api;

/// <summary>Who may what: each kind of token, and none, at each operation of the API; and every change in the audit trail.</summary>
public sealed class ApiMatrixTests(ApiRoom room) : IClassFixture<ApiRoom>
{
    private const string Tokens = "member auditor approver administrator owner on-call company-owner globex";

    /// <summary>The status for each of <see cref="Tokens"/>: tokens of acme, but for the last two, of every organization and of globex.</summary>
    private static readonly Dictionary<string, string> Table = new()
    {
        ["GET /policy"] = "403 403 403 403 403 403 200 403",
        ["PUT /policy"] = "403 403 403 403 403 403 409 403",
        ["GET /organizations/{organization}/policy"] = "200 200 200 200 200 200 200 404",
        ["GET /organizations/{organization}/image-access"] = "200 200 200 200 200 200 200 404",
        ["PUT /organizations/{organization}/policy"] = "403 403 403 409 409 403 409 404",
        ["POST /policy/drafts"] = "403 403 403 403 403 403 200 403",
        ["POST /organizations/{organization}/policy/drafts"] = "403 200 403 200 200 403 200 404",
        ["GET /organizations/{organization}/policy/switch"] = "403 200 403 200 200 403 200 404",
        ["POST /organizations/{organization}/policy/allowlist"] = "403 403 403 409 409 403 409 404",
        ["GET /policy/versions"] = "403 403 403 403 403 403 200 403",
        ["GET /policy/versions/{version}"] = "403 403 403 403 403 403 200 403",
        ["POST /policy/versions/{version}/revert"] = "403 403 403 403 403 403 409 403",
        ["GET /organizations/{organization}/policy/versions"] = "200 200 200 200 200 200 200 404",
        ["GET /organizations/{organization}/policy/versions/{version}"] = "200 200 200 200 200 200 200 404",
        ["POST /organizations/{organization}/policy/versions/{version}/revert"] = "403 403 403 409 409 403 409 404",
        ["GET /exceptions"] = "200 200 200 200 200 200 200 200",
        ["GET /exceptions/{id:long}"] = "200 200 200 200 200 200 200 404",
        ["POST /exceptions"] = "403 403 201 201 201 403 201 404",
        ["POST /exceptions/{id:long}/end"] = "403 403 200 200 200 403 200 404",
        ["GET /blocks"] = "200 200 200 200 200 200 200 200",
        ["POST /blocks"] = "403 403 403 201 201 403 201 201",
        ["POST /blocks/{id:long}/lift"] = "403 403 403 403 403 403 200 403",
        ["GET /break-glass"] = "200 200 200 200 200 200 200 200",
        ["POST /break-glass"] = "403 403 403 201 201 201 201 404",
        ["POST /break-glass/{id:long}/end"] = "403 403 403 200 200 200 200 404",
        ["POST /break-glass/{id:long}/review"] = "403 403 403 403 403 403 403 404", // by tokens of nobody
        ["GET /denials"] = "200 200 200 200 200 200 200 200",
        ["GET /denials/{id}"] = "404 200 200 200 200 200 200 404",
        ["GET /decisions"] = "200 200 200 200 200 200 200 200",
        ["GET /usage"] = "200 200 200 200 200 200 200 200",
        ["GET /organizations/{organization}/report"] = "403 200 403 200 200 403 200 404",
        ["POST /incidents/pulls"] = "403 200 403 200 200 403 200 200",
        ["POST /incidents/block"] = "403 403 403 200 200 403 200 200",
        ["GET /usage/denied-again"] = "200 200 200 200 200 200 200 200",
        ["GET /usage/community"] = "200 200 200 200 200 200 200 200",
        ["GET /usage/new"] = "200 200 200 200 200 200 200 200",
        ["GET /usage/moved"] = "200 200 200 200 200 200 200 200",
        ["GET /usage/anonymous"] = "200 200 200 200 200 200 200 200",
        ["GET /machines"] = "200 200 200 200 200 200 200 200",
        ["POST /machines/reports"] = "403 403 403 200 200 403 200 200",
        ["GET /usage/callers/{pseudonym}"] = "403 403 403 403 403 403 403 403", // open to nobody
        ["POST /usage/callers/{pseudonym}/open"] = "403 404 403 404 404 403 404 404", // nobody's
        ["GET /images/{*image}"] = "200 200 200 200 200 200 200 200",
        ["GET /members"] = "403 200 200 200 200 200 200 200",
        ["GET /people"] = "403 200 200 200 200 200 200 200",
        ["GET /accounts"] = "403 200 200 200 200 200 200 200",
        ["POST /accounts/{name}/confirm"] = "403 403 403 200 200 403 200 404",
        ["GET /status"] = "403 200 200 200 200 200 200 200",
        ["GET /tokens"] = "403 200 403 200 200 403 200 200",
        ["POST /tokens"] = "403 403 403 201 201 403 201 404",
        ["POST /tokens/{id:long}/revoke"] = "403 403 403 200 200 403 200 404",
        ["GET /changes"] = "403 200 200 200 200 200 200 200",
        ["POST /changes/{id:long}/approve"] = "403 403 404 404 404 403 404 404",
        ["POST /changes/{id:long}/decline"] = "403 403 404 404 404 403 404 404",
        ["GET /requests"] = "200 200 200 200 200 200 200 200",
        ["GET /requests/{id:long}"] = "404 200 200 200 200 200 200 404",
        ["POST /requests"] = "403 403 403 403 403 403 403 403", // these tokens are nobody's
        ["POST /requests/{id:long}/approve"] = "403 403 403 403 403 403 403 404",
        ["POST /requests/{id:long}/decline"] = "403 403 200 200 200 403 200 404",
        ["POST /requests/{id:long}/withdraw"] = "404 409 409 409 409 409 409 404",
    };

    /// <summary>The same of Docker's own API.</summary>
    private static readonly Dictionary<string, string> Dockers = new()
    {
        ["GET /v2/orgs/{organization}/settings"] = "200 200 200 200 200 200 200 404",
        ["GET /v2/auditlogs/{organization}"] = "403 200 403 200 200 403 200 404",
        ["GET /v2/auditlogs/{organization}/actions"] = "403 200 403 200 200 403 200 404",
        ["GET /v2/orgs/{organization}/settings/registry-access-management"] = "200 200 200 200 200 200 200 404",
        ["PUT /v2/orgs/{organization}/settings/registry-access-management"] = "403 403 403 409 409 403 409 404",
        ["PUT /v2/orgs/{organization}/settings"] = "403 403 403 409 409 403 409 404",
    };

    /// <summary>What anybody may ask.</summary>
    private static readonly string[] Open = ["GET /api/openapi.json", "POST /v2/users/login", "POST /v2/auth/token"];

    private readonly Dictionary<string, int> _changes = [];
    private readonly Queue<long> _blocks = new();

    [Fact]
    public async Task Each_token_may_at_each_operation_what_the_table_says_and_every_change_is_in_the_trail()
    {
        await BlockAsync(8);
        var made = 0;
        foreach (var role in Tokens.Split(' '))
        {
            await TokenOfAsync(role);
            made++;
        }

        var wrong = new List<string>();
        foreach (var (operation, statuses) in Table.Concat(Dockers))
        {
            foreach (var (role, status) in Tokens.Split(' ').Zip(statuses.Split(' ')))
            {
                var answer = await AskAsync(operation, await TokenOfAsync(role));
                if (answer.Status.ToString(CultureInfo.InvariantCulture) != status)
                    wrong.Add($"{operation} as {role}: {answer.Status} instead of {status}: {answer.Text}");
                else if (answer.Status is 200 or 201 && !operation.StartsWith("GET ", StringComparison.Ordinal))
                    _changes[operation] = _changes.GetValueOrDefault(operation) + 1;
                if (answer.Status >= 400)
                    Assert.Equal(Dockers.ContainsKey(operation) ? "application/json" : "application/problem+json", answer.MediaType);
                Assert.Equal("no-store", answer.CacheControl);
            }
        }

        Assert.Empty(wrong);
        made += _changes["POST /tokens"] + 8; // one was made for each that was to be revoked
        await RecordedAsync("exception", _changes["POST /exceptions"] + 8 + 8);
        await RecordedAsync("exception-ended", _changes["POST /exceptions/{id:long}/end"]);
        await RecordedAsync("block", _changes["POST /blocks"] + _changes["POST /incidents/block"] + 8);
        await RecordedAsync("unblock", _changes["POST /blocks/{id:long}/lift"]);
        await RecordedAsync("break-glass", _changes["POST /break-glass"] + room.Emergencies);
        await RecordedAsync("break-glass-ended", _changes["POST /break-glass/{id:long}/end"]);
        await RecordedAsync("account-confirmed", _changes["POST /accounts/{name}/confirm"]);
        await RecordedAsync("token", made);
        await RecordedAsync("request", _changes["POST /requests/{id:long}/decline"], line => line.GetProperty("step").GetString() == "declined");
        await RecordedAsync("token-revoked", _changes["POST /tokens/{id:long}/revoke"]);
    }

    /// <summary>Its token lies on every machine.</summary>
    [Fact]
    public async Task A_reporter_may_report_and_nothing_else()
    {
        await BlockAsync(4);
        foreach (var token in new[] { await room.TokenAsync("reporter"), await room.TokenAsync("reporter", null) })
        {
            foreach (var operation in Table.Keys.Concat(Dockers.Keys))
            {
                var answer = await AskAsync(operation, token);
                Assert.True(answer.Status == (operation == "POST /machines/reports" ? 200 : 403), $"{operation}: {answer.Status} {answer.Text}");
            }
        }
    }

    [Fact]
    public async Task Without_a_good_token_there_is_nothing_and_one_text_says_so()
    {
        var revoked = await room.MakeAsync("administrator");
        await room.Service<ChangeDesk>().RevokeTokenAsync(revoked.Id, Actor.Server("root"), default);
        var expired = await room.MakeAsync("administrator");
        await room.Database.WriteAsync(
            context => context.ApiTokens.Where(row => row.Id == expired.Id).ExecuteUpdateAsync(set => set.SetProperty(row => row.ExpiresMilliseconds, 1)), default);
        var left = await room.MakeAsync("administrator", person: "dave");
        var lessThanBefore = await room.MakeAsync("administrator", person: "bob"); // who is a member by now
        var ofAnother = await room.MakeAsync("administrator", person: "gail"); // who owns the other organization
        string?[] tokens = [null, "nonsense", "imageaccess_x", TokenSecret.Make(), revoked.Secret, expired.Secret, left.Secret, lessThanBefore.Secret, ofAnother.Secret];
        await BlockAsync(0);
        foreach (var operation in Table.Keys.Concat(Dockers.Keys))
        {
            foreach (var token in tokens)
            {
                var answer = await AskAsync(operation, token);
                Assert.True(answer.Status == 401, $"{operation}: {answer.Status} {answer.Text}");
                const string Sentence = "no API token, or none that is good: send Authorization: Bearer TOKEN";
                Assert.Equal(Dockers.ContainsKey(operation) ? $$"""{"message":"{{Sentence}}","detail":"{{Sentence}}"}""" : $$"""{"status":401,"detail":"{{Sentence}}","title":"Unauthorized"}""", answer.Text);
                Assert.Equal("Bearer realm=\"imageaccess\"", answer.Challenge);
            }
        }

        IEnumerable<string?> reasons = [];
        await Eventually.TrueAsync(async () => (reasons = (await room.Here.AuditAsync(1))
            .Where(line => Event(line) == "token-refused").Select(line => line.GetProperty("reason").GetString()).Distinct().Order().ToList()).Count() == 4);
        Assert.Equal(["expired", "left", "revoked", "unknown"], reasons);
    }

    [Fact]
    public async Task No_operation_is_without_a_row()
    {
        await room.SendAsync("GET", "/api/openapi.json");
        var mapped = room.Service<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>()
            .Where(endpoint => endpoint.Metadata.GetMetadata<PageDemand>() is null)
            .Select(endpoint => $"{endpoint.Metadata.GetMetadata<IHttpMethodMetadata>()!.HttpMethods[0]} {endpoint.RoutePattern.RawText}")
            .Select(operation => operation.Replace("/api/v1", "", StringComparison.Ordinal))
            .ToList();
        Assert.Equal(Table.Keys.Concat(Dockers.Keys).Concat(Open).Order(), mapped.Order());
    }

    [Fact]
    public async Task The_description_has_every_operation()
    {
        var answer = await room.SendAsync("GET", "/api/openapi.json");
        Assert.Equal(200, answer.Status);
        var described = answer.Json.GetProperty("paths").EnumerateObject()
            .SelectMany(path => path.Value.EnumerateObject().Select(operation => $"{operation.Name.ToUpperInvariant()} {path.Name}"));
        Assert.Equal(Table.Keys.Select(operation => operation.Replace(" ", " /api/v1", StringComparison.Ordinal).Replace(":long", "", StringComparison.Ordinal).Replace("*", "", StringComparison.Ordinal)).Order(), described.Order());
    }

    private static string? Event(System.Text.Json.JsonElement line) => line.TryGetProperty("event", out var name) ? name.GetString() : null;

    private Task<string> TokenOfAsync(string role) => role switch
    {
        "globex" => room.TokenAsync("administrator", "globex", label: "the matrix"),
        "company-owner" => room.TokenAsync(role, null, label: "the matrix"),
        _ => room.TokenAsync(role, label: "the matrix"),
    };

    /// <summary>A request that would be done, each time about something of its own.</summary>
    private async Task<ApiAnswer> AskAsync(string operation, string? token)
    {
        var (method, path) = (operation.Split(' ')[0], (Dockers.ContainsKey(operation) ? "" : "/api/v1") + operation.Split(' ')[1]);
        var version = room.Service<IPolicyStore>().Current.Version;
        const string Because = """{ "reason": "because" }""";
        var number = room.Next();
        return operation switch
        {
            "PUT /policy" => await room.SendAsync(method, $"{path}?reason=because", token, ApiRoom.Policy, $"\"{version}\""),
            "PUT /organizations/{organization}/policy" => await room.SendAsync(method, "/api/v1/organizations/acme/policy?reason=because", token, """{ "name": "acme", "enabled": true }""", "\"0123456789ab\""),
            "POST /policy/drafts" => await room.SendAsync(method, path, token, ApiRoom.Policy),
            "POST /organizations/{organization}/policy/drafts" => await room.SendAsync(method, "/api/v1/organizations/acme/policy/drafts", token, """{ "enabled": true }"""),
            "GET /organizations/{organization}/policy/switch" => await room.SendAsync(method, "/api/v1/organizations/acme/policy/switch?type=community&allowed=true", token),
            "POST /organizations/{organization}/policy/allowlist" => await room.SendAsync(
                method, "/api/v1/organizations/acme/policy/allowlist", token, """{ "repositories": [ "bitnami/redis" ], "reason": "because" }"""),
            "GET /denials/{id}" => await room.SendAsync(method, $"/api/v1/denials/{await room.DenyAsync("dora")}", token),
            "POST /policy/versions/{version}/revert" => await room.SendAsync(method, path.Replace("{version}", await HistoryAsync(version), StringComparison.Ordinal), token, Because),
            "GET /policy/versions/{version}" => await room.SendAsync(method, path.Replace("{version}", await HistoryAsync(version), StringComparison.Ordinal), token),
            "GET /organizations/{organization}/policy/versions/{version}" => await room.SendAsync(method, $"/api/v1/organizations/acme/policy/versions/{await HistoryAsync(version)}", token),
            "POST /organizations/{organization}/policy/versions/{version}/revert" => await room.SendAsync(
                method, $"/api/v1/organizations/acme/policy/versions/{await HistoryAsync(version)}/revert", token, Because),
            "POST /exceptions" => await room.SendAsync(method, path, token, $$"""{ "organization": "acme", "image": "more/t{{number}}", "reason": "because", "until": "{{DateTime.UtcNow.AddDays(3):yyyy-MM-dd}}T00:00:00Z" }"""),
            "GET /organizations/{organization}/report" => await room.SendAsync(method, "/api/v1/organizations/acme/report?quarter=2026Q4", token),
            "POST /incidents/pulls" => await room.SendAsync(method, path, token, """{ "images": [ "nginx" ] }"""),
            "POST /machines/reports" => await room.SendAsync(
                method, path, token, """{ "name": "build-7", "version": "0.1.0", "open": 0, "enforced": 0, "notReachable": 0, "engines": [], "ways": [] }"""),
            "POST /incidents/block" => await room.SendAsync(method, path, token, $$"""{ "images": [ "worse/t{{number}}" ], "reason": "because" }"""),
            "POST /blocks" => await room.SendAsync(method, path, token, $$"""{ "image": "bad/t{{number}}", "reason": "because" }"""),
            "POST /blocks/{id:long}/lift" => await room.SendAsync(method, $"/api/v1/blocks/{(_blocks.TryDequeue(out var block) ? block : 1)}/lift", token, Because),
            "POST /break-glass" => await room.SendAsync(method, path, token, $$"""{ "organization": "acme", "repository": "more/e{{number}}", "minutes": 60, "reason": "because" }"""),
            "POST /break-glass/{id:long}/end" => await room.SendAsync(method, $"/api/v1/break-glass/{(await room.BreakGlassAsync()).Id}/end", token, Because),
            "POST /break-glass/{id:long}/review" => await room.SendAsync(method, $"/api/v1/break-glass/{(await room.BreakGlassAsync()).Id}/review", token, Because),
            "POST /accounts/{name}/confirm" => await room.SendAsync(method, "/api/v1/accounts/bob/confirm", token, $$"""{ "account": "{{number:x32}}", "reason": "because" }"""),
            "POST /usage/callers/{pseudonym}/open" => await room.SendAsync(method, "/api/v1/usage/callers/caller-0123456789abcdef01234567/open", token, """{ "reason": "because" }"""),
            "GET /images/{*image}" => await room.SendAsync(method, "/api/v1/images/library/nginx:latest", token),
            "POST /tokens" => await room.SendAsync(method, path, token, """{ "role": "auditor", "organization": "acme", "label": "made by another" }"""),
            "POST /tokens/{id:long}/revoke" => await room.SendAsync(method, $"/api/v1/tokens/{(await room.MakeAsync("auditor")).Id}/revoke", token),
            "POST /changes/{id:long}/approve" => await room.SendAsync(method, "/api/v1/changes/999/approve", token),
            "POST /changes/{id:long}/decline" => await room.SendAsync(method, "/api/v1/changes/999/decline", token, Because),
            "GET /requests/{id:long}" => await room.SendAsync(method, $"/api/v1/requests/{await room.RequestAsync()}", token),
            "POST /requests" => await room.SendAsync(method, path, token, """{ "image": "tools/x", "reason": "because", "days": 3 }"""),
            "POST /requests/{id:long}/approve" => await room.SendAsync(method, $"/api/v1/requests/{await room.RequestAsync()}/approve", token, "{}"),
            "POST /requests/{id:long}/decline" => await room.SendAsync(method, $"/api/v1/requests/{await room.RequestAsync()}/decline", token, """{ "comment": "no" }"""),
            "POST /requests/{id:long}/withdraw" => await room.SendAsync(method, $"/api/v1/requests/{await room.RequestAsync()}/withdraw", token, "{}"),
            "GET /exceptions/{id:long}" => await room.SendAsync(method, $"/api/v1/exceptions/{await room.ExceptionAsync()}", token),
            "POST /exceptions/{id:long}/end" => await room.SendAsync(method, $"/api/v1/exceptions/{await room.ExceptionAsync()}/end", token, Because),
            "PUT /v2/orgs/{organization}/settings/registry-access-management" => await room.SendAsync(
                method, "/v2/orgs/acme/settings/registry-access-management", token, """{ "enabled": true, "standard_registries": [ { "id": "DockerHub", "allowed": true } ], "custom_registries": [] }"""),
            "PUT /v2/orgs/{organization}/settings" => await room.SendAsync(
                method, "/v2/orgs/acme/settings", token, """{ "restricted_images": { "enabled": true, "allow_official_images": true, "allow_verified_publishers": false } }"""),
            _ => await room.SendAsync(method, path.Replace("{organization}", "acme", StringComparison.Ordinal), token),
        };
    }

    /// <summary>The version, once the history has it.</summary>
    private async Task<string> HistoryAsync(string version)
    {
        var found = false;
        while (!found)
            found = await room.Database.ReadAsync(context => context.PolicyVersions.AnyAsync(row => row.Version == version), default);
        return version;
    }

    private async Task BlockAsync(int count)
    {
        var store = room.Service<IPolicyStore>();
        var first = store.Current.Blocks.Count;
        for (var i = 0; i < count; i++)
        {
            Assert.True(ImagePattern.TryParse($"blocked/t{room.Next()}", out var pattern, out _));
            var after = await new BlocksOnDisk(room.Service<IOptions<PolicyStoreOptions>>().Value).ChangeAsync(before => before.Add(pattern, "because", "root", DateTimeOffset.UtcNow), default);
            _blocks.Enqueue(after.Blocks[^1].Id);
        }

        await Eventually.TrueAsync(() => store.Current.Blocks.Count == first + count);
    }

    private async Task RecordedAsync(string kind, int count, Func<System.Text.Json.JsonElement, bool>? which = null)
    {
        room.Service<DatabaseState>().Wake();
        var found = 0;
        await Eventually.TrueAsync(async () => (found = (await room.Here.AuditAsync(1)).Count(line => Event(line) == kind && which?.Invoke(line) != false)) >= count, kind);
        Assert.Equal((kind, count), (kind, found));
    }
}
