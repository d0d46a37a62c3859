using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using ImageAccess.Proxy.Administration.Activity;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Decisions;
using ImageAccess.Proxy.Policies.Following;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Administration.Api;

/// <summary><c>policy/drafts</c>: what another document or section would open and take back, and change in the pulls of the last days. Nothing is changed.</summary>
internal sealed class DraftOperations(PolicyStore store, DraftJudge judge, LookRecorder looks, TimeProvider time) : IOperations
{
    private DateOnly Today => DateOnly.FromDateTime(time.GetUtcNow().UtcDateTime);

    public void Map(IEndpointRouteBuilder api)
    {
        api.Post<JsonElement>("/policy/drafts", Operation.TryPolicy, TryAsync);
        api.Post<JsonElement>("/organizations/{organization}/policy/drafts", Operation.TryPolicy, TrySectionAsync);
        api.Get("/organizations/{organization}/policy/switch", Operation.TryPolicy, SwitchAsync);
    }

    private async Task<Answer<DraftFacts>> TryAsync(HttpContext http, int? days)
    {
        var visitor = http.Visitor();
        visitor.DemandEvery();
        if (!visitor.MayEverywhere(Operation.TryPolicy))
            throw Visitor.Forbidden("in every organization");
        DemandDays(days);
        var content = await JsonBody.ReadBytesAsync(http);
        var plan = DraftJudge.Plan("document", () => PolicyPlan.OfDocument(store.Current, content, Today));
        return await AnswerAsync(http, plan, days ?? DraftJudge.DefaultDays, organization: null, visitor.MayEverywhere(Operation.ReadDenials));
    }

    /// <summary>What would happen if an image type were allowed or not: a draft that nobody has to write.</summary>
    private async Task<Answer<SwitchFacts>> SwitchAsync(HttpContext http, string organization, string? type, string? allowed, int? days)
    {
        var (visitor, what) = (http.Visitor(), $"organization {PrintableText.Of(organization)}");
        visitor.Demand(Operation.TryPolicy, organization, what);
        DemandDays(days);
        if (type is null || !SwitchFacts.Members.TryGetValue(type, out var member))
            throw ProblemException.Bad([new Mistake("type", $"is '{PrintableText.Of(type ?? "")}': choose {string.Join(", ", SwitchFacts.Members.Keys)}")]);
        if (allowed is not ("true" or "false"))
            throw ProblemException.Bad([new Mistake("allowed", $"is '{PrintableText.Of(allowed ?? "")}': write true or false")]);
        var (policy, document) = (store.Current, store.Document);
        var before = policy.Organizations.FirstOrDefault(one => one.Name == organization) ?? throw ProblemException.NotFound(what);
        var isAllowed = type switch { "official" => before.AllowsOfficial, "community" => before.AllowsCommunity, _ => before.AllowsVerifiedPublisher };
        var section = PolicySections.Edit(document, organization, section =>
        {
            if (section["allow"] is not JsonObject switches)
                section["allow"] = switches = [];
            switches[member] = allowed == "true";
        })!;
        var plan = DraftJudge.Plan("section", () => PolicyPlan.OfSection(policy, document, organization, section, Today));
        DraftEffect effect;
        try
        {
            effect = await judge.JudgeSectionAsync(visitor.Actor, plan, organization, days ?? DraftJudge.DefaultDays, http.RequestAborted);
        }
        catch (NoVerdictException exception)
        {
            throw new ProblemException(new Problem(409, exception.Message));
        }

        return Answer.Of(SwitchFacts.Of(effect, organization, type, allowed == "true", isAllowed == (allowed == "true"), judge.Since(days ?? DraftJudge.DefaultDays)));
    }

    private async Task<Answer<DraftFacts>> TrySectionAsync(HttpContext http, string organization, int? days)
    {
        var (visitor, what) = (http.Visitor(), $"organization {PrintableText.Of(organization)}");
        visitor.Demand(Operation.TryPolicy, organization, what);
        var (policy, document) = (store.Current, store.Document);
        if (policy.Organizations.All(one => one.Name != organization))
            throw ProblemException.NotFound(what);
        DemandDays(days);
        var content = await JsonBody.ReadBytesAsync(http);
        var plan = DraftJudge.Plan("section", () => PolicyPlan.OfSection(policy, document, organization, content, Today));
        return await AnswerAsync(http, plan, days ?? DraftJudge.DefaultDays, organization, visitor.May(Operation.ReadDenials, organization));
    }

    private static void DemandDays(int? days)
    {
        if (days is < 1 or > DraftTrials.MaximumDays)
            throw ProblemException.Bad([new Mistake("days", $"must be 1 to {DraftTrials.MaximumDays}")]);
    }

    private async Task<Answer<DraftFacts>> AnswerAsync(HttpContext http, PolicyPlan plan, int days, string? organization, bool names)
    {
        var actor = http.Visitor().Actor;
        var facts = new DraftFacts(plan.After.DocumentVersion, plan.IsSame, plan.Opens, plan.TakesBack, plan.Waits(plan.Before!.Document.Changes))
        {
            Notes = FollowedNotes.Of(DraftJudge.DraftOf(plan), organization),
        };
        try
        {
            var effect = await (organization is null
                ? judge.JudgeAsync(actor, plan, days, concerns: null, http.RequestAborted)
                : judge.JudgeSectionAsync(actor, plan, organization, days, http.RequestAborted));
            var told = EffectFacts.Of(effect, judge.Since(days), isWhole: organization is null, names);
            if (names && told.Changes.Count > 0)
                await looks.RecordAsync(new Look(actor.Name, organization, "draft", string.Create(CultureInfo.InvariantCulture, $"of {days} days")), http.RequestAborted);
            return Answer.Of(facts with { Effect = told });
        }
        catch (NoVerdictException exception)
        {
            return Answer.Of(facts with { NoEffect = exception.Message });
        }
    }
}

/// <summary>What a draft of the policy would come to.</summary>
/// <param name="Version">The version that the whole document would have.</param>
/// <param name="Same">It changes nothing.</param>
/// <param name="Opens">In words.</param>
/// <param name="TakesBack">In words.</param>
/// <param name="Waits">It would wait for a second person.</param>
internal sealed record DraftFacts(string Version, bool Same, IReadOnlyList<string> Opens, IReadOnlyList<string> TakesBack, bool Waits)
{
    public EffectFacts? Effect { get; init; }

    /// <summary>What the document alone does not tell: which switches hold where an organization follows those of Docker Hub.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>Why no effect on pulls can be told; null where it is.</summary>
    public string? NoEffect { get; init; }
}

/// <summary>What a draft would have changed in the pulls of some days.</summary>
/// <param name="Since">From when on.</param>
/// <param name="Requests">How many were judged.</param>
/// <param name="Changed">How many of them would have another outcome.</param>
/// <param name="Rows">How many changes there are.</param>
/// <param name="Changes">The changes, or the first 1,000 of them.</param>
internal sealed record EffectFacts(DateTime Since, long Requests, long Changed, int Rows, IReadOnlyList<ChangedRepositoryFacts> Changes)
{
    private const int MaximumRows = 1000;

    /// <summary>The first pull that the trail has of that time; null where it has none.</summary>
    public DateTime? First { get; init; }

    public DateTime? Last { get; init; }

    /// <summary>Where the pulls were read: <c>database</c> or <c>audit files</c>.</summary>
    public string? Source { get; init; }

    /// <summary>Why the database was not read; null where it was.</summary>
    public string? NotInDatabase { get; init; }

    /// <summary>Not all changes are listed.</summary>
    public bool? Cut { get; init; }

    /// <summary>Requests that were not judged, because there are too many kinds of them; null where all were.</summary>
    public long? NotJudged { get; init; }

    /// <summary>Denials beyond a client's share of the trail, which names no repository of them; null where one organization alone is looked at, or the database.</summary>
    public long? Unnamed { get; init; }

    /// <summary>Lines of the trail that could not be read; null where one organization alone is looked at, or the database.</summary>
    public long? Malformed { get; init; }

    /// <param name="isWhole">All pulls were judged, and not one organization's alone.</param>
    /// <param name="names">Callers may be named.</param>
    public static EffectFacts Of(DraftEffect effect, DateTimeOffset since, bool isWhole, bool names)
    {
        var rows = effect.ByRepository().ToList();
        return new EffectFacts(
            since.UtcDateTime,
            effect.Requests,
            effect.Changes.Sum(change => change.Requests),
            rows.Count,
            [.. rows.Take(MaximumRows).Select(row => ChangedRepositoryFacts.Of(row, names))])
        {
            First = effect.Pulls.First?.UtcDateTime,
            Last = effect.Pulls.Last?.UtcDateTime,
            Cut = rows.Count > MaximumRows ? true : null,
            NotJudged = effect.Pulls.Beyond > 0 ? effect.Pulls.Beyond : null,
            Source = effect.Pulls.Source.ToWireName(),
            NotInDatabase = effect.Pulls.NotInDatabase,
            Unnamed = isWhole && effect.Pulls.Source == PullSource.AuditFiles ? effect.Pulls.Unnamed : null,
            Malformed = isWhole && effect.Pulls.Source == PullSource.AuditFiles ? effect.Pulls.Malformed : null,
        };
    }
}

/// <summary>Pulls of one repository that would have another outcome.</summary>
/// <param name="From"><c>allow</c>, <c>observe</c> or <c>deny</c>.</param>
/// <param name="To">One of these, or <c>unknown</c> where it depends on a publisher whom the trail does not tell.</param>
/// <param name="Rule">The rule that would decide.</param>
/// <param name="Requests">How many.</param>
/// <param name="Callers">Of how many callers.</param>
internal sealed record ChangedRepositoryFacts(string From, string To, string Rule, string Repository, long Requests, int Callers)
{
    private const int MaximumNames = 20;

    /// <summary>The callers with the most requests, where they may be named.</summary>
    public IReadOnlyList<string>? Names { get; init; }

    public static ChangedRepositoryFacts Of(ChangedRepository row, bool names) =>
        new(row.From, row.To, row.Rule, row.Repository, row.Requests, row.Callers.Count) { Names = names ? [.. row.Callers.Take(MaximumNames)] : null };
}
