using System.Globalization;
using System.Text.RegularExpressions;
using ImageAccess.Core.Policies;

namespace ImageAccess.Proxy.Policies.Decisions;

/// <summary>
/// The text of a denial, the same for a client, a check and the command line: the rule's message, and in parentheses when an approval
/// ended or why something is blocked, and whom to ask; at the end the page that tells more.
/// </summary>
internal readonly partial record struct DenialText(string Message, string? Cause, string? Help)
{
    public DenialText(string message, DateOnly? approvalEnded, string? help)
        : this(message, approvalEnded is { } day ? string.Create(CultureInfo.InvariantCulture, $"approval ended {day:yyyy-MM-dd}") : null, help)
    {
    }

    /// <summary>Where to read more, and ask; null where nothing leads there.</summary>
    public string? Page { get; init; }

    public static DenialText Of(AccessDecision decision)
    {
        var message = decision.Message ?? throw new InvalidOperationException("A denial has a message.");
        return decision.Block is { } block
            ? new DenialText(message, block.Reason, decision.Help)
            : new DenialText(message, decision.ApprovalEnded, decision.Help);
    }

    /// <summary>
    /// The text for a place that is short and has printable ASCII alone: with whom to ask if that fits, else with the link in it, else without;
    /// and with the cause if that is left room. The page comes before all of these: it has them.
    /// </summary>
    public string Within(int length)
    {
        if (Page is not { } page)
            return Fitting(length) ?? Message;
        var end = "; see " + page;
        return Fitting(length - end.Length) is { } text ? text + end : (this with { Page = null }).Within(length);
    }

    public override string ToString() => Page is null ? With(Cause, Help) : $"{With(Cause, Help)}; see {Page}";

    private string? Fitting(int length)
    {
        var (help, link) = (Help, LinkIn(Help));
        return Fitting(Cause, help, length) ?? Fitting(Cause, link, length) ?? Fitting(Cause, null, length)
            ?? Fitting(null, help, length) ?? Fitting(null, link, length) ?? Fitting(null, null, length);
    }

    private string? Fitting(string? cause, string? help, int length) =>
        IsPrintable(cause) && IsPrintable(help) && With(cause, help) is var text && text.Length <= length ? text : null;

    private string With(string? cause, string? help) =>
        cause is null && help is null ? Message : $"{Message} ({string.Join("; ", new[] { cause, help }.OfType<string>())})";

    private static string? LinkIn(string? help) => help is not null && Link().Match(help) is { Success: true } match ? match.Value : null;

    private static bool IsPrintable(string? text) => !text.AsSpan().ContainsAnyExceptInRange(' ', '~');

    /// <summary>An address as people write it into a sentence of any language: it ends before a mark of punctuation, and before what is not ASCII.</summary>
    [GeneratedRegex(@"https?://[!-~-[""'<>()]]*[A-Za-z0-9/_=&#%~-]", RegexOptions.NonBacktracking)]
    private static partial Regex Link();
}
