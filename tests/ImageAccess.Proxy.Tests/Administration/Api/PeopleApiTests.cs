using System.Text.Json;

namespace ImageAccess.Proxy.Tests.Administration.Api;

/// <summary>Who may what, by which source, and with how many tokens.</summary>
public sealed class PeopleApiTests(ApiRoom room) : IClassFixture<ApiRoom>
{
    private const string Roles =
        """
        "roles": { "administrators": [ "dan", { "team": "platform" } ], "auditors": [ { "name": "gus", "external": true } ] },
        """;

    [Fact]
    public async Task Each_has_the_roles_of_this_moment_with_their_sources_and_tokens()
    {
        var policy = ApiRoom.Policy.Replace("\"owners\": [ \"alice\" ],", $"\"owners\": [ \"alice\" ], {Roles}", StringComparison.Ordinal);
        await room.Here.WritePolicyAsync(policy);
        var alice = await room.TokenAsync("administrator", person: "alice");
        await room.MakeAsync("auditor", person: "alice");
        await room.MakeAsync("member", person: "bob");
        await room.MakeAsync("administrator", "globex", "gail");
        Assert.Equal(200, (await room.SendAsync("GET", "/api/v1/status", alice)).Status);

        var people = await ListAsync(await room.TokenAsync("auditor"));
        Assert.Equal(
            [
                "- carol: company-owner by document, - tokens",
                "acme alice: member owner by document, 2 tokens",
                "acme bob: member by , 1 tokens",
                "acme dan: administrator by document, 0 tokens",
                "acme gus: auditor by document external, 0 tokens",
                "acme team platform: administrator by document, - tokens",
            ],
            people);

        Assert.Equal(people.Select(line => line.Split(',')[0]), (await ListAsync(await room.TokenAsync("approver"))).Append("acme bob: member by ").Order(StringComparer.Ordinal).Select(line => line.Split(',')[0]));
        Assert.All(await ListAsync(await room.TokenAsync("approver")), line => Assert.EndsWith(", - tokens", line, StringComparison.Ordinal)); // who may not read tokens
        var all = await ListAsync(await room.TokenAsync("company-owner", null));
        Assert.Contains("globex gail: member owner by document, 1 tokens", all);
        Assert.Contains("- carol: company-owner by document, 0 tokens", all);
        Assert.DoesNotContain("globex gail: member owner by document, 1 tokens", await ListAsync(await room.TokenAsync("company-owner", null), "&organization=acme"));
        await room.Here.WritePolicyAsync(ApiRoom.Policy);
        Assert.DoesNotContain("acme dan: administrator by document, 0 tokens", await ListAsync(await room.TokenAsync("auditor")));
    }

    [Fact]
    public async Task They_come_in_parts_and_of_the_own_organization_alone()
    {
        var token = await room.TokenAsync("company-owner", null);
        var whole = await ListAsync(token);
        var found = new List<string>();
        for (var target = "/api/v1/people?limit=1"; target.Length > 0;)
        {
            var part = (await room.SendAsync("GET", target, token)).Json;
            found.AddRange(part.GetProperty("items").EnumerateArray().Select(Words));
            target = part.TryGetProperty("next", out var next) ? $"/api/v1/people?limit=1&cursor={next.GetString()}" : "";
        }

        Assert.True(whole.Count > 2);
        Assert.Equal(whole, found);
        var foreign = await room.SendAsync("GET", "/api/v1/people?organization=globex", await room.TokenAsync("auditor"));
        Assert.Equal((404, "there is no organization globex"), (foreign.Status, foreign.Detail));
        Assert.Equal(403, (await room.SendAsync("GET", "/api/v1/people", await room.TokenAsync("member"))).Status);
    }

    private static string Words(JsonElement one)
    {
        var sources = one.GetProperty("sources").EnumerateArray()
            .Select(source => $"{Text(source, "source")}{(source.TryGetProperty("external", out _) ? " external" : "")}");
        var roles = string.Join(' ', one.GetProperty("roles").EnumerateArray().Select(role => role.GetString()));
        return $"{Text(one, "organization") ?? "-"} {Text(one, "name") ?? $"team {Text(one, "team")}"}: {roles} by {string.Join(' ', sources)}, {(one.TryGetProperty("tokens", out var tokens) ? tokens.GetRawText() : "-")} tokens";
    }

    private static string? Text(JsonElement one, string member) => one.TryGetProperty(member, out var value) ? value.GetString() : null;

    private async Task<List<string>> ListAsync(string token, string filter = "")
    {
        var answer = await room.SendAsync("GET", $"/api/v1/people?limit=200{filter}", token);
        Assert.True(answer.Status == 200, answer.Text);
        return [.. answer.Json.GetProperty("items").EnumerateArray().Select(Words)];
    }
}
