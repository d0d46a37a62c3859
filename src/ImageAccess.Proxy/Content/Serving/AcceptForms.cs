using System.Collections.Concurrent;
using Microsoft.Extensions.Primitives;

namespace ImageAccess.Proxy.Content.Serving;

/// <summary>
/// Normalizes the set of media types that a client accepts, so that two sets can be compared: what a tag points to depends on them.
/// </summary>
internal sealed class AcceptForms
{
    private const int MaximumRemembered = 1000;

    private readonly ConcurrentDictionary<string, string> _known = new(StringComparer.Ordinal);

    public string Of(StringValues accept)
    {
        var text = accept.ToString();
        if (_known.TryGetValue(text, out var form))
            return form;

        form = string.Join(',', text.Split(',').Select(part => part.Split(';')[0].Trim().ToLowerInvariant())
            .Where(type => type.Length > 0).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal));
        if (_known.Count >= MaximumRemembered)
            _known.Clear();
        _known[text] = form;
        return form;
    }
}
