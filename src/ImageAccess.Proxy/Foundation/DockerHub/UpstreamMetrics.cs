using System.Diagnostics.Metrics;
using System.Globalization;

namespace ImageAccess.Proxy.Foundation.DockerHub;

/// <summary>What is asked of Docker Hub, by kind and status.</summary>
public sealed class UpstreamMetrics
{
    private readonly Counter<long> _requests;
    private readonly Counter<long> _tokenRepeats;

    public UpstreamMetrics(IMeterFactory meters)
    {
        var meter = meters.Create("ImageAccess");
        _requests = meter.CreateCounter<long>("imageaccess.upstream.requests", "{request}", "Requests to Docker Hub, by kind and status.");
        _tokenRepeats = meter.CreateCounter<long>(
            "imageaccess.token.repeats", "{token}", "Tokens given once more because the token service could not answer.");
    }

    /// <param name="kind"><c>registry</c> or <c>token</c>.</param>
    /// <param name="status">The HTTP status, or null when there was no answer.</param>
    public void Asked(string kind, int? status) => _requests.Add(
        1,
        new KeyValuePair<string, object?>("kind", kind),
        new KeyValuePair<string, object?>("status", status?.ToString(CultureInfo.InvariantCulture) ?? "none"));

    public void TokenRepeated() => _tokenRepeats.Add(1);
}
