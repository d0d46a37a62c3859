namespace ImageAccess.Proxy.Tests.Administration.Api;

/// <summary>Denials by the API: each organization's are its own, a member's are the member's, and nobody else's address is told.</summary>
public sealed class DenialApiTests(ApiRoom room) : IClassFixture<ApiRoom>
{
    [Fact]
    public async Task An_auditor_sees_all_of_the_organization_and_nothing_of_another()
    {
        var (ours, theirs, both) = (await room.DenyAsync("dora"), await room.DenyAsync("hank", "globex"), await room.DenyAsync("eve", "acme", "globex"));
        var token = await room.TokenAsync("auditor");
        var seen = await ListAsync(token);
        Assert.Contains(ours, seen);
        Assert.Contains(both, seen);
        Assert.DoesNotContain(theirs, seen);

        var one = (await room.SendAsync("GET", $"/api/v1/denials/{both}", token)).Json;
        Assert.Equal(
            ("eve", "192.0.2.7", "mirror", "someuser/tool", "latest", "community"),
            (Text(one, "caller"), Text(one, "client"), Text(one, "wayIn"), Text(one, "repository"), Text(one, "reference"), Text(one, "rule")));
        Assert.Equal("""["acme"]""", one.GetProperty("organizations").GetRawText()); // that it is another's too is not told
        Assert.EndsWith("Z", Text(one, "time"), StringComparison.Ordinal);

        var others = await room.SendAsync("GET", $"/api/v1/denials/{theirs}", token);
        var nobodys = await room.SendAsync("GET", "/api/v1/denials/nothing", token);
        Assert.Equal((404, "there is no denial nothing: they are kept for 30 days"), (nobodys.Status, nobodys.Detail));
        Assert.Equal(nobodys.Text.Replace("nothing", theirs, StringComparison.Ordinal), others.Text);
        Assert.Equal(404, (await room.SendAsync("GET", "/api/v1/denials?organization=globex", token)).Status);
        Assert.Contains(theirs, await ListAsync(await room.TokenAsync("company-owner", null)));
    }

    [Fact]
    public async Task A_member_sees_the_own_ones_and_of_whoever_did_not_sign_in_all_but_the_address()
    {
        var (own, anothers, anonymous, elsewhere) = (await room.DenyAsync("bob"), await room.DenyAsync("dora"), await room.DenyAsync(null), await room.DenyAsync(null, "globex"));
        var ofBobElsewhere = await room.DenyAsync("bob", "globex");
        var token = await room.TokenAsync("member", person: "bob");
        var seen = await ListAsync(token);
        Assert.Contains(own, seen);
        Assert.Contains(anonymous, seen);
        Assert.Empty(seen.Intersect([anothers, elsewhere, ofBobElsewhere]));

        Assert.Equal("192.0.2.7", Text((await room.SendAsync("GET", $"/api/v1/denials/{own}", token)).Json, "client"));
        var nobody = await room.SendAsync("GET", $"/api/v1/denials/{anonymous}", token);
        Assert.Equal("someuser/tool", Text(nobody.Json, "repository"));
        Assert.DoesNotContain("192.0.2.7", nobody.Text, StringComparison.Ordinal);
        var listed = (await room.SendAsync("GET", "/api/v1/denials?limit=200", token)).Json.GetProperty("items").EnumerateArray().Single(one => Text(one, "id") == anonymous);
        Assert.False(listed.TryGetProperty("client", out _));
        foreach (var id in new[] { anothers, elsewhere, ofBobElsewhere })
            Assert.Equal(404, (await room.SendAsync("GET", $"/api/v1/denials/{id}", token)).Status);
        Assert.Empty((await ListAsync(token, "&caller=dora")).Intersect([anothers]));

        var ofNobody = await room.TokenAsync("member");
        Assert.DoesNotContain(own, await ListAsync(ofNobody)); // a token that is nobody's has no own ones
        Assert.Contains(anonymous, await ListAsync(ofNobody));
    }

    [Fact]
    public async Task Who_looks_at_those_of_others_is_recorded_and_nobody_who_looks_at_their_own()
    {
        var (id, anonymous) = (await room.DenyAsync("dora"), await room.DenyAsync(null));
        var (alice, bob) = (await room.TokenAsync("owner", person: "alice"), await room.TokenAsync("member", person: "bob"));
        foreach (var target in new[] { "?caller=dora", "?organization=acme&caller=dora", $"/{id}", $"/{anonymous}", "?caller=alice" })
            Assert.Equal(200, (await room.SendAsync("GET", $"/api/v1/denials{target}", alice)).Status);
        await ListAsync(bob);
        IReadOnlyList<System.Text.Json.JsonElement> looks = [];
        await Eventually.TrueAsync(async () => (looks = [.. (await room.Here.AuditAsync(1)).Where(line =>
            line.TryGetProperty("event", out var kind) && kind.GetString() == "decisions-read" && Text(line, "user") is "alice" or "bob")]).Count >= 3);
        Assert.Equal(
            ["alice acme denials caller dora", "alice acme denials organization acme, caller dora", $"alice acme denials id {id}"],
            looks.Select(look => $"{Text(look, "user")} {Text(look, "organization")} {Text(look, "operation")} {Text(look, "question")}"));
    }

    [Fact]
    public async Task They_come_in_parts_the_newest_first_and_by_caller()
    {
        var ids = new List<string>();
        for (var i = 0; i < 5; i++)
            ids.Add(await room.DenyAsync("fred"));
        await room.DenyAsync("dora");
        var token = await room.TokenAsync("auditor");
        var found = new List<string?>();
        for (var target = "/api/v1/denials?caller=fred&limit=2"; target.Length > 0;)
        {
            var part = (await room.SendAsync("GET", target, token)).Json;
            found.AddRange(part.GetProperty("items").EnumerateArray().Select(one => Text(one, "id")));
            target = part.TryGetProperty("next", out var next) ? $"/api/v1/denials?caller=fred&limit=2&cursor={next.GetString()}" : "";
        }

        Assert.Equal(Enumerable.Reverse(ids), found);
        Assert.Equal(400, (await room.SendAsync("GET", "/api/v1/denials?cursor=AAAA", token)).Status);
        Assert.Equal(400, (await room.SendAsync("GET", "/api/v1/denials?who=fred", token)).Status);
    }

    private static string? Text(System.Text.Json.JsonElement one, string member) => one.GetProperty(member).GetString();

    private async Task<List<string?>> ListAsync(string token, string filter = "")
    {
        var answer = await room.SendAsync("GET", $"/api/v1/denials?limit=200{filter}", token);
        Assert.True(answer.Status == 200, answer.Text);
        return [.. answer.Json.GetProperty("items").EnumerateArray().Select(one => Text(one, "id"))];
    }
}
