using System.Collections.Immutable;

namespace ImageAccess.Core.Policies;

/// <summary>Docker Hub's own switches of an organization, as they were read from there.</summary>
public sealed record HubSwitches(bool Enabled, bool AllowOfficial, bool AllowVerifiedPublisher)
{
    /// <summary>What counts where something was read and is lost: nothing is allowed that they could allow.</summary>
    public static HubSwitches Closed { get; } = new(Enabled: true, AllowOfficial: false, AllowVerifiedPublisher: false);

    /// <summary>As a sentence and a version show them.</summary>
    public override string ToString() =>
        Enabled ? $"on, official images {Word(AllowOfficial)}, verified publisher images {Word(AllowVerifiedPublisher)}" : "off";

    /// <summary>One digit, as of a file's mode: 4 on, 2 official images, 1 verified publisher images.</summary>
    internal int Digit => (Enabled ? 4 : 0) + (AllowOfficial ? 2 : 0) + (AllowVerifiedPublisher ? 1 : 0);

    private static string Word(bool isAllowed) => isAllowed ? "allowed" : "denied";
}

/// <summary>The switches of every organization that are known; of one that has never been read there are none, and the document's own hold.</summary>
public sealed record FollowedSwitches(ImmutableDictionary<string, HubSwitches> ByOrganization)
{
    public static FollowedSwitches None { get; } = new(ImmutableDictionary<string, HubSwitches>.Empty);

    public HubSwitches? Find(string organization) => ByOrganization.GetValueOrDefault(organization);

    /// <summary>The document with these in the place of the switches that an organization follows.</summary>
    internal PolicyDocument ApplyTo(PolicyDocument document) => document with
    {
        Organizations =
        [
            .. document.Organizations.Select(organization => organization.FollowsDockerHub && Find(organization.Name) is { } known
                ? organization with { Enabled = known.Enabled, AllowOfficial = known.AllowOfficial, AllowVerifiedPublisher = known.AllowVerifiedPublisher }
                : organization),
        ],
    };

    /// <summary>What tells these from others in a policy's version: of each organization that follows, in the document's order, its digit; <c>-</c> where nothing has been read.</summary>
    internal string MarkOf(PolicyDocument document) =>
        string.Concat(document.Organizations.Where(organization => organization.FollowsDockerHub).Select(organization => Find(organization.Name) is { } known ? $"{known.Digit}" : "-"));
}
