using System.Collections.Immutable;
using System.Globalization;
using System.Reflection;
using System.Text;
using System.Text.RegularExpressions;
using ImageAccess.Core.Classification;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;

namespace ImageAccess.Core.Tests.Policies;

/// <summary>Runs every row of every file in <c>Cases/</c>; its README says how one is written.</summary>
public sealed partial class PolicyCaseTests
{
    private static readonly string Folder = Path.Combine(AppContext.BaseDirectory, "Policies", "Cases");

    public static TheoryData<string, int, string> Rows()
    {
        var rows = new TheoryData<string, int, string>();
        foreach (var file in Files())
        {
            foreach (var (line, row) in RowsOf(file))
                rows.Add(Path.GetFileName(file), line, row);
        }

        return rows;
    }

    [Theory]
    [MemberData(nameof(Rows))]
    public void The_policy_answers_as_written(string file, int line, string row)
    {
        var cells = row.Split('|', StringSplitOptions.TrimEntries);
        Assert.True(cells.Length == 5, $"{file}:{line} has {cells.Length} columns and not 5");
        var policy = PolicyOf(file);
        var caller = CallerOf(cells[0]);
        var asked = AskedOf(cells[1]);
        var repository = asked.Repository;
        var now = InstantOf(cells[3]);
        var expected = Answer().Match(cells[4]);
        Assert.True(expected.Success, $"{file}:{line} has an answer that cannot be read: {cells[4]}");

        var decision = PolicyEngine.Decide(policy, caller, asked, FactsOf(cells[2], repository.Namespace), now);

        Assert.Equal(Written(expected), Written(decision, expected));
        Assert.Equal(decision.Outcome != AccessOutcome.Deny, decision.Permit is not null);
        Assert.Equal(decision.Outcome == AccessOutcome.Allow, decision.Message is null);
        Assert.Equal(decision.Rule == PolicyRule.Block, decision.Block is not null);
        Assert.Equal(decision.Rule == PolicyRule.Exception, decision.Exceptions.Count > 0);
        if (decision.Permit is not null)
            Assert.Equal(repository, decision.Permit.Repository);
    }

    public static TheoryData<string, int, string> RoleRows()
    {
        var rows = new TheoryData<string, int, string>();
        foreach (var file in Files())
        {
            foreach (var (line, row) in RowsBelow(file, "--- roles"))
                rows.Add(Path.GetFileName(file), line, row);
        }

        return rows;
    }

    [Theory]
    [MemberData(nameof(RoleRows))]
    public void The_policy_gives_the_roles_as_written(string file, int line, string row)
    {
        var cells = row.Split('|', StringSplitOptions.TrimEntries);
        Assert.True(cells.Length == 3, $"{file}:{line} has {cells.Length} columns and not 3");
        Assert.Equal(cells[2], PolicyOf(file).RolesOf(CallerOf(cells[0]), cells[1] == "all" ? null : cells[1]).ToString());
    }

    [Fact]
    public void There_are_cases_for_every_rule_and_every_outcome()
    {
        Assert.NotEmpty(Files());
        Assert.All(Files(), file => Assert.NotEmpty(RowsOf(file)));

        var rules = typeof(PolicyRule).GetFields(BindingFlags.Public | BindingFlags.Static).Select(field => field.GetRawConstantValue());
        var answers = Files().SelectMany(RowsOf).Select(row => Answer().Match(row.Row.Split('|')[^1].Trim())).ToList();
        Assert.All(rules, rule => Assert.Contains(answers, answer => answer.Groups["rule"].Value.Equals(rule)));
        Assert.All(["allow", "deny", "observe"], outcome => Assert.Contains(answers, answer => answer.Groups["outcome"].Value == outcome));
    }

    /// <summary>The rows below the line and the heads of the columns.</summary>
    private static IEnumerable<(int Line, string Row)> RowsOf(string file) => RowsBelow(file, "---");

    private static IEnumerable<(int Line, string Row)> RowsBelow(string file, string mark)
    {
        var lines = File.ReadAllLines(file);
        var heads = Array.IndexOf(lines, mark) + 1;
        return heads == 0
            ? []
            : lines.Index().Skip(heads + 1).TakeWhile(line => !line.Item.StartsWith("---", StringComparison.Ordinal))
                .Where(line => line.Item.Length > 0 && line.Item[0] != '#')
                .Select(line => (line.Index + 1, line.Item));
    }

    private static string[] Files() => [.. Directory.GetFiles(Folder, "*.case").Order(StringComparer.Ordinal)];

    private static Policy PolicyOf(string file)
    {
        var lines = File.ReadAllLines(Path.Combine(Folder, file));
        var written = lines.TakeWhile(line => line != "---").Where(line => !line.StartsWith('#')).ToLookup(line => line.Split(' ')[0] is ("block" or "exception" or "break-glass" or "followed") and var word ? word : "");
        var document = written[""];
        var compiled = PolicyCompiler.TryCompile(Encoding.UTF8.GetBytes(string.Join('\n', document)), out var policy, out var problems);
        Assert.True(compiled, $"{file}: {string.Join("; ", problems)}");
        return policy!.With(new Blocks([.. written["block"].Select((line, index) => BlockOf(index + 1, line["block ".Length..]))]))
            .With(new Exceptions([.. written["exception"].Select((line, index) => ExceptionOf(index + 1, line.Split(' ')[1..]))], 1))
            .With(new FollowedSwitches(written["followed"].Select(line => line.Split(' ')[1..]).ToImmutableDictionary(words => words[0], SwitchesOf)))
            .With([.. written["break-glass"].Select((line, index) => BreakGlassOf(index + 1, line.Split(' ')[1..]))]);
    }

    /// <summary><c>ORGANIZATION [on] [official] [verified]</c></summary>
    private static HubSwitches SwitchesOf(string[] words) => new(words.Contains("on"), words.Contains("official"), words.Contains("verified"));

    /// <summary><c>ORGANIZATION REPOSITORY|observe since INSTANT until INSTANT</c></summary>
    private static BreakGlass BreakGlassOf(long id, string[] words) => new(
        id, words[0], words[1] == "observe" ? null : Names.Repository(words[1]), "a test", "eve", InstantOf(words[3]), InstantOf(words[5]));

    /// <summary><c>ORGANIZATION PATTERN [approved DIGEST] [follow] [since INSTANT] [until INSTANT]</c></summary>
    private static GrantedException ExceptionOf(long id, string[] words)
    {
        Assert.True(GrantedException.TryParsePattern(words[1], out var pattern, out var problem), $"{words[1]} {problem}");
        return new GrantedException(
            id, words[0], pattern, After("approved") is { } text && Digest.TryParse(text, out var digest) ? digest : null, words.Contains("follow"), "a test", null, "alice",
            InstantOf(After("since") ?? "2026-11-01"), After("until") is { } until ? InstantOf(until) : null);

        string? After(string word) => Array.IndexOf(words, word) is > 0 and var at ? words[at + 1] : null;
    }

    private static DateTimeOffset InstantOf(string text) =>
        DateTimeOffset.ParseExact(text, ["yyyy-MM-dd", "yyyy-MM-dd'T'HH:mm:ss'Z'"], CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal);

    private static Block BlockOf(long id, string pattern)
    {
        Assert.True(ImagePattern.TryParse(pattern, out var parsed, out var problem), $"{pattern} {problem}");
        return new Block(id, parsed, "a test", "alice", DateTimeOffset.UnixEpoch);
    }

    private static Asked AskedOf(string cell)
    {
        if (cell.StartsWith("push ", StringComparison.Ordinal) || cell.StartsWith("mount ", StringComparison.Ordinal))
            return AskedOf(cell[cell.IndexOf(' ', StringComparison.Ordinal)..].Trim()) with { IsPull = false };
        return ImageName.TryParse(cell, out var image, out _) && image.Repository is { } repository
            ? new Asked(repository, image.Tag, image.Digest) { IsPull = true }
            : new Asked(Names.Repository(cell)) { IsPull = true };
    }

    private static Caller CallerOf(string cell)
    {
        if (cell == "anonymous")
            return Caller.Anonymous;

        var parts = cell.Split(" (");
        List<string> traits = parts.Length == 1 ? [] : [.. parts[1].TrimEnd(')').Split(", ")];
        var (isToken, isSuspended) = (traits.Remove("organization token"), traits.Remove("name suspended"));
        Membership[] memberships = [.. traits.Select(trait => trait.Split(" in ")).Select(trait => MembershipOf(trait[0]) with { Teams = trait[1..] })];
        var caller = parts[0].StartsWith('#')
            ? Caller.SignedIn(null, parts[0][1..], memberships)
            : Caller.SignedIn(parts[0], $"id of {parts[0]}", memberships);
        caller = isToken ? caller.AsOrganizationToken() : caller;
        return isSuspended ? caller.WithNameSuspended() : caller;
    }

    private static Membership MembershipOf(string text) => text.Split(" of ") switch
    {
        ["owner", var organization] => new Membership(organization, OrganizationRole.Owner),
        ["member", var organization] => new Membership(organization, OrganizationRole.Member),
        [_] when text.Split("absent from ") is ["", var organization] => new Membership(organization, OrganizationRole.None),
        _ => throw new FormatException($"none of 'member of X', 'owner of X', 'absent from X': {text}"),
    };

    private static PublisherFacts FactsOf(string cell, string @namespace) => cell switch
    {
        "not asked" => PublisherFacts.NotAsked,
        "unavailable" => PublisherFacts.Unavailable,
        "verified publisher" => Known(@namespace, NamespaceBadge.VerifiedPublisher),
        "open source" => Known(@namespace, NamespaceBadge.OpenSource),
        "no badge" => Known(@namespace, NamespaceBadge.None),
        _ => throw new FormatException($"no such publisher: {cell}"),
    };

    private static PublisherFacts Known(string @namespace, NamespaceBadge badge) =>
        PublisherFacts.Known(new NamespaceRecord(@namespace, badge, "hub", DateTimeOffset.UnixEpoch));

    private static string Written(Match expected) => Written(
        expected.Groups["outcome"].Value,
        expected.Groups["rule"].Value,
        expected.Groups["message"].Value,
        expected.Groups["ended"].Value,
        expected.Groups["help"].Value,
        expected.Groups["category"].Value,
        expected.Groups["organizations"].Value,
        expected.Groups["limited"].Value,
        expected.Groups["waits"].Success);

    /// <summary>The decision in the same words; what the case does not mention of category and organizations is left out.</summary>
    private static string Written(AccessDecision decision, Match expected) => Written(
        decision.Outcome.ToWireName(),
        decision.Rule,
        decision.Message,
        decision.ApprovalEnded?.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture),
        decision.Help,
        expected.Groups["category"].Success ? decision.Classification.Category.ToWireName() : null,
        expected.Groups["organizations"].Success ? string.Join(", ", decision.Organizations) : null,
        string.Join(", ", (decision.Permit?.Limits ?? []).Select(limit => limit.Organization)),
        decision.NeedsPublisher);

    private static string Written(
        string outcome, string rule, string? message, string? ended, string? help, string? category, string? organizations, string? limited, bool waits)
    {
        var text = new StringBuilder($"{outcome} {rule}");
        if (!string.IsNullOrEmpty(message))
            text.Append(CultureInfo.InvariantCulture, $" \"{message}\"");
        if (!string.IsNullOrEmpty(ended))
            text.Append(CultureInfo.InvariantCulture, $" approval ended {ended}");
        if (!string.IsNullOrEmpty(help))
            text.Append(CultureInfo.InvariantCulture, $" help \"{help}\"");
        if (!string.IsNullOrEmpty(category))
            text.Append(CultureInfo.InvariantCulture, $" as {category}");
        if (!string.IsNullOrEmpty(organizations))
            text.Append(CultureInfo.InvariantCulture, $" under {organizations}");
        if (!string.IsNullOrEmpty(limited))
            text.Append(CultureInfo.InvariantCulture, $" limited by {limited}");
        return text.Append(waits ? " waits" : "").ToString();
    }

    [GeneratedRegex(
        """\A(?<outcome>allow|deny|observe) (?<rule>[a-z-]+)( "(?<message>[^"]+)")?( approval ended (?<ended>[0-9-]+))?( help "(?<help>[^"]+)")?"""
        + """( as (?<category>[a-z-]+))?( under (?<organizations>[a-z0-9]+(, [a-z0-9]+)*))?( limited by (?<limited>[a-z0-9]+(, [a-z0-9]+)*))?(?<waits> waits)?\z""",
        RegexOptions.NonBacktracking | RegexOptions.ExplicitCapture)]
    private static partial Regex Answer();
}
