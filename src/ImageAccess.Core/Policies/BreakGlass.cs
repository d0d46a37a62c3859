using ImageAccess.Core.Oci;

namespace ImageAccess.Core.Policies;

/// <summary>
/// What somebody has opened in an emergency, beside the document and for hours at most: one repository to the members of an organization, for pulls
/// alone, or the whole organization, which then refuses nothing. A block beats it.
/// </summary>
/// <param name="Id">A number that no other one of this installation has or had.</param>
/// <param name="Organization">Whose rules it is about.</param>
/// <param name="Repository">What it opens; null where the organization only observes meanwhile.</param>
/// <param name="Reason">Why.</param>
/// <param name="By">Who did it.</param>
/// <param name="Since">When.</param>
/// <param name="Until">From when on it no longer holds, in UTC.</param>
public sealed record BreakGlass(long Id, string Organization, RepositoryName? Repository, string Reason, string By, DateTimeOffset Since, DateTimeOffset Until)
{
    /// <summary>How many may hold at once.</summary>
    public const int Maximum = 20;

    /// <summary>How long one may hold.</summary>
    public static readonly TimeSpan Longest = TimeSpan.FromHours(4);

    /// <summary>Whether it opens anything at this instant.</summary>
    public bool Holds(DateTimeOffset now) => Since <= now && now < Until;
}
