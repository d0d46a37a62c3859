using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Store;
using ImageAccess.Proxy.Tests.Policies.Store;
using ImageAccess.Proxy.Tests.Tools.Verbs;
using Microsoft.Extensions.DependencyInjection;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>A policy that a verb brings into the database and changes there, while the proxy runs: the next pull has its answer, also without the database.</summary>
public sealed class PolicyHomeTests
{
    [Fact]
    public async Task A_change_by_a_verb_changes_the_answer_of_a_pull()
    {
        await using var here = await Surroundings.StartWithDatabaseAsync();
        var configuration = Path.Combine(here.DataDirectory, "imageaccess.json");
        await File.WriteAllTextAsync(configuration, $$"""{ "Data": { "Directory": "{{here.DataDirectory}}" } }""");
        var lax = Path.Combine(here.DataDirectory, "lax.json");
        await File.WriteAllTextAsync(lax, Surroundings.Policy.Replace("\"official\": true", "\"official\": true, \"community\": true", StringComparison.Ordinal));
        await here.Proxy.Services.GetRequiredService<DatabaseState>().Ready.WaitAsync(TimeSpan.FromSeconds(60));
        Assert.Equal(403, await PullAsync());

        await VerbAsync("import", here.PolicyFile);
        Assert.Equal(403, await PullAsync());
        await VerbAsync("apply", lax);
        await InForceAsync(PolicyFixture.VersionOf(await File.ReadAllTextAsync(lax)));
        Assert.Equal(200, await PullAsync());
        await File.WriteAllTextAsync(here.PolicyFile, Surroundings.Policy.Replace("ask in", "look in", StringComparison.Ordinal)); // no longer its home

        await here.RestartAsync(() => { });
        Assert.Equal(200, await PullAsync());
        await here.RestartAsync(() => File.WriteAllText(Path.Combine(here.DataDirectory, "imageaccess.db"), new string('x', 5000)));
        Assert.Equal(200, await PullAsync());
        await Eventually.TrueAsync(() => here.Proxy.Services.GetRequiredService<IPolicyStore>().State?.Concern is not null);
        using var admin = Surroundings.NewClient(here.Admin);
        Assert.Contains("accepted earlier, stays in force", await admin.GetStringAsync(new Uri("/readyz", UriKind.Relative)), StringComparison.Ordinal);

        async Task VerbAsync(string verb, string file)
        {
            var run = await CommandLine.RunAsync("policy", verb, file, "--reason", "a test", "--config", configuration);
            Assert.True(run.ExitCode == 0, run.Error);
        }

        Task InForceAsync(string version) => Eventually.TrueAsync(() => here.Proxy.Services.GetRequiredService<IPolicyStore>().Current.Version == version);

        async Task<int> PullAsync() =>
            (await here.AskAsync("GET", "/v2/someuser/custom-image/manifests/latest", await here.PullTokenAsync("bob", "someuser/custom-image"))).Status;
    }
}
