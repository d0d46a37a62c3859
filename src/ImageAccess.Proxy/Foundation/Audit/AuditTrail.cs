using System.Net;
using ImageAccess.Core.Policies;

namespace ImageAccess.Proxy.Foundation.Audit;

/// <summary>
/// Where every room records its events. When the queue is full, an allowed request is dropped and counted; a denial waits.
/// </summary>
public sealed class AuditTrail(PendingEvents pending, AuditMetrics metrics, TimeProvider time, ILogger<AuditTrail> logger)
{
    /// <summary>Open it first and close it last: <c>await using var entry = trail.Open(http);</c></summary>
    public AuditEntry Open(HttpContext http) => new(this, http, time.GetUtcNow(), time.GetTimestamp());

    /// <summary>A policy came into force; what it opens can be asked about later.</summary>
    public void RecordPolicyChange(string previousVersion, string version, IReadOnlyList<string> opens) =>
        RecordLate(new PolicyEvent(AuditEntry.NewId(), time.GetUtcNow(), previousVersion, version, opens));

    /// <summary>A user name went to another account: what the name was granted is suspended.</summary>
    public void RecordAccountChange(string caller, string formerAccount, string account) =>
        RecordLate(new AccountEvent(AuditEntry.NewId(), time.GetUtcNow(), caller, formerAccount, account));

    /// <summary>A connection was refused: to which host, by which way in, and in one word why.</summary>
    public ValueTask RecordConnectionAsync(string wayIn, IPAddress? client, string? user, string? host, int? port, string reason) =>
        WaitAsync(new ConnectionEvent(AuditEntry.NewId(), time.GetUtcNow(), reason)
        {
            WayIn = wayIn,
            Client = client,
            User = user,
            Host = host,
            Port = port,
        });

    /// <summary>A tag points to another digest than before.</summary>
    public ValueTask RecordMovedTagAsync(string repository, string tag, string formerDigest, string digest) =>
        WaitAsync(new TagEvent(AuditEntry.NewId(), time.GetUtcNow(), repository, tag, formerDigest, digest));

    internal ValueTask RecordAsync(AccessEvent access)
    {
        if (pending.TryAdd(access))
            return ValueTask.CompletedTask;
        if (pending.BeginOverflow())
            logger.QueueFull();
        if (access.Decision.Outcome == AccessOutcome.Deny)
            return WaitAsync(access);

        metrics.Dropped();
        return ValueTask.CompletedTask;
    }

    internal TimeSpan Since(long started) => time.GetElapsedTime(started);

    /// <summary>
    /// Returns at once: changes are few, and none may be lost. A change that finds no room waits in the background, and when the
    /// program stops the writer waits for it.
    /// </summary>
    private void RecordLate(AuditEvent audit)
    {
        if (!pending.TryAdd(audit))
            pending.Settle(WaitAsync(audit).AsTask());
    }

    private async ValueTask WaitAsync(AuditEvent audit)
    {
        if (await pending.AddAsync(audit))
            return;
        metrics.Lost(1);
        logger.LostAtShutdown(1);
    }
}
