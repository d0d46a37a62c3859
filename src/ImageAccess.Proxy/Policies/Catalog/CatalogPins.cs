using System.Collections.Frozen;
using System.Text;
using System.Text.Json;
using ImageAccess.Core.Classification;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Policies.Catalog;

/// <summary>A namespace's category, set by hand.</summary>
/// <param name="Badge">The badge that makes this category.</param>
/// <param name="Reason">Why, in the words of whoever set it.</param>
public sealed record CatalogPin(NamespaceBadge Badge, string? Reason);

/// <summary>
/// The document <c>catalog.json</c>: <c>{ "bitnami": { "category": "verified-publisher", "reason": "…" } }</c>, comments
/// allowed. The name <c>*</c> stands for every namespace that is not named.
/// </summary>
public sealed class CatalogPins
{
    public const string Others = "*";

    /// <summary>What the document may measure, in bytes.</summary>
    public const int MaximumSize = 4 * 1024 * 1024;

    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private static readonly JsonDocumentOptions Options = new()
    {
        CommentHandling = JsonCommentHandling.Skip,
        AllowTrailingCommas = true,
        MaxDepth = 16,
    };

    private readonly FrozenDictionary<string, CatalogPin> _pins;
    private readonly CatalogPin? _others;

    private CatalogPins(Dictionary<string, CatalogPin> pins)
    {
        pins.Remove(Others, out _others);
        _pins = pins.ToFrozenDictionary(StringComparer.Ordinal);
    }

    public static CatalogPins None { get; } = new([]);

    public int Count => _pins.Count + (_others is null ? 0 : 1);

    /// <summary>The namespace's pin, or the one for all others; null without either.</summary>
    public CatalogPin? Find(string @namespace) => _pins.GetValueOrDefault(@namespace, _others!);

    /// <summary>What the document in a file comes to.</summary>
    internal static ParsedFile<CatalogPins> Parse(FileReading reading) => new(reading, Read);

    /// <param name="utf8">The document.</param>
    /// <param name="problems">Every problem, each with its path.</param>
    /// <returns>The pins; null where there are problems.</returns>
    public static CatalogPins? Read(ReadOnlyMemory<byte> utf8, out IReadOnlyList<string> problems)
    {
        var found = new List<string>();
        problems = found;
        try
        {
            _ = StrictUtf8.GetCharCount(utf8.Span);
            using var json = JsonDocument.Parse(utf8.Span.StartsWith(Encoding.UTF8.Preamble) ? utf8[3..] : utf8, Options);
            var pins = new Reader(found).ReadDocument(json.RootElement);
            return found.Count == 0 ? new CatalogPins(pins) : null;
        }
        catch (JsonException exception)
        {
            found.Add(JsonMistake.Describe(utf8.Span.StartsWith(Encoding.UTF8.Preamble) ? utf8.Span[3..] : utf8.Span, exception));
        }
        catch (Exception exception) when (exception is DecoderFallbackException or InvalidOperationException)
        {
            found.Add("not valid text: UTF-8 is needed, and escapes that are whole characters");
        }

        return null;
    }

    private sealed class Reader(List<string> problems)
    {
        public Dictionary<string, CatalogPin> ReadDocument(JsonElement document)
        {
            var pins = new Dictionary<string, CatalogPin>(StringComparer.Ordinal);
            if (document.ValueKind != JsonValueKind.Object)
            {
                problems.Add("must be an object: namespaces, and for each its category and reason");
                return pins;
            }

            foreach (var member in document.EnumerateObject())
            {
                var name = member.Name;
                if (name == RepositoryName.Library)
                    problems.Add($"{name}: holds the official images and nothing else; it cannot be pinned");
                else if (name != Others && !AccountName.IsNamespace(name))
                    problems.Add($"{name}: not a Docker Hub namespace: {AccountName.NamespaceRule} (or * for all others)");
                if (!pins.TryAdd(name, ReadPin(name, member.Value)))
                    problems.Add($"{name}: comes twice");
            }

            return pins;
        }

        private CatalogPin ReadPin(string path, JsonElement pin)
        {
            var badge = NamespaceBadge.Unknown;
            string? reason = null;
            if (pin.ValueKind != JsonValueKind.Object)
            {
                problems.Add($"{path}: must be an object with a category and a reason");
                return new CatalogPin(badge, reason);
            }

            var seen = new HashSet<string>();
            foreach (var member in pin.EnumerateObject())
            {
                var place = $"{path}.{member.Name}";
                if (!seen.Add(member.Name))
                    problems.Add($"{place}: comes twice");
                else if (member.Name == "category")
                    badge = ReadCategory(place, member.Value);
                else if (member.Name == "reason")
                    reason = ReadReason(place, member.Value);
                else
                    problems.Add($"{place}: unknown member; known here: category, reason");
            }

            if (!seen.Contains("category"))
                problems.Add($"{path}: needs a category");
            return new CatalogPin(badge, reason);
        }

        private NamespaceBadge ReadCategory(string place, JsonElement value)
        {
            switch (value.ValueKind == JsonValueKind.String ? value.GetString() : null)
            {
                case "verified-publisher":
                    return NamespaceBadge.VerifiedPublisher;
                case "community":
                    return NamespaceBadge.None;
                case "official":
                    problems.Add($"{place}: only the repositories of library are official images; approve others in the policy's allowlist");
                    break;
                case "organization":
                    problems.Add($"{place}: an organization's namespaces are those that the policy gives it");
                    break;
                default:
                    problems.Add($"{place}: must be \"verified-publisher\" or \"community\"");
                    break;
            }

            return NamespaceBadge.Unknown;
        }

        private string? ReadReason(string place, JsonElement value)
        {
            var text = value.ValueKind == JsonValueKind.String ? value.GetString() : null;
            if (text is not { Length: > 0 and <= 1000 })
                problems.Add($"{place}: must be a text of 1 to 1000 characters");
            return text;
        }
    }
}
