using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Administration.Usage;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Administration.Api;

/// <summary>Whose decisions somebody may see, looked up for each question.</summary>
internal static class DecisionScopes
{
    /// <param name="visitor">Who asks.</param>
    /// <param name="policies">The policy of this moment.</param>
    /// <param name="names">What stands for callers.</param>
    /// <param name="organization">Of which organization alone; null for all that the visitor sees.</param>
    public static UsageScope Of(Visitor visitor, IPolicyStore policies, CallerNames names, string? organization)
    {
        if (visitor.MayEverywhere(Operation.ReadDecisions))
            return UsageScope.Everything;
        var own = visitor.Organization is { } only ? [only] : policies.Current.Organizations.Select(one => one.Name).Where(name => organization is null || name == organization).ToList();
        return new UsageScope
        {
            Whole = own.FindAll(name => visitor.May(Operation.ReadDecisions, name)),
            AsMember = own.FindAll(name => visitor.May(Operation.ReadOwnDecisions, name)),
            Person = visitor.Actor.User is { } user ? names.OfSelf(user) : null,
        };
    }

    /// <summary>The same without the own ones of a member.</summary>
    public static UsageScope OfOthers(Visitor visitor, IPolicyStore policies, CallerNames names, string? organization) =>
        Of(visitor, policies, names, organization) is { IsEverything: false } scope ? scope with { AsMember = [], Person = null } : UsageScope.Everything;
}
