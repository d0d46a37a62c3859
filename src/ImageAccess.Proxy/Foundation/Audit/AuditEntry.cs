using System.Security.Cryptography;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using Microsoft.AspNetCore.Connections.Features;

namespace ImageAccess.Proxy.Foundation.Audit;

/// <summary>One request's entry: filled while the request is handled, closed on every way out. It never fails a request.</summary>
public sealed class AuditEntry : IAsyncDisposable
{
    private readonly AuditTrail _trail;
    private readonly HttpContext _http;
    private readonly DateTimeOffset _opened;
    private readonly long _started;
    private string? _own;
    private string? _id;
    private OpenPull? _pull;
    private Digest? _digest;
    private Digest? _index;
    private AccessEvent? _denial;
    private bool _isMerged;
    private bool _closed;

    internal AuditEntry(AuditTrail trail, HttpContext http, DateTimeOffset opened, long started)
    {
        _trail = trail;
        _http = http;
        _opened = opened;
        _started = started;
    }

    /// <summary>
    /// The decision's id: 128 random bits in lower-case hexadecimal, made when first asked for. Denials that are merged have the id of the
    /// first of them; so set all facts before you ask for it.
    /// </summary>
    public string Id => _id ??= Decision is { Outcome: AccessOutcome.Deny } denial ? Merge(ToEvent(Own, denial)) : Own;

    /// <summary>The way in that the client took.</summary>
    public string? WayIn { get; set; }

    private string Own => _own ??= NewId();

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

    /// <summary>Decides about the request of the entry, and finds the pull that it belongs to.</summary>
    public void Decide(AccessDecision decision)
    {
        Decision = decision;
        if (Request is { } request && IsRecorded(decision))
            _pull = _trail.PullOf(Caller, _http.Connection.RemoteIpAddress, request, Own);
    }

    /// <summary>The client was told of a manifest. Where it was chosen from an index in the same pull, the event has the digest of both.</summary>
    public void ManifestServed()
    {
        var (headers, type) = (_http.Response.Headers, _http.Response.ContentType ?? "");
        if (!Digest.TryParse(headers["Docker-Content-Digest"].ToString(), out var digest))
            return;
        (_digest, _index) = (digest, digest.Equals(_pull?.Index) ? null : _pull?.Index);
        if (_pull is { } pull && (type.Contains("image.index", StringComparison.OrdinalIgnoreCase) || type.Contains("manifest.list", StringComparison.OrdinalIgnoreCase)))
            pull.Index = digest;
    }

    /// <summary>
    /// The client has gone. <see cref="HttpContext.RequestAborted"/> does not tell: it stays silent when the whole answer was sent before.
    /// </summary>
    public CancellationToken Gone => _http.Features.Get<IConnectionLifetimeFeature>()?.ConnectionClosed ?? _http.RequestAborted;

    /// <summary>
    /// For a decision that is found after the request's end: what is known of the request is taken now, and the event is
    /// recorded when the decision is given.
    /// </summary>
    public Func<AccessDecision, ValueTask> CloseLater()
    {
        _closed = true;
        var known = ToEvent(Id, Decision ?? throw new InvalidOperationException("What is found later was first decided for now."));
        return found => !IsRecorded(found) ? ValueTask.CompletedTask
            : found.Outcome == AccessOutcome.Deny ? _trail.RecordDenialAsync(known.With(found), CancellationToken.None)
            : _trail.RecordAsync(known.With(found), CancellationToken.None);
    }

    public ValueTask DisposeAsync()
    {
        if (_closed)
            return ValueTask.CompletedTask;
        _closed = true;
        if (Decision is not { } decision || !IsRecorded(decision))
            return ValueTask.CompletedTask;

        var id = Id;
        var audit = _isMerged ? _denial : ToEvent(id, decision);
        return audit is null ? ValueTask.CompletedTask : _trail.RecordAsync(audit, Gone);
    }

    internal static string NewId() => Convert.ToHexStringLower(RandomBits.Take());

    /// <summary>Every denial, and what is allowed except reads of blobs: a pull makes dozens of them.</summary>
    private bool IsRecorded(AccessDecision decision) => decision.Outcome == AccessOutcome.Deny || Request switch
    {
        null => false,
        BlobRequest blob => blob.Method is not ("GET" or "HEAD"),
        _ => true,
    };

    private string Merge(AccessEvent denial)
    {
        var id = _trail.Merge(denial, out var isFirst);
        (_isMerged, _denial) = (true, isFirst ? denial : null);
        return id;
    }

    private AccessEvent ToEvent(string id, AccessDecision decision) => new(id, _opened, decision)
    {
        Caller = Caller,
        Client = _http.Connection.RemoteIpAddress,
        WayIn = WayIn,
        UserAgent = _http.Request.Headers.UserAgent is { Count: > 0 } agent ? AuditLine.Cut(agent.ToString()) : null,
        Method = _http.Request.Method,
        Repository = Request?.Repository ?? Repository,
        Request = Request,
        PolicyVersion = PolicyVersion,
        UpstreamStatus = UpstreamStatus,
        Source = Source,
        Duration = _trail.Since(_started),
        Pull = _pull?.Id,
        Digest = _digest,
        Index = _index,
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
