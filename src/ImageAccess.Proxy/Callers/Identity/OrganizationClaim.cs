using System.Text.Json;
using ImageAccess.Core.Policies;

namespace ImageAccess.Proxy.Callers.Identity;

/// <summary>
/// The claim in which the token service names a caller's organizations: a string, an array of strings, or an object whose
/// keys are the names. It says who is a member, never who is an owner.
/// </summary>
internal sealed class OrganizationClaim(JsonPointer place)
{
    /// <summary>To leave some of the names out could free the caller of a policy: a token with more is refused.</summary>
    public const int MaximumOrganizations = 256;

    public bool TryRead(JsonElement payload, out IReadOnlyList<Membership> memberships)
    {
        memberships = [];
        if (!place.TryFind(payload, out var claim))
            return true;

        var names = claim.ValueKind switch
        {
            JsonValueKind.String => [claim.GetString()!],
            JsonValueKind.Array => claim.EnumerateArray().Where(e => e.ValueKind == JsonValueKind.String).Select(e => e.GetString()!),
            JsonValueKind.Object => claim.EnumerateObject().Select(p => p.Name),
            _ => Enumerable.Empty<string>(),
        };
        List<Membership> found =
        [
            .. names.Where(n => n.Length > 0)
                .Select(n => n.ToLowerInvariant())
                .Distinct(StringComparer.Ordinal)
                .Select(n => new Membership(n, OrganizationRole.Member))
                .Take(MaximumOrganizations + 1),
        ];
        if (found.Count > MaximumOrganizations)
            return false;
        memberships = found;
        return true;
    }
}
