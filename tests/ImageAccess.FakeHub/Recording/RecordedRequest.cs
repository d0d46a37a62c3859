using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Primitives;

namespace ImageAccess.FakeHubs;

/// <summary>The part of Docker Hub that a request asked.</summary>
public enum Face
{
    Registry,
    Auth,
    Hub,
    Cdn,
    Index,
}

/// <summary>One request as it arrived, and what it was answered.</summary>
public sealed class RecordedRequest
{
    private long _bodyBytesSent;

    internal RecordedRequest(Face face, HttpContext http, DateTimeOffset at)
    {
        Face = face;
        At = at;
        Method = http.Request.Method;
        RawTarget = http.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
        Host = http.Request.Host.Value ?? "";
        Protocol = http.Request.Protocol;
        Headers = new Dictionary<string, StringValues>(http.Request.Headers, StringComparer.OrdinalIgnoreCase);
        ViaDockerHubNames = DockerHubNames.Contains(http.Request.Host.Host);
    }

    public Face Face { get; }

    public DateTimeOffset At { get; }

    public string Method { get; }

    /// <summary>Path and query, byte for byte as sent.</summary>
    public string RawTarget { get; }

    public string Path => RawTarget.Split('?', 2)[0];

    /// <summary>What follows the first <c>?</c>, not decoded; empty when there is none.</summary>
    public string Query => RawTarget.Contains('?', StringComparison.Ordinal) ? RawTarget.Split('?', 2)[1] : "";

    public string Host { get; }

    public string Protocol { get; }

    public IReadOnlyDictionary<string, StringValues> Headers { get; }

    /// <summary>The body of a POST to the token service or the Hub API; null elsewhere.</summary>
    public string? Body { get; internal set; }

    /// <summary>Whether the client asked one of Docker Hub's own host names, and not an address of this fake.</summary>
    public bool ViaDockerHubNames { get; }

    /// <summary>0 until the answer's headers are about to leave, and for good when none do.</summary>
    public int Status { get; internal set; }

    public long BodyBytesSent => Interlocked.Read(ref _bodyBytesSent);

    public string? Authorization => Header("Authorization");

    public string? Header(string name) => Headers.TryGetValue(name, out var values) ? values.ToString() : null;

    public override string ToString() => $"{Face} {Method} {Host} {RawTarget} -> {Status}";

    /// <summary>This side broke the connection.</summary>
    internal bool Broken { get; set; }

    internal void CountSent(int bytes) => Interlocked.Add(ref _bodyBytesSent, bytes);
}
