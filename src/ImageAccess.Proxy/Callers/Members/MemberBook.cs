using System.Collections.Frozen;
using System.Collections.Immutable;
using ImageAccess.Core.Policies;

namespace ImageAccess.Proxy.Callers.Members;

/// <summary>An account as the member lists know it.</summary>
/// <param name="Memberships">What the lists grant to it; nothing once no list names it.</param>
/// <param name="LeftAt">Since when no list names it. Its name stays known, so that a later owner of the name is told apart.</param>
internal sealed record Account(string Username, string Id, IReadOnlyList<Membership> Memberships, DateTimeOffset? LeftAt = null);

/// <summary>A user name went from one account to another.</summary>
/// <param name="At">When. A list that was read before grants nothing to the new account.</param>
internal sealed record Takeover(string Username, string FormerId, string Id, DateTimeOffset At);

/// <summary>Who is who, and who belongs where: an immutable snapshot of the lists that were read last.</summary>
internal sealed class MemberBook
{
    /// <summary>How many former members' names stay known; those that left longest ago are dropped first.</summary>
    public const int MaximumFormer = 100_000;

    private readonly FrozenDictionary<string, Account> _byName;
    private readonly FrozenDictionary<string, Account> _byId;
    private readonly ImmutableDictionary<(string Username, string Id), Takeover> _takeovers;

    private MemberBook(
        ImmutableDictionary<string, MemberList> lists,
        FrozenDictionary<string, Account> byName,
        FrozenDictionary<string, Account> byId,
        ImmutableDictionary<(string Username, string Id), Takeover> takeovers)
    {
        Lists = lists;
        _byName = byName;
        _byId = byId;
        _takeovers = takeovers;
    }

    public static MemberBook Empty { get; } = new(
        ImmutableDictionary<string, MemberList>.Empty,
        FrozenDictionary<string, Account>.Empty,
        FrozenDictionary<string, Account>.Empty,
        ImmutableDictionary<(string Username, string Id), Takeover>.Empty);

    /// <summary>The last good list of each organization.</summary>
    public ImmutableDictionary<string, MemberList> Lists { get; }

    public IEnumerable<Account> Former => _byName.Values.Where(account => account.LeftAt is not null);

    public IEnumerable<Takeover> Takeovers => _takeovers.Values;

    /// <summary>As it was kept on disk.</summary>
    public static MemberBook Of(IEnumerable<MemberList> lists, IEnumerable<Account> former, IEnumerable<Takeover> takeovers) => Build(
        lists.ToImmutableDictionary(list => list.Organization),
        former,
        DateTimeOffset.MinValue,
        takeovers.ToImmutableDictionary(takeover => (takeover.Username, takeover.Id)));

    public Account? Named(string username) => _byName.GetValueOrDefault(username);

    /// <summary>The account of this id, as long as a list names it.</summary>
    public Account? WithId(string id) => _byId.GetValueOrDefault(id);

    /// <summary>Whether the organization's list was read and grants nothing to this account; null is one that no list names.</summary>
    public bool Lacks(Account? account, string organization)
    {
        if (!Lists.ContainsKey(organization))
            return false;
        for (var i = 0; i < account?.Memberships.Count; i++)
        {
            if (account.Memberships[i].Organization == organization)
                return false;
        }

        return true;
    }

    /// <summary>The mail address that an organization's list has of a member; null where it has none, or grants nothing to who has the name.</summary>
    /// <param name="isRead">Whether that can be said: a list of before the start has no addresses.</param>
    public string? AddressOf(string username, string organization, out bool isRead)
    {
        isRead = true;
        if (!Lists.TryGetValue(organization, out var list) || Lacks(Named(username), organization))
            return null;
        isRead = list.Addresses is not null;
        return list.Addresses?.GetValueOrDefault(username);
    }

    /// <summary>How this account came by this name, if it was another one's.</summary>
    public Takeover? TakeoverOf(string username, string id) =>
        _takeovers.GetValueOrDefault((username, id));

    /// <summary>With a newer list of one organization, and what it shows of names that changed hands.</summary>
    public MemberBook With(MemberList list, out IReadOnlyList<Takeover> noticed)
    {
        var found = new List<Takeover>();
        var takeovers = _takeovers.ToBuilder();
        foreach (var member in list.Members)
        {
            if (Named(member.Username) is not { } known || known.Id == member.Id || TakeoverOf(member.Username, member.Id) is not null)
                continue;
            var takeover = new Takeover(member.Username, known.Id, member.Id, list.ReadAt);
            takeovers.Remove((known.Username, known.Id)); // should it have the name once more, that is told anew
            takeovers[(takeover.Username, takeover.Id)] = takeover;
            found.Add(takeover);
        }

        noticed = found;
        return Build(Lists.SetItem(list.Organization, list), _byName.Values, list.ReadAt, takeovers.ToImmutable());
    }

    /// <summary>With a name that a token shows in other hands. The lists know the former account alone: they grant what they did.</summary>
    public MemberBook With(Takeover takeover) => new(Lists, _byName, _byId, _takeovers.SetItem((takeover.Username, takeover.Id), takeover));

    private static MemberBook Build(
        ImmutableDictionary<string, MemberList> lists,
        IEnumerable<Account> known,
        DateTimeOffset now,
        ImmutableDictionary<(string Username, string Id), Takeover> takeovers)
    {
        // Where two lists know a name by different ids, the one read later does.
        var names = new Dictionary<string, Account>(StringComparer.Ordinal);
        foreach (var list in lists.Values.OrderBy(list => list.ReadAt).ThenBy(list => list.Organization, StringComparer.Ordinal))
        {
            var alike = new Dictionary<(OrganizationRole Role, string Teams), IReadOnlyList<Membership>>();
            foreach (var member in list.Members)
            {
                var already = names.GetValueOrDefault(member.Username) is { } account && account.Id == member.Id ? account.Memberships : [];
                var isSuspended = takeovers.TryGetValue((member.Username, member.Id), out var takeover) && list.ReadAt <= takeover.At;
                var granted = isSuspended ? [] : Granted(list.Organization, member, alike);
                names[member.Username] = new Account(
                    member.Username, member.Id, already.Count == 0 ? granted : granted.Count == 0 ? already : [.. already, .. granted]);
            }
        }

        var byId = new Dictionary<string, Account>(names.Count, StringComparer.Ordinal);
        foreach (var account in names.Values)
        {
            // One id under two names, in two lists of different age: neither is believed.
            byId[account.Id] = byId.ContainsKey(account.Id) ? account with { Memberships = [] } : account;
        }

        var former = known.Where(account => !names.ContainsKey(account.Username))
            .Select(account => account with { Memberships = [], LeftAt = account.LeftAt ?? now })
            .OrderByDescending(account => account.LeftAt)
            .Take(MaximumFormer)
            .ToList();
        foreach (var account in former)
            names[account.Username] = account;
        return new MemberBook(lists, names.ToFrozenDictionary(), byId.ToFrozenDictionary(), takeovers);
    }

    /// <summary>What a list grants to one of its members; those who have the same role and teams share it.</summary>
    private static IReadOnlyList<Membership> Granted(
        string organization, MemberRecord member, Dictionary<(OrganizationRole Role, string Teams), IReadOnlyList<Membership>> alike)
    {
        var key = (member.Role, string.Join('\n', member.Teams));
        if (!alike.TryGetValue(key, out var granted))
            alike[key] = granted = [new Membership(organization, member.Role) { Teams = member.Teams }];
        return granted;
    }
}
