using ImageAccess.Proxy.Policies.Store;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ImageAccess.Proxy.Tests.Policies.Store;

public sealed class PolicyHealthCheckTests : IDisposable
{
    private readonly PolicyFixture _fixture = new();

    [Fact]
    public async Task Without_a_policy_in_force_it_is_unhealthy() =>
        Assert.Equal(HealthStatus.Unhealthy, (await CheckAsync(_fixture.NotStarted(null))).Status);

    [Fact]
    public async Task It_names_version_and_modes()
    {
        File.WriteAllText(_fixture.Document, """
            { "organizations": [
                { "name": "a", "enabled": true }, { "name": "b", "enabled": true, "mode": "observe", "observeUntil": "2026-06-01" }, { "name": "c" } ] }
            """);
        var store = _fixture.Start();

        var result = await CheckAsync(store);

        Assert.Equal(HealthStatus.Healthy, result.Status);
        Assert.Equal(store.Current.Version, result.Data["version"]);
        Assert.Equal("on", result.Data["imageAccess"]);
        Assert.Equal(
            new Dictionary<string, string> { ["a"] = "enforce", ["b"] = "observe", ["c"] = "off" },
            Assert.IsType<Dictionary<string, string>>(result.Data["organizations"]));

        _fixture.Time.Advance(TimeSpan.FromDays(1));
        Assert.Equal("enforce", ((Dictionary<string, string>)(await CheckAsync(store)).Data["organizations"])["b"]);
    }

    [Fact]
    public async Task It_says_that_image_access_is_off()
    {
        var result = await CheckAsync(_fixture.Start(file: null));
        Assert.Equal(HealthStatus.Healthy, result.Status);
        Assert.Equal("image access is off", result.Description);
        Assert.Equal("off", result.Data["imageAccess"]);
    }

    [Fact]
    public async Task A_stale_policy_is_in_force_but_degraded()
    {
        File.WriteAllText(_fixture.Document, PolicyFixture.Strict);
        _fixture.Start();
        File.Delete(_fixture.Document);

        var result = await CheckAsync(_fixture.Start());

        Assert.Equal(HealthStatus.Degraded, result.Status);
        Assert.StartsWith($"{_fixture.Document} does not exist; policy ", result.Description, StringComparison.Ordinal);
        Assert.Equal("on", result.Data["imageAccess"]);
    }

    public void Dispose() => _fixture.Dispose();

    private Task<HealthCheckResult> CheckAsync(PolicyStore store) =>
        new PolicyHealthCheck(store, _fixture.Time).CheckHealthAsync(new HealthCheckContext());
}
