using System.Diagnostics.CodeAnalysis;
using ImageAccess.Proxy.Foundation.Limits;

namespace ImageAccess.Proxy.Policies.Catalog;

/// <summary>
/// Limits the questions that callers cause in a minute, because the Hub API's own limit is one for the whole proxy: who went beyond it would
/// stop everybody's questions. All callers together stay below it, and each has a part: a signed-in caller so many.
/// Behind an address there may be a whole company that nobody knows by name: it has a quarter of all, and of its questions only so many may find no
/// namespace, as invented names do. Beyond that an address asks out of a spare, which all such addresses share: a few
/// invented names stop nobody there, and a flood of them uses up the spare and nothing of others.
/// </summary>
internal sealed class QuestionAllowance(TimeProvider time, LimitMetrics metrics)
{
    /// <summary>Docker Hub allows about 180. What is left is for refreshing records, member lists and further tries.</summary>
    public const int InAll = 140;

    public const int OfUser = 20;
    public const int OfAddress = InAll / 4;
    public const int FailuresOfAddress = 20;
    public const int Spare = 40;

    /// <summary>Of one caller at once: more would wait for each other until their time is over.</summary>
    public const int UnderWay = 20;

    private const int UnderWayInAll = 1000;

    private const string What = "catalog questions";

    private static readonly TimeSpan Period = TimeSpan.FromMinutes(1);

    private readonly SharedSlots _underWay = new(What, UnderWayInAll, UnderWay, metrics);
    private readonly Lock _gate = new();
    private readonly TryBudget _all = new(What, InAll, Period, time, metrics);
    private readonly TryBudget _users = new(What, OfUser, Period, time, metrics);
    private readonly TryBudget _addresses = new(What, OfAddress, Period, time, metrics);
    private readonly TryBudget _failures = new(What, FailuresOfAddress, Period, time, metrics: null); // what is beyond it is not refused yet
    private readonly TryBudget _spare = new(What, Spare, Period, time, metrics);

    /// <param name="underWay">To be disposed when the question has been answered.</param>
    public bool TryTake(CatalogPayer payer, string @namespace, [NotNullWhen(true)] out IDisposable? underWay)
    {
        var share = payer.ShareFor(@namespace);
        if (!_underWay.TryEnter(share, out underWay))
            return false;
        if (TryTake(share, payer.IsAddress))
            return true;
        underWay.Dispose();
        return false;
    }

    /// <summary>A question found no namespace.</summary>
    public void Failed(CatalogPayer payer, string @namespace)
    {
        if (payer.IsAddress)
            _failures.Count(payer.ShareFor(@namespace));
    }

    /// <summary>Counts it everywhere or nowhere: what is refused uses nothing up.</summary>
    private bool TryTake(ClientShare share, bool isAddress)
    {
        lock (_gate)
        {
            var own = isAddress ? _addresses : _users;
            var isSpare = isAddress && _failures.IsSpent(share, out _);
            if (own.IsSpent(share, out _) || (isSpare && _spare.IsSpent(default, out _)) || _all.IsSpent(default, out _))
                return false;
            own.Count(share);
            if (isSpare)
                _spare.Count(default);
            _all.Count(default);
            return true;
        }
    }
}
