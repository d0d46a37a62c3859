using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Administration.Activity;
using ImageAccess.Proxy.Administration.Incidents;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Administration.Usage;
using ImageAccess.Proxy.Content.Serving;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Store;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Administration.Api;

/// <summary><c>incidents</c>: who pulled images that turn out to be bad, and that nobody has them any more.</summary>
internal sealed class IncidentOperations(
    UsageStore store, KeptImages kept, IncidentDesk desk, LookRecorder looks, IPolicyStore policies, CallerNames names, IOptions<UsageOptions> options, TimeProvider time) : IOperations, IDisposable
{
    private const int NamedInLook = 10;

    private readonly QuestionPlaces _places = new(atOnce: 1, "another question about an incident is being answered");

    public void Map(IEndpointRouteBuilder api)
    {
        api.Post<Wanted>("/incidents/pulls", Operation.ReadDecisions, FindAsync);
        api.Post<Blocking>("/incidents/block", Operation.Block, BlockAsync);
    }

    public void Dispose() => _places.Dispose();

    private async Task<Answer<IncidentAnswer>> FindAsync(HttpContext http)
    {
        var (visitor, wanted, now, question) = (http.Visitor(), await JsonBody.ReadAsync<Wanted>(http), time.GetUtcNow(), new UsageQuestion());
        var isTable = CsvAnswer.IsWanted(http.Request);
        if (wanted.Organization is { } organization)
            visitor.Demand(Operation.ReadDecisions, organization, $"organization {PrintableText.Of(organization)}");
        var images = IncidentQuestion.Read(wanted.Images, out var faults);
        List<Mistake> mistakes = [.. faults.Select(fault => new Mistake(fault.Member, fault.Fault))];
        if (wanted.Limit is < 1 or > IncidentAnswer.MaximumLimit)
            mistakes.Add(new Mistake("limit", $"must be 1 to {IncidentAnswer.MaximumLimit}"));
        if (wanted.Since is not null && (wanted.From ?? wanted.To) is not null)
            mistakes.Add(new Mistake("since", "does not go with from or to"));
        else if ((wanted.From ?? wanted.To) is null)
            question.Since(wanted.Since ?? UsageQuestion.DefaultSince, now);
        else
            question.Between(Timestamp.Read(wanted.From, "from"), Timestamp.Read(wanted.To, "to"), now);
        mistakes.AddRange(question.About(new UsageFilter { Organization = wanted.Organization }).Faults.Select(fault => new Mistake(fault.Member, fault.Fault)));
        if (mistakes.Count > 0)
            throw ProblemException.Bad(mistakes);

        var filter = question.Filter with { Scope = DecisionScopes.OfOthers(visitor, policies, names, wanted.Organization) };
        var words = PrintableText.ListOf([.. images.Select(image => image.ToString())], NamedInLook);
        await looks.RecordAsync(new Look(visitor.Actor.Name, wanted.Organization ?? visitor.Organization, "incident", words), http.RequestAborted);
        var limit = isTable ? PullGroups.Maximum : wanted.Limit ?? IncidentAnswer.DefaultLimit;
        var answer = await AskAsync(images, filter, limit, now, http.RequestAborted);
        return isTable ? new CsvAnswer<IncidentAnswer>(answer, answer.ToRows()) : Answer.Of(answer);
    }

    private async Task<Answer<IncidentBlocked>> BlockAsync(HttpContext http)
    {
        var (visitor, wanted) = (http.Visitor(), await JsonBody.ReadAsync<Blocking>(http));
        var images = IncidentQuestion.Read(wanted.Images, out var faults);
        if (faults.Count > 0)
            throw ProblemException.Bad([.. faults.Select(fault => new Mistake(fault.Member, fault.Fault))]);
        var request = visitor.Request(wanted.Reason, wanted.Ticket);
        return Answer.Of(await desk.BlockAsync(images, request, DecisionScopes.OfOthers(visitor, policies, names, organization: null), wanted.Tell, http.RequestAborted));
    }

    private async Task<IncidentAnswer> AskAsync(IReadOnlyList<ImagePattern> images, UsageFilter filter, int limit, DateTimeOffset now, CancellationToken cancellationToken)
    {
        try
        {
            return await _places.AskAsync(
                token => IncidentAnswer.AskAsync(
                    store, images, filter, limit, UsageDays.At(now, options.Value), async image => (IsBlocked(image), await kept.MeasureAsync(image, token)), token),
                cancellationToken);
        }
        catch (TooManyPullsException exception)
        {
            throw ProblemException.Bad(exception.Message);
        }
    }

    private bool IsBlocked(ImagePattern image) =>
        (image.Asked is { } asked ? policies.Current.Blocks.Find(asked) : policies.Current.Blocks.Find(image)) is not null;

    /// <summary>What <c>POST incidents/pulls</c> takes.</summary>
    internal sealed record Wanted(IReadOnlyList<string?> Images)
    {
        public string? Organization { get; init; }

        public string? Since { get; init; }

        public string? From { get; init; }

        public string? To { get; init; }

        public int? Limit { get; init; }
    }

    /// <summary>What <c>POST incidents/block</c> takes.</summary>
    internal sealed record Blocking(IReadOnlyList<string?> Images, string Reason)
    {
        public string? Ticket { get; init; }

        /// <summary>Whether those who pulled are told.</summary>
        public bool Tell { get; init; }
    }
}
