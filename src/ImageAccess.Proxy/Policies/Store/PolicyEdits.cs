using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Policies.Following;
using Microsoft.EntityFrameworkCore;

namespace ImageAccess.Proxy.Policies.Store;

/// <summary>
/// Changes the policy document of the database: each change is a new version, in one transaction, and in force on every process that has its home there
/// within a second. Of two who change at once the second is told what the first did.
/// </summary>
internal sealed class PolicyEdits(SqlDatabase database, PolicyStoreOptions options, TimeProvider time)
{
    /// <summary>The characters of a reason.</summary>
    public const int MaximumReason = 200;

    /// <summary>How many versions are looked through for who changed a section.</summary>
    private const int MaximumLooked = 20;

    private DateOnly Today => DateOnly.FromDateTime(time.GetUtcNow().UtcDateTime);

    /// <summary>What a change would come to; nothing is written.</summary>
    /// <exception cref="RefusedChangeException">It cannot be made.</exception>
    public Task<PolicyPlan> PlanAsync(PolicyEdit edit, CancellationToken cancellationToken)
    {
        DemandHome();
        return database.ReadAsync(context => PlanAsync(context, edit, cancellationToken), cancellationToken);
    }

    /// <summary>Makes a change.</summary>
    /// <param name="check">Throws where it must not be made as it is planned at that moment.</param>
    /// <exception cref="OutdatedChangeException">Somebody was faster.</exception>
    /// <exception cref="RefusedChangeException">It cannot be made, or changes nothing.</exception>
    public async Task<PolicyVersionRow> ApplyAsync(PolicyEdit edit, PolicyAuthor author, Action<PolicyPlan>? check, CancellationToken cancellationToken)
    {
        PolicyVersionRow? row = null;
        await database.WriteAsync(async context => row = await ApplyAsync(context, edit, author, check, cancellationToken), cancellationToken);
        return row!;
    }

    /// <summary>The same within a transaction.</summary>
    /// <inheritdoc cref="ApplyAsync(PolicyEdit, PolicyAuthor, Action{PolicyPlan}?, CancellationToken)"/>
    public async Task<PolicyVersionRow> ApplyAsync(
        DatabaseContext context, PolicyEdit edit, PolicyAuthor author, Action<PolicyPlan>? check, CancellationToken cancellationToken)
    {
        DemandHome();
        author.Demand();
        var plan = await PlanAsync(context, edit, cancellationToken);
        if (plan.IsSame)
            throw new SamePolicyException(plan);
        check?.Invoke(plan);
        return await AddAsync(context, plan, author, cancellationToken);
    }

    /// <summary>Brings the first document into the database. The same one again changes nothing: who was interrupted may begin anew.</summary>
    /// <param name="document">The document.</param>
    /// <param name="before">The policy that it takes the place of.</param>
    /// <returns>The version; null where the database had this document already.</returns>
    /// <exception cref="RefusedChangeException">The database has another one, or this one is refused.</exception>
    public async Task<PolicyVersionRow?> ImportAsync(
        ReadOnlyMemory<byte> document, Policy before, PolicyAuthor author, CancellationToken cancellationToken)
    {
        author.Demand();
        var plan = PolicyPlan.OfDocument(before, document, Today);
        if (before.Document.Changes.Approvals > 1 && plan.Opens.Count > 0)
            throw new RefusedChangeException("the document opens something, which takes two persons (changes.approvals): import the policy as it is, then change it with imageaccess policy apply");
        PolicyVersionRow? row = null;
        await database.WriteAsync(
            async context =>
            {
                if (await FindCurrentAsync(context, cancellationToken) is not { } current)
                    row = await AddAsync(context, plan, author, cancellationToken);
                else if (current.Version != plan.After.DocumentVersion)
                {
                    throw new RefusedChangeException(
                        $"the database has a policy document already, {current.Version} by {current.Who ?? "somebody"}: set Policy:Source to database to use it, and imageaccess policy apply changes it");
                }
            },
            cancellationToken);
        return row;
    }

    /// <exception cref="RefusedChangeException">The document is a file.</exception>
    public void DemandHome()
    {
        if (PolicyHome.Find(options).Source == PolicySource.File)
        {
            throw new RefusedChangeException(
                $"the policy document is the file {options.DocumentPath}: change that file, or bring it into the database with imageaccess policy import");
        }
    }

    private async Task<PolicyVersionRow> AddAsync(DatabaseContext context, PolicyPlan plan, PolicyAuthor author, CancellationToken cancellationToken)
    {
        var row = new PolicyVersionRow
        {
            Id = Guid.NewGuid().ToString("N"),
            Version = plan.After.DocumentVersion,
            PreviousVersion = plan.PreviousVersion,
            Since = SqlDatabase.NowOf(time),
            Document = plan.Document.ToArray(),
            Who = author.Name,
            Why = author.Reason,
            Ticket = author.Ticket,
            Opens = [.. plan.Opens],
            TakesBack = [.. plan.TakesBack],
        };
        context.PolicyVersions.Add(row);
        await SequenceRow.RaiseAsync(context, PolicyVersions.Sequence, row.Id, cancellationToken);
        await context.SaveChangesAsync(cancellationToken);
        await database.TellAsync(context, cancellationToken);
        return row;
    }

    private async Task<PolicyPlan> PlanAsync(DatabaseContext context, PolicyEdit edit, CancellationToken cancellationToken)
    {
        var current = await FindCurrentAsync(context, cancellationToken)
            ?? throw new RefusedChangeException("the database has no policy document: imageaccess policy import FILE brings one in");
        var before = PolicyOnDisk.Parse(FileReading.Found(current.Document)).Value is { } written ? written.With(FollowedCopy.Find(options.DataDirectory, written)) : null;
        if (edit.Organization is { } name && before?.Organizations.Any(organization => organization.Name == name) != true)
            throw before is null ? new RefusedChangeException($"{PolicyPlan.NotKnown}; apply a whole document") : PolicySections.Unknown(name);
        await DemandUnchangedAsync(context, edit, current, cancellationToken);

        var content = edit.Version is { } version ? await FindAsync(context, version, edit.Organization, cancellationToken) : edit.Content;
        return edit.Organization is { } organization
            ? PolicyPlan.OfSection(before!, current.Document, organization, content, Today)
            : PolicyPlan.OfDocument(before, content, Today) with { PreviousVersion = current.Version, Unchanged = current.Version };
    }

    private static async Task<PolicyVersionRow?> FindCurrentAsync(DatabaseContext context, CancellationToken cancellationToken)
    {
        var point = await SequenceRow.ReadAsync(context, PolicyVersions.Sequence, cancellationToken);
        return await context.PolicyVersions.AsNoTracking().FirstOrDefaultAsync(row => row.Id == point.Change, cancellationToken);
    }

    private static async Task<byte[]> FindAsync(DatabaseContext context, string version, string? organization, CancellationToken cancellationToken)
    {
        var row = await new PolicyVersions(context).FindAsync(version, cancellationToken)
            ?? throw new RefusedChangeException($"there is no version {PrintableText.Of(version)} of the policy; imageaccess policy history lists them");
        if (organization is null)
            return row.Document;
        PolicyPlan.Compile(row.Document);
        return PolicySections.Find(row.Document, organization) ?? throw new RefusedChangeException($"the version {version} has no organization {organization}");
    }

    private static async Task DemandUnchangedAsync(DatabaseContext context, PolicyEdit edit, PolicyVersionRow current, CancellationToken cancellationToken)
    {
        if (edit.IfUnchanged is not { } expected)
            return;
        if (edit.Organization is not { } organization)
        {
            if (current.Version != expected)
                throw new OutdatedChangeException(current, organization: null, current.Version);
            return;
        }

        var tag = PolicySections.TagOf(current.Document, organization);
        if (tag == expected)
            return;
        var first = current;
        var earlier = context.PolicyVersions.AsNoTracking().Where(row => row.Sequence < current.Sequence).OrderByDescending(row => row.Sequence).Take(MaximumLooked);
        await foreach (var row in earlier.AsAsyncEnumerable().WithCancellation(cancellationToken))
        {
            if (PolicySections.TagOf(row.Document, organization) != tag)
                break;
            first = row;
        }

        throw new OutdatedChangeException(first, organization, tag!);
    }
}

/// <summary>A change of the policy document that somebody wants to make.</summary>
internal sealed record PolicyEdit
{
    /// <summary>The whole document, or the section; that of <see cref="Version"/> where there is one.</summary>
    public ReadOnlyMemory<byte> Content { get; init; }

    /// <summary>The earlier version to go back to.</summary>
    public string? Version { get; init; }

    /// <summary>Whose section is changed; null for the whole document.</summary>
    public string? Organization { get; init; }

    /// <summary>The version, or the section's tag, that it is a change of; null for whatever is there.</summary>
    public string? IfUnchanged { get; init; }
}

/// <summary>Who changes the document, why, and under which ticket.</summary>
internal sealed record PolicyAuthor(string Name, string Reason, string? Ticket = null)
{
    /// <exception cref="RefusedChangeException">Something of it cannot be kept.</exception>
    public void Demand()
    {
        List<string> problems = [];
        if (PrintableText.FaultOf(Name, ExceptionGrant.MaximumName) is { } nameFault)
            problems.Add($"the name of who changes it {nameFault}");
        if (PrintableText.FaultOf(Reason, PolicyEdits.MaximumReason) is { } reasonFault)
            problems.Add($"the reason {reasonFault}");
        if (problems.Count > 0)
            throw new RefusedChangeException(problems);
    }
}

/// <summary>It is as it should be already.</summary>
internal sealed class SamePolicyException(PolicyPlan plan) : RefusedChangeException($"the policy is {plan.After.DocumentVersion} already: nothing is to change")
{
    /// <summary>The version that is there.</summary>
    public string Version => plan.After.DocumentVersion;

    /// <summary>The version, or the section's tag, that the next change is one of.</summary>
    public string Unchanged => plan.Unchanged;
}

/// <summary>Somebody changed it since: the message says who, when and what.</summary>
/// <param name="first">The change of who was faster.</param>
/// <param name="organization">Whose section is changed: what was changed in others is none of its business; null for the whole document.</param>
/// <param name="current">The version or the tag that it has now.</param>
internal sealed class OutdatedChangeException(PolicyVersionRow first, string? organization, string current)
    : RefusedChangeException($"{(organization is null ? "the policy" : $"the section of {organization}")} is {current} by now: {first.Who ?? "somebody"} changed it {ExceptionChanges.Minute(first.Since)} ({first.Why}): {Words(first, organization)}. Look at it, and change it from there")
{
    private const int MaximumTold = 5;

    /// <summary>The version or the tag that it has now.</summary>
    public string Current => current;

    private static string Words(PolicyVersionRow row, string? organization)
    {
        IReadOnlyCollection<string> words = [.. row.Opens.Where(IsTold).Select(opened => $"opens: {opened}"), .. row.TakesBack.Where(IsTold).Select(taken => $"takes back: {taken}")];
        return words.Count == 0 ? "nothing that opens or takes back" : PrintableText.ListOf(words, MaximumTold);

        bool IsTold(string words) => organization is null || PolicyChanges.IsOf(words, organization);
    }
}
