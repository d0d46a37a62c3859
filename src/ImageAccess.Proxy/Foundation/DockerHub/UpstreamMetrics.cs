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

    /// <param name="kind"><c>registry</c>, <c>cdn</c>, <c>token</c>, <c>search</c> or <c>hub</c>.</param>
    /// <param name="status">The HTTP status, or null when there was no answer.</param>
    public void Asked(string kind, int? status) => _requests.Add(
        1,
        new KeyValuePair<string, object?>("kind", kind),
        new KeyValuePair<string, object?>("status", status?.ToString(CultureInfo.InvariantCulture) ?? "none"));

    /// <param name="what">What did not come, in a word.</param>
    public void Stalled(string what) => _stalled.Add(1, new KeyValuePair<string, object?>("what", what));

    public void TokenRepeated() => _tokenRepeats.Add(1);
}
