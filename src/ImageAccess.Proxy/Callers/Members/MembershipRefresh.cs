using System.Collections.Concurrent;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Callers.Members;

/// <summary>
/// Reads the lists in the background: at regular times, soon after a failure, and sooner when a caller appears whom no list
/// names. A list that could not be read whole changes nothing: the last good one stays, in memory and on disk.
/// </summary>
internal sealed class MembershipRefresh(
    IMemberSource source,
    MembershipDirectory directory,
    AbsenceWarnings absences,
    MembershipMetrics metrics,
    IOptions<DirectoryOptions> options,
    IHostApplicationLifetime lifetime,
    TimeProvider time,
    ILogger<MembershipRefresh> logger) : BackgroundService, IKept
{
    /// <summary>How often unknown callers may cause a reading, and how soon a failed one is tried again.</summary>
    public static readonly TimeSpan AtMostEvery = TimeSpan.FromMinutes(1);

    private readonly ConcurrentDictionary<string, DirectoryException> _troubles = new(StringComparer.Ordinal);
    private readonly KeptMembers _kept = new(options.Value.KeptPath);
    private readonly SemaphoreSlim _reading = new(1);
    private readonly Lock _keeping = new();
    private volatile string? _keepingTrouble;
    private int _keptVersion;

    private DirectoryOptions Settings => options.Value;

    /// <summary>Why an organization's list could not be read the last time; null when it was, or has not been tried.</summary>
    public string? TroubleWith(string organization) => _troubles.GetValueOrDefault(organization)?.Message;

    /// <summary>Whether somebody has to do something before it can be read.</summary>
    public bool IsRefused(string organization) => _troubles.GetValueOrDefault(organization) is { IsRefusal: true };

    /// <summary>Why the lists would not outlive a restart; null when they would.</summary>
    public string? KeepingTrouble => _keepingTrouble;

    /// <summary>Reads the kept lists before the first request.</summary>
    public override Task StartAsync(CancellationToken cancellationToken)
    {
        if (Settings.IsOn)
        {
            ReadKept();
            absences.Watch();
        }

        return base.StartAsync(cancellationToken);
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        Keep(); // what tokens have shown since
    }

    public override void Dispose()
    {
        _reading.Dispose();
        base.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (!Settings.IsOn)
            return;

        await StartedAsync(stoppingToken);
        var next = new Timing(FirstDue(), DateTimeOffset.MinValue);
        while (true)
        {
            await WaitAsync(next, stoppingToken);
            next = await ReadAllAsync(stoppingToken);
        }
    }

    /// <summary>Reads every organization's list once.</summary>
    /// <returns>When to read again.</returns>
    internal async Task<Timing> ReadAllAsync(CancellationToken cancellationToken)
    {
        await _reading.WaitAsync(cancellationToken);
        try
        {
            return await ReadEachAsync(cancellationToken);
        }
        finally
        {
            _reading.Release();
        }
    }

    private async Task<Timing> ReadEachAsync(CancellationToken cancellationToken)
    {
        directory.Strangers.TryRead(out _);
        var wait = Settings.Refresh;
        DateTimeOffset? retryAt = null;
        foreach (var organization in Settings.Organizations)
        {
            try
            {
                Take(await source.ReadAsync(organization, cancellationToken));
            }
            catch (DirectoryException e)
            {
                Fail(organization, e);
                retryAt = e.RetryAt;
                if (!e.IsRefusal && wait > AtMostEvery)
                    wait = AtMostEvery;
                if (retryAt is not null)
                    break; // a backoff holds for every request to the Hub API
            }
        }

        Keep();
        absences.Look();
        var now = time.GetUtcNow();
        return retryAt is { } until ? new Timing(until, until) : new Timing(now + wait, now + AtMostEvery);
    }

    private void Take(MemberList list)
    {
        var isFirst = !directory.Book.Lists.ContainsKey(list.Organization);
        directory.Take(list);
        metrics.Read();
        if (_troubles.TryRemove(list.Organization, out _) || isFirst)
            logger.MembersRead(list.Organization, list.Members.Count);
    }

    private void Fail(string organization, DirectoryException failure)
    {
        metrics.NotRead();
        var isNew = TroubleWith(organization) != failure.Message;
        _troubles[organization] = failure;
        if (!isNew)
            return;
        var stays = directory.Book.Lists.TryGetValue(organization, out var list) ? $"the list of {list.ReadAt:u} stays" : "there is none yet";
        logger.MembersNotRead(organization, failure.Message, stays);
    }

    private void ReadKept()
    {
        try
        {
            if (_kept.Read(Settings.Organizations) is not { } book)
                return;
            directory.Open(book);
            foreach (var list in book.Lists.Values)
                logger.MembersKept(list.Organization, list.Members.Count, list.ReadAt);
        }
        catch (IOException e)
        {
            logger.KeptUnusable(_kept.Path, e.Message);
        }
    }

    public void Keep()
    {
        lock (_keeping)
        {
            if (Settings.IsOn && directory.Version is var version && version != _keptVersion)
                Write(version);
        }
    }

    private void Write(int version)
    {
        try
        {
            _kept.Write(directory.Book);
            _keptVersion = version;
            _keepingTrouble = null;
        }
        catch (IOException e)
        {
            if (_keepingTrouble is null)
                logger.NotKept(_kept.Path, e.Message);
            _keepingTrouble = e.Message;
        }
    }

    /// <summary>After a restart a list is read when it is due, not at once.</summary>
    private DateTimeOffset FirstDue()
    {
        var now = time.GetUtcNow();
        var lists = directory.Book.Lists;
        if (!Settings.Organizations.All(lists.ContainsKey))
            return now;
        var due = lists.Values.Min(list => list.ReadAt) + Settings.Refresh;
        return due < now + Settings.Refresh ? due : now;
    }

    private async Task StartedAsync(CancellationToken cancellationToken)
    {
        var started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var registration = lifetime.ApplicationStarted.Register(() => started.TrySetResult());
        await started.Task.WaitAsync(cancellationToken);
    }

    private async Task WaitAsync(Timing next, CancellationToken cancellationToken)
    {
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var due = DelayUntilAsync(next.Due, enough.Token);
        var stranger = directory.Strangers.WaitToReadAsync(enough.Token).AsTask();
        if (await Task.WhenAny(due, stranger) == stranger)
            await Task.WhenAny(due, DelayUntilAsync(next.NotBefore, enough.Token));
        await enough.CancelAsync();
        cancellationToken.ThrowIfCancellationRequested();
    }

    private Task DelayUntilAsync(DateTimeOffset moment, CancellationToken cancellationToken)
    {
        var wait = moment - time.GetUtcNow();
        return wait > TimeSpan.Zero ? Task.Delay(wait, time, cancellationToken) : Task.CompletedTask;
    }
}

/// <summary>When the lists are read again.</summary>
/// <param name="Due">Whatever happens.</param>
/// <param name="NotBefore">Not even for a caller whom nobody knows.</param>
internal sealed record Timing(DateTimeOffset Due, DateTimeOffset NotBefore);
