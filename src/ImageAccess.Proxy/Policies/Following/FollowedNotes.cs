using ImageAccess.Core.Policies;

namespace ImageAccess.Proxy.Policies.Following;

/// <summary>What is said wherever a policy is looked at whose document alone does not tell which switches hold.</summary>
internal static class FollowedNotes
{
    /// <param name="organization">Of this one alone; null for all.</param>
    public static IReadOnlyList<string> Of(Policy policy, string? organization = null) =>
    [
        .. policy.Organizations.Select(one => one.Name)
            .Where(name => policy.Follows(name) && (organization is null || name == organization))
            .Select(name => Of(name, policy.Followed.Find(name)?.ToString())),
    ];

    /// <param name="switches">Those that were read last, in words; null where none are known.</param>
    public static string Of(string organization, string? switches) => switches is null
        ? $"{organization} follows Docker Hub's own switches, which are not known here: the document's own count"
        : $"{organization} follows Docker Hub's own switches: those that were read last count, and not the document's ({switches})";
}
