using System.Text.Json;
using ImageAccess.Proxy.Policies.Store;
using ImageAccess.Proxy.Tests.Walk;
using Microsoft.Extensions.Logging;

namespace ImageAccess.Proxy.Tests.Policies.Store;

/// <summary>Approvals that end soon are told before pulls fail. The fixture's day is the first of June 2026.</summary>
public sealed class ExpiryTests : IDisposable
{
    private static readonly DateOnly Today = new(2026, 6, 1);

    private readonly PolicyFixture _fixture = new();
    private readonly LogLines<ExpiryWarnings> _log = new();

    [Theory]
    [InlineData("2026-05-31", false)]
    [InlineData("2026-06-01", true)]
    [InlineData("2026-06-15", true)]
    [InlineData("2026-06-16", false)]
    public void From_two_weeks_before_through_the_day_itself(string expires, bool told)
    {
        var found = ExpiringEntries.Find(Policy($$"""{ "repository": "a/b", "expires": "{{expires}}" }"""), Today);
        Assert.Equal(told, found.Count == 1);
    }

    [Fact]
    public void The_soonest_first_and_only_what_nothing_else_approves_for_longer()
    {
        var found = ExpiringEntries.Find(
            Policy("""
                { "repository": "later/x", "expires": "2026-06-10" }, { "repository": "soon/*", "expires": "2026-06-02" },
                { "repository": "twice/x", "expires": "2026-06-03" }, { "repository": "twice/x", "expires": "2026-12-31" },
                { "repository": "whole/x", "expires": "2026-06-03" }, { "repository": "whole/*" },
                { "repository": "forever/x" }
                """),
            Today);
        Assert.Equal(
            [new ExpiringEntry("acme", "soon/*", new DateOnly(2026, 6, 2)), new ExpiringEntry("acme", "later/x", new DateOnly(2026, 6, 10))], found);
    }

    [Fact]
    public void An_organization_that_is_off_has_none() => Assert.Empty(ExpiringEntries.Find(
        PolicyFixture.Compile("""{ "organizations": [ { "name": "acme", "allowlist": [ { "repository": "a/b", "expires": "2026-06-02" } ] } ] }"""), Today));

    [Fact]
    public void The_log_says_it_once_a_day_and_for_a_new_policy_what_is_new()
    {
        Write("""{ "repository": "a/b", "expires": "2026-06-03" }""");
        var store = _fixture.Start();
        var warnings = new ExpiryWarnings(store, _fixture.Time, _log);

        warnings.Look();
        warnings.Look();
        Assert.Equal(["The allowlist entry a/b of acme holds through 2026-06-03: 2 days are left"], _log.At(LogLevel.Warning));

        Write("""{ "repository": "a/b", "expires": "2026-06-03" }, { "repository": "c/d", "expires": "2026-06-04" }""");
        store.Refresh();
        warnings.Look();
        Assert.Equal(2, _log.All.Count);
        Assert.Contains("c/d", _log.All[1], StringComparison.Ordinal);

        _fixture.Time.Advance(TimeSpan.FromDays(1));
        warnings.Look();
        Assert.Equal(4, _log.All.Count);

        _fixture.Time.Advance(TimeSpan.FromDays(9));
        warnings.Look();
        Assert.Equal(4, _log.All.Count);
    }

    [Fact]
    public async Task The_readiness_page_lists_them()
    {
        var soon = DateOnly.FromDateTime(TimeProvider.System.GetUtcNow().UtcDateTime).AddDays(3).ToString("yyyy-MM-dd", null);
        await using var surroundings = await Surroundings.StartAsync($$"""
            { "organizations": [ { "name": "acme", "enabled": true, "allowlist": [ { "repository": "a/b", "expires": "{{soon}}" }, { "repository": "c/d" } ] } ] }
            """);
        using var client = Surroundings.NewClient(surroundings.Admin);

        var body = JsonSerializer.Deserialize<JsonElement>(await client.GetStringAsync(new Uri("/readyz", UriKind.Relative)));

        var entry = Assert.Single(body.GetProperty("expiring").EnumerateArray());
        Assert.Equal(
            ("acme", "a/b", soon),
            (entry.GetProperty("organization").GetString(), entry.GetProperty("repository").GetString(), entry.GetProperty("expires").GetString()));
        Assert.Equal("ready", body.GetProperty("status").GetString());
        Assert.Contains("The allowlist entry a/b of acme holds through", surroundings.Log.ToString(), StringComparison.Ordinal);
    }

    public void Dispose() => _fixture.Dispose();

    private static Core.Policies.Policy Policy(string allowlist) => PolicyFixture.Compile(Document(allowlist));

    private static string Document(string allowlist) => $$"""{ "organizations": [ { "name": "acme", "enabled": true, "allowlist": [ {{allowlist}} ] } ] }""";

    private void Write(string allowlist) => File.WriteAllText(_fixture.Document, Document(allowlist));
}
