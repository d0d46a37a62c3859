using System.Text.Json;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Administration.Notifications;
using ImageAccess.Proxy.Administration.Tokens;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Tests.Hosting;
using ImageAccess.Proxy.Tests.Tools.Verbs;
using ImageAccess.Proxy.Tests.Walk;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;

namespace ImageAccess.Proxy.Tests.Administration.Notifications;

/// <summary>The whole program tells whoever its configuration names.</summary>
public sealed class NotifyingProgramTests : IAsyncLifetime
{
    private WebhookServer _hook = null!;

    public async Task InitializeAsync() => _hook = await WebhookServer.StartAsync();

    public async Task DisposeAsync() => await _hook.DisposeAsync();

    [Fact]
    public async Task What_is_granted_is_told_with_a_link_that_leads_there()
    {
        await using var here = await Surroundings.StartWithDatabaseAsync(
            ("Listen:Console", "http://127.0.0.1:0"),
            ("ConsoleUrl", "https://images.example.com"),
            ("Notifications:Webhooks:0:Address", _hook.Address("127.0.0.1")),
            ("Notifications:Webhooks:0:Private", "true"));
        var database = here.Proxy.Services.GetRequiredService<SqlDatabase>();
        await here.Proxy.Services.GetRequiredService<DatabaseState>().Ready;
        Assert.True(GrantedException.TryParsePattern("someuser/tool", out var pattern, out _));
        var changes = new ExceptionChanges(database, TimeProvider.System);
        var row = await changes.AddAsync(new GrantedException(0, "acme", pattern, null, false, "because", null, "alice", changes.Now, changes.Now.AddDays(3)), default);
        await Eventually.TrueAsync(() => _hook.Taken.Any(request => request.Kind == "exception"));
        var told = _hook.Taken.Single(request => request.Kind == "exception");
        Assert.Equal("", told.Signature); // without a secret
        Assert.EndsWith($" https://images.example.com/api/v1/exceptions/{row.Id}", told.Text, StringComparison.Ordinal);

        var grant = new TokenGrant { Role = "administrator", Organization = null, Label = "a test", Lifetime = TimeSpan.FromDays(1) };
        var (_, secret) = await new TokenChanges(here.Proxy.Services.GetRequiredService<SqlDatabase>(), TimeProvider.System).CreateAsync(grant, "root", default);
        await Eventually.TrueAsync(() => _hook.Taken.Any(request => request.Kind == "token"));
        Assert.DoesNotContain(secret, string.Join('\n', _hook.Requests.Select(request => request.Json.GetRawText())), StringComparison.Ordinal);
        using var client = Surroundings.NewClient(here.Further[^1]);
        client.DefaultRequestHeaders.Add("Authorization", $"Bearer {secret}");
        using var facts = JsonDocument.Parse($$"""{ "exception": {{row.Id}} }""");
        string[] kinds = ["exception", "exception-unused", "block", "unblock", "policy", "change-waiting", "token", "observe-ends", "degraded", "break-glass"];
        foreach (var path in kinds.Select(kind => NoticeKinds.PathOf(kind, new Facts(facts.RootElement))).Distinct())
        {
            using var answer = await client.GetAsync(path);
            Assert.True(answer.IsSuccessStatusCode, $"{path}: {answer.StatusCode}");
        }

        await here.RestartAsync(); // a start looks at once what comes by itself, and then each hour
        await Eventually.TrueAsync(() => _hook.Taken.Any(request => request.Kind == "exception-expires"));
        Assert.Single(_hook.Taken, request => request.Kind == "exception");
    }

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
