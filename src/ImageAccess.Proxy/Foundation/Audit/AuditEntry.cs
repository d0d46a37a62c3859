using System.Security.Cryptography;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;

namespace ImageAccess.Proxy.Foundation.Audit;

/// <summary>One request's entry: filled while the request is handled, closed on every way out. It never fails a request.</summary>
public sealed class AuditEntry : IAsyncDisposable
{
    private readonly AuditTrail _trail;
    private readonly HttpContext _http;
    private readonly DateTimeOffset _opened;
    private readonly long _started;
    private string? _id;
    private bool _closed;

    internal AuditEntry(AuditTrail trail, HttpContext http, DateTimeOffset opened, long started)
    {
        _trail = trail;
        _http = http;
        _opened = opened;
        _started = started;
    }

    /// <summary>The decision's id: 128 random bits in lower-case hexadecimal, made when first asked for.</summary>
    public string Id => _id ??= NewId();

    public Caller? Caller { get; set; }

    public RepositoryRequest? Request { get; set; }

    /// <summary>What was decided about, where there is no registry request: in a token request.</summary>
    public RepositoryName? Repository { get; set; }

    /// <summary>The last decision made counts. Without one the request leaves no event.</summary>
    public AccessDecision? Decision { get; set; }

    public string? PolicyVersion { get; set; }

    public int? UpstreamStatus { get; set; }

    /// <summary>Where the content came from.</summary>
    public string? Source { get; set; }

    /// <summary>
    /// For a decision that is found after the request's end: what is known of the request is taken now, and the event is
    /// recorded when the decision is given.
    /// </summary>
    public Func<AccessDecision, ValueTask> CloseLater()
    {
        _closed = true;
        var known = ToEvent(Decision ?? throw new InvalidOperationException("What is found later was first decided for now."));
        return found => IsRecorded(found) ? _trail.RecordAsync(known.With(found)) : ValueTask.CompletedTask;
    }

    public ValueTask DisposeAsync()
    {
        if (_closed)
            return ValueTask.CompletedTask;
        _closed = true;
        return Decision is { } decision && IsRecorded(decision)
            ? _trail.RecordAsync(ToEvent(decision))
            : ValueTask.CompletedTask;
    }

    internal static string NewId() => Convert.ToHexStringLower(RandomBits.Take());

    /// <summary>Every denial, and what is allowed except reads of blobs: a pull makes dozens of them.</summary>
    private bool IsRecorded(AccessDecision decision) => decision.Outcome == AccessOutcome.Deny || Request switch
    {
        null => false,
        BlobRequest blob => blob.Method is not ("GET" or "HEAD"),
        _ => true,
    };

    private AccessEvent ToEvent(AccessDecision decision) => new(Id, _opened, decision)
    {
        Caller = Caller,
        Client = _http.Connection.RemoteIpAddress,
        UserAgent = _http.Request.Headers.UserAgent is { Count: > 0 } agent ? AuditLine.Cut(agent.ToString()) : null,
        Method = _http.Request.Method,
        Repository = Request?.Repository ?? Repository,
        Request = Request,
        PolicyVersion = PolicyVersion,
        UpstreamStatus = UpstreamStatus,
        Source = Source,
        Duration = _trail.Since(_started),
    };
}

/// <summary>Random bits of an id, drawn for many ids at once: the generator costs as much for sixteen bytes as for a thousand.</summary>
internal static class RandomBits
{
    private const int Size = 16;

    [ThreadStatic]
    private static byte[]? _drawn;

    [ThreadStatic]
    private static int _left;

    public static ReadOnlySpan<byte> Take()
    {
        _drawn ??= new byte[64 * Size];
        if (_left == 0)
        {
            RandomNumberGenerator.Fill(_drawn);
            _left = _drawn.Length;
        }

        _left -= Size;
        return _drawn.AsSpan(_left, Size);
    }
}
