using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Exceptions;
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

    private const string NotKnown = "the version before cannot be read by this program: what it opens is not known";

    /// <summary>How many versions are looked through for who changed a section.</summary>
    private const int MaximumLooked = 20;

    /// <summary>To the millisecond: PostgreSQL keeps no more than microseconds.</summary>
    private DateTimeOffset Now => DateTimeOffset.FromUnixTimeMilliseconds(time.GetUtcNow().ToUnixTimeMilliseconds());

    /// <summary>What a change would come to; nothing is written.</summary>
    /// <exception cref="RefusedChangeException">It cannot be made.</exception>
    public Task<PolicyPlan> PlanAsync(PolicyEdit edit, CancellationToken cancellationToken)
    {
        DemandHome();
        return database.ReadAsync(context => PlanAsync(context, edit, cancellationToken), cancellationToken);
    }

    /// <summary>Makes a change.</summary>
    /// <exception cref="OutdatedChangeException">Somebody was faster.</exception>
    /// <exception cref="RefusedChangeException">It cannot be made, or changes nothing.</exception>
    public async Task<PolicyVersionRow> ApplyAsync(PolicyEdit edit, string by, string why, CancellationToken cancellationToken)
    {
        DemandHome();
        DemandTexts(by, why);
        var row = await WriteAsync(
            async context =>
            {
                var plan = await PlanAsync(context, edit, cancellationToken);
                return plan.IsSame ? throw new RefusedChangeException($"the policy is {plan.After.Version} already: nothing is to change") : plan;
            },
            by, why, cancellationToken);
        return row!;
    }

    /// <summary>Brings the first document into the database. The same one again changes nothing: who was interrupted may begin anew.</summary>
    /// <param name="document">The document.</param>
    /// <param name="before">The policy that it takes the place of.</param>
    /// <returns>The version; null where the database had this document already.</returns>
    /// <exception cref="RefusedChangeException">The database has another one, or this one is refused.</exception>
    public async Task<PolicyVersionRow?> ImportAsync(
        ReadOnlyMemory<byte> document, Policy before, string by, string why, CancellationToken cancellationToken)
    {
        DemandTexts(by, why);
        var plan = Plan(before, Compile(document), document);
        return await WriteAsync(
            async context =>
            {
                var current = await FindCurrentAsync(context, cancellationToken);
                if (current is null || current.Version == plan.After.Version)
                    return current is null ? plan : null;
                throw new RefusedChangeException(
                    $"the database has a policy document already, {current.Version} by {current.Who ?? "somebody"}: set Policy:Source to database to use it, and imageaccess policy apply changes it");
            },
            by, why, cancellationToken);
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

    private async Task<PolicyVersionRow?> WriteAsync(
        Func<DatabaseContext, Task<PolicyPlan?>> plan, string by, string why, CancellationToken cancellationToken)
    {
        PolicyVersionRow? row = null;
        await database.WriteAsync(
            async context =>
            {
                if (await plan(context) is not { } planned)
                    return;
                row = new PolicyVersionRow
                {
                    Id = Guid.NewGuid().ToString("N"),
                    Version = planned.After.Version,
                    PreviousVersion = planned.PreviousVersion,
                    Since = Now,
                    Document = planned.Document.ToArray(),
                    Who = by,
                    Why = why,
                    Opens = [.. planned.Opens],
                    TakesBack = [.. planned.TakesBack],
                };
                context.PolicyVersions.Add(row);
                await SequenceRow.RaiseAsync(context, PolicyVersions.Sequence, row.Id, cancellationToken);
                await context.SaveChangesAsync(cancellationToken);
                await database.TellAsync(context, cancellationToken);
            },
            cancellationToken);
        return row;
    }

    private async Task<PolicyPlan> PlanAsync(DatabaseContext context, PolicyEdit edit, CancellationToken cancellationToken)
    {
        var current = await FindCurrentAsync(context, cancellationToken)
            ?? throw new RefusedChangeException("the database has no policy document: imageaccess policy import FILE brings one in");
        var before = PolicyOnDisk.Parse(FileReading.Found(current.Document)).Value;
        if (edit.Organization is { } name && before?.Organizations.Any(organization => organization.Name == name) != true)
            throw before is null ? new RefusedChangeException($"{NotKnown}; apply a whole document") : PolicySections.Unknown(name);
        await DemandUnchangedAsync(context, edit, current, cancellationToken);

        var content = edit.Version is { } version ? await FindAsync(context, version, edit.Organization, cancellationToken) : edit.Content;
        if (content.Length > PolicyStoreOptions.DefaultMaximumSize)
            throw new RefusedChangeException($"the document {WholeFile.TooLarge(PolicyStoreOptions.DefaultMaximumSize)}");
        if (edit.Organization is not { } organization)
            return Plan(before, Compile(content), content) with { PreviousVersion = current.Version };

        var document = PolicySections.Replace(current.Document, organization, content);
        var after = Compile(document);
        DemandAlone(before!, after, organization, document);

        // The same section, however it is written, is no change.
        return PolicySections.TagOf(document, organization) == PolicySections.TagOf(current.Document, organization)
            ? Plan(before, before!, current.Document)
            : Plan(before, after, document);
    }

    private PolicyPlan Plan(Policy? before, Policy after, ReadOnlyMemory<byte> document)
    {
        var today = DateOnly.FromDateTime(time.GetUtcNow().UtcDateTime);
        return new PolicyPlan(after, document)
        {
            PreviousVersion = before == Policy.Off ? null : before?.Version,
            Opens = before is null ? [NotKnown] : PolicyChanges.Opens(before, after, today),
            TakesBack = before is null ? [] : PolicyChanges.Opens(after, before, today),
        };
    }

    private static async Task<PolicyVersionRow?> FindCurrentAsync(DatabaseContext context, CancellationToken cancellationToken)
    {
        var id = await context.Sequences.AsNoTracking().Where(row => row.Name == PolicyVersions.Sequence).Select(row => row.Change).FirstOrDefaultAsync(cancellationToken);
        return await context.PolicyVersions.AsNoTracking().FirstOrDefaultAsync(row => row.Id == id, cancellationToken);
    }

    private static async Task<byte[]> FindAsync(DatabaseContext context, string version, string? organization, CancellationToken cancellationToken)
    {
        var row = await new PolicyVersions(context).FindAsync(version, cancellationToken)
            ?? throw new RefusedChangeException($"there is no version {PrintableText.Of(version)} of the policy; imageaccess policy history lists them");
        if (organization is null)
            return row.Document;
        Compile(row.Document);
        return PolicySections.Find(row.Document, organization) ?? throw new RefusedChangeException($"the version {version} has no organization {organization}");
    }

    /// <exception cref="RefusedChangeException">It has problems, all of which are named.</exception>
    private static Policy Compile(ReadOnlyMemory<byte> document)
    {
        var parsed = PolicyOnDisk.Parse(FileReading.Found(document));
        return parsed.Value ?? throw new RefusedChangeException(parsed.Problems);
    }

    /// <summary>A section changes nothing for other organizations: not whose account a name is that they name too, nor what all members of a company may use.</summary>
    private static void DemandAlone(Policy before, Policy after, string organization, byte[] document)
    {
        var names = before.Document.Accounts.Concat(after.Document.Accounts).Select(named => named.Name).Distinct();
        if (names.FirstOrDefault(name => before.AccountOf(name) != after.AccountOf(name) && PolicySections.IsNamedElsewhere(document, organization, name)) is { } shared)
            throw new RefusedChangeException($"{shared} is named outside of {organization} too: whose account that is changes with the whole document");
        if (after.Document.Company && NamespacesOf(after).Except(NamespacesOf(before)).FirstOrDefault() is { } added)
            throw new RefusedChangeException($"the organizations are one company, and everybody in it could use the images of {added}: a namespace is added with the whole document");

        IEnumerable<string> NamespacesOf(Policy policy) => policy.Organizations.Single(one => one.Name == organization).Namespaces;
    }

    private static async Task DemandUnchangedAsync(DatabaseContext context, PolicyEdit edit, PolicyVersionRow current, CancellationToken cancellationToken)
    {
        if (edit.IfUnchanged is not { } expected)
            return;
        if (edit.Organization is not { } organization)
        {
            if (current.Version != expected)
                throw new OutdatedChangeException(current, "the policy", current.Version);
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

        throw new OutdatedChangeException(first, $"the section of {organization}", tag!);
    }

    private static void DemandTexts(string by, string why)
    {
        List<string> problems = [];
        if (PrintableText.FaultOf(by, ExceptionGrant.MaximumName) is { } nameFault)
            problems.Add($"the name of who changes it {nameFault}");
        if (PrintableText.FaultOf(why, MaximumReason) is { } reasonFault)
            problems.Add($"the reason {reasonFault}");
        if (problems.Count > 0)
            throw new RefusedChangeException(problems);
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

/// <summary>What a change would come to.</summary>
/// <param name="After">The policy that would be in force.</param>
/// <param name="Document">Its document.</param>
internal sealed record PolicyPlan(Policy After, ReadOnlyMemory<byte> Document)
{
    public string? PreviousVersion { get; init; }

    /// <summary>What it would open, in words.</summary>
    public IReadOnlyList<string> Opens { get; init; } = [];

    /// <summary>What it would take back, in words.</summary>
    public IReadOnlyList<string> TakesBack { get; init; } = [];

    public bool IsSame => After.Version == PreviousVersion;
}

/// <summary>Somebody changed it since: the message says who, when and what.</summary>
/// <param name="first">The change of who was faster.</param>
/// <param name="what">What is changed, as the beginning of a sentence.</param>
/// <param name="current">The version or the tag that it has now.</param>
internal sealed class OutdatedChangeException(PolicyVersionRow first, string what, string current)
    : RefusedChangeException($"{what} is {current} by now: {first.Who ?? "somebody"} changed it {ExceptionChanges.Minute(first.Since)} ({first.Why}): {Words(first)}. Look at it, and change it from there")
{
    private const int MaximumTold = 5;

    /// <summary>The version or the tag that it has now.</summary>
    public string Current => current;

    private static string Words(PolicyVersionRow row)
    {
        IReadOnlyCollection<string> words = [.. row.Opens.Select(opened => $"opens: {opened}"), .. row.TakesBack.Select(taken => $"takes back: {taken}")];
        return words.Count == 0 ? "nothing that opens or takes back" : PrintableText.ListOf(words, MaximumTold);
    }
}
