using System.Globalization;
using ImageAccess.Core.Classification;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Policies.Decisions;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary>A policy document and its file.</summary>
internal sealed record PolicySide(string File, Policy Policy);

/// <summary><c>policy diff</c>: what one document allows and another does not, in words and for images.</summary>
internal sealed class PolicyDiff(PolicySide before, PolicySide after, DateOnly today)
{
    private readonly List<Change> _changes = [];
    private string? _asked;

    /// <summary>
    /// Compares images as people write them: for an anonymous caller, for a member and an owner of each organization, and for these users.
    /// </summary>
    /// <exception cref="MisuseException">Some lines are no images; it names all of them.</exception>
    public void AddImages(string path, IReadOnlyList<string> lines, IReadOnlyList<string> users)
    {
        var images = Parse(path, lines);
        var callers = Callers(users);
        foreach (var (image, badge) in images)
        {
            if (image.Repository is not { } repository)
                continue;
            foreach (var (name, caller) in callers)
            {
                // Where the publisher matters and the list does not name it, both answers are compared.
                var known = badge != NamespaceBadge.Unknown || !(Needs(before.Policy, caller, repository) || Needs(after.Policy, caller, repository));
                NamespaceBadge[] badges = known ? [badge] : [NamespaceBadge.VerifiedPublisher, NamespaceBadge.None];
                foreach (var assumed in badges)
                    Compare(name, caller, image.ToString(), repository, Facts(repository, assumed), known ? "" : Assumption(assumed), null);
            }
        }

        var outside = images.Count(image => image.Image.Repository is null);
        _asked = $"{TextTable.Count(images.Count - outside, "image")} as {TextTable.Count(callers.Count, "caller")}"
            + (outside == 0 ? "" : $" ({TextTable.Count(outside, "image")} outside the policy)");
    }

    /// <summary>Compares the pulls of an audit trail, each for its own caller.</summary>
    public void AddPulls(AuditPulls pulls)
    {
        var requests = 0L;
        foreach (var group in pulls.Requests.GroupBy(pull => (pull.Key.Caller, pull.Key.Memberships, pull.Key.Repository)))
        {
            var (pull, count) = (group.First().Key, group.Sum(pair => pair.Value));
            requests += count;
            Compare(pull.Caller, pull.ToCaller(), pull.Repository, pull.ToRepository(), pulls.PublisherOf(pull.ToRepository()), "", count);
        }

        _asked = TextTable.Count(requests, "request")
            + (pulls.Malformed == 0 ? "" : $" ({TextTable.Count(pulls.Malformed, "line")} could not be read)");
    }

    public async Task WriteAsync(TextWriter output, bool json)
    {
        var (opens, takesBack) = (Opens(before.Policy, after.Policy), Opens(after.Policy, before.Policy));
        if (json)
        {
            await Verb.WriteJsonAsync(output, new
            {
                Before = before.Policy.Version,
                After = after.Policy.Version,
                Opens = opens,
                TakesBack = takesBack,
                Changes = _asked is null ? null : _changes,
            });
            return;
        }

        await output.WriteLineAsync(TextTable.Plain(
            $"from {before.File} (policy {before.Policy.Version}) to {after.File} (policy {after.Policy.Version})"));
        await output.WriteLineAsync();
        foreach (var opened in opens)
            await output.WriteLineAsync(TextTable.Plain($"opens       {opened}"));
        foreach (var taken in takesBack)
            await output.WriteLineAsync(TextTable.Plain($"takes back  {taken}"));
        if (opens.Count + takesBack.Count == 0)
            await output.WriteLineAsync("nothing is opened or taken back");
        if (_asked is null)
            return;

        if (_changes.Count > 0)
        {
            await output.WriteLineAsync();
            await WriteChangesAsync(output);
        }

        await output.WriteLineAsync();
        await output.WriteLineAsync($"{_asked}: {TextTable.Count(_changes.Count, "verdict")} would change");
    }

    private async Task WriteChangesAsync(TextWriter output)
    {
        var counts = _changes.Exists(change => change.Requests is not null);
        var table = counts ? new TextTable("CHANGE", "RULE", ">REQUESTS", "CALLER", "IMAGE") : new TextTable("CHANGE", "RULE", "CALLER", "IMAGE");
        foreach (var change in _changes.OrderBy(change => Answer.Rank(change.To)).Take(PolicyReplay.MaximumRows))
        {
            var words = PolicyReplay.Words(change.From, change.To);
            var image = change.If is { Length: > 0 } assumption ? $"{change.Image}, if {assumption}" : change.Image;
            if (change.Requests is { } requests)
                table.Add(words, change.ToRule, requests.ToString("N0", CultureInfo.InvariantCulture), change.Caller, image);
            else
                table.Add(words, change.ToRule, change.Caller, image);
        }

        if (_changes.Count > PolicyReplay.MaximumRows)
            table.Note($"and {TextTable.Count(_changes.Count - PolicyReplay.MaximumRows, "row")} more; --json has them all");
        await table.WriteAsync(output);
    }

    private void Compare(
        string name, Caller caller, string image, RepositoryName repository, PublisherFacts publisher, string assumption, long? requests)
    {
        var from = Answer.Of(new PolicyView(before.Policy, caller, today), repository, publisher);
        var to = Answer.Of(new PolicyView(after.Policy, caller, today), repository, publisher);
        if (from.Outcome != to.Outcome)
            _changes.Add(new Change(from.Outcome, to.Outcome, from.Rule, to.Rule, name, image, assumption.Length == 0 ? null : assumption, requests));
    }

    private bool Needs(Policy policy, Caller caller, RepositoryName repository) =>
        new PolicyView(policy, caller, today).Decide(repository, PublisherFacts.NotAsked).NeedsPublisher;

    /// <summary>What the other policy allows and this one does not. When image access is off there is nothing to compare.</summary>
    private IReadOnlyList<string> Opens(Policy one, Policy other) => (one.IsEnabled, other.IsEnabled) switch
    {
        (true, true) => PolicyChanges.Opens(one, other, today),
        (true, false) => ["everything: image access is off"],
        _ => [],
    };

    private List<(string Name, Caller Caller)> Callers(IReadOnlyList<string> users)
    {
        var callers = new List<(string, Caller)> { ("anonymous", Caller.Anonymous) };
        foreach (var organization in before.Policy.Organizations.Concat(after.Policy.Organizations).Select(o => o.Name).Distinct())
        {
            foreach (var role in new[] { OrganizationRole.Member, OrganizationRole.Owner })
            {
                var name = $"{(role == OrganizationRole.Owner ? "owner" : "member")} of {organization}";
                callers.Add((name, Caller.SignedIn(null, name, [new Membership(organization, role)])));
            }
        }

        callers.AddRange(users.Where(user => user.Length > 0).Select(user => (user, Caller.SignedIn(user, user))));
        return callers;
    }

    private static PublisherFacts Facts(RepositoryName repository, NamespaceBadge badge) => badge == NamespaceBadge.Unknown
        ? PublisherFacts.NotAsked
        : PublisherFacts.Known(new NamespaceRecord(repository.Namespace, badge, "list", DateTimeOffset.UnixEpoch));

    private static string Assumption(NamespaceBadge badge) => badge == NamespaceBadge.VerifiedPublisher ? "verified publisher" : "community";

    private static List<(ImageName Image, NamespaceBadge Badge)> Parse(string path, IReadOnlyList<string> lines)
    {
        var images = new List<(ImageName, NamespaceBadge)>();
        var problems = new List<string>();
        foreach (var (index, line) in lines.Index().Where(line => line.Item.Trim() is { Length: > 0 } text && text[0] != '#'))
        {
            var cells = line.Split('|', StringSplitOptions.TrimEntries);
            try
            {
                if (cells.Length > 2)
                    throw new FormatException("an image, and behind a | what its publisher is");
                if (!ImageName.TryParse(cells[0], out var image, out var problem))
                    throw new FormatException($"'{cells[0]}' {problem}");
                images.Add((image, PolicyCase.BadgeOf(cells.Length == 2 ? cells[1] : "")));
            }
            catch (FormatException exception)
            {
                problems.Add($"{path}:{index + 1}: {exception.Message}");
            }
        }

        return problems.Count == 0 ? images : throw new MisuseException(problems);
    }

    private sealed record Change(
        string From, string To, string FromRule, string ToRule, string Caller, string Image, string? If, long? Requests);
}
