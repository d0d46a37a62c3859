using ImageAccess.Proxy.Foundation.Database;

namespace ImageAccess.Proxy.Administration.Denials;

/// <summary>Which denials somebody may see, and what of them.</summary>
internal sealed record DenialView
{
    /// <summary>All, those that no organization of the policy judged included.</summary>
    public static DenialView Everything { get; } = new() { IsEverything = true };

    public bool IsEverything { get; private init; }

    /// <summary>The organizations of which all are seen.</summary>
    public IReadOnlyList<string> Whole { get; init; } = [];

    /// <summary>The organizations of which a member sees the own ones, and those of whoever did not sign in.</summary>
    public IReadOnlyList<string> AsMember { get; init; } = [];

    /// <summary>Which caller the member is; null for nobody.</summary>
    public string? Person { get; init; }

    /// <summary>Those that are seen.</summary>
    public IQueryable<DenialRow> Of(IQueryable<DenialRow> rows)
    {
        if (IsEverything)
            return rows;
        var (whole, asMember, person) = (Whole, AsMember, Person);
        return rows.Where(row => row.Organizations.Any(name => whole.Contains(name))
            || ((row.Caller == null || row.Caller == person) && row.Organizations.Any(name => asMember.Contains(name))));
    }

    /// <summary>What is seen of one; null where it is not seen. Nobody is told of which other organizations it is too.</summary>
    public DenialRow? Of(DenialRow row)
    {
        if (IsEverything)
            return row;
        var organizations = row.Organizations.FindAll(name => Whole.Contains(name) || AsMember.Contains(name));
        if (organizations.Exists(name => Whole.Contains(name)) || (row.Caller is { } caller && caller == Person && organizations.Count > 0))
            return row with { Organizations = organizations };
        return row.Caller is null && organizations.Count > 0 ? row with { Organizations = organizations, Client = null } : null;
    }
}
