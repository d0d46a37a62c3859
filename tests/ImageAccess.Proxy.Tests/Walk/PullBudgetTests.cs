using System.Text.Json;
using ImageAccess.FakeHubs;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>Docker Hub's pull limit as the whole program tells of it.</summary>
public abstract class PullBudgetTests(string transport) : WalkTests(transport)
{
    private const string Manifest = "/v2/library/nginx/manifests/latest";

    [Fact]
    public async Task What_is_left_is_told_by_account_and_organization_and_what_does_not_count_is_counted()
    {
        var time = new ManualTime(TimeProvider.System.GetUtcNow());
        await using var here = await StartAsync(Surroundings.Policy, hub => (hub.PullLimit, hub.Time) = (5, time), time, ("Cache:Enabled", "true"));
        using var admin = Surroundings.NewClient(here.Admin);
        var token = await here.PullTokenAsync("bob", "library/nginx");
        var bob = here.Hub.Users.Find("bob")!.Id.ToString("D");

        Assert.Equal(200, (await here.AskAsync("GET", Manifest, token)).Status); // counts
        Assert.Equal(200, (await here.AskAsync("GET", Manifest, token)).Status); // from the cache
        time.Advance(TimeSpan.FromSeconds(61));
        Assert.Equal(200, (await here.AskAsync("GET", Manifest, token)).Status); // a HEAD, then from the cache

        var metrics = (await admin.GetStringAsync("/metrics")).Split('\n');
        Assert.Contains($"imageaccess_budget_limit{{account=\"{bob}\"}} 5", metrics);
        Assert.Contains($"imageaccess_budget_remaining{{account=\"{bob}\"}} 4", metrics);
        Assert.Contains("imageaccess_budget_organization_limit{organization=\"acme\"} 5", metrics);
        Assert.Contains("imageaccess_budget_organization_remaining{organization=\"acme\"} 4", metrics);
        Assert.Contains("imageaccess_pulls_total{by=\"get\",counted=\"true\"} 1", metrics);
        Assert.Contains("imageaccess_pulls_total{by=\"head\",counted=\"false\"} 1", metrics);
        Assert.Contains("imageaccess_pulls_total{by=\"cache\",counted=\"false\"} 2", metrics);

        var ready = await ReadAsync(admin);
        Assert.Equal("ready", ready.GetProperty("status").GetString());
        var left = ready.GetProperty("pullBudget").GetProperty("accounts").GetProperty(bob);
        Assert.Equal((5, 4, 21600, false), (left.GetProperty("limit").GetInt32(), left.GetProperty("remaining").GetInt32(), left.GetProperty("windowSeconds").GetInt32(), left.GetProperty("low").GetBoolean()));
        Assert.Equal(4, ready.GetProperty("pullBudget").GetProperty("organizations").GetProperty("acme").GetProperty("remaining").GetInt32());
    }

    [Fact]
    public async Task A_low_budget_is_degraded_and_at_429_it_is_told_how_long_what_is_kept_serves()
    {
        var time = new ManualTime(TimeProvider.System.GetUtcNow());
        await using var here = await StartAsync(Surroundings.Policy, hub => (hub.PullLimit, hub.Time) = (1, time), time, ("Cache:Enabled", "true"));
        using var admin = Surroundings.NewClient(here.Admin);
        var first = time.GetUtcNow();
        Assert.Equal(200, (await here.AskAsync("GET", Manifest, await here.PullTokenAsync(null, "library/nginx"))).Status);
        Assert.Equal(
            "few pulls from Docker Hub are left, for 1 accounts or addresses, at the least 0 of 1: sign in with accounts that have more, or pull less; what is kept is served without them",
            (await ReadAsync(admin)).GetProperty("degraded").GetProperty("pull-budget").GetString());
        Assert.Contains(
            "Docker Hub allows 127.0.0.1 0 more of 1 pulls in 6 hours: sign in with an account that has more, or pull less; what is kept is served without them", here.Log.All);

        time.Advance(TimeSpan.FromMinutes(2));
        here.Hub.Faults.Add(Face.Registry, Fault.Status(429));
        var stale = await here.AskAsync("GET", Manifest, await here.PullTokenAsync(null, "library/nginx"));
        Assert.Equal((200, "110 - \"Response is Stale\""), (stale.Status, stale.Header("Warning")));
        Assert.Equal(
            $"tags are served from what is kept, because Docker Hub cannot answer: status 429; library/nginx latest can be until {first.AddHours(24):u}",
            (await ReadAsync(admin)).GetProperty("degraded").GetProperty("upstream").GetString());
        Assert.Contains(
            $"library/nginx:latest was served from what is kept, because Docker Hub cannot answer: status 429; library/nginx latest can be until {first.AddHours(24):u}", here.Log.All);
    }

    [Theory]
    [InlineData("-5;w=21600", "9999999999999999999999;w=")]
    [InlineData("nothing", ";;;;;w=w=w=")]
    [InlineData("5;w=-1", "\t")]
    public async Task Hostile_headers_reach_the_client_and_do_no_harm(string limit, string remaining)
    {
        await using var here = await StartAsync();
        using var admin = Surroundings.NewClient(here.Admin);
        here.Hub.Faults.Add(Face.Registry, Fault.Custom((http, answer) =>
        {
            http.Response.OnStarting(() =>
            {
                http.Response.Headers["ratelimit-limit"] = limit;
                http.Response.Headers["ratelimit-remaining"] = remaining;
                http.Response.Headers["docker-ratelimit-source"] = "\"} 1\\nevil{x=\"";
                return Task.CompletedTask;
            });
            return answer();
        }));
        Assert.Equal(200, (await here.AskAsync("GET", Manifest, await here.PullTokenAsync("bob", "library/nginx"))).Status);
        Assert.DoesNotContain("evil", await admin.GetStringAsync("/metrics"), StringComparison.Ordinal);
        var ready = await ReadAsync(admin);
        Assert.Equal("ready", ready.GetProperty("status").GetString());
        Assert.False(ready.TryGetProperty("pullBudget", out _));
    }

    private static async Task<JsonElement> ReadAsync(HttpClient admin) => JsonSerializer.Deserialize<JsonElement>(await admin.GetStringAsync("/readyz"));
}

public sealed class PullBudgetTests_direct() : PullBudgetTests(Direct);

public sealed class PullBudgetTests_kestrel() : PullBudgetTests(Kestrel);
