using ImageAccess.Proxy.Administration.Usage;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Database.Keys;
using ImageAccess.Proxy.Tests.Walk;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Tests.Administration.Usage;

/// <summary>The whole program brings what it decides into its database.</summary>
public sealed class UsageProgramTests
{
    [Fact]
    public async Task What_is_pulled_and_denied_can_be_asked_about_also_after_a_restart()
    {
        await using var here = await Surroundings.StartWithDatabaseAsync();
        await AskAsync(here, "library/nginx", 200);
        await AskAsync(here, "someuser/custom-image", 403);
        await Eventually.TrueAsync(async () => (await ListAsync(here)).Count == 2);
        Assert.Equal(
            [(" acme ", "bob", "library/nginx", "official", "allow", "mirror", 1), (" acme ", "bob", "someuser/custom-image", "community", "deny", "mirror", 1)],
            (await ListAsync(here)).Select(one => (one.Organizations, one.Caller, one.Repository, one.Type, one.Outcome, one.WayIn, one.Pulls)));

        await AskAsync(here, "acme/app", 200); // it may be read before the stop, or after the start
        await here.RestartAsync(() => { });
        await Eventually.TrueAsync(async () => (await ListAsync(here)).Count == 3);
        Assert.Equal(3, (await here.Proxy.Services.GetRequiredService<UsageStore>().CountAsync(new UsageFilter(), UsageBy.Caller, default)).Sum(count => count.Decisions));
    }

    [Fact]
    public async Task Wrong_options_are_told()
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Configuration.AddInMemoryCollection([new("Usage:Keep", "01:00:00"), new("Usage:KeepCounts", "00:30:00"), new("Data:Directory", "data")]);
        builder.Services.AddLogging().AddUsage(builder.Configuration).AddSingleton<DatabaseState>().AddSingleton(SqlDatabase.Of(new DatabaseOptions { DataDirectory = "data" }))
            .AddSingleton(new KeyFile(null, "data")).AddSingleton(TimeProvider.System);
        using var host = builder.Build();
        var failure = await Assert.ThrowsAsync<OptionsValidationException>(() => host.StartAsync());
        Assert.Equal(["Usage:Keep: choose 1d or more, as 180d", "Usage:KeepCounts: choose as much as Usage:Keep or more, as 1095d"], failure.Failures);
    }

    private static async Task AskAsync(Surroundings here, string repository, int status) =>
        Assert.Equal(status, (await here.AskAsync("GET", $"/v2/{repository}/manifests/latest", await here.PullTokenAsync("bob", repository), "curl/8")).Status);

    private static async Task<IReadOnlyList<UsageEvent>> ListAsync(Surroundings here) =>
        [.. (await here.Proxy.Services.GetRequiredService<UsageStore>().ListAsync(new UsageFilter(), null, 100, default)).Reverse()];
}
