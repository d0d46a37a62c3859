using System.Buffers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Files;
using ImageAccess.Proxy.Policies.Exceptions;

namespace ImageAccess.Proxy.Policies.Store;

/// <summary>One organization's part of a policy document, which is read and changed by itself. Comments do not outlive a change of a part.</summary>
internal static class PolicySections
{
    private const string Organizations = "organizations";
    private const string Name = "name";

    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private static readonly JsonDocumentOptions Options = new()
    {
        CommentHandling = JsonCommentHandling.Skip,
        AllowTrailingCommas = true,
        AllowDuplicateProperties = false,
        MaxDepth = 16,
    };

    /// <summary>The section as JSON; null where a valid document has no such organization.</summary>
    public static byte[]? Find(ReadOnlyMemory<byte> document, string organization) =>
        Find(Parse(document), organization) is { } section ? ToBytes(section, ReadableJson.Indented) : null;

    /// <summary>What tells one content of a section from another, whichever way it is written; null where there is no such section, or the document is none.</summary>
    public static string? TagOf(ReadOnlyMemory<byte> document, string organization)
    {
        try
        {
            return Find(Parse(document), organization) is { } section
                ? Convert.ToHexStringLower(SHA256.HashData(ToBytes(Canonical(section)!, ReadableJson.Compact)))[..12]
                : null;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    /// <summary>The section with a change; null where the document has none.</summary>
    public static byte[]? Edit(ReadOnlyMemory<byte> document, string organization, Action<JsonObject> change)
    {
        if (Find(Parse(document), organization) is not { } section)
            return null;
        change(section);
        return ToBytes(section, ReadableJson.Indented);
    }

    /// <summary>The document with another section in the place of what it has, and all else as it was.</summary>
    /// <exception cref="RefusedChangeException">The section is none of this organization.</exception>
    public static byte[] Replace(ReadOnlyMemory<byte> document, string organization, ReadOnlyMemory<byte> section)
    {
        var whole = Parse(document);
        var earlier = Find(whole, organization) ?? throw Unknown(organization);
        var later = ParseSection(section);
        if (!later.ContainsKey(Name))
            later.Insert(0, Name, organization);
        if (NameOf(later) != organization)
            throw new MalformedPolicyException($"the section is not named {organization}: an organization gets another name with the whole document");
        earlier.ReplaceWith(later);
        try
        {
            return ToBytes(whole, ReadableJson.Indented);
        }
        catch (InvalidOperationException)
        {
            throw new MalformedPolicyException("the section has a text that is none: an escape in it is half of a sign");
        }
    }

    /// <summary>Whether anything beside this section has this text, as a name that it grants something to.</summary>
    public static bool IsNamedElsewhere(ReadOnlyMemory<byte> document, string organization, string text)
    {
        var whole = Parse(document);
        if (Find(whole, organization) is { } section)
            section.Parent!.AsArray().Remove(section);
        return Texts(whole).Any(other => string.Equals(other, text, StringComparison.OrdinalIgnoreCase));
    }

    public static RefusedChangeException Unknown(string organization) => new($"the policy has no organization {PrintableText.Of(organization)}");

    private static JsonObject Parse(ReadOnlyMemory<byte> document) => JsonNode.Parse(WithoutMark(document.Span), documentOptions: Options)!.AsObject();

    private static JsonObject ParseSection(ReadOnlyMemory<byte> section)
    {
        var content = WithoutMark(section.Span);
        try
        {
            _ = StrictUtf8.GetCharCount(content);
            return JsonNode.Parse(content, documentOptions: Options) as JsonObject ?? throw new MalformedPolicyException("the section is no JSON object");
        }
        catch (JsonException exception)
        {
            throw new MalformedPolicyException($"the section is refused: {PrintableText.Of(JsonMistake.Describe(content, exception))}");
        }
        catch (DecoderFallbackException)
        {
            throw new MalformedPolicyException("the section is not valid UTF-8");
        }
    }

    private static ReadOnlySpan<byte> WithoutMark(ReadOnlySpan<byte> utf8) => utf8.StartsWith((ReadOnlySpan<byte>)[0xEF, 0xBB, 0xBF]) ? utf8[3..] : utf8;

    private static JsonObject? Find(JsonObject document, string organization) =>
        (document[Organizations] as JsonArray)?.OfType<JsonObject>().FirstOrDefault(section => NameOf(section) == organization);

    private static string? NameOf(JsonObject section)
    {
        try
        {
            return section[Name] is JsonValue value && value.TryGetValue<string>(out var name) ? name : null;
        }
        catch (InvalidOperationException)
        {
            return null; // half of a surrogate pair
        }
    }

    private static IEnumerable<string> Texts(JsonNode? node) => node switch
    {
        JsonObject members => members.SelectMany(member => Texts(member.Value)),
        JsonArray items => items.SelectMany(Texts),
        JsonValue value when value.TryGetValue<string>(out var text) => [text],
        _ => [],
    };

    /// <summary>The members in the order of their names.</summary>
    private static JsonNode? Canonical(JsonNode? node) => node switch
    {
        JsonObject members => new JsonObject(members.OrderBy(member => member.Key, StringComparer.Ordinal).Select(member => KeyValuePair.Create(member.Key, Canonical(member.Value)))),
        JsonArray items => new JsonArray([.. items.Select(Canonical)]),
        _ => node?.DeepClone(),
    };

    private static byte[] ToBytes(JsonNode node, JsonWriterOptions options)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer, options))
            node.WriteTo(writer);
        if (options.Indented)
            buffer.Write("\n"u8);
        return buffer.WrittenSpan.ToArray();
    }
}
