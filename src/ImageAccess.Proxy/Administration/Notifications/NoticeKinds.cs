namespace ImageAccess.Proxy.Administration.Notifications;

/// <summary>What is told: each kind with its text, and where there is more. The audit trail's events keep their names.</summary>
internal static class NoticeKinds
{
    public const string Expires = "exception-expires", Unused = "exception-unused", ObserveEnds = "observe-ends", Degraded = "degraded", Recovered = "recovered", Incident = "incident";

    private const string Approved = "request-approved", Declined = "request-declined", Ended = "request-ended";

    private static readonly Dictionary<string, Func<Facts, string>> Texts = new(StringComparer.Ordinal)
    {
        ["exception"] = facts => $"{Who(facts)} granted {facts["organization"]} an exception for {facts.List("opens")}{Until(facts)}{AskedBy(facts)}.",
        ["exception-ended"] = facts => facts["user"] is { } user
            ? $"{user} ended the exception {facts["exception"]} of {facts["organization"]} for {facts.List("closes")}."
            : $"The exception {facts["exception"]} of {facts["organization"]} for {facts.List("closes")} has ended.",
        [Expires] = facts => $"The exception {facts["exception"]} of {facts["organization"]} for {facts["image"]} ends {Moment(facts, "until")}. {Uses(facts)}",
        [Unused] = facts => $"The exception {facts["exception"]} of {facts["organization"]} for {facts["image"]} was not used for {facts["days"]} days. {Uses(facts)} End it if nobody needs it.",
        ["block"] = facts => $"{Who(facts)} blocked {facts.List("closes")} for everybody.",
        ["break-glass"] = facts => $"{Who(facts)} opened in an emergency: {facts.List("opens")}, until {Moment(facts, "until")}. {Review(facts)}",
        ["break-glass-ended"] = facts => facts["user"] is { } user
            ? $"{user} ended the emergency {facts["breakGlass"]}: {facts.List("closes")}. {Review(facts)}"
            : $"The time of the emergency {facts["breakGlass"]} is over: {facts.List("closes")}. {Review(facts)}",
        ["break-glass-reviewed"] = facts => $"{Who(facts)} has reviewed the emergency {facts["breakGlass"]}: {facts.List("opens")}.",
        ["unblock"] = facts => $"{Who(facts)} lifted the block of {facts.List("opens")}.",
        ["policy"] = facts => $"{(facts["user"] is { } user ? $"{user} changed the policy" : "The policy has changed")}. It opens {facts.List("opens") ?? "nothing"}.",
        ["request"] = facts => $"{facts["askedBy"]} asks {facts.List("organizations")} for {facts["image"]}. {Answer(facts)}",
        ["request-joined"] = facts => $"{facts["askedBy"]} asks {facts.List("organizations")} for {facts["image"]} as others do already. {Answer(facts)}",
        [Approved] = facts => $"{Who(facts)} approved the request {facts["request"]} of {facts["askedBy"]} for {facts["organization"]}: {Granted(facts)}."
            + (facts["granted"] is { } granted && granted != facts["image"] ? $" Asked for was {facts["image"]}." : "")
            + (facts["state"] == "open" ? $" It is open until each of {facts.List("organizations")} has answered." : ""),
        ["request-waiting"] = facts =>
            $"{Who(facts)} approved the request {facts["request"]} of {facts["askedBy"]} for {facts["organization"]}: {facts["image"]}. It waits for a second person: imageaccess changes approve {facts["change"]}.",
        ["request-reopened"] = facts => $"The request {facts["request"]} of {facts["askedBy"]} for {facts["image"]} waits for {facts["organization"]} again: its approval was not done. {Answer(facts)}",
        [Declined] = facts => $"{Who(facts)} declined the request {facts["request"]} of {facts["askedBy"]} for {facts["image"]}, for {facts["organization"]}.",
        ["request-withdrawn"] = facts => facts["state"] == "open"
            ? $"{facts["askedBy"]} asks for {facts["image"]} no longer; others still do (request {facts["request"]})."
            : $"{facts["askedBy"]} withdrew the request {facts["request"]} for {facts["image"]}.",
        [Ended] = facts => $"The request {facts["request"]} of {facts["askedBy"]} for {facts["image"]} has ended: {facts["reason"]}.",
        ["follow"] = facts => $"Docker Hub's own switches of {facts["organization"]} have changed{(facts["count"] is { } count ? $", {count} times more within an hour" : "")}: {facts["switches"]}. "
            + $"It opens {facts.List("opens") ?? "nothing"}, and takes back {facts.List("closes") ?? "nothing"}.",
        ["change-waiting"] = facts => $"{facts["askedBy"]} asks for a change that waits for a second person: {facts.List("opens")}.",
        ["change-done"] = facts => $"{Who(facts)} approved the change {facts["change"]} that {facts["askedBy"]} asked for: {facts.List("opens")}.",
        ["change-declined"] = facts => $"{Who(facts)} declined the change {facts["change"]} that {facts["askedBy"]} asked for: {facts.List("opens")}.",
        ["change-ended"] = facts => $"The change {facts["change"]} that {facts["askedBy"]} asked for waits no longer: {facts.List("opens")}.",
        ["token"] = facts => $"{Who(facts)} made the token {facts["token"]} of the API, {facts.List("opens")}{Until(facts)}.",
        ["token-revoked"] = facts => $"{Who(facts)} revoked the token {facts["token"]} of the API, {facts.List("closes")}.",
        [ObserveEnds] = facts =>
            $"{facts["organization"]} observes until the end of {facts["until"]} (UTC), {(facts["days"] == "1" ? "1 day" : $"{facts["days"]} days")} from now; after it denials are in force. {Observed(facts)}",
        [Incident] = facts => $"{Who(facts)} blocked {facts.List("closes")} for everybody, and every proxy forgets what it keeps of it. {Pullers(facts)}",
        [Degraded] = facts => $"{facts["part"]} of the proxy on {facts["host"]} is degraded since {Moment(facts, "since")}: {facts["cause"]}.",
        [Recovered] = facts => $"{facts["part"]} of the proxy on {facts["host"]} works again; it was degraded since {Moment(facts, "since")}.",
    };

    /// <summary>Events of other rooms, each told in general words: what begins with one of them is a kind.</summary>
    private static readonly string[] General = ["request", "break-glass"];

    /// <summary>What the configuration may name: a kind, or all that begin with a word.</summary>
    public static IReadOnlyList<string> Names { get; } =
        [.. Texts.Keys.Concat(Texts.Keys.Where(kind => !Begins(kind, "break-glass")).Select(kind => kind.Split('-')[0])).Concat(General).Distinct().Order(StringComparer.Ordinal)];

    /// <summary>Whether a name of the configuration means the kind; no name means all.</summary>
    public static bool Mean(ICollection<string> names, string kind) => names.Count == 0 || names.Any(name => Begins(kind, name));

    /// <summary>The kind of an event; null where nobody is told of it.</summary>
    public static string? KindOf(Facts facts)
    {
        var name = facts["event"];
        var kind = name switch
        {
            "change" => $"change-{facts["state"]}",
            "request" when facts["step"] is not "asked" => $"request-{facts["step"]}",
            _ => name,
        };
        return kind is not null && (Texts.ContainsKey(kind) || General.Any(word => Begins(kind, word))) ? kind : null;
    }

    public static string TextOf(string kind, Facts facts)
    {
        var text = Texts.TryGetValue(kind, out var special) ? special(facts) : InGeneral(kind, facts);
        if (kind != Ended && facts["reason"] is { Length: > 0 } reason)
            text += $" {ReasonWord(kind)}: {reason}.";
        return facts["ticket"] is { } ticket ? $"{text} Ticket: {ticket}." : text;
    }

    /// <summary>Whether it is told to those who asked too.</summary>
    public static bool IsAnswer(string kind) => kind is Approved or Declined or Ended or Expires;

    /// <summary>To one who asked.</summary>
    public static string TextToRequester(string kind, Facts facts) => kind switch
    {
        Approved => $"{facts["organization"]} approved your request {facts["request"]} for {facts["image"]}: {Granted(facts)}. "
            + (facts["state"] == "open" ? $"The image comes once each of {facts.List("organizations")} has approved." : $"Pull it as before: {Pull(facts["granted"] ?? facts["image"])}.")
            + Comment(facts),
        Declined => $"{facts["organization"]} declined your request {facts["request"]} for {facts["image"]}.{Comment(facts)}",
        Ended => $"Your request {facts["request"]} for {facts["image"]} has ended: {facts["reason"]}. You may ask again.",
        _ => $"The exception of {facts["organization"]} for {facts["image"]}, which you asked for, ends {Moment(facts, "until")}. If you need the image longer, ask again: "
            + $"imageaccess requests create {facts["image"]} --reason TEXT --days DAYS.",
    };

    /// <summary>To one who pulled what is blocked now.</summary>
    public static string TextToPuller(Facts facts) =>
        $"{Who(facts)} blocked {facts.List("closes")} for everybody. Reason: {facts["reason"]}. You pulled {facts.List("pulled")}. "
        + "Remove it from your machines, build anew what was built with it, and use another version.";

    /// <summary>
    /// Where there is more, below the console's address, for everybody who gets the link: null where there is no such page. The API is none; a browser
    /// would be told to sign in. Once the console has pages, they stand here.
    /// </summary>
    public static string? PathOf(string kind, Facts facts) =>
        Begins(kind, "request") && facts["denial"] is { } denial && denial.All(char.IsAsciiLetterOrDigit) ? $"/d/{denial}" : null;

    private static bool Begins(string kind, string word) =>
        kind == word || (kind.StartsWith(word, StringComparison.Ordinal) && kind[word.Length] == '-');

    /// <summary><c>request-approved</c>: <c>Request approved by carol, asked for by bob, for acme: docker.io/someuser/tool.</c></summary>
    private static string InGeneral(string kind, Facts facts)
    {
        var words = $"{char.ToUpperInvariant(kind[0])}{kind[1..].Replace('-', ' ')}";
        var what = facts["repository"] ?? facts["image"] ?? facts.List("opens") ?? facts.List("closes");
        return words
            + (facts["user"] is { } user ? $" by {user}" : "")
            + (facts["askedBy"] is { } asker && asker != facts["user"] ? $", asked for by {asker}" : "")
            + ((facts["organization"] ?? facts.List("organizations")) is { } organization ? $", for {organization}" : "")
            + Until(facts)
            + (what is null ? "." : $": {what}.");
    }

    private static string Who(Facts facts) => facts["user"] ?? "Somebody";

    private static string Answer(Facts facts) => $"To answer: imageaccess requests approve {facts["request"]}, or decline {facts["request"]}.";

    /// <summary><c>someuser/tool:7 as sha256:…, until 2026-07-01 12:00 UTC</c>.</summary>
    private static string Granted(Facts facts) => $"{facts["granted"] ?? facts["image"]}{(facts["digest"] is { } digest ? $" as {digest}" : "")}{Until(facts)}";

    /// <summary>Of a repository whichever tag is wanted.</summary>
    private static string Pull(string? image) => $"docker pull {image}{(image?.IndexOfAny(['@', ':']) >= 0 ? "" : ":TAG")}";

    private static string Comment(Facts facts) => facts["reason"] is { Length: > 0 } comment ? $" {facts["user"]} says: {comment}." : "";

    private static string Review(Facts facts) => $"Another person has to review it: imageaccess break-glass review {facts["breakGlass"]}.";

    private static string ReasonWord(string kind) => kind switch
    {
        "token" or "token-revoked" => "It is for",
        Approved or "request-waiting" or Declined => "Comment",
        _ => "Reason",
    };

    private static string Until(Facts facts) => facts.Time("until") is { } until ? $", until {Facts.Minute(until)}" : "";

    private static string AskedBy(Facts facts) => facts["askedBy"] is { } asker ? $", asked for by {asker}" : "";

    private static string Moment(Facts facts, string name) => facts.Time(name) is { } time ? Facts.Minute(time) : "at an unknown time";

    private static string Uses(Facts facts) =>
        facts.Time("lastUsed") is { } last ? $"It was used {facts["uses"]} times, last {Facts.Minute(last)}." : "It was never used.";

    private static string Pullers(Facts facts) => facts["callers"] is null or "0"
        ? $"Nobody is known to have pulled it since {Moment(facts, "since")}."
        : $"It was pulled since {Moment(facts, "since")} by {facts.List("names")} (callers: {facts["callers"]}).";

    private static string Observed(Facts facts) => facts["observedCallers"] is null or "0"
        ? $"This proxy has seen nobody who would have been denied since {Moment(facts, "observedSince")}."
        : $"Would have been denied since {Moment(facts, "observedSince")}, as far as this proxy has seen: {facts.List("observed")} (callers: {facts["observedCallers"]}).";
}
