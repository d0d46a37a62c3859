using System.Net;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Foundation.Audit;

/// <summary>
/// Where every room records its events. Denials that are alike are merged. When the queue is full, an allowed request is dropped and
/// counted. Everything else waits a moment, but no longer than its client, then goes to a reserve in memory; only when that is full as
/// well it is lost, and counted.
/// </summary>
public sealed class AuditTrail : IDisposable
{
    private readonly PendingEvents _pending;
    private readonly AuditMetrics _metrics;
    private readonly TimeProvider _time;
    private readonly ILogger<AuditTrail> _logger;
    private readonly MergedDenials _merged;
    private readonly OpenPulls _pulls;
    private Action<AccessEvent>? _whenDenied;
    private Action<AccessEvent>? _whenObserved;
    private Action<AuditEvent>? _whenChanged;

    public AuditTrail(
        PendingEvents pending, AuditMetrics metrics, IOptions<AuditOptions> options, TimeProvider time, ILogger<AuditTrail> logger)
    {
        (_pending, _metrics, _time, _logger) = (pending, metrics, time, logger);
        _pulls = new OpenPulls(time);
        _merged = new MergedDenials(options, time, closing => RecordAtOnce(closing));
    }

    /// <summary>What stands for callers in whatever is kept of who pulled.</summary>
    internal CallerNames Names => _pending.Names;

    /// <summary>Open it first and close it last: <c>await using var entry = trail.Open(http);</c></summary>
    public AuditEntry Open(HttpContext http) => new(this, http, _time.GetUtcNow(), _time.GetTimestamp());

    /// <summary>A policy came into force; what it opens can be asked about later. By whom, why and under which ticket, where that is known.</summary>
    public void RecordPolicyChange(
        string previousVersion, string version, IReadOnlyList<string> opens, string? by = null, string? reason = null, string? ticket = null) => RecordAtOnce(
        new PolicyEvent(AuditEntry.NewId(), _time.GetUtcNow(), previousVersion, version, opens) { By = by, Reason = reason, Ticket = ticket }, always: true);

    /// <summary>Docker Hub's own switches of an organization that follows them have changed.</summary>
    internal void RecordFollow(FollowedChange change) => RecordAtOnce(new FollowEvent(AuditEntry.NewId(), _time.GetUtcNow(), change), always: true);

    /// <summary>Something was blocked.</summary>
    public void RecordBlock(Block block) =>
        RecordAtOnce(new BlockEvent(AuditEntry.NewId(), _time.GetUtcNow(), block, lifted: false, block.By, block.Reason, block.At) { Ticket = block.Ticket }, always: true);

    /// <summary>A block was lifted: by whom, why and when, where that is known.</summary>
    public void RecordUnblock(Block block, string? by, string? reason, DateTimeOffset? at, string? ticket = null) =>
        RecordAtOnce(new BlockEvent(AuditEntry.NewId(), _time.GetUtcNow(), block, lifted: true, by, reason, at) { Ticket = ticket }, always: true);

    /// <summary>Something was opened in an emergency, that has ended, or was reviewed.</summary>
    internal void RecordBreakGlass(BreakGlassEvent.Step step) => RecordAtOnce(new BreakGlassEvent(AuditEntry.NewId(), _time.GetUtcNow(), step), always: true);

    /// <summary>An exception was granted.</summary>
    public void RecordException(GrantedException exception) => RecordAtOnce(
        new ExceptionEvent(AuditEntry.NewId(), _time.GetUtcNow(), exception, ended: false, exception.ApprovedBy, exception.Reason, exception.Since) { Ticket = exception.Ticket }, always: true);

    /// <summary>An exception was ended: by whom, why and when, where that is known.</summary>
    public void RecordExceptionEnd(GrantedException exception, string? by, string? reason, DateTimeOffset? at, string? ticket = null) =>
        RecordAtOnce(new ExceptionEvent(AuditEntry.NewId(), _time.GetUtcNow(), exception, ended: true, by, reason, at) { Ticket = ticket }, always: true);

    /// <summary>A change waits for a second person, or waits no longer.</summary>
    internal void RecordChange(ChangeStep step) => RecordAtOnce(new ChangeEvent(AuditEntry.NewId(), _time.GetUtcNow(), step), always: true);

    /// <summary>Somebody asked for access, or a request was answered, withdrawn, or ended.</summary>
    internal void RecordRequest(RequestStep step) => RecordAtOnce(new RequestEvent(AuditEntry.NewId(), _time.GetUtcNow(), step), always: true);

    /// <summary>Somebody wanted to change something, and may not.</summary>
    /// <param name="user">Who.</param>
    /// <param name="operation">What, in one word.</param>
    /// <param name="organization">Whose; null for what all organizations share.</param>
    internal void RecordForbiddenChange(string user, string operation, string? organization)
    {
        var denial = new ForbiddenChangeEvent(AuditEntry.NewId(), _time.GetUtcNow(), user, operation, organization);
        Merge(denial, out var isFirst);
        if (isFirst)
            RecordAtOnce(denial);
    }

    /// <summary>Somebody looked at named pulls of others.</summary>
    internal void RecordLook(Look look) => RecordAtOnce(new LookEvent(AuditEntry.NewId(), _time.GetUtcNow(), look));

    /// <summary>A token of the API was made, or revoked.</summary>
    internal void RecordToken(Func<string, DateTimeOffset, TokenEvent> audit) => RecordAtOnce(audit(AuditEntry.NewId(), _time.GetUtcNow()), always: true);

    /// <summary>A token of the API was refused, and in one word why.</summary>
    public ValueTask RecordTokenRefusalAsync(string reason, long? token, IPAddress? client, CancellationToken gone) =>
        RecordDenialAsync(new TokenRefusalEvent(AuditEntry.NewId(), _time.GetUtcNow(), reason, token, client), gone);

    /// <summary>A user name went to another account: what the name was granted is suspended.</summary>
    public void RecordAccountChange(string caller, string formerAccount, string account) =>
        RecordAtOnce(new AccountEvent(AuditEntry.NewId(), _time.GetUtcNow(), caller, formerAccount, account), always: true);

    /// <summary>An account was confirmed behind a user name: what the name is granted is for it.</summary>
    internal void RecordConfirmation(Func<string, DateTimeOffset, ConfirmationEvent> audit) => RecordAtOnce(audit(AuditEntry.NewId(), _time.GetUtcNow()), always: true);

    /// <summary>A connection was refused: to which host, by which way in, and in one word why.</summary>
    public ValueTask RecordConnectionAsync(
        string wayIn, IPAddress? client, string? user, string? host, int? port, string reason, CancellationToken gone) =>
        RecordDenialAsync(new ConnectionEvent(AuditEntry.NewId(), _time.GetUtcNow(), reason)
        {
            WayIn = wayIn,
            Client = client,
            User = user,
            Host = host,
            Port = port,
        }, gone);

    /// <summary>Somebody failed to sign in at Docker Hub, or was refused before Docker Hub was asked.</summary>
    public ValueTask RecordSignInAsync(string? wayIn, IPAddress? client, string? user, string reason, int? upstreamStatus, CancellationToken gone) =>
        RecordDenialAsync(new SignInEvent(AuditEntry.NewId(), _time.GetUtcNow(), reason)
        {
            WayIn = wayIn,
            Client = client,
            User = user,
            UpstreamStatus = upstreamStatus,
        }, gone);

    /// <summary>A tag points to another digest than before.</summary>
    public ValueTask RecordMovedTagAsync(string repository, string tag, string formerDigest, string digest, CancellationToken gone) =>
        RecordAsync(new TagEvent(AuditEntry.NewId(), _time.GetUtcNow(), repository, tag, formerDigest, digest), gone);

    /// <summary>Somebody made the cache forget an image.</summary>
    /// <param name="reference">The tag, the digest or both; null for the whole repository.</param>
    /// <param name="links">How many digests were forgotten.</param>
    /// <param name="tags">How many tags were forgotten.</param>
    /// <param name="user">Who, as they say of themselves.</param>
    public ValueTask RecordForgottenAsync(
        string repository, string? reference, int links, int tags, string? user, IPAddress? client, string? reason, CancellationToken gone) =>
        RecordAsync(new ForgottenEvent(AuditEntry.NewId(), _time.GetUtcNow(), repository)
        {
            Reference = reference,
            Links = links,
            Tags = tags,
            User = user,
            Client = client,
            Reason = reason,
        }, gone);

    /// <summary>Sees each denied request that has a line of its own, on the request's path: it must not wait.</summary>
    internal void WhenDenied(Action<AccessEvent> act) => _whenDenied += act;

    /// <summary>Sees each request that is allowed because an organization only observes, on the request's path: it must not wait.</summary>
    internal void WhenObserved(Action<AccessEvent> act) => _whenObserved += act;

    /// <summary>
    /// Sees each change of the program itself before whoever records it notes that it is recorded: what it keeps outlives a kill, or the change is
    /// recorded again. No request waits for it.
    /// </summary>
    internal void WhenChanged(Action<AuditEvent> act) => _whenChanged += act;

    /// <param name="audit">The event.</param>
    /// <param name="gone">The client has gone: nobody waits any longer.</param>
    internal ValueTask RecordAsync(AuditEvent audit, CancellationToken gone)
    {
        if (audit is AccessEvent { Decision.Outcome: AccessOutcome.Deny } denial)
            _whenDenied?.Invoke(denial);
        else if (audit is AccessEvent { Decision.Outcome: AccessOutcome.Observe } observed)
            _whenObserved?.Invoke(observed);
        if (_pending.TryAdd(audit))
            return ValueTask.CompletedTask;
        BeginOverflow();
        if (audit is not AccessEvent { Decision.Outcome: not AccessOutcome.Deny })
            return WaitAsync(audit, gone);

        _metrics.Dropped();
        return ValueTask.CompletedTask;
    }

    internal TimeSpan Since(long started) => _time.GetElapsedTime(started);

    /// <summary>The id of the pull that the request belongs to; null when it is no part of one.</summary>
    internal OpenPull? PullOf(Caller? caller, IPAddress? client, RepositoryRequest request, string id) =>
        _pulls.Join((caller ?? Caller.Anonymous).DisplayName, client, request, id);

    /// <summary>Merges the denial with others that are alike.</summary>
    /// <returns>The id that its client is told.</returns>
    internal string Merge(AuditEvent denial, out bool isFirst)
    {
        var id = _merged.Add(denial, out isFirst);
        if (!isFirst)
            _metrics.Merged();
        return id;
    }

    /// <summary>A denial whose client is told no id.</summary>
    internal ValueTask RecordDenialAsync(AuditEvent denial, CancellationToken gone)
    {
        Merge(denial, out var isFirst);
        return isFirst ? RecordAsync(denial, gone) : ValueTask.CompletedTask;
    }

    /// <summary>The program stops: denials that are still being merged get their closing lines.</summary>
    internal void EndMerging() => _merged.End();

    public void Dispose() => _merged.Dispose();

    /// <summary>For what has no client that could wait.</summary>
    /// <param name="audit">The event.</param>
    /// <param name="always">It is one of the few changes of the program itself, for which there is always memory.</param>
    private void RecordAtOnce(AuditEvent audit, bool always = false)
    {
        if (always)
            _whenChanged?.Invoke(audit);
        if (_pending.TryAdd(audit))
            return;
        BeginOverflow();
        if (!_pending.TryReserve(audit, always))
            Lose();
    }

    private async ValueTask WaitAsync(AuditEvent audit, CancellationToken gone)
    {
        if (!await _pending.TryAddAsync(audit, gone) && !_pending.TryReserve(audit))
            Lose();
    }

    private void BeginOverflow()
    {
        if (_pending.BeginOverflow())
            _logger.QueueFull();
    }

    private void Lose()
    {
        _metrics.Lost(1);
        if (_pending.IsCompleted)
            _logger.LostAtShutdown(1);
        else if (_pending.BeginLoss())
            _logger.ReserveFull();
    }
}
