using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text.Json;

namespace ImageAccess.Proxy.Callers.Identity;

/// <summary>A place in a JSON document (RFC 6901).</summary>
public sealed class JsonPointer
{
    private readonly string[] _parts;

    private JsonPointer(string[] parts) => _parts = parts;

    public static bool TryParse(string? text, [NotNullWhen(true)] out JsonPointer? parsed)
    {
        parsed = null;
        if (text is null || (text.Length > 0 && text[0] != '/'))
            return false;

        for (var tilde = text.IndexOf('~', StringComparison.Ordinal); tilde >= 0; tilde = text.IndexOf('~', tilde + 1))
        {
            if (tilde + 1 == text.Length || text[tilde + 1] is not ('0' or '1'))
                return false;
        }

        // ~1 first: "~01" is "~1", not "/" (RFC 6901, 4).
        parsed = new JsonPointer(text.Length == 0
            ? []
            : [.. text[1..].Split('/').Select(p => p.Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal))]);
        return true;
    }

    public bool TryFind(JsonElement document, out JsonElement found)
    {
        found = document;
        foreach (var part in _parts)
        {
            switch (found.ValueKind)
            {
                case JsonValueKind.Object when found.TryGetProperty(part, out var member):
                    found = member;
                    break;
                case JsonValueKind.Array when TryReadIndex(part, out var index) && index < found.GetArrayLength():
                    found = found[index];
                    break;
                default:
                    found = default;
                    return false;
            }
        }

        return true;
    }

    /// <summary>Digits without a leading zero; <c>-</c>, the place after the last, never holds anything.</summary>
    private static bool TryReadIndex(string part, out int index)
    {
        index = 0;
        return (part is "0" || (part.Length > 0 && part[0] != '0'))
            && int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out index);
    }
}
