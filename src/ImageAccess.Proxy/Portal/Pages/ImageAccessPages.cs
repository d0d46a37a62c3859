using System.Text;
using ImageAccess.Proxy.Administration.Api;
using ImageAccess.Proxy.Administration.Changes;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Decisions;
using ImageAccess.Proxy.Policies.Store;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Portal.Pages;

/// <summary>
/// <c>/o/ORG/image-access</c>: what an organization's members may use. Whoever may change it first sees what a draft would do to the pulls of the last
/// days, and then applies it with a reason; everybody else sees the same page, read-only.
/// </summary>
internal sealed class ImageAccessPages(PolicyStore store, DraftJudge judge, ChangeDesk desk, PolicyReader reader, IOptions<PolicyStoreOptions> files, TimeProvider time) : IPages
{
    private const string Address = "/o/{organization}/image-access";

    private DateOnly Today => DateOnly.FromDateTime(time.GetUtcNow().UtcDateTime);

    public void Map(IEndpointRouteBuilder pages)
    {
        pages.Page(Address, Show);
        pages.Page($"{Address}/draft", DraftAsync);
        pages.Form(Address, ApplyAsync);
    }

    private RazorComponentResult Show(HttpContext http, string organization, string? done)
    {
        var (visitor, switches) = (http.Visitor(), Find(http, organization, Operation.ReadPolicy));
        return ConsolePage.Answer<ImageAccessPage>(parameters:
        [
            (nameof(ImageAccessPage.Organization), organization),
            (nameof(ImageAccessPage.Switches), switches),
            (nameof(ImageAccessPage.MayTry), visitor.May(Operation.TryPolicy, organization)),
            (nameof(ImageAccessPage.MayChange), visitor.May(Operation.ChangePolicy, organization)),
            (nameof(ImageAccessPage.File), File),
            (nameof(ImageAccessPage.IsFollowing), store.Current.Follows(organization)),
            (nameof(ImageAccessPage.Help), store.Current.Organizations.First(one => one.Name == organization).Help),
            (nameof(ImageAccessPage.Done), done),
        ]);
    }

    private async Task<IResult> DraftAsync(HttpContext http, string organization)
    {
        var (visitor, before) = (http.Visitor(), Find(http, organization, Operation.TryPolicy));
        var draft = Switches.Read(name => http.Request.Query[name]);
        var (document, section) = Section(organization, draft, before);
        var plan = DraftJudge.Plan("section", () => PolicyPlan.OfSection(store.Current, document, organization, section, Today));
        var changes = plan.Before!.Document.Changes;
        SeenEffect? effect = null;
        string? noEffect = null;
        try
        {
            effect = SeenEffect.Of(await judge.JudgeSectionAsync(visitor.Actor, plan, organization, DraftJudge.DefaultDays, http.RequestAborted), judge.Since(DraftJudge.DefaultDays));
        }
        catch (NoVerdictException exception)
        {
            noEffect = exception.Message;
        }

        return ConsolePage.Answer<DraftPage>(parameters:
        [
            (nameof(DraftPage.Organization), organization),
            (nameof(DraftPage.Switches), draft),
            (nameof(DraftPage.IsSame), plan.IsSame),
            (nameof(DraftPage.Opens), plan.Opens),
            (nameof(DraftPage.TakesBack), plan.TakesBack),
            (nameof(DraftPage.Waits), plan.Waits(changes)),
            (nameof(DraftPage.NeedsTicket), plan.Opens.Count > 0 && changes.DemandsTicket),
            (nameof(DraftPage.Effect), effect),
            (nameof(DraftPage.NoEffect), noEffect),
            (nameof(DraftPage.Unchanged), plan.Unchanged),
            (nameof(DraftPage.MayChange), visitor.May(Operation.ChangePolicy, organization)),
            (nameof(DraftPage.File), File),
            (nameof(DraftPage.Section), File is null ? null : Encoding.UTF8.GetString(section)),
        ]);
    }

    /// <summary>Makes the change that was shown, of what was there when it was shown.</summary>
    private async Task<IResult> ApplyAsync(HttpContext http, string organization)
    {
        var (visitor, form) = (http.Visitor(), await http.FormAsync());
        var before = Find(http, organization, Operation.ReadPolicy);
        var draft = Switches.Read(name => form[name]);
        var edit = new PolicyEdit { Content = Section(organization, draft, before).Section, Organization = organization, IfUnchanged = form["unchanged"] };
        try
        {
            var outcome = await desk.ChangePolicyAsync(edit, visitor.Request(form.Line("reason"), form.Optional("ticket")), http.RequestAborted);
            if (outcome.Waiting is not null)
                return PageRoutes.ToPage(http, $"o/{organization}/image-access?done=waits");
            await reader.CatchUpAsync(http.RequestAborted); // in force here when the page is shown
            return PageRoutes.ToPage(http, $"o/{organization}/image-access?done=applied");
        }
        catch (SamePolicyException)
        {
            return PageRoutes.ToPage(http, $"o/{organization}/image-access");
        }
        catch (MalformedPolicyException malformed)
        {
            throw PolicyOperations.Refused("section", malformed);
        }
    }

    /// <summary>The file that is the policy's home; null where that is the database.</summary>
    private string? File => store.Source == PolicySource.File ? files.Value.DocumentPath : null;

    /// <exception cref="ProblemException">404 where it is not there for the visitor, 403 where they may not do this.</exception>
    private Switches Find(HttpContext http, string organization, Operation operation)
    {
        var what = $"organization {PrintableText.Of(organization)}";
        var visitor = http.Visitor();
        if (!visitor.May(Operation.ReadPolicy, organization))
            throw ProblemException.NotFound(what);
        visitor.Demand(operation, organization, what);
        var policy = store.Current;
        var found = policy.Organizations.FirstOrDefault(one => one.Name == organization) ?? throw ProblemException.NotFound(what);
        return Switches.Of(found, policy.Document.Organizations.First(one => one.Name == organization), Today);
    }

    private (byte[] Document, byte[] Section) Section(string organization, Switches draft, Switches before)
    {
        var document = store.Document;
        return (document, PolicySections.Edit(document, organization, section => draft.ApplyTo(section, before))!);
    }
}

/// <summary>What a draft would have changed in the pulls of the last days.</summary>
/// <param name="NotKnown">How many pulls would depend on a publisher whom nobody knows yet.</param>
public sealed record SeenEffect(DateTimeOffset Since, long Pulls, SwitchedPulls NewlyDenied, SwitchedPulls NewlyAllowed, long NotKnown)
{
    internal static SeenEffect Of(DraftEffect effect, DateTimeOffset since)
    {
        var facts = SwitchFacts.Of(effect, "", "", allowed: false, same: false, since);
        return new(since, facts.Pulls, facts.NewlyDenied, facts.NewlyAllowed, facts.NotKnown);
    }
}
