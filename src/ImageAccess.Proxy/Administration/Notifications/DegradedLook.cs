using System.Text.Json;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ImageAccess.Proxy.Administration.Notifications;

/// <summary>
/// Looks each minute at what <c>/readyz</c> says, and tells of a part that is degraded for a quarter of an hour, and of its end. Since when is in a file,
/// so that a restart tells nothing again. What cannot be written while the database is away is told when it is back.
/// </summary>
internal sealed class DegradedLook : BackgroundService
{
    public static readonly TimeSpan Period = TimeSpan.FromMinutes(1);

    public static readonly TimeSpan Tolerance = TimeSpan.FromMinutes(15);

    private const int MaximumSize = 64 * 1024;

    private readonly HealthCheckService _health;
    private readonly NoticeQueue _queue;
    private readonly Receivers _receivers;
    private readonly TimeProvider _time;
    private readonly KeptCopy _copy;
    private Dictionary<string, Part> _parts;

    public DegradedLook(HealthCheckService health, NoticeQueue queue, Receivers receivers, NotificationOptions options, TimeProvider time, ILogger<DegradedLook> logger)
    {
        (_health, _queue, _receivers, _time) = (health, queue, receivers, time);
        _copy = new KeptCopy(options.HealthPath, logger.StateNotKept);
        _parts = receivers.All.Count == 0 ? [] : Read(options.HealthPath);
    }

    internal async Task LookAsync(CancellationToken cancellationToken)
    {
        var report = await _health.CheckHealthAsync(cancellationToken);
        var (now, before) = (_time.GetUtcNow(), _parts);
        var concerns = report.Entries.Where(entry => entry.Value.Status != HealthStatus.Healthy).ToDictionary(entry => entry.Key, entry => entry.Value.Description ?? "unknown");
        _parts = concerns.ToDictionary(concern => concern.Key, concern => before.GetValueOrDefault(concern.Key) ?? new Part(now, IsTold: false));
        foreach (var (name, part) in before.Where(part => part.Value.IsTold && !concerns.ContainsKey(part.Key)))
            Tell(NoticeKinds.Recovered, name, part.Since, cause: null);
        foreach (var (name, part) in _parts.Where(part => !part.Value.IsTold && now - part.Value.Since >= Tolerance).ToList())
        {
            Tell(NoticeKinds.Degraded, name, part.Since, PrintableText.Of(concerns[name]));
            _parts[name] = part with { IsTold = true };
        }

        if (!before.OrderBy(part => part.Key, StringComparer.Ordinal).SequenceEqual(_parts.OrderBy(part => part.Key, StringComparer.Ordinal)))
            _copy.Keep(JsonSerializer.SerializeToUtf8Bytes(_parts));
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (_receivers.All.Count == 0)
            return;
        using var timer = new PeriodicTimer(Period, _time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
            await LookAsync(stoppingToken);
    }

    private void Tell(string kind, string part, DateTimeOffset since, string? cause)
    {
        var host = Environment.MachineName;
        _queue.Add(Notice.Of(kind, FormattableString.Invariant($"{host} {part} {since.UtcTicks}"), _time.GetUtcNow(), new { part, host, since, cause }));
    }

    private static Dictionary<string, Part> Read(string path)
    {
        try
        {
            return new WholeFile(path, MaximumSize).Read().Bytes is { } bytes ? JsonSerializer.Deserialize<Dictionary<string, Part>>(bytes.Span) ?? [] : [];
        }
        catch (JsonException)
        {
            return [];
        }
    }

    /// <summary>A part that is degraded.</summary>
    private sealed record Part(DateTimeOffset Since, bool IsTold);
}
