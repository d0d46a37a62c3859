using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Administration.Notifications;

/// <summary>What receivers are told, before it is written for one of them.</summary>
internal sealed record Notice
{
    /// <summary>What is told of as old as this is news no longer; a notification that nobody took is given up at this age.</summary>
    public static readonly TimeSpan Lifetime = TimeSpan.FromDays(3);

    private const int MaximumFacts = 16 * 1024;

    /// <summary>Fields of an event that are its own and not the fact's: another replica records the same fact with others.</summary>
    private static readonly string[] OfEvent = ["id", "time", "block"];

    /// <summary>32 hexadecimal digits.</summary>
    public required string Id { get; init; }

    /// <summary>The fact in a few characters: whoever else tells the same has the same.</summary>
    public required string Fact { get; init; }

    /// <summary>The fact cannot occur again: it names its moment.</summary>
    public bool IsUnique { get; init; }

    public required string Kind { get; init; }

    public string? Organization { get; init; }

    public DateTimeOffset Time { get; init; }

    /// <summary>Plain text in one line, for no markup of any kind.</summary>
    public required string Text { get; init; }

    /// <summary>Where there is more, below the console's address.</summary>
    public string? Path { get; init; }

    /// <summary>Who alone is told, by mail; null for the receivers of the configuration.</summary>
    public Requester? Requester { get; init; }

    /// <summary>What a program reads.</summary>
    public JsonElement Facts { get; init; }

    /// <summary>What no other row of a receiver may have.</summary>
    public string Key => IsUnique ? Fact : $"{Fact}:{Id}";

    /// <summary>What is told of an event: to the receivers of the configuration, and of a request's end to each who asked; nothing where it is news no longer.</summary>
    public static IEnumerable<Notice> AllOf(AuditEvent audit, DateTimeOffset now)
    {
        if (Of(audit, now) is not { } notice)
            return [];
        if (audit is not RequestEvent { Step: var step } || !NoticeKinds.IsAnswer(notice.Kind))
            return [notice];
        using var line = JsonDocument.Parse(AuditLine.Of(audit));
        var text = NoticeKinds.TextToRequester(notice.Kind, new Facts(line.RootElement));
        return [notice, .. step.AskedBy.Select(person => notice.To(person, OrderOf(step), text))];
    }

    /// <summary>The same to one who asked.</summary>
    /// <param name="person">The user name.</param>
    /// <param name="organizations">Whose member lists may have the address: the first that does counts.</param>
    /// <param name="text">The words.</param>
    public Notice To(string person, IReadOnlyList<string> organizations, string text) => this with
    {
        Id = Convert.ToHexStringLower(SHA256.HashData(JsonSerializer.SerializeToUtf8Bytes<string[]>([Id, person])).AsSpan(0, 16)),
        Fact = Short(JsonSerializer.SerializeToUtf8Bytes<string[]>([Fact, person])),
        Text = text,
        Path = null,
        Requester = new Requester(person, organizations),
        Facts = JsonSerializer.SerializeToElement(new { }),
    };

    /// <summary>What is told of an event; null where nothing is, or where it is news no longer.</summary>
    public static Notice? Of(AuditEvent audit, DateTimeOffset now)
    {
        using var line = JsonDocument.Parse(AuditLine.Of(audit));
        var facts = new Facts(line.RootElement);
        if (NoticeKinds.KindOf(facts) is not { } kind || (facts.Time("at") is { } at && now - at > Lifetime))
            return null;
        return new Notice
        {
            Id = audit.Id,
            Fact = FactOf(line.RootElement),
            IsUnique = facts.Time("at") is not null || facts["previousVersion"] == Core.Policies.Policy.Off.Version,
            Kind = kind,
            Organization = audit is RequestEvent { Step.Organizations: [var only] } ? only : facts["organization"],
            Time = facts.Time("at") ?? audit.Time,
            Text = NoticeKinds.TextOf(kind, facts),
            Path = NoticeKinds.PathOf(kind, facts),
            Facts = Bounded(line.RootElement),
        };
    }

    /// <summary>What was found by looking.</summary>
    /// <param name="kind">Its kind.</param>
    /// <param name="fact">The fact, in a text that no other has.</param>
    /// <param name="now">When it was found.</param>
    /// <param name="facts">What a program reads; its texts are those of people too.</param>
    public static Notice Of(string kind, string fact, DateTimeOffset now, object facts)
    {
        var json = JsonSerializer.SerializeToElement(facts, JsonSerializerOptions.Web);
        var read = new Facts(json);
        return new Notice
        {
            Id = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16)),
            Fact = Short(JsonSerializer.SerializeToUtf8Bytes<string[]>([kind, fact])),
            IsUnique = true,
            Kind = kind,
            Organization = read["organization"],
            Time = now,
            Text = NoticeKinds.TextOf(kind, read),
            Path = NoticeKinds.PathOf(kind, read),
            Facts = json,
        };
    }

    public byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this);

    /// <summary>Null where it is none.</summary>
    public static Notice? Read(ReadOnlySpan<byte> bytes)
    {
        try
        {
            return JsonSerializer.Deserialize<Notice>(bytes);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>First the organization that answers.</summary>
    private static IReadOnlyList<string> OrderOf(RequestStep step) => [.. step.Organizations.OrderBy(organization => organization != step.Organization)];

    private static string FactOf(JsonElement line) => Short(JsonSerializer.SerializeToUtf8Bytes(
        line.EnumerateObject().Where(field => !OfEvent.Contains(field.Name)).Select(field => $"{field.Name}={field.Value.GetRawText()}")));

    private static string Short(byte[] fact) => Convert.ToHexStringLower(SHA256.HashData(fact).AsSpan(0, 20));

    private static JsonElement Bounded(JsonElement line) => line.GetRawText().Length > MaximumFacts
        ? JsonSerializer.SerializeToElement(new { truncated = true })
        : JsonSerializer.SerializeToElement(line.EnumerateObject().Where(field => field.Name is not ("id" or "time")).ToDictionary(field => field.Name, field => field.Value));
}

/// <summary>One who asked for access. The mail address is looked up when it is needed, and kept nowhere.</summary>
/// <param name="Person">The user name, in lower case.</param>
/// <param name="Organizations">Whose member lists may have the address: the first that does counts.</param>
internal sealed record Requester(string Person, IReadOnlyList<string> Organizations);

/// <summary>Fields of an event, fit for a line of text: whatever people wrote, it has no line ends, and no character that cannot be seen.</summary>
internal sealed class Facts(JsonElement json)
{
    private const int MaximumText = 300;

    public static Facts Of(object facts) => new(JsonSerializer.SerializeToElement(facts, JsonSerializerOptions.Web));

    /// <summary>A text or a number; null where there is none.</summary>
    public string? this[string name] => json.TryGetProperty(name, out var value) ? TextOf(value) : null;

    public DateTimeOffset? Time(string name) =>
        json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String && value.TryGetDateTimeOffset(out var time) ? time : null;

    /// <summary>The first texts of a list, and how many there are more; null where there is none.</summary>
    public string? List(string name, int most = 10)
    {
        if (!json.TryGetProperty(name, out var list) || list.ValueKind != JsonValueKind.Array || list.GetArrayLength() == 0)
            return null;
        return PrintableText.ListOf([.. list.EnumerateArray().Select(TextOf).OfType<string>()], most);
    }

    public static string Minute(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd HH:mm' UTC'", CultureInfo.InvariantCulture);

    private static string? TextOf(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => Cut(PrintableText.Seen(value.GetString()!)),
        JsonValueKind.Number => value.GetRawText(),
        _ => null,
    };

    private static string Cut(string text) => text.Length <= MaximumText ? text : $"{PrintableText.Cut(text, MaximumText)}…";
}
