using System.Globalization;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Administration.Tokens;
using ImageAccess.Proxy.Administration.Usage;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Store;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Administration.Reports;

/// <summary>Gathers what a report of an organization says, from the tables, the decisions and what holds at this moment.</summary>
internal sealed class ReportFacts(SqlDatabase database, UsageStore usage, RoleSources sources, RoleBook roles, IOptions<PolicyStoreOptions> files)
{
    /// <summary>How many entries of a section that counts are told.</summary>
    public const int MaximumCounted = 5000;

    private const int MaximumPublishers = 100;

    public async Task<Report> GatherAsync(string organization, DateOnly from, DateOnly to, CancellationToken cancellationToken)
    {
        var span = new Span(organization, new DateTimeOffset(from, default, TimeSpan.Zero), new DateTimeOffset(to, default, TimeSpan.Zero));
        var (versions, exceptions, declined, tokens) = await database.ReadAsync(
            async context => (
                await VersionsAsync(context, span, cancellationToken),
                await context.Exceptions.AsNoTracking().Where(row => row.Organization == organization).OrderBy(row => row.Id).ToListAsync(cancellationToken),
                await context.RequestSteps.AsNoTracking().Where(row => row.Organization == organization && row.Step == RequestStepRow.Declined).OrderBy(row => row.Version).ToListAsync(cancellationToken),
                await context.ApiTokens.AsNoTracking().Where(row => row.Organization == organization && !row.Waits).OrderBy(row => row.Id).ToListAsync(cancellationToken)),
            cancellationToken);
        return new Report(organization, from, to,
        [
            versions,
            new("exceptions", [.. exceptions.Where(row => row.Since < span.To && (EndOf(row) is not { } end || end > span.From)).Select(row => EntryOf(row, span))],
                ["uses are counted since the exception was granted, up to the moment of the report"]),
            await DenialsAsync(span, exceptions, declined, cancellationToken),
            Roles(organization),
            new("tokens", [.. tokens.Where(row => row.Created < span.To && (row.Revoked ?? row.Expires) > span.From).Select(EntryOf)], ["tokens for every organization are in no organization's report"]),
            BreakGlass(span),
            await OwnersAsync(span, cancellationToken),
            await PublishersAsync(span, cancellationToken),
        ]);
    }

    private static DateTimeOffset? EndOf(ExceptionRow row) => row.Ended ?? row.Until;

    /// <summary>The one that was in force at the beginning, and each that changed the organization's section.</summary>
    private static async Task<ReportSection> VersionsAsync(DatabaseContext context, Span span, CancellationToken cancellationToken)
    {
        var entries = new List<(PolicyVersionRow Row, DateTimeOffset? Until)>();
        string? tag = null;
        await foreach (var row in context.PolicyVersions.AsNoTracking().OrderBy(row => row.Sequence).AsAsyncEnumerable().WithCancellation(cancellationToken))
        {
            if (row.Since >= span.To)
                break;
            var own = PolicySections.TagOf(row.Document, span.Organization);
            if (own == tag && entries.Count > 0)
                continue;
            tag = own;
            if (entries.Count > 0)
                entries[^1] = (entries[^1].Row, row.Since);
            if (row.Since <= span.From)
                entries.Clear();
            entries.Add((row with { Document = [] }, null));
        }

        return new ReportSection(
            "policy",
            [
                .. entries.Select(entry => new ReportEntry(entry.Row.Version)
                {
                    At = entry.Row.Since.UtcDateTime,
                    Until = entry.Until?.UtcDateTime,
                    By = entry.Row.Who,
                    Why = entry.Row.Why,
                    Ticket = entry.Row.Ticket,
                    Details = [.. Of(entry.Row.Opens, "opens"), .. Of(entry.Row.TakesBack, "takes back")],
                }),
            ],
            entries.Exists(entry => entry.Row.Who is null) ? ["who changed a policy file is known to whatever keeps the file"] : []);

        IEnumerable<string> Of(IEnumerable<string> words, string what) => words.Where(word => PolicyChanges.IsOf(word, span.Organization)).Select(word => $"{what}: {word}");
    }

    private static ReportEntry EntryOf(ExceptionRow row, Span span) => new(row.Image)
    {
        At = row.Since.UtcDateTime,
        Until = EndOf(row)?.UtcDateTime,
        By = row.ApprovedBy,
        Why = row.Reason,
        Ticket = row.Ticket,
        State = row.Ended < span.To ? $"ended by {row.EndedBy}" : row.Until < span.To ? "expired" : "in force",
        Count = row.Uses,
        Details = [.. Fact("exception", Number(row.Id)), .. Fact("asked by", row.AskedBy), .. Fact("last used", Time(row.LastUsed)), .. Fact("ended because", row.EndedReason)],
    };

    private static ReportEntry EntryOf(ApiTokenRow row) => new(row.Label)
    {
        At = row.Created.UtcDateTime,
        Until = (row.Revoked ?? row.Expires).UtcDateTime,
        By = row.CreatedBy,
        State = row.Role,
        Details = [.. Fact("token", Number(row.Id)), .. Fact("of", row.Person), .. Fact("last used", Time(row.LastUsed) ?? "never"), .. Fact("revoked by", row.RevokedBy)],
    };

    /// <summary>By repository, and how they ended.</summary>
    private async Task<ReportSection> DenialsAsync(Span span, List<ExceptionRow> exceptions, List<RequestStepRow> declined, CancellationToken cancellationToken)
    {
        var granted = exceptions.FindAll(row => row.Since >= span.From && row.Since < span.To);
        var refused = declined.FindAll(row => row.At >= span.From && row.At < span.To);
        return await CountAsync("denials", span.Filter with { Outcome = "deny" }, UsageBy.Repository, EntryOf, [], cancellationToken);

        ReportEntry EntryOf(UsageCount count)
        {
            var entry = new ReportEntry(count.Value.Length == 0 ? "no repository" : count.Value) { Count = count.Pulls, State = "still denied" };
            if (granted.Find(row => IsFor(row.Image, count.Value)) is { } exception)
                return entry with { State = "exception granted", Details = [$"exception {Number(exception.Id)}"] };
            return refused.Find(row => IsFor(row.Image, count.Value)) is { } request
                ? entry with { State = "request declined", By = request.By, Why = request.Reason, Details = [$"request {Number(request.Request)}"] }
                : entry;
        }
    }

    private Task<ReportSection> OwnersAsync(Span span, CancellationToken cancellationToken) => CountAsync(
        "owner-pulls",
        span.Filter with { Rule = PolicyRule.Owner, Outcome = "allow" },
        UsageBy.Caller,
        count => new ReportEntry(count.Value) { Count = count.Pulls },
        ["the rule owner allowed these; what a member would have been told is not known of each"],
        cancellationToken);

    /// <summary>By what decisions say: whose images counted as a verified publisher's and as community images in these days.</summary>
    private async Task<ReportSection> PublishersAsync(Span span, CancellationToken cancellationToken)
    {
        List<string> notes = ["a change of a badge is known where images of the publisher were asked for before and after it; Docker Hub tells no history of badges"];
        try
        {
            var (verified, community) = (await PublishersAsync(span, "verified-publisher", cancellationToken), await PublishersAsync(span, "community", cancellationToken));
            var changed = verified.Keys.Intersect(community.Keys).Order(StringComparer.Ordinal).ToList();
            if (changed.Count > MaximumPublishers)
                notes.Add($"{Number(changed.Count - MaximumPublishers)} more are not looked at");
            var entries = new List<ReportEntry>();
            foreach (var name in changed.Take(MaximumPublishers))
            {
                var badged = await DaysAsync(span, "verified-publisher", verified[name], cancellationToken);
                var plain = await DaysAsync(span, "community", community[name], cancellationToken);
                var (last, other) = (badged.Max!, plain.Max!);
                entries.Add(new ReportEntry(name)
                {
                    State = string.CompareOrdinal(other, last) > 0 ? "lost its badge" : string.CompareOrdinal(other, last) < 0 ? "has a badge again, or has got one" : "both on one day",
                    Details = [$"verified publisher from {badged.Min} to {last}", $"community from {plain.Min} to {other}"],
                });
            }

            return new ReportSection("publishers", entries, notes);
        }
        catch (TooManyValuesException exception)
        {
            return new ReportSection("publishers", [], [.. notes, exception.Message]);
        }
    }

    private async Task<Dictionary<string, List<string>>> PublishersAsync(Span span, string type, CancellationToken cancellationToken) =>
        (await usage.CountAsync(span.Filter with { Type = type }, UsageBy.Repository, cancellationToken)).Where(count => count.Value.Contains('/', StringComparison.Ordinal))
            .GroupBy(count => count.Value.Split('/')[0]).ToDictionary(same => same.Key, same => same.Select(count => count.Value).Order(StringComparer.Ordinal).Take(MaximumPublishers).ToList());

    private async Task<SortedSet<string>> DaysAsync(Span span, string type, List<string> repositories, CancellationToken cancellationToken)
    {
        var days = new SortedSet<string>(StringComparer.Ordinal);
        foreach (var repository in repositories)
            days.UnionWith((await usage.CountAsync(span.Filter with { Type = type, Repository = repository }, UsageBy.Day, cancellationToken)).Select(count => count.Value));
        return days;
    }

    private async Task<ReportSection> CountAsync(
        string name, UsageFilter filter, UsageBy by, Func<UsageCount, ReportEntry> entry, IReadOnlyList<string> notes, CancellationToken cancellationToken)
    {
        try
        {
            var counts = (await usage.CountAsync(filter, by, cancellationToken)).Where(count => count.Pulls > 0)
                .OrderByDescending(count => count.Pulls).ThenBy(count => count.Value, StringComparer.Ordinal).ToList();
            return new ReportSection(
                name, [.. counts.Take(MaximumCounted).Select(entry)], [.. notes, .. counts.Count > MaximumCounted ? [$"{Number(counts.Count - MaximumCounted)} more with fewer pulls"] : Array.Empty<string>()]);
        }
        catch (TooManyValuesException exception)
        {
            return new ReportSection(name, [], [.. notes, exception.Message]);
        }
    }

    private ReportSection Roles(string organization)
    {
        var held = sources.All().Where(one => (one.Key.Organization ?? organization) == organization)
            .OrderBy(one => one.Key.IsTeam).ThenBy(one => one.Key.Name, StringComparer.Ordinal).ThenBy(one => one.Key.Organization, StringComparer.Ordinal);
        return new ReportSection("roles", [.. held.Select(one => EntryOf(one.Key, [.. one]))], ["as they are at the moment of the report"]);
    }

    private ReportEntry EntryOf(NamedHolder holder, List<RoleSource> by)
    {
        var now = holder.IsTeam ? by.Aggregate(Core.Policies.Roles.None, (all, source) => all | source.Role) : roles.OfPerson(holder.Name, holder.Organization);
        var company = holder.Organization is null ? " of the company" : "";
        return new ReportEntry(holder.Name)
        {
            State = string.Join(' ', RoleNames.ListOf(now)),
            Details =
            [
                .. by.Select(source => $"{RoleNames.Of(source.Role)} by {source.Name}{(source.Team is null ? "" : $" {source.Team}")}{company}").Distinct().Order(StringComparer.Ordinal),
            ],
        };
    }

    private ReportSection BreakGlass(Span span) => new(
        "break-glass",
        [
            .. BreakGlassFile.Read(files.Value).Entries.Where(entry => entry.Organization == span.Organization && entry.Since < span.To && entry.End > span.From).OrderBy(entry => entry.Id)
                .Select(entry => new ReportEntry(entry.Repository ?? "observe")
                {
                    At = entry.Since.UtcDateTime,
                    Until = entry.End.UtcDateTime,
                    By = entry.By,
                    Why = entry.Reason,
                    Ticket = entry.Ticket,
                    State = entry.Reviewed is { } review ? $"reviewed by {review.By}" : "not reviewed",
                    Details = [.. Fact("emergency", Number(entry.Id)), .. Fact("ended by", entry.Ended?.By), .. Fact("review", entry.Reviewed?.Reason)],
                }),
        ],
        ["emergencies that were opened on another replica are in its report"]);

    private static bool IsFor(string image, string repository) => ImagePattern.TryParse(image, out var pattern, out _)
        && (pattern.Asked is { } asked ? asked.Repository.Value == repository : pattern.Namespace is { } name && repository.StartsWith($"{name}/", StringComparison.Ordinal));

    private static string[] Fact(string name, string? text) => text is null ? [] : [$"{name} {text}"];

    private static string Number(long number) => number.ToString(CultureInfo.InvariantCulture);

    private static string? Time(DateTimeOffset? time) => time?.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    /// <summary>Whose, from when on, before when.</summary>
    private sealed record Span(string Organization, DateTimeOffset From, DateTimeOffset To)
    {
        public UsageFilter Filter => new(From.ToUnixTimeMilliseconds(), To.ToUnixTimeMilliseconds()) { Organization = Organization };
    }
}
