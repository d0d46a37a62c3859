using System.Collections.Concurrent;
using ImageAccess.Core.Classification;

namespace ImageAccess.Proxy.Catalog;

/// <summary>
/// What is known of namespaces: remembered in bounded memory, asked once however many wait.
/// A source that cannot answer makes the facts unavailable, never absent.
/// </summary>
public sealed class PublisherCatalog(ICatalogSource source, TimeProvider time, ILogger<PublisherCatalog> logger)
{
    /// <summary>How many namespaces are remembered.</summary>
    public const int Capacity = 10_000;

    /// <summary>How long one question may take in all.</summary>
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan KeepBadge = TimeSpan.FromDays(1);
    private static readonly TimeSpan KeepNoBadge = TimeSpan.FromHours(1);

    /// <summary>So that the HEAD and the GET of one pull pay for a failure once.</summary>
    private static readonly TimeSpan KeepFailure = TimeSpan.FromSeconds(5);

    private readonly ConcurrentDictionary<string, Entry> _entries = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, Lazy<Task<PublisherFacts>>> _flights = new(StringComparer.Ordinal);

    /// <summary>The last failure's cause, while no question has been answered since.</summary>
    public string? Trouble { get; private set; }

    /// <summary>Completes at once for a namespace that is remembered.</summary>
    public ValueTask<PublisherFacts> FindAsync(string @namespace, CancellationToken cancellationToken)
    {
        if (_entries.TryGetValue(@namespace, out var entry) && time.GetUtcNow() < entry.Until)
            return ValueTask.FromResult(entry.Facts);

        var flight = _flights.GetOrAdd(@namespace, name => new Lazy<Task<PublisherFacts>>(() => AskAsync(name)));
        return new ValueTask<PublisherFacts>(flight.Value.WaitAsync(cancellationToken));
    }

    private async Task<PublisherFacts> AskAsync(string @namespace)
    {
        using var limit = new CancellationTokenSource(Timeout, time);
        try
        {
            var record = await source.FindAsync(@namespace, limit.Token);
            Trouble = null;
            return Remember(@namespace, PublisherFacts.Known(record), record.Badge == NamespaceBadge.None ? KeepNoBadge : KeepBadge);
        }
        catch (Exception exception) when (exception is CatalogException or OperationCanceledException)
        {
            Trouble = exception is CatalogException ? exception.Message : $"the Hub API did not answer in time for {@namespace}";
            logger.PublisherUnavailable(Trouble);
            return Remember(@namespace, PublisherFacts.Unavailable, KeepFailure);
        }
        finally
        {
            _flights.TryRemove(@namespace, out _);
        }
    }

    private PublisherFacts Remember(string @namespace, PublisherFacts facts, TimeSpan keep)
    {
        if (_entries.Count >= Capacity)
            MakeRoom();
        _entries[@namespace] = new Entry(facts, time.GetUtcNow() + keep);
        return facts;
    }

    /// <summary>Drops what is out of date, and where that is not enough the tenth that is the soonest to be.</summary>
    private void MakeRoom()
    {
        var now = time.GetUtcNow();
        var oldest = _entries.OrderBy(pair => pair.Value.Until).ToList();
        foreach (var (name, _) in oldest.Where((pair, index) => pair.Value.Until <= now || index < Capacity / 10))
            _entries.TryRemove(name, out _);
    }

    private sealed record Entry(PublisherFacts Facts, DateTimeOffset Until);
}
