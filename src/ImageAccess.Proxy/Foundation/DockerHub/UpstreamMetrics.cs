using System.Diagnostics.Metrics;
using System.Globalization;

namespace ImageAccess.Proxy.Foundation.DockerHub;

/// <summary>What is asked of Docker Hub, by kind and status.</summary>
public sealed class UpstreamMetrics
{
    private readonly Counter<long> _requests;
    private readonly Counter<long> _stalled;
    private readonly Counter<long> _tokenRepeats;

    public UpstreamMetrics(IMeterFactory meters)
    {
        var meter = meters.Create("ImageAccess");
        _requests = meter.CreateCounter<long>("imageaccess.upstream.requests", "{request}", "Requests to Docker Hub, by kind and status.");
        _stalled = meter.CreateCounter<long>(
            "imageaccess.upstream.stalled", "{exchange}", "Exchanges with Docker Hub that were given up because nothing flowed, by what did not come.");
        _tokenRepeats = meter.CreateCounter<long>(
            "imageaccess.token.repeats", "{token}", "Tokens given once more because the token service could not answer.");
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
    }

    /// <param name="kind"><c>registry</c>, <c>cdn</c>, <c>token</c>, <c>search</c> or <c>hub</c>.</param>
    /// <param name="status">The HTTP status, or null when there was no answer.</param>
    public void Asked(string kind, int? status) => Asked(kind, status, 1);

    /// <param name="what">What did not come, in a word.</param>
    public void Stalled(string what) => Stalled(what, 1);

    public void TokenRepeated() => _tokenRepeats.Add(1);

    private void Asked(string kind, int? status, int requests) => _requests.Add(
        requests,
        new KeyValuePair<string, object?>("kind", kind),
        new KeyValuePair<string, object?>("status", status?.ToString(CultureInfo.InvariantCulture) ?? "none"));

    private void Stalled(string what, int exchanges) => _stalled.Add(exchanges, new KeyValuePair<string, object?>("what", what));
}
