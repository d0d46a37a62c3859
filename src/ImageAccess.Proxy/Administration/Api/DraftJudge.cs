using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Administration.Usage;
using ImageAccess.Proxy.Foundation.Limits;
using ImageAccess.Proxy.Policies.Decisions;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Administration.Api;

/// <summary>Judges recorded pulls by a draft of the policy, for the API and for pages.</summary>
internal sealed class DraftJudge(DraftTrials trials, UsagePulls pulls)
{
    public const int DefaultDays = 30;

    /// <param name="what"><c>document</c> or <c>section</c>.</param>
    /// <param name="plan">Makes it.</param>
    /// <exception cref="ProblemException">The draft has problems, all of which are named.</exception>
    public static PolicyPlan Plan(string what, Func<PolicyPlan> plan)
    {
        try
        {
            return plan();
        }
        catch (RefusedChangeException refused)
        {
            throw PolicyOperations.Refused(what, refused);
        }
    }

    /// <summary>The beginning of the last days.</summary>
    public DateTimeOffset Since(int days) => trials.Since(days);

    /// <summary>Of the pulls it judges those of callers whom the organization judges as things are: who is added by the draft is none of its own yet.</summary>
    public Task<DraftEffect> JudgeSectionAsync(Actor asker, PolicyPlan plan, string organization, int days, CancellationToken cancellationToken)
    {
        var before = plan.Before!;
        return JudgeAsync(asker, plan, days, caller => PolicyEngine.OrganizationsOf(before, caller).Contains(organization), cancellationToken);
    }

    /// <param name="asker">Who has at most a share of the turns.</param>
    /// <param name="plan">The draft; the blocks and exceptions of the policy before stay.</param>
    /// <param name="days">The pulls of the last days.</param>
    /// <param name="concerns">Of these callers alone; null for all.</param>
    /// <param name="cancellationToken">Whoever asks has gone.</param>
    /// <exception cref="NoVerdictException">The trail cannot be read.</exception>
    /// <exception cref="ProblemException">Later there may be an answer.</exception>
    public async Task<DraftEffect> JudgeAsync(Actor asker, PolicyPlan plan, int days, Func<Caller, bool>? concerns, CancellationToken cancellationToken)
    {
        try
        {
            return await trials.JudgeAsync(DraftOf(plan), days, concerns, ClientShare.OfUser(asker.Name), cancellationToken, pulls.ReadAsync);
        }
        catch (NoVerdictException exception) when (exception.IsTemporary)
        {
            throw new ProblemException(new Problem(503, exception.Message)) { RetryAfter = DraftTrials.LongestWait };
        }
    }

    /// <summary>The draft with the blocks and the exceptions beside it.</summary>
    public static Policy DraftOf(PolicyPlan plan) => plan.After.With(plan.Before!.Blocks).With(plan.Before.Exceptions);
}
