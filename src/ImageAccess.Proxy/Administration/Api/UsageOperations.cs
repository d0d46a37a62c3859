using System.Globalization;
using System.Text.Json;
using ImageAccess.Proxy.Administration.Activity;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Administration.Usage;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Store;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Administration.Api;

/// <summary>
/// <c>decisions</c> and <c>usage</c>: who pulled what. A member sees the own pulls. That somebody looked at named pulls of others is recorded before they
/// are told.
/// </summary>
internal sealed class UsageOperations(
    UsageStore store, LookRecorder looks, IPolicyStore policies, CallerNames names, IDataProtectionProvider protection, IOptions<UsageOptions> options, TimeProvider time) : IOperations, IDisposable
{
    /// <summary>How many questions are answered at once: one may read millions of rows.</summary>
    private const int AtOnce = 2;

    private readonly QuestionPlaces _places = new(AtOnce, "other questions about decisions are being answered");

    public void Map(IEndpointRouteBuilder api)
    {
        api.Get("/decisions", Operation.ReadOwnDecisions, ListAsync);
        api.Get("/usage", Operation.ReadOwnDecisions, CountAsync);
        api.Get("/usage/denied-again", Operation.ReadOwnDecisions, DeniedAgainAsync);
        api.Get("/usage/community", Operation.ReadOwnDecisions, CommunityAsync);
        api.Get("/usage/new", Operation.ReadOwnDecisions, NewAsync);
        api.Get("/usage/moved", Operation.ReadOwnDecisions, MovedAsync);
        api.Get("/usage/anonymous", Operation.ReadOwnDecisions, AnonymousAsync);
    }

    public void Dispose() => _places.Dispose();

    private async Task<Answer<Page<DecisionFacts>>> ListAsync(HttpContext http, [AsParameters] DecisionWords words, string? outcome, int? limit, string? cursor)
    {
        var visitor = http.Visitor();
        DemandOrganization(visitor, words.Organization);
        var question = new UsageQuestion().Between(Timestamp.Read(words.From, "from"), Timestamp.Read(words.To, "to"), time.GetUtcNow()).About(words.ToFilter(outcome));
        Demand(question);
        var paging = Paging.Of(limit, cursor: null);
        var filter = question.Filter with { Scope = DecisionScopes.Of(visitor, policies, names, words.Organization) };
        var cursors = new QuestionCursors<UsageKey>(protection, "decisions", WordsOf(question.Filter));
        var before = cursor is null ? (UsageKey?)null : cursors.Read(cursor);
        await looks.RecordAsync(visitor, names, "decisions", filter, http.RequestAborted);
        var found = await _places.AskAsync(token => store.ListAsync(filter, before, paging.Limit + 1, token), http.RequestAborted);
        var shown = found.Take(paging.Limit).ToList();
        return Answer.Of(new Page<DecisionFacts>(shown.ConvertAll(one => DecisionFacts.Of(one, filter.Scope)))
        {
            Next = found.Count > paging.Limit ? cursors.Write(UsageKey.Of(shown[^1])) : null,
        });
    }

    private async Task<Answer<UsageAnswer>> CountAsync(HttpContext http, [AsParameters] DecisionWords words, string? by, string? outcome, string? denied, string? since, int? limit)
    {
        var (visitor, now, question) = (http.Visitor(), time.GetUtcNow(), new UsageQuestion());
        DemandOrganization(visitor, words.Organization);
        if (limit is < 1 or > UsageAnswer.MaximumLimit)
            throw ProblemException.Bad([new Mistake("limit", $"must be 1 to {UsageAnswer.MaximumLimit}")]);
        if (since is not null && (words.From ?? words.To) is not null)
            throw ProblemException.Bad([new Mistake("since", "does not go with from or to")]);
        var onlyDenied = IsTrue("denied", denied);
        if (onlyDenied && outcome is not null)
            throw ProblemException.Bad([new Mistake("denied", "does not go with outcome")]);
        if ((words.From ?? words.To) is null)
            question.Since(since ?? UsageQuestion.DefaultSince, now);
        else
            question.Between(Timestamp.Read(words.From, "from"), Timestamp.Read(words.To, "to"), now);
        var kind = question.About(words.ToFilter(onlyDenied ? "deny" : outcome)).By(by);
        Demand(question);
        var filter = question.Filter with { Scope = DecisionScopes.Of(visitor, policies, names, words.Organization) };
        if (kind == UsageBy.Caller || filter.Caller is not null)
            await looks.RecordAsync(visitor, names, "usage", filter, http.RequestAborted);
        try
        {
            var shown = limit ?? UsageAnswer.DefaultLimit;
            return Answer.Of(await _places.AskAsync(
                WholeQuestion("usage", filter, (int)kind, shown), token => UsageAnswer.AskAsync(store, filter, kind, shown, UsageDays.At(now, options.Value), token), http.RequestAborted));
        }
        catch (TooManyValuesException exception)
        {
            throw ProblemException.Bad(exception.Message);
        }
    }

    private Task<Answer<ReviewAnswer<DeniedAgain>>> DeniedAgainAsync(HttpContext http, string? organization, string? since, int? denials, int? days, int? limit)
    {
        DemandBetween("denials", denials, UsageReview.MaximumDenials);
        DemandBetween("days", days, UsageQuestion.MaximumDays);
        var (often, on) = (denials ?? UsageReview.Denials, days ?? UsageReview.Days);
        return ReviewAsync(
            http, new ReviewWords(organization, since, limit), UsageReviews.DeniedAgain, (filter, _, token) => UsageReview.DeniedAgainAsync(store, filter, often, on, token), often, on);
    }

    private Task<Answer<ReviewAnswer<UsedRepository>>> CommunityAsync(HttpContext http, string? organization, string? since, int? limit) =>
        ReviewAsync(http, new ReviewWords(organization, since, limit), UsageReviews.Community, (filter, _, token) => UsageReview.CommunityAsync(store, filter, token));

    private Task<Answer<ReviewAnswer<NewRepository>>> NewAsync(HttpContext http, string? organization, string? since, int? limit) =>
        ReviewAsync(http, new ReviewWords(organization, since, limit), UsageReviews.New, (filter, _, token) => UsageReview.NewAsync(store, filter, token));

    private Task<Answer<ReviewAnswer<MovedTag>>> MovedAsync(HttpContext http, string? organization, string? since, int? limit) =>
        ReviewAsync(http, new ReviewWords(organization, since, limit), UsageReviews.Moved, (filter, shown, token) => UsageReview.MovedAsync(store, filter, shown, token));

    private Task<Answer<ReviewAnswer<AnonymousRange>>> AnonymousAsync(HttpContext http, string? organization, string? since, int? limit) =>
        ReviewAsync(http, new ReviewWords(organization, since, limit), UsageReviews.Anonymous, (filter, _, token) => UsageReview.AnonymousAsync(store, filter, token));

    private async Task<Answer<ReviewAnswer<T>>> ReviewAsync<T>(
        HttpContext http, ReviewWords words, ReviewKind kind, Func<UsageFilter, int, CancellationToken, Task<ReviewAnswer<T>>> ask, params IEnumerable<int> numbers)
    {
        var (visitor, now, question) = (http.Visitor(), time.GetUtcNow(), new UsageQuestion());
        DemandOrganization(visitor, words.Organization);
        DemandBetween("limit", words.Limit, UsageAnswer.MaximumLimit);
        question.SinceDays(words.Since ?? kind.Since, now).About(new UsageFilter { Organization = words.Organization });
        Demand(question);
        var filter = question.Filter with { Scope = DecisionScopes.Of(visitor, policies, names, words.Organization) };
        if (kind.Names)
            await looks.RecordAsync(visitor, names, $"usage {kind.Name}", filter, http.RequestAborted);
        try
        {
            var shown = words.Limit ?? UsageAnswer.DefaultLimit;
            return Answer.Of(await _places.AskAsync(
                WholeQuestion(kind.Name, filter, [shown, .. numbers]), async token => (await ask(filter, shown, token)).Shown(kind, filter, shown, UsageDays.At(now, options.Value)), http.RequestAborted));
        }
        catch (TooManyValuesException exception)
        {
            throw ProblemException.Bad(exception.Message);
        }
    }

    /// <summary>All on which an answer depends.</summary>
    private static string WholeQuestion(string name, UsageFilter filter, params IEnumerable<int> numbers) => JsonSerializer.Serialize(new
    {
        name,
        words = WordsOf(filter),
        filter.Scope.IsEverything,
        filter.Scope.Whole,
        filter.Scope.AsMember,
        filter.Scope.Person,
        numbers,
    });

    private static void DemandBetween(string member, int? number, int maximum)
    {
        if (number < 1 || number > maximum)
            throw ProblemException.Bad([new Mistake(member, string.Create(CultureInfo.InvariantCulture, $"must be 1 to {maximum}"))]);
    }

    public static bool IsTrue(string member, string? text) => text switch
    {
        null or "false" => false,
        "" or "true" => true,
        _ => throw ProblemException.Bad([new Mistake(member, $"is '{PrintableText.Of(text)}': write true or false")]),
    };

    public static void DemandOrganization(Visitor visitor, string? organization)
    {
        if (organization is not null)
            visitor.Demand(Operation.ReadOwnDecisions, organization, $"organization {PrintableText.Of(organization)}");
    }

    /// <exception cref="ProblemException">400: it names what is wrong.</exception>
    public static void Demand(UsageQuestion question)
    {
        if (question.Faults.Count > 0)
            throw ProblemException.Bad([.. question.Faults.Select(fault => new Mistake(fault.Member, fault.Fault))]);
    }

    /// <summary>What is asked about, by name; null where it is not said.</summary>
    public static Dictionary<string, string?> WordsOf(UsageFilter filter) => new()
    {
        ["organization"] = filter.Organization,
        ["caller"] = filter.Caller,
        ["repository"] = filter.Repository,
        ["reference"] = filter.Reference,
        ["digest"] = filter.Digest,
        ["type"] = filter.Type,
        ["rule"] = filter.Rule,
        ["client"] = filter.Family,
        ["way in"] = filter.WayIn,
        ["outcome"] = filter.Outcome,
        ["from"] = filter.From == 0 ? null : filter.From.ToString(CultureInfo.InvariantCulture),
        ["to"] = filter.Until == long.MaxValue ? null : filter.Until.ToString(CultureInfo.InvariantCulture),
    };
}

/// <summary>What each question of a review can be about.</summary>
internal readonly record struct ReviewWords(string? Organization, string? Since, int? Limit);

/// <summary>What both operations can be asked about; each word is taken literally.</summary>
internal sealed class DecisionWords
{
    [FromQuery(Name = "organization")]
    public string? Organization { get; init; }

    [FromQuery(Name = "caller")]
    public string? Caller { get; init; }

    [FromQuery(Name = "repository")]
    public string? Repository { get; init; }

    [FromQuery(Name = "reference")]
    public string? Reference { get; init; }

    [FromQuery(Name = "digest")]
    public string? Digest { get; init; }

    [FromQuery(Name = "type")]
    public string? Type { get; init; }

    [FromQuery(Name = "rule")]
    public string? Rule { get; init; }

    [FromQuery(Name = "clientFamily")]
    public string? ClientFamily { get; init; }

    [FromQuery(Name = "wayIn")]
    public string? WayIn { get; init; }

    [FromQuery(Name = "from")]
    public string? From { get; init; }

    [FromQuery(Name = "to")]
    public string? To { get; init; }

    public UsageFilter ToFilter(string? outcome) => new()
    {
        Organization = Organization,
        Caller = Caller,
        Repository = Repository,
        Reference = Reference,
        Digest = Digest,
        Type = Type,
        Rule = Rule,
        Family = ClientFamily,
        WayIn = WayIn,
        Outcome = outcome,
    };
}

/// <summary>What is told of a decision.</summary>
/// <param name="Id">As the audit trail has it, and of a denial as its client was told it.</param>
/// <param name="Outcome"><c>allow</c>, <c>observe</c> or <c>deny</c>.</param>
/// <param name="Type">The image type.</param>
/// <param name="Decisions">How many requests were decided: denials that are alike are merged.</param>
/// <param name="Pulls">How many pulls began with them.</param>
internal sealed record DecisionFacts(string Id, DateTime Time, string Caller, string Outcome, string Rule, string Type, IReadOnlyList<string> Organizations, int Decisions, int Pulls)
{
    /// <summary>The client's address.</summary>
    public string? Client { get; init; }

    public string? ClientFamily { get; init; }

    public string? WayIn { get; init; }

    public string? Method { get; init; }

    public string? Repository { get; init; }

    /// <summary>The tag or the digest that the client named.</summary>
    public string? Reference { get; init; }

    /// <summary>Of the manifest that was served.</summary>
    public string? Digest { get; init; }

    /// <summary>The digest of the index that it was chosen from.</summary>
    public string? Index { get; init; }

    public string? PolicyVersion { get; init; }

    public static DecisionFacts Of(UsageEvent one, UsageScope scope) => new(
        one.Id, DateTime.UnixEpoch.AddMilliseconds(one.Time), one.Caller, one.Outcome, one.Rule, one.Type, scope.Told(one.Organizations), one.Decisions, one.Pulls)
    {
        Client = one.Client,
        ClientFamily = one.Family,
        WayIn = one.WayIn,
        Method = one.Method,
        Repository = one.Repository.Length == 0 ? null : one.Repository,
        Reference = one.Reference,
        Digest = one.Digest,
        Index = one.Index,
        PolicyVersion = one.PolicyVersion,
    };
}
