using ImageAccess.Proxy.Content.Cache;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using static ImageAccess.Proxy.Tests.Content.Cache.CacheRoom;

namespace ImageAccess.Proxy.Tests.Content.Cache;

/// <summary>The room as a host runs it.</summary>
public sealed class CacheSetupTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task A_host_keeps_evicts_and_remembers_by_itself()
    {
        var last = Bytes(600_000);
        using (var host = Build(("Cache:MaximumSize", "1000000")))
        {
            await host.StartAsync();
            var store = KeptContents.Of(host.Services);
            var first = await store.KeepAsync("acme/app", Bytes(600_000));
            await store.KeepAsync("acme/app", last);
            await Eventually.TrueAsync(() => !host.Services.GetRequiredService<DirectoryStore>().Contents.TryFind(first, out _));
            Assert.True(await store.HoldsAsync(Sha256(last)));
            Assert.Equal((HealthStatus.Healthy, null), await HealthAsync(host));
            await host.StopAsync();
        }

        using var again = Build();
        await again.StartAsync();
        Assert.Equal(last, await KeptContents.Of(again.Services).ReadAsync("acme/app", Sha256(last)));

        using var beside = Build();
        await beside.StartAsync();
        Assert.Equal((HealthStatus.Degraded, $"{_directory["data/cache"]} cannot be used, nothing is kept: another process uses it"), await HealthAsync(beside));
        await beside.StopAsync();
        await again.StopAsync();
    }

    [Fact]
    public async Task A_host_takes_over_when_the_other_process_has_ended()
    {
        var time = new ManualTime();
        var first = CacheRoom.Open(_directory["data/cache"]);
        using var host = Build(time);
        await host.StartAsync();
        Assert.Equal(HealthStatus.Degraded, (await HealthAsync(host)).Status);
        await Eventually.TrueAsync(() => time.PendingTimers > 0);
        await first.DisposeAsync();

        time.Advance(CacheUpkeep.Period);
        await Eventually.TrueAsync(() => host.Services.GetRequiredService<DirectoryStore>().IsOpen);
        Assert.Equal((HealthStatus.Healthy, null), await HealthAsync(host));
        await host.StopAsync();
    }

    [Fact]
    public async Task A_directory_that_cannot_be_one_stops_the_start()
    {
        await File.WriteAllTextAsync(_directory["file"], "");
        using var host = Build(("Cache:Directory", _directory["file/cache"]));
        var exception = await Assert.ThrowsAsync<OptionsValidationException>(() => host.StartAsync());
        Assert.Equal([$"Cache:Directory: {_directory["file/cache"]} cannot be a directory: {_directory["file"]} is a file"], exception.Failures);
    }

    [Fact]
    public async Task A_disk_that_cannot_be_used_does_not_stop_the_start()
    {
        await File.WriteAllTextAsync(_directory["data"], "");
        using var host = Build();
        await host.StartAsync();
        Assert.Equal(HealthStatus.Degraded, (await HealthAsync(host)).Status);
        Assert.Null(await KeptContents.Of(host.Services).BeginAsync(Sha256([1]), 1));
        await host.StopAsync();
    }

    private static async Task<(HealthStatus Status, string? Description)> HealthAsync(IHost host)
    {
        var report = await host.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync();
        return (report.Entries["cache"].Status, report.Entries["cache"].Description);
    }

    private IHost Build(params (string Key, string Value)[] settings) => Build(TimeProvider.System, settings);

    private IHost Build(TimeProvider time, params (string Key, string Value)[] settings)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Configuration.AddInMemoryCollection([new("Data:Directory", _directory["data"]), .. settings.Select(pair => new KeyValuePair<string, string?>(pair.Key, pair.Value))]);
        builder.Services.AddSingleton(time);
        builder.Services.AddCache(builder.Configuration);
        return builder.Build();
    }
}
