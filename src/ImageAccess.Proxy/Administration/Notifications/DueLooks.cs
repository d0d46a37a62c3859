using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Policies.Store;
using Microsoft.EntityFrameworkCore;

namespace ImageAccess.Proxy.Administration.Notifications;

/// <summary>
/// What comes by itself, looked for each hour: an exception that ends soon or that nobody uses, and an organization that will enforce soon. Each is
/// told once, by whichever replica looks first.
/// </summary>
internal sealed class DueLooks : BackgroundService
{
    public static readonly TimeSpan Period = TimeSpan.FromHours(1);

    public static readonly TimeSpan Ahead = TimeSpan.FromDays(14);


    /// <summary>How many of a kind one look tells: the others follow in the next ones.</summary>
    public const int Together = 50;

    /// <summary>After a failure of the database.</summary>
    private static readonly TimeSpan Retry = TimeSpan.FromMinutes(1);

    /// <summary>How many days before observing ends.</summary>
    private static readonly int[] Reminders = [7, 1];

    private readonly Receivers _receivers;
    private readonly SqlDatabase _database;
    private readonly DatabaseState _state;
    private readonly IPolicyStore _policies;
    private readonly ObservedCallers _observed;
    private readonly TimeProvider _time;
    private readonly string _origin = Guid.NewGuid().ToString("N");

    public DueLooks(Receivers receivers, SqlDatabase database, DatabaseState state, IPolicyStore policies, AuditTrail trail, TimeProvider time)
    {
        (_receivers, _database, _state, _policies, _time) = (receivers, database, state, policies, time);
        _observed = new ObservedCallers(time.GetUtcNow());
        if (receivers.All.Count > 0)
            trail.WhenObserved(observed => _observed.Add(observed, trail.Names));
    }

    internal async Task LookAsync(CancellationToken cancellationToken)
    {
        var now = _time.GetUtcNow();
        await _database.WriteAsync(
            async context =>
            {
                var notices = FindObserving(now);
                notices.AddRange(await FindExpiringAsync(context, now, cancellationToken));
                notices.AddRange(await FindUnusedAsync(context, now, cancellationToken));
                await new OutboxTable(context).AddAsync(notices, _origin, _receivers.All, now, cancellationToken);
            },
            cancellationToken);
        _receivers.Wake();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (_receivers.All.Count == 0)
            return;
        await _state.Ready.WaitAsync(stoppingToken);
        while (true)
        {
            var wait = Period;
            try
            {
                await LookAsync(stoppingToken);
            }
            catch (Exception) when (!stoppingToken.IsCancellationRequested)
            {
                wait = Retry; // /readyz says why the database does not work
            }

            await Task.Delay(wait, _time, stoppingToken);
        }
    }

    private List<Notice> FindObserving(DateTimeOffset now)
    {
        var today = DateOnly.FromDateTime(now.UtcDateTime);
        return
        [
            .. (_policies.State?.Policy.Document.Organizations ?? [])
                .Where(organization => organization is { Enabled: true, Observe: true, ObserveUntil: not null })
                .Select(organization => (organization, Left: organization.ObserveUntil!.Value.DayNumber - today.DayNumber))
                .Where(each => each.Left >= 0 && each.Left <= Reminders[0])
                .Select(each => Reminder(each.organization, Reminders.Last(days => each.Left <= days), each.Left, now)),
        ];
    }

    private Notice Reminder(OrganizationDocument organization, int reminder, int left, DateTimeOffset now)
    {
        var (callers, since) = _observed.Of(organization.Name);
        var until = organization.ObserveUntil!.Value.ToString("yyyy-MM-dd", System.Globalization.CultureInfo.InvariantCulture);
        return Notice.Of(NoticeKinds.ObserveEnds, $"{organization.Name} {until} {reminder}", now, new
        {
            organization = organization.Name,
            until,
            days = left,
            observed = callers.Take(20),
            observedCallers = callers.Count,
            observedSince = since,
        });
    }

    private static async Task<IEnumerable<Notice>> FindExpiringAsync(DatabaseContext context, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var (from, to) = (now.ToUnixTimeMilliseconds(), (now + Ahead).ToUnixTimeMilliseconds());
        var rows = await context.Exceptions.AsNoTracking()
            .Where(row => row.EndedVersion == null && row.UntilMilliseconds > from && row.UntilMilliseconds <= to)
            .OrderBy(row => row.UntilMilliseconds)
            .ToListAsync(cancellationToken);
        var notices = rows.ConvertAll(row => (
            Row: row,
            Notice: Notice.Of(NoticeKinds.Expires, FormattableString.Invariant($"{row.Id} {row.Since.UtcTicks} {row.UntilMilliseconds}"), now, FactsOf(row, days: 14))));
        var found = (await NewAsync(context, notices.Select(each => each.Notice), cancellationToken)).ToList();

        // Of a shorter one those who asked have just been told the end.
        foreach (var (row, notice) in notices.FindAll(each => found.Contains(each.Notice) && each.Row.Until - each.Row.Since > Ahead))
        {
            var text = NoticeKinds.TextToRequester(notice.Kind, new Facts(notice.Facts));
            found.AddRange((await FindRequestersAsync(context, row, cancellationToken)).Select(person => notice.To(person, [row.Organization], text)));
        }

        return found;
    }

    private static Task<List<string>> FindRequestersAsync(DatabaseContext context, ExceptionRow row, CancellationToken cancellationToken) => context.RequestVoices
        .Where(voice => voice.Withdrawn == null && context.RequestAnswers.Any(answer => answer.Request == voice.Request && answer.Exception == row.Id))
        .Select(voice => voice.Person)
        .Distinct()
        .ToListAsync(cancellationToken);

    private static async Task<IEnumerable<Notice>> FindUnusedAsync(DatabaseContext context, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var rows = await new ExceptionTable(context).ListAsync(organization: null, ExceptionList.Unused, now, cancellationToken);
        return await NewAsync(
            context,
            rows.OrderBy(row => row.Id).Select(row => Notice.Of(
                NoticeKinds.Unused, FormattableString.Invariant($"{row.Id} {row.Since.UtcTicks} {(row.LastUsed ?? row.Since).UtcTicks}"), now, FactsOf(row, days: (int)ExceptionTable.Unused.TotalDays))),
            cancellationToken);
    }

    /// <summary>The first of those that nobody has been told.</summary>
    private static async Task<IEnumerable<Notice>> NewAsync(DatabaseContext context, IEnumerable<Notice> notices, CancellationToken cancellationToken)
    {
        var found = new List<Notice>();
        foreach (var some in notices.Chunk(500))
        {
            var known = await new OutboxTable(context).FindKnownAsync([.. some.Select(notice => notice.Key)], cancellationToken);
            found.AddRange(some.ExceptBy(known, notice => notice.Key));
            if (found.Count >= Together)
                break;
        }

        return found.Take(Together);
    }

    private static object FactsOf(ExceptionRow row, int days) => new
    {
        exception = row.Id,
        organization = row.Organization,
        image = row.Image,
        until = row.Until,
        lastUsed = row.LastUsed,
        uses = row.Uses,
        approvedBy = row.ApprovedBy,
        days,
    };
}

/// <summary>Who would have been denied, as far as this process has seen, in bounded memory.</summary>
internal sealed class ObservedCallers(DateTimeOffset since)
{
    private const int MaximumOrganizations = 100;

    private const int MaximumCallers = 1000;

    private readonly Lock _gate = new();
    private readonly Dictionary<string, HashSet<string>> _callers = new(StringComparer.Ordinal);

    public void Add(AccessEvent observed, CallerNames names)
    {
        var caller = observed.Caller is { IsAnonymous: false } known ? names.Of(known.DisplayName) : Caller.Anonymous.DisplayName;
        lock (_gate)
        {
            foreach (var organization in observed.Decision.Organizations)
            {
                if (!_callers.TryGetValue(organization, out var callers) && _callers.Count < MaximumOrganizations)
                    _callers[organization] = callers = new HashSet<string>(StringComparer.Ordinal);
                if (callers?.Count < MaximumCallers)
                    callers.Add(caller);
            }
        }
    }

    public (IReadOnlyList<string> Callers, DateTimeOffset Since) Of(string organization)
    {
        lock (_gate)
            return ([.. _callers.GetValueOrDefault(organization) ?? []], since);
    }
}
