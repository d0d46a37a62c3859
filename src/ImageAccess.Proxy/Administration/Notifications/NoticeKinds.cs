namespace ImageAccess.Proxy.Administration.Notifications;

/// <summary>What is told: each kind with its text, and where there is more. The audit trail's events keep their names.</summary>
internal static class NoticeKinds
{
    public const string Expires = "exception-expires", Unused = "exception-unused", ObserveEnds = "observe-ends", Degraded = "degraded", Recovered = "recovered";

    private const string Api = "/api/v1";

    private static readonly Dictionary<string, Func<Facts, string>> Texts = new(StringComparer.Ordinal)
    {
        ["exception"] = facts => $"{Who(facts)} granted {facts["organization"]} an exception for {facts.List("opens")}{Until(facts)}{AskedBy(facts)}.",
        ["exception-ended"] = facts => facts["user"] is { } user
            ? $"{user} ended the exception {facts["exception"]} of {facts["organization"]} for {facts.List("closes")}."
            : $"The exception {facts["exception"]} of {facts["organization"]} for {facts.List("closes")} has ended.",
        [Expires] = facts => $"The exception {facts["exception"]} of {facts["organization"]} for {facts["image"]} ends {Moment(facts, "until")}. {Uses(facts)}",
        [Unused] = facts => $"The exception {facts["exception"]} of {facts["organization"]} for {facts["image"]} was not used for {facts["days"]} days. {Uses(facts)} End it if nobody needs it.",
        ["block"] = facts => $"{Who(facts)} blocked {facts.List("closes")} for everybody.",
        ["unblock"] = facts => $"{Who(facts)} lifted the block of {facts.List("opens")}.",
        ["policy"] = facts => $"{(facts["user"] is { } user ? $"{user} changed the policy" : "The policy has changed")}. It opens {facts.List("opens") ?? "nothing"}.",
        ["change-waiting"] = facts => $"{facts["askedBy"]} asks for a change that waits for a second person: {facts.List("opens")}.",
        ["change-done"] = facts => $"{Who(facts)} approved the change {facts["change"]} that {facts["askedBy"]} asked for: {facts.List("opens")}.",
        ["change-declined"] = facts => $"{Who(facts)} declined the change {facts["change"]} that {facts["askedBy"]} asked for: {facts.List("opens")}.",
        ["change-ended"] = facts => $"The change {facts["change"]} that {facts["askedBy"]} asked for waits no longer: {facts.List("opens")}.",
        ["token"] = facts => $"{Who(facts)} made the token {facts["token"]} of the API, {facts.List("opens")}{Until(facts)}.",
        ["token-revoked"] = facts => $"{Who(facts)} revoked the token {facts["token"]} of the API, {facts.List("closes")}.",
        [ObserveEnds] = facts =>
            $"{facts["organization"]} observes until the end of {facts["until"]} (UTC), {(facts["days"] == "1" ? "1 day" : $"{facts["days"]} days")} from now; after it denials are in force. {Observed(facts)}",
        [Degraded] = facts => $"{facts["part"]} of the proxy on {facts["host"]} is degraded since {Moment(facts, "since")}: {facts["cause"]}.",
        [Recovered] = facts => $"{facts["part"]} of the proxy on {facts["host"]} works again; it was degraded since {Moment(facts, "since")}.",
    };

    /// <summary>Events of other rooms, each told in general words: what begins with one of them is a kind.</summary>
    private static readonly string[] General = ["request", "break-glass", "follow"];

    /// <summary>What the configuration may name: a kind, or all that begin with a word.</summary>
    public static IReadOnlyList<string> Names { get; } =
        [.. Texts.Keys.Concat(Texts.Keys.Select(kind => kind.Split('-')[0])).Concat(General).Distinct().Order(StringComparer.Ordinal)];

    /// <summary>Whether a name of the configuration means the kind; no name means all.</summary>
    public static bool Mean(ICollection<string> names, string kind) => names.Count == 0 || names.Any(name => Begins(kind, name));

    /// <summary>The kind of an event; null where nobody is told of it.</summary>
    public static string? KindOf(Facts facts)
    {
        var name = facts["event"];
        var kind = name == "change" ? $"change-{facts["state"]}" : name;
        return kind is not null && (Texts.ContainsKey(kind) || General.Any(word => Begins(kind, word))) ? kind : null;
    }

    public static string TextOf(string kind, Facts facts)
    {
        var text = Texts.TryGetValue(kind, out var special) ? special(facts) : InGeneral(kind, facts);
        if (facts["reason"] is { Length: > 0 } reason)
            text += kind is "token" or "token-revoked" ? $" It is for: {reason}." : $" Reason: {reason}.";
        return facts["ticket"] is { } ticket ? $"{text} Ticket: {ticket}." : text;
    }

    /// <summary>Where there is more, below the console's address. Once the console has pages, they stand here.</summary>
    public static string PathOf(string kind, Facts facts) => kind.Split('-')[0] switch
    {
        "exception" when facts["exception"] is { } number => $"{Api}/exceptions/{number}",
        "exception" => $"{Api}/exceptions",
        "request" when facts["request"] is { } id && id.All(char.IsAsciiLetterOrDigit) => $"{Api}/requests/{id}",
        "request" => $"{Api}/requests",
        "block" or "unblock" => $"{Api}/blocks",
        "change" => $"{Api}/changes",
        "token" => $"{Api}/tokens",
        "policy" or "observe" or "follow" => $"{Api}/policy",
        _ => $"{Api}/status",
    };

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

    private static string Until(Facts facts) => facts.Time("until") is { } until ? $", until {Facts.Minute(until)}" : "";

    private static string AskedBy(Facts facts) => facts["askedBy"] is { } asker ? $", asked for by {asker}" : "";

    private static string Moment(Facts facts, string name) => facts.Time(name) is { } time ? Facts.Minute(time) : "at an unknown time";

    private static string Uses(Facts facts) =>
        facts.Time("lastUsed") is { } last ? $"It was used {facts["uses"]} times, last {Facts.Minute(last)}." : "It was never used.";

    private static string Observed(Facts facts) => facts["observedCallers"] is null or "0"
        ? $"This proxy has seen nobody who would have been denied since {Moment(facts, "observedSince")}."
        : $"Would have been denied since {Moment(facts, "observedSince")}, as far as this proxy has seen: {facts.List("observed")} (callers: {facts["observedCallers"]}).";
}
