using System.Reflection;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Hosting;
using ImageAccess.Proxy.Tests.Walk;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace ImageAccess.Proxy.Tests.Hosting;

/// <summary>What can happen is in the metrics before it has happened.</summary>
public sealed class FirstCountsTests : IAsyncLifetime
{
    private Surroundings _here = null!;

    public async Task InitializeAsync() => _here = await Surroundings.StartAsync(
        settings: [("Notifications:Webhooks:0:Address", "https://hooks.example.com/x"), ("Audit:Export:Otlp:Endpoint", "https://collector.example.com")]);

    public async Task DisposeAsync() => await _here.DisposeAsync();

    [Theory]
    [InlineData("imageaccess_audit_dropped_total")]
    [InlineData("imageaccess_audit_failures_total")]
    [InlineData("imageaccess_audit_lost_total")]
    [InlineData("imageaccess_audit_removed_bytes_total")]
    [InlineData("imageaccess_cache_corrupt_total")]
    [InlineData("imageaccess_cache_full_total")]
    [InlineData("imageaccess_catalog_lookups_total{result=\"unavailable\",source=\"none\"}")]
    [InlineData("imageaccess_catalog_lookups_total{result=\"known\",source=\"file\"}")]
    [InlineData("imageaccess_catalog_requests_total{status=\"429\"}")]
    [InlineData("imageaccess_content_fills_total{result=\"failed\"}")]
    [InlineData("imageaccess_content_served_total{kind=\"manifest\",source=\"stale\"}")]
    [InlineData("imageaccess_decisions_total{category=\"community\",outcome=\"deny\",rule=\"community\"}")]
    [InlineData("imageaccess_decisions_total{category=\"community\",outcome=\"observe\",rule=\"community\"}")]
    [InlineData("imageaccess_decisions_total{category=\"unknown\",outcome=\"deny\",rule=\"sign-in\"}")]
    [InlineData("imageaccess_denials_dropped_total")]
    [InlineData("imageaccess_ingress_refusals_total{face=\"gateway\",reason=\"not-tls\",way_in=\"gateway\"}")]
    [InlineData("imageaccess_limited_total{what=\"api tokens\"}")]
    [InlineData("imageaccess_members_reads_total{result=\"failed\"}")]
    [InlineData("imageaccess_notifications_total{outcome=\"failed\",receiver=\"Webhooks:0\"}")]
    [InlineData("imageaccess_notifications_lost_total")]
    [InlineData("imageaccess_token_key_fetches_total{result=\"failed\"}")]
    [InlineData("imageaccess_token_repeats_total")]
    [InlineData("imageaccess_token_verifications_total{reason=\"signature\",result=\"refused\"}")]
    [InlineData("imageaccess_upstream_requests_total{kind=\"registry\",status=\"429\"}")]
    [InlineData("imageaccess_upstream_stalled_total{what=\"body\"}")]
    [InlineData("imageaccess_usage_failures_total")]
    [InlineData("imageaccess_usage_missed_bytes_total")]
    [InlineData("imageaccess_usage_skipped_total{reason=\"old\"}")]
    [InlineData("imageaccess_export_missed_total{receiver=\"otlp\"}")]
    [InlineData("imageaccess_export_failures_total{receiver=\"otlp\"}")]
    public async Task A_counter_is_there_at_zero(string sample)
    {
        using var admin = Surroundings.NewClient(_here.Admin);
        Assert.Contains(sample + " 0", (await admin.GetStringAsync("/metrics")).Split('\n'));
    }

    [Fact]
    public async Task Every_counter_of_this_program_begins_before_it_counts()
    {
        using var admin = Surroundings.NewClient(_here.Admin);
        var lines = (await admin.GetStringAsync("/metrics")).Split('\n');
        var counters = lines.Where(line => line.StartsWith("# TYPE imageaccess_", StringComparison.Ordinal) && line.EndsWith(" counter", StringComparison.Ordinal))
            .Select(line => line.Split(' ')[2]).ToList();
        Assert.InRange(counters.Count, 25, 100);
        Assert.All(counters, name => Assert.Contains(lines, line => line.StartsWith(name + "{", StringComparison.Ordinal) || line.StartsWith(name + " ", StringComparison.Ordinal)));
        Assert.All(PolicyRule.All, rule => Assert.Contains(lines, line => line.StartsWith("imageaccess_decisions_total{", StringComparison.Ordinal) && line.EndsWith($"rule=\"{rule}\"}} 0", StringComparison.Ordinal)));
    }

    /// <summary>A class of metrics that is not told to begin would be noticed by nobody.</summary>
    [Fact]
    public void Every_class_of_metrics_begins()
    {
        var all = typeof(FirstCounts).Assembly.GetTypes().Where(type => type is { IsClass: true, IsNested: false } && type.Name.EndsWith("Metrics", StringComparison.Ordinal)).ToList();
        Assert.InRange(all.Count, 13, 50);
        var begun = typeof(FirstCounts).GetConstructors(BindingFlags.Public | BindingFlags.Instance).Single().GetParameters().Select(parameter => parameter.ParameterType);
        Assert.Superset(all.ToHashSet(), begun.ToHashSet());
        Assert.Contains(_here.Proxy.Services.GetServices<IHostedService>(), part => part is FirstCounts);
    }

    [Fact]
    public void The_list_of_rules_is_whole() => Assert.Equal(
        typeof(PolicyRule).GetFields(BindingFlags.Public | BindingFlags.Static).Select(field => (string)field.GetRawConstantValue()!), PolicyRule.All);
}
