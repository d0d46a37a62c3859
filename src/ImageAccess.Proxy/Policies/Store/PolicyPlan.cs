using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Exceptions;

namespace ImageAccess.Proxy.Policies.Store;

/// <summary>What a change of the policy document would come to, wherever the document lives. Making one changes nothing.</summary>
/// <param name="After">The policy that would be in force.</param>
/// <param name="Document">Its document.</param>
internal sealed record PolicyPlan(Policy After, ReadOnlyMemory<byte> Document)
{
    public const string NotKnown = "the version before cannot be read by this program: what it opens is not known";

    /// <summary>The policy that is there; null where this program cannot read it.</summary>
    public Policy? Before { get; init; }

    public string? PreviousVersion { get; init; }

    /// <summary>The version, or the section's tag, that it was planned from.</summary>
    public string Unchanged { get; init; } = "";

    /// <summary>What it would open, in words.</summary>
    public IReadOnlyList<string> Opens { get; init; } = [];

    /// <summary>What it would take back, in words.</summary>
    public IReadOnlyList<string> TakesBack { get; init; } = [];

    public bool IsSame => After.DocumentVersion == PreviousVersion;

    /// <summary>Whether it waits for a second person.</summary>
    /// <param name="changes">What is demanded of changes.</param>
    public bool Waits(ChangesDocument changes) => !IsSame && Opens.Count > 0 && changes.Approvals > 1;

    /// <summary>Another document in the place of the whole.</summary>
    /// <exception cref="RefusedChangeException">It has problems, all of which are named.</exception>
    public static PolicyPlan OfDocument(Policy? before, ReadOnlyMemory<byte> document, DateOnly today)
    {
        DemandSize(document);
        return Of(before, Compile(document), document, today);
    }

    /// <summary>Another section in the place of one organization's, and all else as it is.</summary>
    /// <param name="before">The policy that is there.</param>
    /// <param name="current">Its document.</param>
    /// <param name="organization">Whose section.</param>
    /// <param name="section">The section as it would be.</param>
    /// <param name="today">The day in UTC.</param>
    /// <exception cref="RefusedChangeException">It has problems, or changes something for others.</exception>
    public static PolicyPlan OfSection(Policy before, ReadOnlyMemory<byte> current, string organization, ReadOnlyMemory<byte> section, DateOnly today)
    {
        DemandSize(section);
        var document = PolicySections.Replace(current, organization, section);
        var after = Compile(document);
        DemandAlone(before, after, organization, document);

        // The same section, however it is written, is no change.
        var tag = PolicySections.TagOf(current, organization)!;
        var plan = PolicySections.TagOf(document, organization) == tag ? Of(before, before, current, today) : Of(before, after, document, today);
        return plan with { Unchanged = tag };
    }

    /// <exception cref="RefusedChangeException">It has problems, all of which are named.</exception>
    public static Policy Compile(ReadOnlyMemory<byte> document)
    {
        var parsed = PolicyOnDisk.Parse(FileReading.Found(document));
        return parsed.Value ?? throw new MalformedPolicyException(parsed.Problems);
    }

    private static PolicyPlan Of(Policy? before, Policy after, ReadOnlyMemory<byte> document, DateOnly today)
    {
        if (before is null)
            return new(after, document) { Opens = [NotKnown] };
        DemandFollowed(before, after);
        after = after.With(before.Followed);
        return new(after, document)
        {
            Before = before,
            PreviousVersion = before == Policy.Off ? null : before.DocumentVersion,
            Opens = [.. PolicyChanges.Opens(before, after, today), .. NoLongerFollowed(before, after)],
            TakesBack = PolicyChanges.Opens(after, before, today),
        };
    }

    /// <summary>Where nobody knows here what Docker Hub says, what the document says may open.</summary>
    private static IEnumerable<string> NoLongerFollowed(Policy before, Policy after) => after.Organizations.Select(one => one.Name)
        .Where(name => before.Follows(name) && !after.Follows(name) && before.Followed.Find(name) is null)
        .Select(name => $"organization {name}: no longer follows Docker Hub's own switches, which are not known here");

    private static void DemandFollowed(Policy before, Policy after)
    {
        foreach (var later in after.Written.Organizations.Where(one => one.FollowsDockerHub && before.Follows(one.Name)))
            DemandFollowed(before.Written.Organizations.Single(one => one.Name == later.Name), later);
    }

    /// <summary>Switches that follow those of Docker Hub are changed there.</summary>
    /// <exception cref="RefusedChangeException">One of them is another here.</exception>
    public static void DemandFollowed(OrganizationDocument earlier, OrganizationDocument later)
    {
        string[] changed =
        [
            .. earlier.Enabled == later.Enabled ? (string[])[] : ["enabled"],
            .. earlier.AllowOfficial == later.AllowOfficial ? (string[])[] : ["allow.official"],
            .. earlier.AllowVerifiedPublisher == later.AllowVerifiedPublisher ? (string[])[] : ["allow.verifiedPublisher"],
            .. earlier.Registries == later.Registries ? (string[])[] : ["registries"],
        ];
        if (changed.Length > 0)
        {
            throw new RefusedChangeException(
                $"{later.Name} follows Docker Hub's own switches: {string.Join(", ", changed)} cannot be changed here; change it in Docker's Admin Console, or take \"follow\" out of the document in the same change");
        }
    }

    private static void DemandSize(ReadOnlyMemory<byte> content)
    {
        if (content.Length > PolicyStoreOptions.DefaultMaximumSize)
            throw new MalformedPolicyException($"the document {WholeFile.TooLarge(PolicyStoreOptions.DefaultMaximumSize)}");
    }

    /// <summary>
    /// A section changes nothing for other organizations: not whose account a name is that they name too, and it adds no namespace. With one, a user of that
    /// name is taken for an organization access token, who has no role and no image anywhere; and whoever belongs to two organizations may use its images by
    /// the rules of both.
    /// </summary>
    private static void DemandAlone(Policy before, Policy after, string organization, byte[] document)
    {
        var names = before.Document.Accounts.Concat(after.Document.Accounts).Select(named => named.Name).Distinct();
        if (names.FirstOrDefault(name => before.AccountOf(name) != after.AccountOf(name) && PolicySections.IsNamedElsewhere(document, organization, name)) is { } shared)
            throw new RefusedChangeException($"{shared} is named outside of {organization} too: whose account that is changes with the whole document");
        var added = NamespacesOf(after).Except(NamespacesOf(before)).Order(StringComparer.Ordinal).ToList();
        if (added.Count > 0 && after.Document.Company)
            throw new RefusedChangeException($"the organizations are one company, and everybody in it could use the images of {added[0]}: a namespace is added with the whole document");
        if (added.Count > 0 && after.Organizations.Count > 1)
            throw new RefusedChangeException($"the images and the account of {added[0]} would count as {organization}'s in the other organizations too: a namespace is added with the whole document");
        if (added.Find(name => PolicySections.IsNamedElsewhere(document, organization, name)) is { } person)
            throw new RefusedChangeException($"{person} is named outside of {organization} too, and would be no person any more: a namespace of that name is added with the whole document");

        IEnumerable<string> NamespacesOf(Policy policy) => policy.Organizations.Single(one => one.Name == organization).Namespaces;
    }
}

/// <summary>The document or the section is none, whatever is in force.</summary>
internal sealed class MalformedPolicyException(params IReadOnlyList<string> problems) : RefusedChangeException(problems);
