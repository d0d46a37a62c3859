using System.Globalization;
using System.Reflection;
using System.Text;
using System.Text.RegularExpressions;
using ImageAccess.Core.Classification;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Policies.Decisions;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary>
/// <c>policy test</c>: one row of a table that says who asks for which image and what the answer must be. The first line names the columns,
/// which <c>|</c> separates: <c>caller</c>, <c>image</c>, <c>answer</c>, and where they matter <c>publisher</c> and <c>today</c>.
/// </summary>
internal sealed partial record PolicyCase(
    int Line, string CallerText, Caller Caller, ImageName Image, PublisherFacts Publisher, DateOnly? Today, ExpectedAnswer Expected)
{

    private static readonly string[] Rules =
        [.. typeof(PolicyRule).GetFields(BindingFlags.Public | BindingFlags.Static).Select(field => (string)field.GetRawConstantValue()!)];

    private static readonly string[] Categories = [.. Enum.GetValues<RepositoryCategory>().Select(category => category.ToWireName())];

    /// <exception cref="MisuseException">Some lines cannot be read; it names all of them.</exception>
    public static IReadOnlyList<PolicyCase> Parse(string path, IReadOnlyList<string> lines)
    {
        var cases = new List<PolicyCase>();
        var problems = new List<string>();
        string[]? heads = null;
        foreach (var (index, line) in lines.Index().Where(line => line.Item.Trim() is { Length: > 0 } text && text[0] != '#'))
        {
            try
            {
                var cells = line.Split('|', StringSplitOptions.TrimEntries);
                if (heads is null)
                    heads = Heads(cells);
                else
                    cases.Add(Read(index + 1, heads, cells));
            }
            catch (FormatException exception)
            {
                problems.Add($"{path}:{index + 1}: {exception.Message}");
                if (heads is null)
                    break;
            }
        }

        if (problems.Count == 0 && cases.Count == 0)
            problems.Add($"{path} holds no case");
        return problems.Count == 0 ? cases : throw new MisuseException(problems);
    }

    public static async Task<int> RunAsync(
        TextWriter output, Policy policy, string path, IReadOnlyList<PolicyCase> cases, DateOnly today, bool json)
    {
        var results = cases.Select(test => (Case: test, Expected: test.Expected.ToString(), Actual: test.Ask(policy, today))).ToList();
        var wrong = results.Where(result => result.Expected != result.Actual).ToList();
        if (json)
        {
            await Verb.WriteJsonAsync(output, new
            {
                PolicyVersion = policy.Version,
                Cases = results.Count,
                Mismatches = wrong.Select(result => new
                {
                    result.Case.Line,
                    Caller = result.Case.CallerText,
                    Image = result.Case.Image.ToString(),
                    result.Expected,
                    result.Actual,
                }),
            });
        }
        else
        {
            foreach (var (test, expected, actual) in wrong)
            {
                await output.WriteLineAsync(TextTable.Plain($"{path}:{test.Line}: {test.CallerText}, {test.Image}"));
                await output.WriteLineAsync(TextTable.Plain($"  expected  {expected}"));
                await output.WriteLineAsync(TextTable.Plain($"  actual    {actual}"));
            }

            await output.WriteLineAsync($"{TextTable.Count(results.Count, "case")}, {results.Count - wrong.Count} as expected, {wrong.Count} not");
        }

        return wrong.Count == 0 ? Verb.Yes : Verb.No;
    }

    /// <summary><c>anonymous</c>, <c>bob</c>, <c>bob (member of acme, owner of beta, absent from gamma)</c>.</summary>
    public static Caller CallerOf(string text)
    {
        if (text == "anonymous")
            return Caller.Anonymous;
        var match = CallerForm().Match(text);
        if (!match.Success)
            throw new FormatException($"'{text}' is no caller: anonymous, bob, or bob (member of acme, owner of beta)");
        var memberships = match.Groups["membership"].Captures.Select(capture => Pull.MembershipOf(capture.Value)).ToList();
        return Caller.SignedIn(match.Groups["name"].Value, match.Groups["name"].Value, memberships);
    }

    public static NamespaceBadge BadgeOf(string text) => text switch
    {
        "" => NamespaceBadge.Unknown,
        "verified publisher" => NamespaceBadge.VerifiedPublisher,
        "open source" => NamespaceBadge.OpenSource,
        "no badge" => NamespaceBadge.None,
        _ => throw new FormatException($"'{text}' is no publisher: verified publisher, open source, no badge, or nothing where it is not known"),
    };

    private static string[] Heads(string[] cells)
    {
        if (cells.FirstOrDefault(cell => cell is not ("caller" or "image" or "publisher" or "today" or "answer")) is { } unknown)
            throw new FormatException($"the first line names the columns: caller, image, answer, perhaps publisher and today; not '{unknown}'");
        return cells.Distinct().Count() == cells.Length && cells.Contains("caller") && cells.Contains("image") && cells.Contains("answer")
            ? cells
            : throw new FormatException("the first line names each column once, and at least caller, image and answer");
    }

    private static PolicyCase Read(int line, string[] heads, string[] cells)
    {
        if (cells.Length != heads.Length)
            throw new FormatException($"{cells.Length} columns and not {heads.Length}");
        var (caller, text) = (Cell("caller"), Cell("image"));
        if (!ImageName.TryParse(text, out var image, out var problem))
            throw new FormatException($"'{text}' {problem}");
        var badge = BadgeOf(Cell("publisher"));
        return new PolicyCase(
            line, caller, CallerOf(caller), image,
            badge == NamespaceBadge.Unknown || image.Repository is null
                ? PublisherFacts.Unavailable
                : PublisherFacts.Known(new NamespaceRecord(image.Repository.Namespace, badge, "case", DateTimeOffset.UnixEpoch)),
            DayOf(Cell("today")), ExpectedAnswerOf(Cell("answer")));

        string Cell(string head) => Array.IndexOf(heads, head) is >= 0 and var index ? cells[index] : "";
    }

    private static DateOnly? DayOf(string text) => text.Length == 0 ? null
        : DateOnly.TryParseExact(text, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out var day) ? day
        : throw new FormatException($"'{text}' is no day, as 2027-06-30");

    private static ExpectedAnswer ExpectedAnswerOf(string text)
    {
        if (text == ImageVerdict.Outside)
            return new ExpectedAnswer(text, null, null, null, null, null);
        var match = AnswerForm().Match(text);
        if (!match.Success)
            throw new FormatException($"'{text}' is no answer: allow official, deny community \"MESSAGE\", observe community, or outside");
        if (!Rules.Contains(match.Groups["rule"].Value))
            throw new FormatException($"no rule is named {match.Groups["rule"].Value}: {string.Join(", ", Rules)}");
        if (match.Groups["category"] is { Success: true } category && !Categories.Contains(category.Value))
            throw new FormatException($"no category is named {category.Value}: {string.Join(", ", Categories)}");
        return new ExpectedAnswer(match.Groups["outcome"].Value, match.Groups["rule"].Value, Given("message"), DayOf(match.Groups["ended"].Value), Given("help"), Given("category"));

        string? Given(string group) => match.Groups[group].Success ? match.Groups[group].Value : null;
    }

    /// <summary>The answer in the words of the case, without what the case does not mention.</summary>
    private string Ask(Policy policy, DateOnly today)
    {
        if (Image.Repository is not { } repository)
            return ImageVerdict.Outside;
        var decision = new PolicyView(policy, Caller, Today ?? today).Decide(Asked.PullOf(repository, Image.Tag, Image.Digest), Publisher);
        return new ExpectedAnswer(
            decision.Outcome.ToWireName(),
            decision.Rule,
            Expected.Message is null && IsExpected(decision) ? null : decision.Message,
            Expected.ApprovalEnded is null ? null : decision.ApprovalEnded,
            Expected.Help is null ? null : decision.Help ?? "",
            Expected.Category is null ? null : decision.Classification.Category.ToWireName()).ToString();
    }

    private bool IsExpected(AccessDecision decision) => decision.Outcome.ToWireName() == Expected.Outcome && decision.Rule == Expected.Rule;

    [GeneratedRegex(
        """\A(?<name>[^\s()|,][^()|,]*?)( \((?<membership>(member of|owner of|absent from) [^(),]+)(, (?<membership>(member of|owner of|absent from) [^(),]+))*\))?\z""",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000)]
    private static partial Regex CallerForm();

    [GeneratedRegex(
        """\A(?<outcome>allow|deny|observe) (?<rule>[a-z-]+)( "(?<message>[^"]+)")?( approval ended (?<ended>[0-9-]+))?( help "(?<help>[^"]+)")?( as (?<category>[a-z-]+))?\z""",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000)]
    private static partial Regex AnswerForm();
}

/// <summary>The answer that a case expects; what is null may be anything.</summary>
internal sealed record ExpectedAnswer(
    string Outcome, string? Rule, string? Message, DateOnly? ApprovalEnded, string? Help, string? Category)
{
    public override string ToString()
    {
        var text = new StringBuilder(Outcome);
        if (Rule is not null)
            text.Append(CultureInfo.InvariantCulture, $" {Rule}");
        if (Message is not null)
            text.Append(CultureInfo.InvariantCulture, $" \"{Message}\"");
        if (ApprovalEnded is { } day)
            text.Append(CultureInfo.InvariantCulture, $" approval ended {day:yyyy-MM-dd}");
        if (Help is not null)
            text.Append(CultureInfo.InvariantCulture, $" help \"{Help}\"");
        if (Category is not null)
            text.Append(CultureInfo.InvariantCulture, $" as {Category}");
        return text.ToString();
    }
}
