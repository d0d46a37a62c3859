using System.Text.Json;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Foundation.Audit;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Decisions;
using OciDigest = ImageAccess.Core.Oci.Digest;

namespace ImageAccess.Proxy.Administration.Usage;

/// <summary>One decision, as a line of the audit trail tells it. Every text is bounded and can be kept by both databases.</summary>
/// <param name="Time">In milliseconds since 1970.</param>
/// <param name="Id">Of the line; with <paramref name="IsClosing"/> it is there once.</param>
/// <param name="IsClosing">The closing line of denials that were merged; it has the id of the first of them.</param>
internal sealed record UsageEvent(long Time, string Id, bool IsClosing)
{
    /// <summary>In characters. An entry of an index of PostgreSQL has 2,704 bytes: one that is larger would hold up all others.</summary>
    public const int MaximumCaller = 200;

    /// <inheritdoc cref="MaximumCaller"/>
    public const int MaximumOrganizations = 800;

    /// <inheritdoc cref="MaximumCaller"/>
    public const int MaximumWord = 64;

    /// <summary>Of a table of decisions, in SQL: those with <see cref="ServedTag"/>.</summary>
    public const string IsOfServedTag = """ "Outcome" <> 'deny' AND "Digest" IS NOT NULL AND "Reference" IS NOT NULL AND "Reference" NOT LIKE '%:%' """;

    /// <summary>What a tag names, in SQL: the index, where there is one.</summary>
    public const string DigestOfTag = """COALESCE("Index", "Digest")""";

    /// <summary>The organizations that judged, each between spaces: <c> acme beta </c>.</summary>
    public string Organizations { get; init; } = " ";

    public string Caller { get; init; } = "";

    public string? Client { get; init; }

    public string WayIn { get; init; } = "";

    public string Family { get; init; } = "";

    public string Method { get; init; } = "";

    /// <summary>Empty where none was named.</summary>
    public string Repository { get; init; } = "";

    public string? Reference { get; init; }

    /// <summary>Of the manifest that was served; else the one that the client named.</summary>
    public string? Digest { get; init; }

    /// <summary>The digest of the index that the manifest was chosen from.</summary>
    public string? Index { get; init; }

    public string Type { get; init; } = "";

    public string Rule { get; init; } = "";

    public string Outcome { get; init; } = "";

    public string? PolicyVersion { get; init; }

    /// <summary>How many requests were decided.</summary>
    public int Decisions { get; init; } = 1;

    /// <summary>How many pulls began with them.</summary>
    public int Pulls { get; init; }

    /// <summary>What a token or a directory said of the caller, as <see cref="Pull"/> has it; null where an earlier version of the tables has not kept it.</summary>
    public string? Memberships { get; init; } = "";

    /// <summary>The number of the block that denied it.</summary>
    public long? Block { get; init; }

    public int Day => UsageDays.Of(Time);

    /// <summary>What the tag that was asked for came to; null where none did.</summary>
    public TagKey? ServedTag =>
        Outcome != "deny" && Digest is not null && Reference?.Contains(':', StringComparison.Ordinal) == false ? new TagKey(Day, Organizations, Repository, Reference, Index ?? Digest) : null;

    /// <summary>Reads a line of the trail.</summary>
    public static LineKind TryRead(ReadOnlyMemory<byte> line, out UsageEvent? decision)
    {
        decision = null;
        try
        {
            using var json = JsonDocument.Parse(line);
            var audit = json.RootElement;
            var (time, id) = (audit.GetProperty("time").GetDateTimeOffset(), audit.GetProperty("id").GetString());
            if (id is not { Length: > 0 and <= MaximumWord } || !id.All(char.IsAsciiLetterOrDigit))
                return LineKind.Malformed;
            if (audit.TryGetProperty("event", out _))
                return LineKind.Other;
            decision = Read(audit, time, id);
            return LineKind.Decision;
        }
        catch (Exception exception) when (exception is JsonException or FormatException or InvalidOperationException or KeyNotFoundException)
        {
            return LineKind.Malformed;
        }
    }

    /// <exception cref="FormatException">It is no decision; so say the others that reading JSON throws.</exception>
    private static UsageEvent Read(JsonElement audit, DateTimeOffset time, string id)
    {
        var isClosing = audit.TryGetProperty("count", out var merged);
        var count = isClosing ? merged.GetInt32() : 1;
        var pulls = audit.TryGetProperty("pulls", out var begun) ? begun.GetInt32()
            : isClosing || !audit.TryGetProperty("pull", out var pull) || pull.GetString() == id ? count : 0;
        var outcome = Text(audit, "outcome");
        if (count < 1 || pulls < 0 || outcome is not ("allow" or "observe" or "deny"))
            throw new FormatException("no decision");
        var name = Text(audit, "repository");
        if (name.Length > 0 && !RepositoryName.TryParse(name, out _))
            throw new FormatException("no repository");

        var (method, reference) = (Text(audit, "method"), TextOrNull(audit, "reference"));
        return new UsageEvent(time.ToUnixTimeMilliseconds(), id, isClosing)
        {
            Organizations = OrganizationsOf(audit),
            Caller = Text(audit, "caller", MaximumCaller) is { Length: > 0 } caller ? caller : "anonymous",
            Client = TextOrNull(audit, "client"),
            WayIn = Text(audit, audit.TryGetProperty("wayIn", out _) ? "wayIn" : "face"), // its former name
            Family = FamilyOf(TextOrNull(audit, "userAgent")),
            Method = method,
            Repository = name,
            Reference = reference,
            Digest = DigestOf(TextOrNull(audit, "digest") ?? reference),
            Index = DigestOf(TextOrNull(audit, "index")),
            Type = Text(audit, "category"),
            Rule = Text(audit, "rule"),
            Outcome = outcome,
            PolicyVersion = TextOrNull(audit, "policyVersion"),
            Decisions = count,
            Memberships = Pull.MembershipsOf(audit),
            Block = audit.TryGetProperty("block", out var block) ? block.GetInt64() : null,
            Pulls = method is "GET" or "HEAD" || reference is null ? pulls : 0, // else something is pushed or deleted
        };
    }

    private static string Text(JsonElement audit, string name, int maximum = MaximumWord) => TextOrNull(audit, name, maximum) ?? "";

    private static string? TextOrNull(JsonElement audit, string name, int maximum = AuditLine.MaximumText) =>
        audit.TryGetProperty(name, out var value) && value.GetString() is { } text ? PrintableText.Seen(PrintableText.Cut(text, maximum)) : null;

    private static string? DigestOf(string? text) => OciDigest.TryParse(text, out var digest) ? digest.Value : null;

    private static string OrganizationsOf(JsonElement audit)
    {
        if (!audit.TryGetProperty("organizations", out var list))
            return " ";
        var text = " ";
        foreach (var name in list.EnumerateArray().Select(name => name.GetString() ?? "").Where(RepositoryName.IsComponent).Distinct().Order(StringComparer.Ordinal))
        {
            if (text.Length + name.Length + 1 <= MaximumOrganizations)
                text += name + " ";
        }

        return text;
    }

    /// <summary>The trail does not tell with which library dockerd asked.</summary>
    private static string FamilyOf(string? userAgent) => ClientFamilies.Of(userAgent, byContainerd: false) switch
    {
        ClientFamily.ClassicDocker => "docker",
        var family => family.ToConfigurationName(),
    };
}

/// <summary>What a line of the trail is.</summary>
internal enum LineKind
{
    /// <summary>No event of this program.</summary>
    Malformed,

    /// <summary>An event of another kind.</summary>
    Other,

    Decision,
}
