using System.Runtime.Versioning;
using ImageAccess.Proxy.Foundation.Audit;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Tests.Foundation.Audit;

[UnsupportedOSPlatform("windows")]
public sealed class AuditSetupTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    [Fact]
    public async Task What_a_host_recorded_is_in_the_file_when_it_has_stopped()
    {
        using var host = Build(("Data:Directory", _directory.Path));
        await host.StartAsync();

        await using (var entry = host.Services.GetRequiredService<AuditTrail>().Open(AuditFixture.Http()))
            entry.Decision = AuditFixture.Decide("bob", "someuser/x");
        var health = await host.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync();
        await host.StopAsync();

        Assert.Equal(HealthStatus.Healthy, health.Entries["audit"].Status);
        var lines = File.ReadAllLines(_directory["audit.jsonl"]);
        Assert.Equal(2, lines.Length);
        Assert.Contains("\"event\":\"checkpoint\"", lines[0], StringComparison.Ordinal);
        Assert.Contains("\"outcome\":\"deny\"", lines[1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_host_without_a_writable_file_does_not_start()
    {
        using var host = Build(("Data:Directory", _directory.Path), ("Audit:File", _directory["missing/audit.jsonl"]));
        var failure = await Assert.ThrowsAsync<OptionsValidationException>(() => host.StartAsync());
        Assert.StartsWith("Audit:File: ", failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null, "is not there: make it with openssl ecparam -name prime256v1 -genkey -noout, readable by its owner alone")]
    [InlineData("nonsense", "does not hold a private key of the curve P-256 in PEM, as openssl ecparam -name prime256v1 -genkey -noout makes one")]
    public async Task A_host_with_a_key_that_cannot_sign_does_not_start(string? content, string why)
    {
        var key = _directory["key.pem"];
        if (content is not null)
        {
            File.WriteAllText(key, content);
            File.SetUnixFileMode(key, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        }

        using var host = Build(("Data:Directory", _directory.Path), ("Audit:KeyFile", key));
        var failure = await Assert.ThrowsAsync<OptionsValidationException>(() => host.StartAsync());
        Assert.Equal([$"Audit:KeyFile: {key} {why}"], failure.Failures);
    }

    [Fact]
    public async Task The_trail_cannot_have_the_name_of_its_head()
    {
        using var host = Build(("Data:Directory", _directory.Path), ("Audit:File", _directory["audit.head"]));
        var failure = await Assert.ThrowsAsync<OptionsValidationException>(() => host.StartAsync());
        Assert.Equal(["Audit:File: a name that ends with .head is that of the record beside it; choose another"], failure.Failures);
    }

    [Fact]
    public async Task Wrong_options_are_told_together()
    {
        using var host = Build(("Audit:File", ""), ("Audit:MaximumSize", "5"), ("Audit:Keep", "01:00:00"));
        var failure = await Assert.ThrowsAsync<OptionsValidationException>(() => host.StartAsync());
        Assert.Equal(
            [
                "Data:Directory: name a directory",
                "Audit:File: name a file, or leave the key out",
                "Audit:MaximumSize: choose at least 2MiB",
                "Audit:Keep: choose 1d or more, as 90d",
            ],
            failure.Failures);
    }

    public void Dispose() => _directory.Dispose();

    private static IHost Build(params (string Key, string Value)[] settings)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Configuration.AddInMemoryCollection(settings.Select(s => KeyValuePair.Create(s.Key, (string?)s.Value)));
        builder.Services.AddLogging().AddAudit(builder.Configuration);
        return builder.Build();
    }
}
