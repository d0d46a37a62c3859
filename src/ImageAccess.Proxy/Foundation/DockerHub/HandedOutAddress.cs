using System.Text;
using System.Text.RegularExpressions;

namespace ImageAccess.Proxy.Foundation.DockerHub;

/// <summary>
/// An address that upstream hands out: where a redirect leads, where the next page is. It may be signed, so it is asked byte for byte;
/// <c>%7E</c> does not become <c>~</c>. What is judged is what is asked: one <see cref="Uri"/>, whose authority is read strictly.
/// </summary>
internal static partial class HandedOutAddress
{
    private static readonly UriCreationOptions ByteForByte = new() { DangerousDisablePathAndQueryCanonicalization = true };

    /// <summary>The address that a reference means where it was handed out (RFC 3986, section 5.2); null where it is none.</summary>
    public static Uri? Resolve(Uri current, string reference)
    {
        var parts = Parts.Match(reference);
        var (scheme, authority, path, query) = (parts.Groups["scheme"].Value, parts.Groups["authority"].Value, parts.Groups["path"].Value, parts.Groups["query"].Value);
        if (authority.Length > 0)
            return Create($"{(scheme.Length > 0 ? scheme : current.Scheme)}://{authority}", path.Length == 0 ? "/" : path, query);
        return scheme.Length > 0 || path.StartsWith("//", StringComparison.Ordinal) || path.Length + query.Length == 0
            ? null
            : Create(current.GetLeftPart(UriPartial.Authority), Merge(PathOf(current), path), query);
    }

    private static Uri? Create(string origin, string path, string query) =>
        Uri.TryCreate(origin + Encode(path + query), ByteForByte, out var address) && address.Host.Length > 0 ? address : null;

    private static string PathOf(Uri address) => address.PathAndQuery.Split('?', 2)[0];

    /// <summary>A path that is no whole one begins where the current one has its last segment; only there dots are directions.</summary>
    private static string Merge(string current, string path)
    {
        if (path.Length == 0 || path[0] == '/')
            return path.Length == 0 ? current : path;

        var merged = new List<string>(current[..current.LastIndexOf('/')].Split('/'));
        var segments = path.Split('/');
        foreach (var segment in segments)
        {
            if (segment == ".." && merged.Count > 1)
                merged.RemoveAt(merged.Count - 1);
            else if (segment is not ("." or ".."))
                merged.Add(segment);
        }

        return string.Join('/', merged) + (segments[^1] is "." or ".." ? "/" : "");
    }

    /// <summary>A request's target is ASCII: what is not goes as the UTF-8 that it stands for.</summary>
    private static string Encode(string text) =>
        Ascii.IsValid(text) ? text : string.Concat(text.EnumerateRunes().Select(rune => rune.IsAscii ? rune.ToString() : Uri.EscapeDataString(rune.ToString())));

    /// <summary>
    /// RFC 3986, appendix B; without white space and control characters, and no authority that two programs read in two ways. It takes a time in
    /// proportion to the length, so it has no timeout: on a busy machine one would fail what is right.
    /// </summary>
    [GeneratedRegex(
        @"\A(?!.*[\s\p{Cc}])((?<scheme>[A-Za-z][A-Za-z0-9+.-]*):)?(//(?<authority>[^/?#\\%]+)(?=[/?#]|\z))?(?<path>[^?#]*)(?<query>\?[^#]*)?(#.*)?\z",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: Timeout.Infinite)]
    private static partial Regex Parts { get; }
}
