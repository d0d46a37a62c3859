using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Administration.Api;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Administration.Tokens;
using ImageAccess.Proxy.Policies.Store;
using Microsoft.AspNetCore.Http.HttpResults;

namespace ImageAccess.Proxy.Portal.Pages;

/// <summary><c>/</c>: how image access stands in each organization of the visitor.</summary>
internal sealed class OverviewPages(IPolicyStore policies, TimeProvider time) : IPages
{
    public void Map(IEndpointRouteBuilder pages) => pages.Page("/", Show);

    private RazorComponentResult Show(HttpContext http)
    {
        var (visitor, policy) = (http.Visitor(), policies.Current);
        var today = DateOnly.FromDateTime(time.GetUtcNow().UtcDateTime);
        return ConsolePage.Answer<OverviewPage>(parameters:
        [
            (nameof(OverviewPage.Organizations), policy.Organizations.Where(one => visitor.May(Operation.ReadPolicy, one.Name)).Select(one => Seen(one, visitor.RolesIn(one.Name), today)).ToList()),
        ]);
    }

    private static SeenOrganization Seen(OrganizationPolicy one, Core.Policies.Roles roles, DateOnly today) => new(
        one.Name, one.Mode(today), one.AllowsOfficial, one.AllowsVerifiedPublisher, one.AllowsCommunity, RoleNames.ListOf(roles));
}

/// <summary>How image access stands in an organization.</summary>
/// <param name="Mode"><c>off</c>, <c>observe</c> or <c>enforce</c>.</param>
/// <param name="Roles">The visitor's.</param>
public sealed record SeenOrganization(string Name, string Mode, bool Official, bool VerifiedPublisher, bool Community, IReadOnlyList<string> Roles);
