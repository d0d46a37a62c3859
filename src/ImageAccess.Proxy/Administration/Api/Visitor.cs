using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Administration.Api;

/// <summary>Who asks, and what they may.</summary>
internal sealed class Visitor(Actor actor, RoleBook roles, IPolicyStore policies)
{
    public Actor Actor => actor;

    /// <summary>The only organization that it sees; null for every one.</summary>
    public string? Organization => actor.Organization;

    /// <summary>Whether it may do this in one organization at least, or in all together.</summary>
    public bool MaySomewhere(Operation operation) =>
        Rights.Allow(roles.Of(actor, null), operation)
        || (Organization is { } own ? Rights.Allow(roles.Of(actor, own), operation) : policies.Current.Organizations.Any(one => Rights.Allow(roles.Of(actor, one.Name), operation)));

    /// <summary>What is of an organization that it does not see is not there for it.</summary>
    /// <exception cref="ProblemException">404 where it does not see the organization, 403 where it may not do this there.</exception>
    public void Demand(Operation operation, string organization, string what)
    {
        if (!Sees(organization))
            throw ProblemException.NotFound(what);
        if (!Rights.Allow(roles.Of(actor, organization), operation))
            throw Forbidden($"in {PrintableText.Of(organization)}");
    }

    public bool May(Operation operation, string organization) => Sees(organization) && Rights.Allow(roles.Of(actor, organization), operation);

    /// <summary>In every organization; who sees one alone may not.</summary>
    public bool MayEverywhere(Operation operation) => Organization is null
        && (Rights.Allow(roles.Of(actor, null), operation)
            || (policies.Current.Organizations is { Count: > 0 } all && all.All(one => Rights.Allow(roles.Of(actor, one.Name), operation))));

    public bool Sees(string organization) => Organization is null || Organization == organization;

    /// <exception cref="ProblemException">It sees one organization alone.</exception>
    public void DemandEvery()
    {
        if (Organization is { } own)
            throw new ProblemException(new Problem(403, $"the token is for {own} alone, and this is about every organization: ask for organizations/{own}/policy"));
    }

    public Core.Policies.Roles RolesIn(string? organization) => roles.Of(actor, organization);

    /// <exception cref="ProblemException">The reason or the ticket cannot be kept.</exception>
    public ChangeRequest Request(string? reason, string? ticket)
    {
        var mistakes = new List<Mistake>();
        if (PrintableText.FaultOf(reason ?? "", ExceptionGrant.MaximumReason) is { } fault)
            mistakes.Add(new Mistake("reason", fault));
        if (ticket is not null && PrintableText.FaultOf(ticket, ChangeRequest.MaximumTicket) is { } other)
            mistakes.Add(new Mistake("ticket", other));
        return mistakes.Count == 0 ? new ChangeRequest(actor, reason!) { Ticket = ticket } : throw ProblemException.Bad(mistakes);
    }

    public static ProblemException Forbidden(string where) =>
        new(new Problem(403, $"the token's role does not allow this{(where.Length == 0 ? "" : " ")}{where}"));
}
