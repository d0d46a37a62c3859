using System.Net;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;

namespace ImageAccess.Proxy.Foundation.Audit;

/// <summary>What the trail keeps, one line for each. It holds facts as the request had them; the writer turns them into text.</summary>
public abstract class AuditEvent
{
    private protected AuditEvent(string id, DateTimeOffset time)
    {
        Id = id;
        Time = time;
    }

    public string Id { get; }

    public DateTimeOffset Time { get; }
}

/// <summary>A decision, and what became of the request.</summary>
internal sealed class AccessEvent(string id, DateTimeOffset time, AccessDecision decision) : AuditEvent(id, time)
{
    public AccessDecision Decision { get; } = decision;

    public Caller? Caller { get; init; }

    public IPAddress? Client { get; init; }

    public string? UserAgent { get; init; }

    public string? Method { get; init; }

    public RepositoryName? Repository { get; init; }

    public RepositoryRequest? Request { get; init; }

    public string? PolicyVersion { get; init; }

    public int? UpstreamStatus { get; init; }

    public string? Source { get; init; }

    public TimeSpan Duration { get; init; }

    /// <summary>The same request with another decision.</summary>
    public AccessEvent With(AccessDecision other) => new(Id, Time, other)
    {
        Caller = Caller,
        Client = Client,
        UserAgent = UserAgent,
        Method = Method,
        Repository = Repository,
        Request = Request,
        PolicyVersion = PolicyVersion,
        UpstreamStatus = UpstreamStatus,
        Source = Source,
        Duration = Duration,
    };
}

/// <summary>A policy came into force.</summary>
internal sealed class PolicyEvent(
    string id, DateTimeOffset time, string previousVersion, string version, IReadOnlyList<string> opens) : AuditEvent(id, time)
{
    public string PreviousVersion { get; } = previousVersion;

    public string Version { get; } = version;

    public IReadOnlyList<string> Opens { get; } = opens;
}

/// <summary>A user name belongs to another account than before.</summary>
internal sealed class AccountEvent(
    string id, DateTimeOffset time, string caller, string formerAccount, string account) : AuditEvent(id, time)
{
    public string Caller { get; } = caller;

    public string FormerAccount { get; } = formerAccount;

    public string Account { get; } = account;
}

/// <summary>A connection was refused.</summary>
internal sealed class ConnectionEvent(string id, DateTimeOffset time, string reason) : AuditEvent(id, time)
{
    public string Reason { get; } = reason;

    /// <summary>The way in: <c>gateway</c> or <c>forward-proxy</c>.</summary>
    public string? WayIn { get; init; }

    public IPAddress? Client { get; init; }

    public string? User { get; init; }

    public string? Host { get; init; }

    public int? Port { get; init; }
}

/// <summary>A tag points to another digest than before.</summary>
internal sealed class TagEvent(string id, DateTimeOffset time, string repository, string tag, string formerDigest, string digest) : AuditEvent(id, time)
{
    public string Repository { get; } = repository;

    public string Tag { get; } = tag;

    public string FormerDigest { get; } = formerDigest;

    public string Digest { get; } = digest;
}
