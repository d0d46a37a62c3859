using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Policies.Store;
using ImageAccess.Proxy.Tests.Policies.Exceptions;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>An exception of the database in the running program: in force within a second, its uses written at the stop, and there without the database.</summary>
public sealed class ExceptionUseTests
{
    [Fact]
    public async Task It_opens_is_counted_and_outlives_the_database()
    {
        await using var here = await Surroundings.StartWithDatabaseAsync();
        var database = new SqliteDatabase(Path.Combine(here.DataDirectory, "imageaccess.db"));
        await Eventually.TrueAsync(() => here.Proxy.Services.GetRequiredService<ExceptionStore>().IsRead);
        Assert.Equal(403, await PullAsync(here));

        await new ExceptionChanges(database, TimeProvider.System).AddAsync(ExceptionProcess.Grant("someuser/custom-image"), default);
        await Eventually.TrueAsync(() => here.Proxy.Services.GetRequiredService<IPolicyStore>().Current.Exceptions.Count == 1);
        Assert.Equal(200, await PullAsync(here));
        Assert.Equal(200, await PullAsync(here));
        Assert.Contains("\"exceptions\": 1", await ReadinessAsync(here), StringComparison.Ordinal);

        await here.RestartAsync(() => { });
        var row = await database.ReadAsync(context => context.Exceptions.SingleAsync(), default);
        Assert.Equal(2, row.Uses);
        Assert.NotNull(row.LastUsed);
        Assert.Equal(200, await PullAsync(here));

        await here.RestartAsync(() => File.WriteAllText(database.Path, new string('x', 5000)));
        Assert.Equal(200, await PullAsync(here));
        await Eventually.TrueAsync(() => here.Proxy.Services.GetRequiredService<DatabaseState>().Concern is not null);
        Assert.Contains("the exceptions that were read last stay in force (1)", await ReadinessAsync(here), StringComparison.Ordinal);

        File.Delete(database.Path);
        await Eventually.TrueAsync(() => here.Proxy.Services.GetRequiredService<IPolicyStore>().Current.Exceptions.Count == 0);
        Assert.Equal(403, await PullAsync(here));
    }

    private static async Task<string> ReadinessAsync(Surroundings here)
    {
        using var admin = Surroundings.NewClient(here.Admin);
        return await admin.GetStringAsync(new Uri("/readyz", UriKind.Relative));
    }

    private static async Task<int> PullAsync(Surroundings here) =>
        (await here.AskAsync("GET", "/v2/someuser/custom-image/manifests/latest", await here.PullTokenAsync("bob", "someuser/custom-image"))).Status;
}
