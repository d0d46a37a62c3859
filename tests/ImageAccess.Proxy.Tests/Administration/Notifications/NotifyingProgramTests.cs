using System.Text.Json;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Tests.Administration.Api;
using ImageAccess.Proxy.Tests.Hosting;
using ImageAccess.Proxy.Tests.Tools.Verbs;
using ImageAccess.Proxy.Tests.Walk;
using Microsoft.EntityFrameworkCore;

namespace ImageAccess.Proxy.Tests.Administration.Notifications;

/// <summary>The whole program tells whoever its configuration names.</summary>
public sealed class NotifyingProgramTests : IAsyncLifetime
{
    private WebhookServer _hook = null!;

    public async Task InitializeAsync() => _hook = await WebhookServer.StartAsync();

    public async Task DisposeAsync() => await _hook.DisposeAsync();

    [Fact]
    public async Task What_is_asked_for_and_granted_is_told_and_its_link_leads_there_without_a_sign_in()
    {
        var api = new ApiRoom();
        await api.StartAsync(
            ("ConsoleUrl", "https://images.example.com"), ("Notifications:Webhooks:0:Address", _hook.Address("127.0.0.1")), ("Notifications:Webhooks:0:Private", "true"));
        try
        {
            await AskAndApproveAsync(api);
        }
        finally
        {
            await api.DisposeAsync();
        }
    }

    private async Task AskAndApproveAsync(ApiRoom api)
    {
        var here = api.Here;
        var denied = await here.AskAsync("GET", "/v2/someuser/custom-image/manifests/latest", await here.PullTokenAsync("bob", "someuser/custom-image"));
        var denial = denied.Header("X-ImageAccess-Decision");
        var (bob, alice) = (await api.TokenAsync("member", "acme", "bob"), await api.TokenAsync("owner", "acme", "alice"));
        await Eventually.TrueAsync(() => AskedAsync(api, bob, denial!));
        await Eventually.TrueAsync(() => _hook.Taken.Any(request => request.Kind == "request"));
        var asked = _hook.Taken.Single(request => request.Kind == "request");
        Assert.Equal("", asked.Signature); // without a secret
        Assert.Equal(
            "bob asks acme for someuser/custom-image:latest. To answer: imageaccess requests approve 1, or decline 1. Reason: for the build. "
            + $"https://images.example.com/d/{denial}",
            asked.Text);
        Assert.Equal("acme", asked.Json.GetProperty("organization").GetString());
        using var browser = Surroundings.NewClient(here.Further[^1]);
        using var page = await browser.GetAsync(new Uri(asked.Json.GetProperty("link").GetString()!).AbsolutePath);
        Assert.Equal(System.Net.HttpStatusCode.OK, page.StatusCode);
        Assert.Contains("someuser/custom-image:latest", await page.Content.ReadAsStringAsync(), StringComparison.Ordinal);

        Assert.Equal(200, (await api.SendAsync("POST", "/api/v1/requests/1/approve", alice, """{ "follow": true, "days": 3, "comment": "that tag" }""")).Status);
        await Eventually.TrueAsync(() => _hook.Taken.Any(request => request.Kind == "request-approved") && _hook.Taken.Any(request => request.Kind == "exception"));
        Assert.Matches(
            "^alice approved the request 1 of bob for acme: someuser/custom-image:latest, until [-0-9]{10} [:0-9]{5} UTC. Comment: that tag.$",
            _hook.Taken.Single(request => request.Kind == "request-approved").Text);
        Assert.All(_hook.Taken.Where(request => request.Kind != "request"), request => Assert.Equal(JsonValueKind.Null, request.Json.GetProperty("link").ValueKind));
        Assert.DoesNotContain(_hook.Requests, request => request.Json.GetRawText().Contains(bob, StringComparison.Ordinal) || request.Json.GetRawText().Contains(alice, StringComparison.Ordinal));
        await here.RestartAsync(); // a start looks at once what comes by itself, and then each hour
        await Eventually.TrueAsync(() => _hook.Taken.Any(request => request.Kind == "exception-expires"));
        Assert.Single(_hook.Taken, request => request.Kind == "exception");
    }

    private static async Task<bool> AskedAsync(ApiRoom api, string token, string denial) => (await api.SendAsync(
        "POST", "/api/v1/requests", token, $$"""{ "denial": "{{denial}}", "reason": "for the build", "days": 20 }""")).Status == 201; // it is written within seconds

    [Fact]
    public async Task After_a_kill_the_next_start_tells_what_the_receiver_had_not_taken()
    {
        await using var room = await ProgramRoom.OpenAsync("direct");
        var settings = $$""" "Cache": { "Enabled": false }, "Notifications": { "Webhooks": [ { "Address": "{{_hook.Address("127.0.0.1")}}", "Private": true, "Kinds": [ "block" ] } ] } """;
        _hook.AnswerStatus(429, retryAfter: "3");
        await using (var first = await room.StartAsync(settings))
        {
            Assert.Equal(0, (await CommandLine.RunAsync(["block", "evil/*", "--reason", "CVE-1", "--config", room["imageaccess.json"]])).ExitCode);
            var database = new SqliteDatabase(room["data/imageaccess.db"]);
            await Eventually.TrueAsync(() => _hook.Requests.Count > 0);
            await Eventually.TrueAsync(() => database.ReadAsync(context => context.Outbox.AnyAsync(row => row.Tries == 1 && row.Lease == null), default));
            first.Process.Signal("KILL");
            await Eventually.TrueAsync(() => first.Process.HasEnded);
        }

        Assert.Empty(_hook.Taken);
        _hook.Answer = _ => Task.CompletedTask;
        await using var second = await room.StartAsync(settings);
        await Eventually.TrueAsync(() => _hook.Taken.Count > 0);
        Assert.Single(_hook.Requests.Select(request => request.Id).Distinct());
        Assert.Contains("CVE-1", _hook.Taken[0].Text, StringComparison.Ordinal);
    }
}
