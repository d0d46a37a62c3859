using System.Text.Json;
using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Policies.Store;
using Microsoft.Extensions.DependencyInjection;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>An emergency, with no database: it opens what it says, for as long as it says, also over a restart, and every step is on record once.</summary>
public sealed class BreakGlassTests : IAsyncLifetime
{
    private const string Tool = "someuser/custom-image";

    private readonly ManualTime _time = new(new DateTimeOffset(TimeProvider.System.GetUtcNow().UtcDateTime.Date.AddHours(10), TimeSpan.Zero)); // one file of the trail has the whole day
    private Surroundings _here = null!;

    private string FilePath => Path.Combine(_here.DataDirectory, "break-glass.json");

    private PolicyStore Store => _here.Proxy.Services.GetRequiredService<PolicyStore>();

    private ChangeDesk Desk => new(null!, new PolicyStoreOptions { DataDirectory = _here.DataDirectory }, () => Store.Current, _time);

    public async Task InitializeAsync() => _here = await Surroundings.StartAsync(Surroundings.Policy, hub => hub.Time = _time, _time);

    public async Task DisposeAsync() => await _here.DisposeAsync();

    [Fact]
    public async Task It_opens_one_repository_for_its_time_also_over_a_restart_and_is_on_record()
    {
        Assert.Equal(403, await PullAsync(Tool));
        await BreakAsync(Tool, TimeSpan.FromHours(2));
        Assert.Equal(200, await PullAsync(Tool));
        Assert.Equal(403, await PullAsync("evil/other"));
        Assert.Equal(403, (await _here.AskAsync("POST", $"/v2/{Tool}/blobs/uploads/", await _here.TokenAsync("bob", $"repository:{Tool}:pull,push"), "curl/8")).Status);

        await _here.RestartAsync();
        Assert.Equal(200, await PullAsync(Tool));
        Assert.Contains("\"breakGlass\": 1", await ReadinessAsync(), StringComparison.Ordinal);
        _time.Advance(TimeSpan.FromHours(2));
        Assert.Equal(403, await PullAsync(Tool)); // by the clock, whoever has looked at the file
        Store.Refresh();
        await _here.RestartAsync();
        Assert.Equal(403, await PullAsync(Tool));

        await ReviewAsync(1, "mallory");
        await ReviewAsync(1, "mallory", "break-glass 1 was reviewed already");
        Assert.Equal(["break-glass eve OPS-7", "break-glass-ended  ", "break-glass-reviewed mallory looked at"], await StepsAsync(3));
        var line = (await _here.AuditAsync(1)).First(line => Event(line) == "break-glass");
        Assert.Equal($"""["{Tool} for acme"]""", line.GetProperty("opens").GetRawText());
        Assert.Contains((await _here.AuditAsync(1)).Where(line => line.TryGetProperty("rule", out _)), line => line.GetProperty("rule").GetString() == "break-glass");
    }

    [Fact]
    public async Task It_lets_an_organization_observe_and_a_block_beats_it()
    {
        await new BlocksOnDisk(new PolicyStoreOptions { DataDirectory = _here.DataDirectory }).ChangeAsync(
            before => before.Add(Pattern("evil/*"), "stolen", "eve", _time.GetUtcNow()), default);
        await BreakAsync(null, TimeSpan.FromMinutes(30));
        Assert.Equal(200, await PullAsync(Tool));
        Assert.Equal(403, await PullAsync("evil/other"));
        var refused = await Assert.ThrowsAsync<RefusedChangeException>(() => BreakAsync("evil/other", TimeSpan.FromHours(1)));
        Assert.Equal("evil/* is blocked, and a block beats it: lift the block first (imageaccess unblock)", refused.Message);

        await Desk.EndBreakGlassAsync(1, new ChangeRequest(Actor.Server("eve"), "mended"), default);
        Store.Refresh();
        Assert.Equal(403, await PullAsync(Tool));
        Assert.Equal(["break-glass eve OPS-7", "break-glass-ended eve mended"], await StepsAsync(2));
        var again = await Assert.ThrowsAsync<RefusedChangeException>(() => Desk.EndBreakGlassAsync(1, new ChangeRequest(Actor.Server("eve"), "mended"), default));
        Assert.StartsWith("break-glass 1 has ended already, ", again.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Who_did_it_does_not_review_it()
    {
        await BreakAsync(Tool, TimeSpan.FromHours(1));
        var refused = await Assert.ThrowsAsync<ForbiddenChangeException>(() => Desk.ReviewBreakGlassAsync(1, new ChangeRequest(Actor.Server("EVE"), "looked at"), default));
        Assert.Equal("EVE did it: another person has to review it", refused.Message);
    }

    /// <summary>Whoever writes the file by hand opens nothing for longer, and a file that cannot be read opens nothing more.</summary>
    [Theory]
    [InlineData("gone")]
    [InlineData("longer")]
    [InlineData("damaged")]
    public async Task A_file_that_does_not_say_so_opens_nothing(string what)
    {
        var now = _time.GetUtcNow();
        string Entry(double hours) => $$"""{ "breakGlass": [ { "id": 1, "organization": "acme", "repository": "{{Tool}}", "reason": "r", "by": "eve", "since": "{{now:O}}", "until": "{{now.AddHours(hours):O}}" } ] }""";
        if (what == "gone")
        {
            await File.WriteAllTextAsync(FilePath, Entry(4));
            Store.Refresh();
            Assert.Equal(200, await PullAsync(Tool));
            File.Delete(FilePath);
            Store.Refresh();
            Assert.Equal(403, await PullAsync(Tool));
            return;
        }

        await _here.RestartAsync(() => File.WriteAllText(FilePath, what == "longer" ? Entry(4.1) : Entry(4)[..^9]));
        Assert.Equal(403, await PullAsync(Tool));
        var ready = await ReadinessAsync();
        Assert.Contains("break-glass.json ", ready, StringComparison.Ordinal);
        Assert.Contains("; nothing more is opened by it", ready, StringComparison.Ordinal);
        if (what == "longer")
            Assert.Contains("breakGlass[0]: until: must be after since, and at most 4 hours", ready, StringComparison.Ordinal);
        var unusable = await Assert.ThrowsAsync<IOException>(() => BreakAsync(Tool, TimeSpan.FromHours(1)));
        Assert.EndsWith("; correct it, or remove it", unusable.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("globex", Tool, 60, "organization: 'globex' is not in the policy")]
    [InlineData("acme", "ghcr.io/a/b:1", 60, "repository: 'ghcr.io/a/b:1' is no repository of Docker Hub: write it without a tag or a digest, as bitnami/redis")]
    [InlineData("acme", Tool, 241, "for: must be more than nothing and at most 4 hours")]
    [InlineData("acme", Tool, 0, "for: must be more than nothing and at most 4 hours")]
    public async Task What_is_wrong_is_told(string organization, string repository, int minutes, string fault)
    {
        var refused = await Assert.ThrowsAsync<FaultyChangeException>(
            () => Desk.BreakGlassAsync(organization, repository, TimeSpan.FromMinutes(minutes), new ChangeRequest(Actor.Server("eve"), "OPS-7"), default));
        Assert.Equal(fault, string.Join("; ", refused.Faults.Select(each => $"{each.Part}: {each.Text}")));
        Assert.False(File.Exists(FilePath));
    }

    private static Core.Policies.ImagePattern Pattern(string text) =>
        Core.Policies.ImagePattern.TryParse(text, out var pattern, out var problem) ? pattern : throw new InvalidOperationException(problem);

    private async Task BreakAsync(string? repository, TimeSpan length)
    {
        await Desk.BreakGlassAsync("acme", repository, length, new ChangeRequest(Actor.Server("eve"), "OPS-7"), default);
        Store.Refresh();
    }

    private async Task ReviewAsync(long id, string by, string? refusal = null)
    {
        var review = Desk.ReviewBreakGlassAsync(id, new ChangeRequest(Actor.Server(by), "looked at"), default);
        if (refusal is null)
            await review;
        else
            Assert.StartsWith(refusal, (await Assert.ThrowsAsync<RefusedChangeException>(() => review)).Message, StringComparison.Ordinal);
        Store.Refresh();
    }

    private async Task<int> PullAsync(string repository) =>
        (await _here.AskAsync("GET", $"/v2/{repository}/manifests/latest", await _here.PullTokenAsync("bob", repository), "curl/8")) is var answer && answer.Status is 404 ? 200 : answer.Status;

    private async Task<string> ReadinessAsync()
    {
        using var admin = Surroundings.NewClient(_here.Admin);
        return await (await admin.GetAsync(new Uri("/readyz", UriKind.Relative))).Content.ReadAsStringAsync();
    }

    private async Task<IReadOnlyList<string>> StepsAsync(int count)
    {
        List<string> steps = [];
        await Eventually.TrueAsync(async () => (steps = [.. (await _here.AuditAsync(1))
            .Where(line => Event(line)?.StartsWith("break-glass", StringComparison.Ordinal) == true)
            .Select(line => $"{Event(line)} {line.GetProperty("user").GetString()} {line.GetProperty("reason").GetString()}")]).Count >= count);
        return steps;
    }

    private static string? Event(JsonElement line) => line.TryGetProperty("event", out var name) ? name.GetString() : null;
}
