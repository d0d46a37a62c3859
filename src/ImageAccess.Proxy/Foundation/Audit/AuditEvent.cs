using System.Globalization;
using System.Net;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Limits;

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

    /// <summary>Null for everything but denials: only they are merged.</summary>
    internal virtual DenialKey? Key => null;

    /// <summary>The share of the trail that the line counts against; null where it counts against none.</summary>
    internal DenialShare? Share { get; set; }
}

/// <summary>A decision, and what became of the request.</summary>
internal sealed class AccessEvent(string id, DateTimeOffset time, AccessDecision decision) : AuditEvent(id, time)
{
    public AccessDecision Decision { get; } = decision;

    public Caller? Caller { get; init; }

    public IPAddress? Client { get; init; }

    /// <summary>The way in: <c>mirror</c>, <c>gateway</c> or <c>forward-proxy</c>.</summary>
    public string? WayIn { get; init; }

    public string? UserAgent { get; init; }

    public string? Method { get; init; }

    public RepositoryName? Repository { get; init; }

    public RepositoryRequest? Request { get; init; }

    public string? PolicyVersion { get; init; }

    public int? UpstreamStatus { get; init; }

    public string? Source { get; init; }

    public TimeSpan Duration { get; init; }

    /// <summary>The pull that the request belongs to: the id of the request that began it. Null for what is no part of a pull.</summary>
    public string? Pull { get; init; }

    /// <summary>The digest of the manifest that the client was told of.</summary>
    public Digest? Digest { get; init; }

    /// <summary>The digest of the index that the manifest was chosen from, in the same pull.</summary>
    public Digest? Index { get; init; }

    internal override DenialKey? Key => Decision.Outcome != AccessOutcome.Deny ? null : new(
        nameof(AccessEvent), Caller is { IsAnonymous: false } caller ? caller.DisplayName : null, ClientShare.Of(Client), WayIn, Method,
        Repository?.Value, Decision.Rule, PolicyVersion, Decision.Block?.Id);

    /// <summary>The same request with another decision.</summary>
    public AccessEvent With(AccessDecision other) => new(Id, Time, other)
    {
        Caller = Caller,
        Client = Client,
        WayIn = WayIn,
        UserAgent = UserAgent,
        Method = Method,
        Repository = Repository,
        Request = Request,
        PolicyVersion = PolicyVersion,
        UpstreamStatus = UpstreamStatus,
        Source = Source,
        Duration = Duration,
        Pull = Pull,
        Digest = Digest,
        Index = Index,
    };
}

/// <summary>A policy came into force.</summary>
internal sealed class PolicyEvent(
    string id, DateTimeOffset time, string previousVersion, string version, IReadOnlyList<string> opens) : AuditEvent(id, time)
{
    public string PreviousVersion { get; } = previousVersion;

    public string Version { get; } = version;

    public IReadOnlyList<string> Opens { get; } = opens;

    public string? By { get; init; }

    public string? Reason { get; init; }

    public string? Ticket { get; init; }
}

/// <summary>Docker Hub's own switches of an organization that follows them have changed, and with them the policy.</summary>
internal sealed class FollowEvent(string id, DateTimeOffset time, FollowedChange change) : AuditEvent(id, time)
{
    public FollowedChange Change { get; } = change;
}

/// <summary>What other switches of Docker Hub come to.</summary>
/// <param name="Organization">Whose.</param>
/// <param name="Switches">Those that hold from now on.</param>
/// <param name="PreviousVersion">Of the policy before.</param>
/// <param name="Version">Of the policy with them.</param>
/// <param name="Opens">In words.</param>
/// <param name="Closes">In words.</param>
internal sealed record FollowedChange(string Organization, HubSwitches Switches, string PreviousVersion, string Version, IReadOnlyList<string> Opens, IReadOnlyList<string> Closes)
{
    /// <summary>How often the same came again within an hour; null for the first.</summary>
    public int? Count { get; init; }

    /// <summary>When it came again last.</summary>
    public DateTimeOffset? Last { get; init; }

    /// <summary>Whether they differ in their versions alone.</summary>
    public bool IsAlike(FollowedChange other) =>
        Organization == other.Organization && Switches == other.Switches && Opens.SequenceEqual(other.Opens) && Closes.SequenceEqual(other.Closes);
}

/// <summary>Something was blocked, or a block was lifted.</summary>
/// <param name="lifted">Whether it was lifted.</param>
/// <param name="by">Who did it, as far as is known.</param>
/// <param name="reason">Why, as far as is known.</param>
/// <param name="at">When, as far as is known.</param>
internal sealed class BlockEvent(
    string id, DateTimeOffset time, Block block, bool lifted, string? by, string? reason, DateTimeOffset? at) : AuditEvent(id, time)
{
    public Block Block { get; } = block;

    public bool IsLifted { get; } = lifted;

    public string? By { get; } = by;

    public string? Reason { get; } = reason;

    public DateTimeOffset? At { get; } = at;

    public string? Ticket { get; init; }
}

/// <summary>Something was opened in an emergency, that has ended, or somebody has reviewed it.</summary>
internal sealed class BreakGlassEvent(string id, DateTimeOffset time, BreakGlassEvent.Step step) : AuditEvent(id, time)
{
    public Step What { get; } = step;

    /// <param name="Id">The emergency.</param>
    /// <param name="What"><c>begun</c>, <c>ended</c> or <c>reviewed</c>.</param>
    /// <param name="Organization">Whose rules it is about.</param>
    /// <param name="Words">What it opens.</param>
    /// <param name="Until">When it ends by itself.</param>
    /// <param name="By">Who did this step; null where it ended by itself.</param>
    /// <param name="Reason">Why.</param>
    /// <param name="At">When.</param>
    internal sealed record Step(long Id, string What, string Organization, string Words, DateTimeOffset Until, string? By, string? Reason, DateTimeOffset At)
    {
        public string? Ticket { get; init; }

        /// <summary>What tells the step apart from all others, also where somebody has begun the file anew.</summary>
        public string Key => $"{Id} {What} {At.UtcTicks}";
    }
}

/// <summary>An exception was granted, or one was ended.</summary>
/// <param name="ended">Whether it was ended.</param>
/// <param name="by">Who did it, as far as is known.</param>
/// <param name="reason">Why, as far as is known.</param>
/// <param name="at">When, as far as is known.</param>
internal sealed class ExceptionEvent(
    string id, DateTimeOffset time, GrantedException exception, bool ended, string? by, string? reason, DateTimeOffset? at) : AuditEvent(id, time)
{
    public GrantedException Exception { get; } = exception;

    public bool IsEnded { get; } = ended;

    public string? By { get; } = by;

    public string? Reason { get; } = reason;

    public DateTimeOffset? At { get; } = at;

    public string? Ticket { get; init; }
}

/// <summary>What somebody did about a change that takes two persons.</summary>
/// <param name="Id">The change.</param>
/// <param name="Kind">What it is about.</param>
/// <param name="State">What became of it: <c>waiting</c>, <c>done</c>, <c>declined</c> or <c>ended</c>.</param>
/// <param name="Organization">Whose; null for what all organizations share.</param>
/// <param name="By">Who did this step; null where it ended by itself.</param>
/// <param name="AskedBy">Who asked for the change.</param>
/// <param name="Opens">What it opens, in words.</param>
/// <param name="Reason">Why this step.</param>
/// <param name="Ticket">The ticket of the change.</param>
/// <param name="At">When.</param>
internal sealed record ChangeStep(
    long Id, string Kind, string State, string? Organization, string? By, string AskedBy, IReadOnlyList<string> Opens, string? Reason, string? Ticket, DateTimeOffset At);

/// <inheritdoc cref="ChangeStep"/>
internal sealed class ChangeEvent(string id, DateTimeOffset time, ChangeStep step) : AuditEvent(id, time)
{
    public ChangeStep Step { get; } = step;
}

/// <summary>What somebody did about an access request, or what became of it.</summary>
/// <param name="Request">The request.</param>
/// <param name="Step"><c>asked</c>, <c>joined</c> (one more asks), <c>approved</c>, <c>waiting</c> (for a second person), <c>reopened</c>, <c>declined</c>, <c>withdrawn</c> or <c>ended</c>.</param>
/// <param name="State">The request's state since this step: <c>open</c>, <c>approved</c>, <c>declined</c>, <c>withdrawn</c> or <c>ended</c>.</param>
/// <param name="Image">What is asked for.</param>
/// <param name="Organizations">Those that deny it, each of which has to answer.</param>
/// <param name="Organization">The one that this step is about; null for all of them.</param>
/// <param name="By">Who took this step; null where it came by itself.</param>
/// <param name="AskedBy">Whose request it is at this step; of a withdrawal who withdrew.</param>
/// <param name="Reason">Why this step.</param>
/// <param name="At">When.</param>
internal sealed record RequestStep(
    long Request, string Step, string State, string Image, IReadOnlyList<string> Organizations, string? Organization, string? By, IReadOnlyList<string> AskedBy, string? Reason, DateTimeOffset At)
{
    public string? Ticket { get; init; }

    /// <summary>The denial that who asks has named.</summary>
    public string? Denial { get; init; }

    /// <summary>The exception that was granted.</summary>
    public long? Exception { get; init; }

    /// <summary>What it opens; it may be less than what was asked for.</summary>
    public string? Granted { get; init; }

    /// <summary>Of a tag: the digest that it was approved as.</summary>
    public string? Digest { get; init; }

    /// <summary>When the exception ends; null also where it has no end.</summary>
    public DateTimeOffset? Until { get; init; }

    /// <summary>The change that waits for a second person.</summary>
    public long? Change { get; init; }
}

/// <inheritdoc cref="RequestStep"/>
internal sealed class RequestEvent(string id, DateTimeOffset time, RequestStep step) : AuditEvent(id, time)
{
    public RequestStep Step { get; } = step;
}

/// <summary>Somebody wanted to change something, and may not.</summary>
internal sealed class ForbiddenChangeEvent(string id, DateTimeOffset time, string user, string operation, string? organization) : AuditEvent(id, time)
{
    public string User { get; } = user;

    public string Operation { get; } = operation;

    public string? Organization { get; } = organization;

    internal override DenialKey? Key => new(nameof(ForbiddenChangeEvent), User, ClientShare.OfUser(User), WayIn: null, Method: null, Organization, Operation, PolicyVersion: null);
}

/// <summary>Somebody looked at named pulls of others.</summary>
/// <param name="By">Who.</param>
/// <param name="Organization">Whose pulls; null for those of all.</param>
/// <param name="What"><c>decisions</c>, <c>usage</c>, <c>incident</c>, <c>report</c>, <c>denials</c>, <c>draft</c>, or <c>caller</c>: who a pseudonym is.</param>
/// <param name="Question">About which, in words.</param>
internal sealed record Look(string By, string? Organization, string What, string Question);

/// <inheritdoc cref="Look"/>
internal sealed class LookEvent(string id, DateTimeOffset time, Look look) : AuditEvent(id, time)
{
    public Look Look { get; } = look;
}

/// <summary>A token of the API was made, or one was revoked.</summary>
/// <param name="by">Who did it.</param>
/// <param name="at">When.</param>
internal sealed class TokenEvent(string id, DateTimeOffset time, long token, bool revoked, string by, DateTimeOffset at) : AuditEvent(id, time)
{
    public long Token { get; } = token;

    public bool IsRevoked { get; } = revoked;

    public string By { get; } = by;

    public DateTimeOffset At { get; } = at;

    /// <summary>What it is for.</summary>
    public required string Label { get; init; }

    public required string Role { get; init; }

    /// <summary>Null for every organization.</summary>
    public string? Organization { get; init; }

    /// <summary>Without whose role it ends; null for one of the server's own.</summary>
    public string? Person { get; init; }

    public DateTimeOffset Expires { get; init; }
}

/// <summary>A token of the API was refused.</summary>
/// <param name="reason"><c>unknown</c>, <c>expired</c>, <c>revoked</c>, <c>left</c> or <c>limit</c>.</param>
/// <param name="token">Its number; null where it is not known.</param>
internal sealed class TokenRefusalEvent(string id, DateTimeOffset time, string reason, long? token, IPAddress? client) : AuditEvent(id, time)
{
    public string Reason { get; } = reason;

    public long? Token { get; } = token;

    public IPAddress? Client { get; } = client;

    internal override DenialKey? Key => new(
        nameof(TokenRefusalEvent), Account: null, ClientShare.Of(Client), WayIn: null, Method: null, Token?.ToString(CultureInfo.InvariantCulture), Reason, PolicyVersion: null);
}

/// <summary>A user name belongs to another account than before.</summary>
internal sealed class AccountEvent(
    string id, DateTimeOffset time, string caller, string formerAccount, string account) : AuditEvent(id, time)
{
    public string Caller { get; } = caller;

    public string FormerAccount { get; } = formerAccount;

    public string Account { get; } = account;
}

/// <summary>Somebody has confirmed which account a user name stands for.</summary>
/// <param name="caller">The user name.</param>
/// <param name="account">Docker Hub's id of the account.</param>
/// <param name="by">Who did it.</param>
/// <param name="reason">Why.</param>
/// <param name="at">When.</param>
internal sealed class ConfirmationEvent(
    string id, DateTimeOffset time, string caller, string account, string by, string reason, DateTimeOffset at) : AuditEvent(id, time)
{
    public string Caller { get; } = caller;

    public string Account { get; } = account;

    public string By { get; } = by;

    public string Reason { get; } = reason;

    public DateTimeOffset At { get; } = at;

    /// <summary>Null for every organization.</summary>
    public string? Organization { get; init; }

    public string? Ticket { get; init; }
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

    internal override DenialKey? Key =>
        new(nameof(ConnectionEvent), User, ClientShare.Of(Client), WayIn, Method: null, $"{Host}:{Port}", Reason, PolicyVersion: null);
}

/// <summary>Somebody tried to sign in at Docker Hub through the proxy, and failed or was refused.</summary>
internal sealed class SignInEvent(string id, DateTimeOffset time, string reason) : AuditEvent(id, time)
{
    /// <summary><c>refused</c> by Docker Hub; or by the proxy: <c>limit</c> or <c>busy</c>.</summary>
    public string Reason { get; } = reason;

    public string? WayIn { get; init; }

    public IPAddress? Client { get; init; }

    /// <summary>As whom.</summary>
    public string? User { get; init; }

    public int? UpstreamStatus { get; init; }

    internal override DenialKey? Key => new(nameof(SignInEvent), Account: null, ClientShare.Of(Client), WayIn, Method: null, User, Reason, PolicyVersion: null);
}

/// <summary>A tag points to another digest than before.</summary>
internal sealed class TagEvent(string id, DateTimeOffset time, string repository, string tag, string formerDigest, string digest) : AuditEvent(id, time)
{
    public string Repository { get; } = repository;

    public string Tag { get; } = tag;

    public string FormerDigest { get; } = formerDigest;

    public string Digest { get; } = digest;
}

/// <summary>Somebody made the cache forget an image.</summary>
internal sealed class ForgottenEvent(string id, DateTimeOffset time, string repository) : AuditEvent(id, time)
{
    public string Repository { get; } = repository;

    /// <summary>The tag, the digest or both; null for the whole repository.</summary>
    public string? Reference { get; init; }

    public int Links { get; init; }

    public int Tags { get; init; }

    public string? User { get; init; }

    public IPAddress? Client { get; init; }

    public string? Reason { get; init; }
}

/// <summary>The closing line of denials that were merged.</summary>
internal sealed class MergedEvent : AuditEvent
{
    public MergedEvent(MergedDenial merged, DateTimeOffset time)
        : base(merged.Id, time)
    {
        Merged = merged;
        Share = merged.First is null ? null : merged.Share;
    }

    public MergedDenial Merged { get; }
}

/// <summary>An event whose line is written already.</summary>
internal sealed class WrittenEvent(string id, DateTimeOffset time, ReadOnlyMemory<byte> line) : AuditEvent(id, time)
{
    public ReadOnlyMemory<byte> Line { get; } = line;
}
