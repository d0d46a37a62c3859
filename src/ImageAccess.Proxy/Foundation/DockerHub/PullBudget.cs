using System.Buffers;
using System.Collections.Concurrent;
using System.Globalization;
using System.Net.Http.Headers;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ImageAccess.Proxy.Foundation.DockerHub;

/// <summary>
/// How many pulls Docker Hub still allows, by the headers of its answers to manifests: for each account or address that it counts by, and for each
/// organization whose callers it answered. An organization has what the account with the least left has. What was read is forgotten when its window is over.
/// </summary>
public sealed class PullBudget : IHealthCheck
{
    /// <summary>Accounts beyond are one, under <see cref="Others"/>: a company has thousands, and a series of the metrics stays.</summary>
    public const int MaximumAccounts = 100;

    public const string Others = "others";

    /// <summary>The account where Docker Hub names none, or one that is none.</summary>
    private const string Unknown = "unknown";

    private const int MaximumOrganizations = 1000;
    private const string WhatToDo = "sign in with accounts that have more, or pull less; what is kept is served without them";

    private static readonly SearchValues<char> AccountSigns = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.:-_");

    private readonly ConcurrentDictionary<string, Budget> _accounts = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, Budget> _organizations = new(StringComparer.Ordinal);
    private readonly TimeProvider _time;
    private readonly ILogger _logger;

    public PullBudget(UpstreamMetrics metrics, TimeProvider time, ILogger<PullBudget> logger)
    {
        (_time, _logger) = (time, logger);
        metrics.Watch(this);
    }

    /// <summary>Those of whom something is known, the least first.</summary>
    public IReadOnlyList<PullsLeft> Accounts => Left(_accounts);

    /// <inheritdoc cref="Accounts"/>
    public IReadOnlyList<PullsLeft> Organizations => Left(_organizations);

    /// <remarks>It names nobody: members of other organizations read it too.</remarks>
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        var low = Accounts.Where(one => one.IsLow).ToList();
        if (low.Count == 0)
            return Task.FromResult(HealthCheckResult.Healthy());
        return Task.FromResult(HealthCheckResult.Degraded(string.Create(
            CultureInfo.InvariantCulture,
            $"few pulls from Docker Hub are left, for {low.Count} accounts or addresses, at the least {low[0].Remaining} of {low[0].Limit}: {WhatToDo}")));
    }

    /// <param name="answer">The registry's own, to a request for a manifest.</param>
    /// <param name="organizations">Those that the caller was judged under.</param>
    internal void Read(HttpResponseMessage answer, IReadOnlyList<string> organizations)
    {
        var headers = answer.Headers.NonValidated;
        if (!headers.TryGetValues("RateLimit-Limit", out var limits)
            || !headers.TryGetValues("RateLimit-Remaining", out var remainings)
            || !PullCount.TryParse(limits.ToString(), out var limit)
            || !PullCount.TryParse(remainings.ToString(), out var remaining)
            || limit.Pulls == 0)
            return;

        var reading = new PullReading(AccountOf(headers), limit.Pulls, Math.Min(remaining.Pulls, limit.Pulls), limit.Window, _time.GetTimestamp(), _time.GetUtcNow());
        var account = Find(_accounts, reading.Account, MaximumAccounts) ?? _accounts.GetOrAdd(Others, static _ => new Budget());
        Tell(account.Read(reading, _time), reading);
        for (var i = 0; i < organizations.Count; i++)
            Find(_organizations, organizations[i], MaximumOrganizations)?.Read(reading, _time);
    }

    private void Tell(BudgetChange change, PullReading reading)
    {
        if (change == BudgetChange.Low)
            _logger.FewPullsLeft(reading.Account, reading.Remaining, reading.Limit, reading.Window.TotalHours);
        else if (change == BudgetChange.Enough)
            _logger.PullsLeftAgain(reading.Account, reading.Remaining, reading.Limit);
    }

    private List<PullsLeft> Left(ConcurrentDictionary<string, Budget> budgets) =>
    [
        .. budgets.Select(one => one.Value.Look(one.Key, _time)).OfType<PullsLeft>().OrderBy(one => (double)one.Remaining / one.Limit).ThenBy(one => one.Name, StringComparer.Ordinal),
    ];

    private static Budget? Find(ConcurrentDictionary<string, Budget> budgets, string name, int most) =>
        budgets.TryGetValue(name, out var known) ? known : budgets.Count < most ? budgets.GetOrAdd(name, static _ => new Budget()) : null;

    private static string AccountOf(HttpHeadersNonValidated headers)
    {
        const int MaximumLength = 64;
        return headers.TryGetValues("Docker-RateLimit-Source", out var values) && values.ToString() is { Length: > 0 and <= MaximumLength } source
            && !source.AsSpan().ContainsAnyExcept(AccountSigns) ? source : Unknown;
    }

    private enum BudgetChange
    {
        None,
        Low,
        Enough,
    }

    /// <summary>The last that is known of one, or the least of several.</summary>
    private sealed class Budget
    {
        /// <summary>The part of the limit from which on it is low.</summary>
        private const double LowFrom = 0.2;

        /// <summary>The part above which it is low no longer: else it would flap with each answer.</summary>
        private const double EnoughFrom = 0.3;

        private readonly Lock _gate = new();
        private PullReading _reading;
        private bool _isLow;

        public BudgetChange Read(PullReading reading, TimeProvider time)
        {
            lock (_gate)
            {
                if (!IsOver(time) && reading.Share > _reading.Share && !reading.Account.Equals(_reading.Account, StringComparison.Ordinal))
                    return BudgetChange.None;
                _reading = reading;
                var isLow = reading.Share <= LowFrom || (_isLow && reading.Share < EnoughFrom);
                if (isLow == _isLow)
                    return BudgetChange.None;
                _isLow = isLow;
                return isLow ? BudgetChange.Low : BudgetChange.Enough;
            }
        }

        public PullsLeft? Look(string name, TimeProvider time)
        {
            lock (_gate)
            {
                if (!IsOver(time))
                    return new PullsLeft(name, _reading.Limit, _reading.Remaining, _reading.Window, _reading.ReadAt, _isLow);
                _isLow = false;
                return null;
            }
        }

        private bool IsOver(TimeProvider time) => _reading.Limit == 0 || time.GetElapsedTime(_reading.At) >= _reading.Window;
    }

    [StructLayout(LayoutKind.Auto)]
    private readonly record struct PullReading(string Account, long Limit, long Remaining, TimeSpan Window, long At, DateTimeOffset ReadAt)
    {
        public double Share => (double)Remaining / Limit;
    }
}

/// <summary>Pulls that are left of a limit.</summary>
/// <param name="Name">The account or address as Docker Hub names it, or the organization.</param>
/// <param name="Limit">In a window.</param>
public sealed record PullsLeft(string Name, long Limit, long Remaining, TimeSpan Window, DateTimeOffset ReadAt, bool IsLow);

/// <summary>A number of pulls in a window, as <c>100;w=21600</c>.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct PullCount(long Pulls, TimeSpan Window)
{
    private const int MaximumLength = 64;
    private const long MaximumPulls = 1_000_000_000;

    /// <summary>Docker Hub's own, where an answer names none that can be.</summary>
    private static readonly TimeSpan UsualWindow = TimeSpan.FromHours(6);

    private static readonly TimeSpan MaximumWindow = TimeSpan.FromDays(1);

    public static bool TryParse(ReadOnlySpan<char> text, out PullCount count)
    {
        count = default;
        if (text.Length > MaximumLength)
            return false;
        var end = text.IndexOf(';');
        if (!long.TryParse((end < 0 ? text : text[..end]).Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out var pulls) || pulls > MaximumPulls)
            return false;
        count = new PullCount(pulls, end < 0 ? UsualWindow : WindowOf(text[(end + 1)..].Trim()));
        return true;
    }

    private static TimeSpan WindowOf(ReadOnlySpan<char> text) =>
        text.StartsWith("w=", StringComparison.OrdinalIgnoreCase)
        && int.TryParse(text[2..], NumberStyles.None, CultureInfo.InvariantCulture, out var seconds)
        && seconds > 0 && TimeSpan.FromSeconds(seconds) <= MaximumWindow
            ? TimeSpan.FromSeconds(seconds)
            : UsualWindow;
}
