using System.Threading.Channels;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Audit;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Callers.Members;

/// <summary>What Docker Hub's member lists say of a caller. It is asked for every request and never waits.</summary>
public sealed class MembershipDirectory(
    IOptions<DirectoryOptions> options, NamedAccounts accounts, AuditTrail trail, TimeProvider time, ILogger<MembershipDirectory> logger)
{
    /// <summary>How many changes of one list are logged one by one.</summary>
    private const int MaximumTold = 20;

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
    /// <param name="policy">The policy that the caller is about to be judged by.</param>
    public Caller Describe(Caller caller, Policy policy)
    {
        var isGranted = caller.Name is { } username && policy.NamesPerson(username);
        if (caller.Account is not { } id || !(isGranted || options.Value.IsOn))
            return caller;

        var book = _book;
        var named = caller.Name is { } name ? book.Named(name) : null;
        var account = book.WithId(id);
        var isKnown = account is not null && (caller.Name is null || named == account);
        if (!isKnown && options.Value.IsOn)
            _strangers.Writer.TryWrite(true);
        if (named is not null && book.TakeoverOf(named.Username, named.Id)?.FormerId == id)
            return caller.WithNameSuspended(); // the last tokens of the account that had the name

        var takeover = caller.Name is null ? null : book.TakeoverOf(caller.Name, id);
        if (takeover is null && named is not null && named.Id != id)
            takeover = Notice(named.Username, id);
        if (isGranted && !Holds(caller.Name!, id, named?.Id, policy, isTold: takeover is not null))
            caller = caller.WithNameSuspended();
        if (isGranted)
            caller = WithAbsences(caller, isKnown ? account : null, policy, book);
        return isKnown ? caller.With(Current(account!, book)) : caller;
    }

    /// <summary>The caller whom a name stands for, where no token says which account it is.</summary>
    public Caller DescribeHolder(Caller caller, Policy policy)
    {
        if (caller.Name is not { } name)
            return caller;
        var book = _book;
        if (book.Named(name) is { } account)
            return Describe(Caller.SignedIn(name, account.Id, caller.Memberships), policy);
        var isSuspended = accounts.Flaw is not null && accounts.SaidOf(name, policy) is null;
        return WithAbsences(isSuspended ? caller.WithNameSuspended() : caller, account: null, policy, book);
    }

    /// <summary>Begins with what was kept on disk.</summary>
    internal void Open(MemberBook kept)
    {
        lock (_gate)
            _book = kept;
        if (accounts.IsNew)
            accounts.Begin(kept.Takeovers);
    }

    /// <summary>A list has been read.</summary>
    internal void Take(MemberList list)
    {
        lock (_gate)
        {
            Replace(_book.With(list, out var noticed));
            accounts.Begin(noticed);
            foreach (var takeover in noticed.Take(MaximumTold))
                logger.NameTakenOver(takeover.Username, takeover.FormerId, takeover.Id);
            foreach (var takeover in noticed)
                trail.RecordAccountChange(takeover.Username, takeover.FormerId, takeover.Id);
            if (noticed.Count > MaximumTold)
                logger.NamesTakenOver(noticed.Count - MaximumTold, list.Organization);
        }
    }

    internal bool IsStale(MemberList list) => time.GetUtcNow() - list.ReadAt > options.Value.StaleFor;

    /// <summary>A token shows what no list has shown yet; said once.</summary>
    private Takeover? Notice(string username, string id)
    {
        lock (_gate)
        {
            if (_book.Named(username) is not { } known || known.Id == id)
                return null; // a list came between
            if (_book.TakeoverOf(username, id) is { } already)
                return already;
            var takeover = new Takeover(username, known.Id, id, time.GetUtcNow());
            Replace(_book.With(takeover));
            Tell(username, takeover.FormerId, id);
            return takeover;
        }
    }

    /// <summary>Whether the policy means this account by the name; said once where it does not.</summary>
    private bool Holds(string name, string id, string? listed, Policy policy, bool isTold)
    {
        var holds = accounts.Holds(name, id, listed, policy, out var former);
        if (former is not null && !isTold)
            Tell(name, former, id);
        return holds;
    }

    private void Replace(MemberBook book)
    {
        _book = book;
        _version++;
    }

    private void Tell(string username, string formerId, string id)
    {
        logger.NameTakenOver(username, formerId, id);
        trail.RecordAccountChange(username, formerId, id);
    }

    /// <summary>
    /// The caller, absent from each organization that the policy grants him more of than a member has, and whose list does not name the account.
    /// A list says so however old it is: while none can be read, nobody who left becomes an owner again.
    /// </summary>
    private static Caller WithAbsences(Caller caller, Account? account, Policy policy, MemberBook book)
    {
        foreach (var organization in policy.ListedFor(caller.Name!))
        {
            if (book.Lacks(account, organization))
                caller = caller.With([new Membership(organization, OrganizationRole.None)]);
        }

        return caller;
    }

    /// <summary>Owners by a list that is too old are members, and in no team.</summary>
    private IReadOnlyList<Membership> Current(Account account, MemberBook book)
    {
        for (var i = 0; i < account.Memberships.Count; i++)
        {
            if (IsTooOld(account.Memberships[i]))
                return [.. account.Memberships.Select(m => IsTooOld(m) ? m with { Role = OrganizationRole.Member, Teams = [] } : m)];
        }

        return account.Memberships;

        bool IsTooOld(Membership membership) => (membership.Role == OrganizationRole.Owner || membership.Teams.Count > 0) && IsStale(book.Lists[membership.Organization]);
    }
}
