using System.Threading.Channels;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Audit;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Callers.Members;

/// <summary>What Docker Hub's member lists say of a caller. It is asked for every request and never waits.</summary>
public sealed class MembershipDirectory(IOptions<DirectoryOptions> options, AuditTrail trail, TimeProvider time, ILogger<MembershipDirectory> logger)
{
    private readonly Lock _gate = new();
    private readonly Channel<bool> _strangers =
        Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    private volatile MemberBook _book = MemberBook.Empty;
    private volatile int _version;

    internal MemberBook Book => _book;

    /// <summary>Grows with every change of the book.</summary>
    internal int Version => _version;

    /// <summary>Signed-in callers whom the lists do not know, or under another name or id: at most one wait is signalled.</summary>
    internal ChannelReader<bool> Strangers => _strangers.Reader;

    /// <summary>
    /// The caller with what the lists say. User name and id (the token's <c>sub</c>) must both be the account's:
    /// where they disagree nothing is granted, and a name that was another account's is not that account.
    /// </summary>
    /// <param name="caller">As the verified token has it.</param>
    /// <param name="policyVersion">Of the policy that the caller is about to be judged by.</param>
    public Caller Describe(Caller caller, string policyVersion)
    {
        if (caller.Subject is not { } subject || !options.Value.IsOn)
            return caller;

        var book = _book;
        var id = MemberRecord.IdOf(subject);
        var named = caller.Name is { } name ? book.Named(name) : null;
        var account = book.WithId(id);
        if (account is null || (caller.Name is not null && named != account))
            _strangers.Writer.TryWrite(true);
        if (named is not null && named.Id != id)
        {
            if (book.TakeoverOf(named.Username, named.Id)?.FormerId == id)
                return caller.WithNameSuspended(); // the last tokens of the account that had the name
            var takeover = book.TakeoverOf(named.Username, id) ?? Notice(named.Username, id, policyVersion);
            return takeover?.PolicyVersion == policyVersion ? caller.WithNameSuspended() : caller;
        }

        if (book.TakeoverOf(caller.Name ?? account?.Username ?? "", id)?.PolicyVersion == policyVersion)
            caller = caller.WithNameSuspended();
        return account is null || (caller.Name is not null && named != account) ? caller : caller.With(Current(account, book));
    }

    /// <summary>Begins with what was kept on disk.</summary>
    internal void Open(MemberBook kept)
    {
        lock (_gate)
            _book = kept;
    }

    /// <summary>A list has been read.</summary>
    internal void Take(MemberList list, string policyVersion)
    {
        lock (_gate)
        {
            Replace(_book.With(list, policyVersion, out var noticed));
            foreach (var takeover in noticed)
                Tell(takeover);
        }
    }

    internal bool IsStale(MemberList list) => time.GetUtcNow() - list.ReadAt > options.Value.StaleFor;

    /// <summary>A token shows what no list has shown yet; said once.</summary>
    private Takeover? Notice(string username, string id, string policyVersion)
    {
        lock (_gate)
        {
            if (_book.Named(username) is not { } known || known.Id == id)
                return null; // a list came between
            if (_book.TakeoverOf(username, id) is { } already)
                return already;
            var takeover = new Takeover(username, known.Id, id, time.GetUtcNow(), policyVersion);
            Replace(_book.With(takeover));
            Tell(takeover);
            return takeover;
        }
    }

    private void Replace(MemberBook book)
    {
        _book = book;
        _version++;
    }

    private void Tell(Takeover takeover)
    {
        logger.NameTakenOver(takeover.Username, takeover.FormerId, takeover.Id);
        trail.RecordAccountChange(takeover.Username, takeover.FormerId, takeover.Id);
    }

    /// <summary>Owners by a list that is too old are members.</summary>
    private IReadOnlyList<Membership> Current(Account account, MemberBook book)
    {
        for (var i = 0; i < account.Memberships.Count; i++)
        {
            if (IsTooOld(account.Memberships[i]))
                return [.. account.Memberships.Select(m => IsTooOld(m) ? m with { Role = OrganizationRole.Member } : m)];
        }

        return account.Memberships;

        bool IsTooOld(Membership membership) => membership.Role == OrganizationRole.Owner && IsStale(book.Lists[membership.Organization]);
    }
}
