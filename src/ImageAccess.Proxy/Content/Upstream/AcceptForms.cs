using System.Collections.Concurrent;
using Microsoft.Extensions.Primitives;
using Microsoft.Net.Http.Headers;

namespace ImageAccess.Proxy.Content.Upstream;

/// <summary>
/// The one form of a set of accepted media types: lower case, sorted, each once, without parameters and weights; what has the weight 0 is not
/// accepted. What a tag points to depends on that set, so clients share an answer by this form, and upstream is asked in it: whatever else a
/// client writes cannot change what others get.
/// </summary>
internal sealed class AcceptForms
{
    private const int MaximumRemembered = 1000;

    /// <summary>Longer texts are read each time: no client of registries sends one.</summary>
    private const int LongestRemembered = 1024;

    private readonly ConcurrentDictionary<string, string> _known = new(StringComparer.Ordinal);

    public string Of(StringValues accept)
    {
        var text = accept.ToString();
        if (_known.TryGetValue(text, out var form))
            return form;

        form = Read(accept);
        if (text.Length > LongestRemembered)
            return form;
        if (_known.Count >= MaximumRemembered)
            _known.Clear();
        _known[text] = form;
        return form;
    }

    private static string Read(StringValues accept) => MediaTypeHeaderValue.TryParseList(accept.ToArray()!, out var types)
        ? string.Join(',', types.Where(type => type.Quality is not 0).Select(type => type.MediaType.ToString().ToLowerInvariant())
            .Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal))
        : "";
}
