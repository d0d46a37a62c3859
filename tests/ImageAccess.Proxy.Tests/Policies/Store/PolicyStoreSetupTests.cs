using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.DockerHub;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Policies.Following;
using ImageAccess.Proxy.Policies.Store;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Tests.Policies.Store;

public sealed class PolicyStoreSetupTests : IDisposable
{
    private readonly PolicyFixture _fixture = new();

    [Fact]
    public async Task A_host_has_the_policy_in_force_once_it_has_started()
    {
        File.WriteAllText(_fixture.Document, PolicyFixture.Strict);
        using var host = Build(("Data:Directory", _fixture.Data), ("Policy:File", _fixture.Document));

        await host.StartAsync();

        Assert.Equal(PolicyFixture.VersionOf(PolicyFixture.Strict), host.Services.GetRequiredService<IPolicyStore>().Current.Version);
        var health = await host.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync();
        Assert.Equal(HealthStatus.Healthy, health.Entries["policy"].Status);
        await host.StopAsync();
    }

    [Fact]
    public async Task A_host_without_a_usable_policy_does_not_start()
    {
        using var host = Build(("Data:Directory", _fixture.Data), ("Policy:File", _fixture.Document));
        var failure = await Assert.ThrowsAsync<OptionsValidationException>(() => host.StartAsync());
        Assert.StartsWith($"Policy:File: {_fixture.Document} does not exist", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Wrong_options_are_told_together()
    {
        using var host = Build(("Policy:File", ""));
        var failure = await Assert.ThrowsAsync<OptionsValidationException>(() => host.StartAsync());
        Assert.Equal(
            [
                "Data:Directory: name a directory",
                "Policy:File: name a file, or leave the key out",
            ],
            failure.Failures);
    }

    public void Dispose() => _fixture.Dispose();

    private static IHost Build(params (string Key, string Value)[] settings)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Configuration.AddInMemoryCollection(settings.Select(s => KeyValuePair.Create(s.Key, (string?)s.Value)));
        builder.Services.AddLogging().AddAudit(builder.Configuration).AddPolicyStore(builder.Configuration).AddDatabase(builder.Configuration).AddExceptions(builder.Configuration)
            .AddDockerHub(builder.Configuration).AddFollowing(builder.Configuration);
        return builder.Build();
    }
}
