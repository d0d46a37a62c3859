using System.Diagnostics.Metrics;
using System.Globalization;

namespace ImageAccess.Proxy.Foundation.DockerHub;

/// <summary>What is asked of Docker Hub, by kind and status.</summary>
public sealed class UpstreamMetrics
{
    private readonly Meter _meter;
    private readonly Counter<long> _requests;
    private readonly Counter<long> _stalled;
    private readonly Counter<long> _tokenRepeats;
    private readonly Counter<long> _pulls;

    public UpstreamMetrics(IMeterFactory meters)
    {
        _meter = meters.Create("ImageAccess");
        _requests = _meter.CreateCounter<long>("imageaccess.upstream.requests", "{request}", "Requests to Docker Hub, by kind and status.");
        _stalled = _meter.CreateCounter<long>(
            "imageaccess.upstream.stalled", "{exchange}", "Exchanges with Docker Hub that were given up because nothing flowed, by what did not come.");
        _tokenRepeats = _meter.CreateCounter<long>(
            "imageaccess.token.repeats", "{token}", "Tokens given once more because the token service could not answer.");
        _pulls = _meter.CreateCounter<long>(
            "imageaccess.pulls", "{manifest}", "Manifests that Docker Hub or the cache gave, by whether Docker Hub counts that against the pull limit.");
    }

    /// <remarks>Of the statuses those that Docker Hub is known to give.</remarks>
    public void StartAtZero()
    {
        foreach (var kind in new[] { "registry", "cdn", "token", "search", "hub" })
        {
            foreach (var status in new int?[] { 200, 206, 304, 401, 403, 404, 429, 500, 502, 503, 504, null })
                Asked(kind, status, 0);
        }

        foreach (var what in new[] { "answer", "body", "client" })
            Stalled(what, 0);
        _tokenRepeats.Add(0);
        foreach (var by in new[] { PulledBy.Get, PulledBy.Head, PulledBy.Cache })
            Pulled(by, 0);
    }

    /// <param name="kind"><c>registry</c>, <c>cdn</c>, <c>token</c>, <c>search</c> or <c>hub</c>.</param>
    /// <param name="status">The HTTP status, or null when there was no answer.</param>
    public void Asked(string kind, int? status) => Asked(kind, status, 1);

    /// <param name="what">What did not come, in a word.</param>
    public void Stalled(string what) => Stalled(what, 1);

    public void TokenRepeated() => _tokenRepeats.Add(1);

    /// <param name="by">One of <see cref="PulledBy"/>.</param>
    public void Pulled(string by) => Pulled(by, 1);

    public void Watch(PullBudget budget)
    {
        Watch("imageaccess.budget.limit", "account", () => budget.Accounts, left => left.Limit, "Pulls that Docker Hub allows an account or address in its window.");
        Watch("imageaccess.budget.remaining", "account", () => budget.Accounts, left => left.Remaining, "Those that are left.");
        Watch("imageaccess.budget.organization.limit", "organization", () => budget.Organizations, left => left.Limit, "Pulls that Docker Hub allows the account with the least left, of an organization's callers.");
        Watch("imageaccess.budget.organization.remaining", "organization", () => budget.Organizations, left => left.Remaining, "Those that are left.");
    }

    private void Watch(string name, string label, Func<IReadOnlyList<PullsLeft>> all, Func<PullsLeft, long> value, string description) => _meter.CreateObservableGauge(
        name, () => all().Select(left => new Measurement<long>(value(left), new KeyValuePair<string, object?>(label, left.Name))), "{pull}", description);

    private void Pulled(string by, int manifests) => _pulls.Add(
        manifests, new KeyValuePair<string, object?>("by", by), new KeyValuePair<string, object?>("counted", by == PulledBy.Get ? "true" : "false"));

    private void Asked(string kind, int? status, int requests) => _requests.Add(
        requests,
        new KeyValuePair<string, object?>("kind", kind),
        new KeyValuePair<string, object?>("status", status?.ToString(CultureInfo.InvariantCulture) ?? "none"));

    private void Stalled(string what, int exchanges) => _stalled.Add(exchanges, new KeyValuePair<string, object?>("what", what));
}

/// <summary>How a manifest came. Docker Hub counts a GET alone.</summary>
internal static class PulledBy
{
    public const string Get = "get";
    public const string Head = "head";
    public const string Cache = "cache";
}
