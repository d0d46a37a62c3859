using System.Text.Json;

namespace ImageAccess.Proxy.Tests.Administration.Api;

public sealed class StatusTests
{
    [Fact]
    public async Task A_token_of_one_organization_is_told_of_no_other_what_is_degraded()
    {
        var room = new ApiRoom();
        await room.StartAsync(
            ("Identity:Directory:Organization:0", "acme"), ("Identity:Directory:Organization:1", "globex"), ("Identity:Directory:Username", "alice"), ("Identity:Directory:Secret", "a wrong one"));
        try
        {
            Assert.Contains("globex", await ConcernAsync(await room.TokenAsync("auditor", null)), StringComparison.Ordinal);
            Assert.Equal("it is about other organizations too: whoever runs the proxy sees it at /readyz", await ConcernAsync(await room.TokenAsync("auditor")));
        }
        finally
        {
            await room.DisposeAsync();
        }

        async Task<string?> ConcernAsync(string token) => (await room.SendAsync("GET", "/api/v1/status", token)).Json.GetProperty("degraded").GetProperty("members").GetString();
    }

    [Fact]
    public async Task The_pull_budget_of_other_organizations_and_accounts_is_not_told_to_a_token_of_one()
    {
        var room = new ApiRoom();
        await room.StartAsync();
        try
        {
            foreach (var person in new[] { "bob", "hank" })
            {
                if (room.Here.Hub.Users.Find(person) is null)
                    room.Here.Hub.Users.Add(person, $"{person}s-password");
                await room.Here.AskAsync("GET", "/v2/library/nginx/manifests/latest", await room.Here.PullTokenAsync(person, "library/nginx"));
            }

            var all = await BudgetAsync(await room.TokenAsync("auditor", null));
            Assert.Equal((2, "acme globex"), (all.GetProperty("accounts").GetArrayLength(), Names(all)));
            var left = all.GetProperty("organizations")[0];
            Assert.Equal((200, 199, 21600, false), (left.GetProperty("limit").GetInt32(), left.GetProperty("remaining").GetInt32(), left.GetProperty("windowSeconds").GetInt32(), left.GetProperty("low").GetBoolean()));
            var own = await BudgetAsync(await room.TokenAsync("auditor"));
            Assert.Equal((0, "acme"), (own.GetProperty("accounts").GetArrayLength(), Names(own)));
        }
        finally
        {
            await room.DisposeAsync();
        }

        async Task<JsonElement> BudgetAsync(string token) => (await room.SendAsync("GET", "/api/v1/status", token)).Json.GetProperty("pullBudget");

        static string Names(JsonElement budget) => string.Join(' ', budget.GetProperty("organizations").EnumerateArray().Select(one => one.GetProperty("name").GetString()).Order(StringComparer.Ordinal));
    }
}
