using System.Collections.Concurrent;
using ImageAccess.Core.Classification;
using ImageAccess.Proxy.Foundation.Limits;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Policies.Catalog;

/// <summary>
/// What is known of namespaces: pinned by hand, remembered, or asked. Callers who wait for the same namespace share one question.
/// When no source can answer, the last known record is used for a while; after that the facts are unavailable, never absent.
/// </summary>
public sealed class PublisherCatalog : IDisposable
{
    /// <summary>So that the HEAD and the GET of one pull pay for a failure once.</summary>
    public static readonly TimeSpan KeepFailure = TimeSpan.FromSeconds(5);

    /// <summary>Failures that are remembered. Those beyond are asked again, and that has its own bounds.</summary>
    private const int MaximumFailures = 10_000;

    private readonly ICatalogSource[] _sources;
    private readonly NamespaceMemory _memory;
    private readonly CatalogMetrics _metrics;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly TimeSpan _staleFor;
    private readonly QuestionAllowance _allowance;
    private readonly MemoryCache _failures;
    private readonly ConcurrentDictionary<string, Lazy<Task<Finding>>> _flights = new(StringComparer.Ordinal);
    private volatile CatalogTrouble? _trouble;

    public PublisherCatalog(
        IEnumerable<ICatalogSource> sources,
        NamespaceMemory memory,
        CatalogMetrics metrics,
        LimitMetrics limits,
        IOptions<CatalogOptions> options,
        TimeProvider time,
        ILogger<PublisherCatalog> logger)
    {
        _sources = [.. sources];
        _memory = memory;
        _metrics = metrics;
        _time = time;
        _logger = logger;
        _staleFor = options.Value.StaleFor;
        _allowance = new QuestionAllowance(time, limits);
        _failures = new MemoryCache(new MemoryCacheOptions { SizeLimit = MaximumFailures, Clock = new CacheClock(time) });
        metrics.Watch(memory);
    }

    /// <summary>The last failure, while no question has been answered since.</summary>
    internal CatalogTrouble? Trouble => _trouble;

    /// <summary>Completes at once when the namespace is pinned or remembered.</summary>
    /// <param name="namespace">The namespace.</param>
    /// <param name="payer">On whose behalf.</param>
    public ValueTask<PublisherFacts> FindAsync(string @namespace, CatalogPayer payer, CancellationToken cancellationToken)
    {
        foreach (var source in _sources)
        {
            if (source.Find(@namespace) is { } record)
                return Conclude(new Finding(PublisherFacts.Known(record), LookupResult.Known));
        }

        var now = _time.GetUtcNow();
        if (_memory.Find(@namespace) is { } remembered)
        {
            remembered.Use(now);
            if (remembered.IsFresh(now))
                return Conclude(new Finding(remembered.Facts, LookupResult.Known));
        }

        if (!_flights.TryGetValue(@namespace, out var flight))
        {
            if (HasJustFailed(@namespace))
                return Conclude(LastKnown(@namespace, LookupResult.Unavailable));
            if (!_allowance.TryTake(payer, @namespace, out var underWay))
                return Conclude(LastKnown(@namespace, LookupResult.Refused));
            flight = Board(@namespace, payer, underWay);
        }

        return JoinAsync(flight.Value, cancellationToken);
    }

    public void Dispose() => _failures.Dispose();

    /// <summary>Asks again for namespaces in use whose records are soon out of date, one after the other, until a question fails.</summary>
    internal async Task RefreshAsync(int maximum, CancellationToken cancellationToken)
    {
        var now = _time.GetUtcNow();
        var names = _memory.All.Where(remembered => remembered.WantsRefreshing(now)).Select(remembered => remembered.Answer.Record.Namespace);
        if (_trouble is { } trouble)
            names = [trouble.Namespace, .. names]; // to see whether it has ended
        foreach (var name in names.Take(maximum).ToList())
        {
            var finding = await Board(name, CatalogPayer.Refresh, underWay: null).Value.WaitAsync(cancellationToken);
            if (finding.Result != LookupResult.Asked)
                return;
        }
    }

    /// <param name="underWay">Disposed with the end of the question; null where no caller asks, but the refresh.</param>
    private Lazy<Task<Finding>> Board(string @namespace, CatalogPayer payer, IDisposable? underWay)
    {
        var own = new Lazy<Task<Finding>>(() => AskAsync(@namespace, payer, underWay));
        var flight = _flights.GetOrAdd(@namespace, own);
        if (flight != own)
            underWay?.Dispose(); // somebody else has begun at the same moment
        return flight;
    }

    private async ValueTask<PublisherFacts> JoinAsync(Task<Finding> flight, CancellationToken cancellationToken) =>
        await Conclude(await flight.WaitAsync(cancellationToken));

    private async Task<Finding> AskAsync(string @namespace, CatalogPayer payer, IDisposable? underWay)
    {
        try
        {
            // Another flight may have landed between the caller's look and this one.
            var now = _time.GetUtcNow();
            var isRefresh = underWay is null;
            if (!isRefresh && _memory.Find(@namespace) is { } landed && landed.IsFresh(now))
                return new Finding(landed.Facts, LookupResult.Asked);
            if (!isRefresh && HasJustFailed(@namespace))
                return LastKnown(@namespace, LookupResult.Unavailable);

            foreach (var source in _sources)
            {
                if (await source.AskAsync(@namespace, payer.ShareFor(@namespace), CancellationToken.None) is not { } answer)
                    continue;
                if (!answer.Exists)
                    _allowance.Failed(payer, @namespace);
                return Learn(answer);
            }

            return LastKnown(@namespace, LookupResult.Unavailable);
        }
        catch (CatalogException exception)
        {
            return Fail(@namespace, exception.Message);
        }
        finally
        {
            _flights.TryRemove(@namespace, out _);
            underWay?.Dispose();
        }
    }

    private Finding Learn(CatalogAnswer answer)
    {
        var remembered = _memory.Put(answer);
        _failures.Remove(answer.Record.Namespace);
        if (_trouble is not null)
        {
            _trouble = null;
            _logger.Recovered();
        }

        return new Finding(remembered.Facts, LookupResult.Asked);
    }

    private Finding Fail(string @namespace, string cause)
    {
        if (_trouble is null)
            _logger.Failing(cause);
        else
            _logger.NotVerified(cause);
        _trouble = new CatalogTrouble(@namespace, cause);
        _failures.Set(@namespace, true, new MemoryCacheEntryOptions { AbsoluteExpirationRelativeToNow = KeepFailure, Size = 1 });
        return LastKnown(@namespace, LookupResult.Unavailable);
    }

    private bool HasJustFailed(string @namespace) => _failures.TryGetValue(@namespace, out _);

    private Finding LastKnown(string @namespace, LookupResult otherwise) =>
        _memory.Find(@namespace) is { } remembered && _time.GetUtcNow() - remembered.Answer.Record.ReadAt <= _staleFor
            ? new Finding(remembered.Facts, LookupResult.Stale)
            : new Finding(PublisherFacts.Unavailable, otherwise);

    private ValueTask<PublisherFacts> Conclude(Finding finding)
    {
        _metrics.LookedUp(finding.Facts.Record?.Source, finding.Result);
        return ValueTask.FromResult(finding.Facts);
    }

    private readonly record struct Finding(PublisherFacts Facts, LookupResult Result);
}

/// <summary>Why the last question was not answered.</summary>
internal sealed record CatalogTrouble(string Namespace, string Cause);
