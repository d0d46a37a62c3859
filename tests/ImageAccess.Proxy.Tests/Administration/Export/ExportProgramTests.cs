using System.Globalization;
using System.Runtime.Versioning;
using ImageAccess.Proxy.Tests.Administration.Notifications;
using ImageAccess.Proxy.Tests.Foundation.Audit;
using ImageAccess.Proxy.Tests.Walk;

namespace ImageAccess.Proxy.Tests.Administration.Export;

/// <summary>The whole program sends what it records to both kinds of receivers.</summary>
[UnsupportedOSPlatform("windows")]
public sealed class ExportProgramTests
{
    [Fact]
    public async Task What_is_recorded_comes_to_both_receivers_over_a_restart_and_an_outage()
    {
        await using var syslog = new SyslogServer();
        await using var otlp = await WebhookServer.StartAsync();
        using var directory = new TemporaryDirectory();
        await File.WriteAllTextAsync(directory["ca.pem"], syslog.Pem);
        otlp.AnswerStatus(503);
        await using var here = await Surroundings.StartAsync(settings:
        [
            ("Audit:Export:Syslog:Server", string.Create(CultureInfo.InvariantCulture, $"{SyslogServer.Host}:{syslog.Port}")),
            ("Audit:Export:Otlp:Endpoint", otlp.Address("127.0.0.1", "")), ("Audit:Export:Otlp:Private", "true"),
            ($"Upstream:Addresses:{SyslogServer.Host}", "127.0.0.1"), ("Upstream:TrustedCertificates", directory["ca.pem"]),
        ]);
        using (var admin = Surroundings.NewClient(here.Admin))
            Assert.Contains("imageaccess_export_missed_total{receiver=\"syslog\"} 0", (await admin.GetStringAsync("/metrics")).Split('\n'));
        await AskAsync(here, "library/nginx", 200);
        await AskAsync(here, "someuser/custom-image", 403);
        await Eventually.TrueAsync(() => syslog.Messages.Any(message => message.Contains("someuser/custom-image", StringComparison.Ordinal)));
        Assert.StartsWith("<108>1 ", syslog.Messages.First(message => message.Contains("someuser/custom-image", StringComparison.Ordinal)), StringComparison.Ordinal);
        await Eventually.TrueAsync(() => otlp.Requests.Count > 0);

        await here.RestartAsync(() => otlp.Answer = _ => Task.CompletedTask);
        await AskAsync(here, "acme/app", 200);
        await Eventually.TrueAsync(() => TrailRoom.Lines(here.AuditFile).Any(line => line.Contains("acme/app", StringComparison.Ordinal)));
        var kept = TrailRoom.Lines(here.AuditFile).Select(ExportRoom.IdOf).ToList();
        await Eventually.TrueAsync(() => kept.All(syslog.Ids.Contains) && kept.All(Ids(otlp).Contains));
        Assert.Equal(kept, syslog.Ids.Distinct().Take(kept.Count));
        Assert.Equal(kept, Ids(otlp).Distinct().Take(kept.Count));
    }

    private static IReadOnlyList<string> Ids(WebhookServer otlp) =>
        [.. otlp.Taken.SelectMany(OtlpReceiverTests.Ids)];

    private static async Task AskAsync(Surroundings here, string repository, int status) =>
        Assert.Equal(status, (await here.AskAsync("GET", $"/v2/{repository}/manifests/latest", await here.PullTokenAsync("bob", repository), "curl/8")).Status);
}
