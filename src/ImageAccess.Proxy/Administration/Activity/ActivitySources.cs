using System.Globalization;
using System.Text.Json;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Store;
using Microsoft.EntityFrameworkCore;

namespace ImageAccess.Proxy.Administration.Activity;

/// <summary>
/// What the tables tell that the log does not have yet, each step once: of each table the log knows how far it has come. What all organizations
/// share is the company's, and in no organization's log; blocks are everybody's.
/// </summary>
internal sealed class ActivitySources(DatabaseContext context)
{
    /// <summary>How many versions of the policy are compared at once: each has a document.</summary>
    private const int Together = 20;

    /// <summary>Where the log is with something; it is saved with whatever else the context has.</summary>
    public static async Task<SequenceRow> CursorAsync(DatabaseContext context, string name, CancellationToken cancellationToken)
    {
        var row = await context.Sequences.FindAsync([name], cancellationToken);
        if (row is null)
            context.Sequences.Add(row = new SequenceRow { Name = name, Change = "" });
        return row;
    }

    public async Task<List<ActivityRow>> ReadAsync(CancellationToken cancellationToken) =>
    [
        .. await PoliciesAsync(cancellationToken),
        .. await ExceptionsAsync(cancellationToken),
        .. await BlocksAsync(cancellationToken),
        .. await ChangesAsync(cancellationToken),
        .. await RequestsAsync(cancellationToken),
        .. await TokensAsync(cancellationToken),
        .. await AccountsAsync(cancellationToken),
    ];

    /// <summary>Of each version an entry for each organization whose section it changed, with the words about it.</summary>
    private async Task<List<ActivityRow>> PoliciesAsync(CancellationToken cancellationToken)
    {
        var cursor = await CursorAsync(context, "activity policy", cancellationToken);
        var former = await context.PolicyVersions.Where(row => row.Sequence <= cursor.Value).OrderByDescending(row => row.Sequence)
            .Select(row => row.Document).FirstOrDefaultAsync(cancellationToken) ?? [];
        var steps = new List<ActivityRow>();
        List<PolicyVersionRow> rows;
        do
        {
            var after = cursor.Value;
            rows = await context.PolicyVersions.AsNoTracking().Where(row => row.Sequence > after).OrderBy(row => row.Sequence).Take(Together).ToListAsync(cancellationToken);
            foreach (var row in rows)
            {
                var before = former;
                steps.AddRange(NamesOf(before).Union(NamesOf(row.Document)).Where(name => PolicySections.TagOf(before, name) != PolicySections.TagOf(row.Document, name)).Select(name => Step(
                    $"policy {row.Sequence} {name}", row.Since, name, "policy.change", row.Who, name,
                    ("reason", row.Why), ("ticket", row.Ticket), ("version", row.Version), ("opens", WordsOf(row.Opens, name)), ("takes_back", WordsOf(row.TakesBack, name)))));
                (former, cursor.Value) = (row.Document, row.Sequence);
            }
        }
        while (rows.Count == Together);
        return steps;
    }

    private async Task<List<ActivityRow>> ExceptionsAsync(CancellationToken cancellationToken)
    {
        var cursor = await CursorAsync(context, "activity exceptions", cancellationToken);
        var after = cursor.Value;
        var rows = await context.Exceptions.AsNoTracking().Where(row => row.Version > after || row.EndedVersion > after).ToListAsync(cancellationToken);
        cursor.Value = rows.Select(row => Math.Max(row.Version, row.EndedVersion ?? 0)).Append(after).Max();
        return
        [
            .. rows.Where(row => row.Version > after).Select(row => Step(
                $"exception {row.Id}", row.Since, row.Organization, "exception.grant", row.ApprovedBy, row.Image,
                ("reason", row.Reason), ("ticket", row.Ticket), ("asked_by", row.AskedBy), ("until", Text(row.Until)))),
            .. rows.Where(row => row.EndedVersion > after).Select(row => Step(
                $"exception {row.Id} ended", row.Ended ?? row.Since, row.Organization, "exception.end", row.EndedBy, row.Image, ("reason", row.EndedReason), ("ticket", row.EndedTicket))),
        ];
    }

    private async Task<List<ActivityRow>> BlocksAsync(CancellationToken cancellationToken)
    {
        var cursor = await CursorAsync(context, "activity blocks", cancellationToken);
        var after = cursor.Value;
        var rows = await context.Blocks.AsNoTracking().Where(row => row.Version > after || row.LiftedVersion > after).ToListAsync(cancellationToken);
        cursor.Value = rows.Select(row => Math.Max(row.Version, row.LiftedVersion ?? 0)).Append(after).Max();
        return
        [
            .. rows.Where(row => row.Version > after).Select(row => Step(
                $"block {row.Key}", At(row.AtTicks), null, "block.add", row.By, row.Image, ("reason", row.Reason), ("ticket", row.Ticket))),
            .. rows.Where(row => row.LiftedVersion > after).Select(row => Step(
                $"block {row.Key} lifted", At(row.LiftedAtTicks ?? row.AtTicks), null, "block.lift", row.LiftedBy, row.Image, ("reason", row.LiftedReason), ("ticket", row.LiftedTicket))),
        ];
    }

    private async Task<List<ActivityRow>> ChangesAsync(CancellationToken cancellationToken)
    {
        var cursor = await CursorAsync(context, "activity changes", cancellationToken);
        var after = cursor.Value;
        var rows = await context.PendingChanges.AsNoTracking().Where(row => row.Version > after || row.DecidedVersion > after)
            .Select(row => new
            {
                row.Id,
                row.Kind,
                row.Organization,
                row.Opens,
                row.By,
                row.Reason,
                row.Ticket,
                row.At,
                row.State,
                row.Version,
                row.DecidedVersion,
                row.DecidedBy,
                row.DecidedAt,
                row.DecidedReason,
            }).ToListAsync(cancellationToken);
        cursor.Value = rows.Select(row => Math.Max(row.Version, row.DecidedVersion ?? 0)).Append(after).Max();
        var own = rows.Where(row => row.Organization is not null).ToList();
        return
        [
            .. own.Where(row => row.Version > after).Select(row => Step(
                $"change {row.Id}", row.At, row.Organization, "change.ask", row.By, Name(row.Id), ("kind", row.Kind), ("opens", Words(row.Opens)), ("reason", row.Reason), ("ticket", row.Ticket))),
            .. own.Where(row => row.DecidedVersion > after).Select(row => Step(
                $"change {row.Id} decided", row.DecidedAt ?? row.At, row.Organization, $"change.{row.State}", row.DecidedBy, Name(row.Id),
                ("kind", row.Kind), ("asked_by", row.By), ("opens", Words(row.Opens)), ("reason", row.DecidedReason), ("ticket", row.Ticket))),
        ];
    }

    private async Task<List<ActivityRow>> RequestsAsync(CancellationToken cancellationToken)
    {
        var cursor = await CursorAsync(context, "activity requests", cancellationToken);
        var after = cursor.Value;
        var rows = await context.RequestSteps.AsNoTracking().Where(row => row.Version > after).ToListAsync(cancellationToken);
        cursor.Value = rows.Select(row => row.Version).Append(after).Max();
        return
        [
            .. rows.SelectMany(row => (row.Organization is { } one ? [one] : row.Organizations).Select(organization => Step(
                $"request {row.Version} {organization}", row.At, organization, $"request.{row.Step}", row.By, row.Image,
                ("request", Name(row.Request)), ("asked_by", Words(row.AskedBy)), ("reason", row.Reason), ("ticket", row.Ticket)))),
        ];
    }

    /// <summary>There are few of them, and none says with which change it was revoked.</summary>
    private async Task<List<ActivityRow>> TokensAsync(CancellationToken cancellationToken)
    {
        var rows = await context.ApiTokens.AsNoTracking().Where(row => row.Organization != null && !row.Waits).ToListAsync(cancellationToken);
        var known = (await context.Activity.Where(row => row.Key.StartsWith("token ")).Select(row => row.Key).ToListAsync(cancellationToken)).ToHashSet();
        List<ActivityRow> steps =
        [
            .. rows.Select(row => Step(
                $"token {row.Id}", row.Created, row.Organization, "token.create", row.CreatedBy, row.Label, ("token", Name(row.Id)), ("role", row.Role), ("for", row.Person), ("until", Text(row.Expires)))),
            .. rows.Where(row => row.Revoked is not null).Select(row => Step(
                $"token {row.Id} revoked", row.Revoked!.Value, row.Organization, "token.revoke", row.RevokedBy, row.Label, ("token", Name(row.Id)))),
        ];
        return [.. steps.Where(step => !known.Contains(step.Key))];
    }

    private async Task<List<ActivityRow>> AccountsAsync(CancellationToken cancellationToken)
    {
        var cursor = await CursorAsync(context, "activity accounts", cancellationToken);
        var after = cursor.Value;
        var rows = await context.ConfirmedAccounts.AsNoTracking().Where(row => row.Version > after).ToListAsync(cancellationToken);
        cursor.Value = rows.Select(row => row.Version).Append(after).Max();
        return
        [
            .. rows.Where(row => row.Organization is not null).Select(row => Step(
                $"account {row.Id}", row.At, row.Organization, "account.confirm", row.By, row.Name, ("account", row.Account), ("reason", row.Reason), ("ticket", row.Ticket))),
        ];
    }

    public static ActivityRow Step(string key, DateTimeOffset at, string? organization, string action, string? actor, string name, params (string Name, string? Text)[] facts) => new()
    {
        Key = key,
        TimeMilliseconds = at.ToUnixTimeMilliseconds(),
        Organization = organization,
        Action = action,
        Actor = actor ?? "",
        Name = name,
        Facts = JsonSerializer.Serialize(facts.Where(fact => !string.IsNullOrEmpty(fact.Text)).ToDictionary(fact => fact.Name, fact => fact.Text), ReadableJson.Web),
    };

    private static IEnumerable<string> NamesOf(byte[] document) => PolicyOnDisk.Parse(FileReading.Found(document)).Value?.Organizations.Select(organization => organization.Name) ?? [];

    private static string WordsOf(IEnumerable<string> words, string organization) => Words(words.Where(word => PolicyChanges.IsOf(word, organization)));

    private static string Words(IEnumerable<string> words) => string.Join("; ", words);

    private static string Name(long number) => number.ToString(CultureInfo.InvariantCulture);

    public static string? Text(DateTimeOffset? time) => time?.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    private static DateTimeOffset At(long ticks) => new(ticks, TimeSpan.Zero);
}
