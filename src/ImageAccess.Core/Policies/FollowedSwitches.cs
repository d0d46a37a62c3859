using System.Collections.Immutable;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace ImageAccess.Core.Policies;

/// <summary>Docker Hub's own switches of an organization, as they were read from there.</summary>
public sealed record HubSwitches(bool Enabled, bool AllowOfficial, bool AllowVerifiedPublisher)
{
    /// <summary>What counts where something was read and is lost: nothing is allowed that they could allow.</summary>
    public static HubSwitches Closed { get; } = new(Enabled: true, AllowOfficial: false, AllowVerifiedPublisher: false) { Registries = new RegistriesDocument { Enabled = true } };

    /// <summary>Which registries may be reached, by Docker's Registry Access Management; null where that has not been read, and the document's own count.</summary>
    public RegistriesDocument? Registries { get; init; }

    /// <summary>As a sentence and a version show them.</summary>
    public override string ToString() =>
        (Enabled ? $"on, official images {Word(AllowOfficial)}, verified publisher images {Word(AllowVerifiedPublisher)}" : "off") + RegistriesWords;

    /// <summary>One digit, as of a file's mode: 4 on, 2 official images, 1 verified publisher images.</summary>
    internal int Digit => (Enabled ? 4 : 0) + (AllowOfficial ? 2 : 0) + (AllowVerifiedPublisher ? 1 : 0);

    /// <summary>Nothing where none are limited, or where that has not been read.</summary>
    private string RegistriesWords => Registries is not { Enabled: true } limited ? ""
        : string.Create(CultureInfo.InvariantCulture, $", registries limited to Docker Hub and {limited.Custom.Count(one => one.Allowed)} others");

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
                ? organization with
                {
                    Enabled = known.Enabled,
                    AllowOfficial = known.AllowOfficial,
                    AllowVerifiedPublisher = known.AllowVerifiedPublisher,
                    Registries = known.Registries ?? organization.Registries,
                }
                : organization),
        ],
    };

    /// <summary>
    /// What tells these from others in a policy's version: of each organization that follows, in the document's order, its digit; <c>-</c> where nothing has
    /// been read. Behind a dot the beginning of a hash of which registries they limit; nothing where all have been read and none are limited.
    /// </summary>
    internal string MarkOf(PolicyDocument document)
    {
        var following = document.Organizations.Where(organization => organization.FollowsDockerHub).Select(organization => organization.Name).ToList();
        var digits = string.Concat(following.Select(name => Find(name) is { } known ? $"{known.Digit}" : "-"));
        var registries = string.Concat(following.Select(RegistriesOf));
        return registries.Length == 0 ? digits : $"{digits}.{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(registries)))[..8]}";
    }

    /// <summary>An address holds no space, and an organization's name no mark.</summary>
    private string RegistriesOf(string name) => Find(name) switch
    {
        null or { Registries.Enabled: false } => "",
        { Registries: null } => $"{name}?\n",
        { Registries: { } limited } => $"{name}:\n{string.Concat(limited.Custom.Select(one => $"{one.Address} {one.Allowed}\n"))}",
    };
}
