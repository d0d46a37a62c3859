using System.Globalization;
using ImageAccess.Proxy.Administration.Activity;
using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Administration.Usage;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Database.Keys;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Administration.Api;

/// <summary><c>usage/callers</c>: who a pseudonym is. One person asks, another approves the change, then the first may read the name for an hour.</summary>
internal sealed class CallerOperations(ChangeDesk desk, UsageStore store, LookRecorder looks, IPolicyStore policies, CallerNames names, KeyFile key) : IOperations, IDisposable
{
    private readonly QuestionPlaces _places = new(atOnce: 1, "another question about a pseudonym is being answered");

    public void Map(IEndpointRouteBuilder api)
    {
        api.Get("/usage/callers/{pseudonym}", Operation.OpenCaller, ReadAsync);
        api.Post<Wanted>("/usage/callers/{pseudonym}/open", Operation.OpenCaller, OpenAsync);
    }

    public void Dispose() => _places.Dispose();

    private async Task<Answer<OpenedCaller>> ReadAsync(HttpContext http, string pseudonym)
    {
        var actor = http.Visitor().Actor;
        return Answer.Of(await desk.ReadCallerAsync(
            pseudonym,
            actor,
            key,
            change => looks.RecordAsync(
                new Look(actor.Name, change.Organization, "caller", string.Create(CultureInfo.InvariantCulture, $"{pseudonym}, change {change.Id}, approved by {change.DecidedBy}: {change.Reason}")), http.RequestAborted),
            http.RequestAborted));
    }

    private async Task<Answer<Changed<OpenedCaller>>> OpenAsync(HttpContext http, string pseudonym)
    {
        var (wanted, visitor) = (await JsonBody.ReadAsync<Wanted>(http), http.Visitor());
        var organization = OrganizationOf(visitor, wanted.Organization);
        var request = visitor.Request(wanted.Reason, wanted.Ticket);
        await DemandSeenAsync(visitor, pseudonym, organization, http.RequestAborted);
        var waiting = await desk.AskForCallerAsync(pseudonym, organization, request, http.RequestAborted);
        return Answer.Waiting(new Changed<OpenedCaller> { Waiting = ChangeFacts.Of(waiting) }, waiting.Id);
    }

    /// <summary>Null for who may open those of all.</summary>
    private string? OrganizationOf(Visitor visitor, string? named)
    {
        if ((named ?? visitor.Organization) is { } organization)
        {
            visitor.Demand(Operation.OpenCaller, organization, $"organization {PrintableText.Of(organization)}");
            return organization;
        }

        if (visitor.MayEverywhere(Operation.OpenCaller))
            return policies.Current.Organizations is [var lone] ? lone.Name : null;
        return policies.Current.Organizations.Where(one => visitor.May(Operation.OpenCaller, one.Name)).ToList() is [var only]
            ? only.Name
            : throw ProblemException.Bad([new Mistake("organization", "is missing: name the one whose decisions have the pseudonym")]);
    }

    /// <summary>Nobody opens whom only another organization has judged.</summary>
    private async Task DemandSeenAsync(Visitor visitor, string pseudonym, string? organization, CancellationToken cancellationToken)
    {
        var filter = new UsageFilter { Caller = pseudonym, Organization = organization, Scope = DecisionScopes.OfOthers(visitor, policies, names, organization) };
        if (!Pseudonyms.Is(pseudonym) || (await _places.AskAsync(token => store.ListAsync(filter, null, 1, token), cancellationToken)).Count == 0)
            throw ProblemException.NotFound($"caller {PrintableText.Of(pseudonym)}{(organization is null ? "" : $" in the decisions of {PrintableText.Of(organization)}")}");
    }

    /// <summary>What <c>POST usage/callers/PSEUDONYM/open</c> takes.</summary>
    internal sealed record Wanted(string Reason)
    {
        public string? Organization { get; init; }

        public string? Ticket { get; init; }
    }
}
