using System.Globalization;
using System.Text.Json;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.DockerHub;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Following;
using ImageAccess.Proxy.Policies.Store;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ImageAccess.Proxy.Hosting;

/// <summary>
/// <c>/readyz</c>: 503 only when the policy is not in force, or when the program stops. What is degraded is told and does not change the
/// status: a proxy must not drop out of service because Docker Hub is down. The log has each change of a part once, however often it is asked.
/// </summary>
internal sealed class Readiness(
    HealthCheckService health, IPolicyStore policies, FollowedStore followed, EgressReport egress, PullBudget budget, HealthMetrics metrics, IHostApplicationLifetime lifetime, TimeProvider time, ILogger<Readiness> logger)
{
    private const int MaximumExpiring = 20;
    private const int MaximumAccounts = 20;

    private readonly Lock _telling = new();
    private readonly HashSet<string> _told = new(StringComparer.Ordinal);

    public async Task WriteAsync(HttpContext http)
    {
        var report = await health.CheckHealthAsync(http.RequestAborted);
        var isStopping = lifetime.ApplicationStopping.IsCancellationRequested;
        metrics.Found(report);
        TellChanges(report);

        var isReady = report.Status != HealthStatus.Unhealthy && !isStopping;
        http.Response.StatusCode = isReady ? 200 : 503;
        http.Response.ContentType = "application/json";
        await using (var json = new Utf8JsonWriter(http.Response.BodyWriter, ReadableJson.Indented))
            Write(json, report, isStopping ? "stopping" : !isReady ? "not ready" : report.Status == HealthStatus.Healthy ? "ready" : "degraded");
        await http.Response.WriteAsync("\n");
    }

    private void Write(Utf8JsonWriter json, HealthReport report, string status)
    {
        var policy = policies.State?.Policy ?? Policy.Off;
        var today = DateOnly.FromDateTime(time.GetUtcNow().UtcDateTime);
        json.WriteStartObject();
        json.WriteString("status", status);
        json.WriteString("imageAccess", policy.IsEnabled ? "on" : "off");
        json.WriteString("policyVersion", policy.Version);
        json.WriteNumber("blocks", policy.Blocks.Count);
        json.WriteNumber("exceptions", policy.Exceptions.All.Count(exception => exception.Holds(policy.Document.Exceptions, time.GetUtcNow())));
        json.WriteNumber("breakGlass", policy.BreakGlass.Count(one => one.Holds(time.GetUtcNow())));
        json.WriteStartObject("organizations");
        foreach (var organization in policy.Organizations)
            json.WriteString(organization.Name, organization.Mode(today));
        json.WriteEndObject();
        if (egress.Concern is { } concern)
            json.WriteString("egress", concern);
        WriteFollowed(json, followed.States);
        WriteBudget(json);
        WriteExpiring(json, ExpiringEntries.Find(policy, today));
        json.WriteStartObject("degraded");
        foreach (var (name, entry) in Concerns(report))
            json.WriteString(name, CauseOf(entry));
        json.WriteEndObject();
        json.WriteEndObject();
    }

    /// <summary>Docker Hub's own switches where organizations follow them, and how old they are.</summary>
    private void WriteFollowed(Utf8JsonWriter json, IReadOnlyList<FollowedOrganization> states)
    {
        if (states.Count == 0)
            return;
        json.WriteStartObject("followed");
        foreach (var one in states)
        {
            json.WriteStartObject(one.Name);
            json.WriteString("switches", one.Known?.Switches.ToString());
            if (one.Known?.ReadAt is { } readAt)
            {
                json.WriteString("readAt", readAt.UtcDateTime);
                json.WriteNumber("ageSeconds", (long)(time.GetUtcNow() - readAt).TotalSeconds);
            }

            json.WriteEndObject();
        }

        json.WriteEndObject();
    }

    /// <summary>What Docker Hub still allows; the accounts with the least.</summary>
    private void WriteBudget(Utf8JsonWriter json)
    {
        var accounts = budget.Accounts;
        if (accounts.Count == 0)
            return;
        json.WriteStartObject("pullBudget");
        WriteBudget(json, "accounts", accounts.Take(MaximumAccounts));
        WriteBudget(json, "organizations", budget.Organizations.Take(MaximumAccounts));
        json.WriteEndObject();
    }

    private static void WriteBudget(Utf8JsonWriter json, string name, IEnumerable<PullsLeft> all)
    {
        json.WriteStartObject(name);
        foreach (var left in all)
        {
            json.WriteStartObject(left.Name);
            json.WriteNumber("limit", left.Limit);
            json.WriteNumber("remaining", left.Remaining);
            json.WriteNumber("windowSeconds", (long)left.Window.TotalSeconds);
            json.WriteString("readAt", left.ReadAt.UtcDateTime);
            json.WriteBoolean("low", left.IsLow);
            json.WriteEndObject();
        }

        json.WriteEndObject();
    }

    /// <summary>Approvals that end within two weeks: the soonest of them.</summary>
    private static void WriteExpiring(Utf8JsonWriter json, IReadOnlyList<ExpiringEntry> entries)
    {
        json.WriteStartArray("expiring");
        foreach (var entry in entries.Take(MaximumExpiring))
        {
            json.WriteStartObject();
            json.WriteString("organization", entry.Organization);
            json.WriteString("repository", entry.Repository);
            json.WriteString("expires", entry.Expires.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture));
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private void TellChanges(HealthReport report)
    {
        var concerns = Concerns(report).ToDictionary(concern => concern.Key, concern => CauseOf(concern.Value));
        lock (_telling)
        {
            foreach (var (part, cause) in concerns.Where(concern => _told.Add(concern.Key)))
                logger.Degraded(part, PrintableText.Of(cause));
            foreach (var part in _told.Where(part => !concerns.ContainsKey(part)).ToList())
            {
                _told.Remove(part);
                logger.WellAgain(part);
            }
        }
    }

    private static IEnumerable<KeyValuePair<string, HealthReportEntry>> Concerns(HealthReport report) =>
        report.Entries.Where(entry => entry.Value.Status != HealthStatus.Healthy);

    private static string CauseOf(HealthReportEntry entry) => entry.Description ?? entry.Exception?.GetType().Name ?? "unknown";
}
