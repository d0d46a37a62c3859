using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;

namespace ImageAccess.Core.Oci;

/// <summary>Reads a raw request target from its end. Registry paths need no percent-encoding, so none is accepted there.</summary>
internal static class RegistryRequestParser
{
    /// <summary>The largest length of a target, in characters.</summary>
    private const int MaximumLength = 8 * 1024;

    private const string Root = "/v2/";

    private const string LettersAndDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

    /// <summary>The characters of RFC 3986, section 3.4, and those that clients write unencoded: all printable ASCII except delimiters.</summary>
    private static readonly SearchValues<char> QueryCharacters = SearchValues.Create(LettersAndDigits + "!$%&'()*+,-./:;=?@[]^_`{|}~");

    private static readonly SearchValues<char> SessionCharacters = SearchValues.Create(LettersAndDigits + "-_.=");

    private static readonly SearchValues<char> MediaTypeCharacters = SearchValues.Create(LettersAndDigits + "/!#$&-^_.+");

    public static bool TryParse(
        string method,
        string rawTarget,
        [NotNullWhen(true)] out RegistryRequest? request,
        [NotNullWhen(false)] out RegistryError? error)
    {
        request = null;
        if (rawTarget.Length > MaximumLength)
        {
            error = RegistryError.Unsupported("the request target is too long");
            return false;
        }

        var mark = rawTarget.IndexOf('?', StringComparison.Ordinal);
        var path = mark < 0 ? rawTarget : rawTarget[..mark];
        var query = new QueryReader(mark < 0 ? "" : rawTarget[(mark + 1)..]);

        error = CheckPath(path) ?? Read(method, path, query, out request) ?? query.Error;
        if (error is not null)
            request = null;
        return error is null;
    }

    /// <summary>Writes a query of those parameters that have a value, and encodes them.</summary>
    public static string Query(params ReadOnlySpan<(string Name, string? Value)> parameters)
    {
        var query = new StringBuilder();
        foreach (var (name, value) in parameters)
        {
            if (value is not null)
                query.Append(query.Length == 0 ? '?' : '&').Append(name).Append('=').Append(Uri.EscapeDataString(value));
        }

        return query.ToString();
    }

    private static RegistryError? CheckPath(ReadOnlySpan<char> path)
    {
        if (path.IsEmpty || path[0] != '/')
            return RegistryError.Unsupported("the request target must be a path");

        foreach (var c in path)
        {
            if (c is <= ' ' or > '~' or '%' or '\\' or '#')
                return RegistryError.Unsupported("a registry path holds no encoded, special or non-ASCII characters");
        }

        foreach (var segment in path[1..].Split('/'))
        {
            var text = path[1..][segment];
            if (text is "." or "..")
                return RegistryError.Unsupported("a registry path holds no dot segments");
        }

        return path.Contains("//", StringComparison.Ordinal)
            ? RegistryError.Unsupported("a registry path holds no empty segments")
            : null;
    }

    private static RegistryError? Read(string method, string path, QueryReader query, out RegistryRequest? request)
    {
        request = null;
        if (!path.StartsWith(Root, StringComparison.Ordinal))
            return RegistryError.NoSuchEndpoint;

        if (path.Length == Root.Length)
        {
            if (method is not ("GET" or "HEAD"))
                return RegistryError.MethodNotAllowed("GET, HEAD");
            request = new PingRequest(method) { NamesDockerHub = query.TakeNamespace() };
            return null;
        }

        if (TakeLast(path[Root.Length..], out var rest, out var last) && TakeLast(rest, out var name, out var endpoint))
        {
            switch (endpoint)
            {
                case "manifests":
                    return ReadManifest(method, name, last, query, out request);
                case "blobs" when last != "uploads":
                    return ReadBlob(method, name, last, query, out request);
                case "tags" when last == "list":
                    return ReadTags(method, name, query, out request);
                case "referrers":
                    return ReadReferrers(method, name, last, query, out request);
                case "uploads" when TakeLast(name, out var repository, out var above) && above == "blobs":
                    return ReadUpload(method, repository, last, query, out request);
            }
        }

        return RegistryError.NoSuchEndpoint;
    }

    /// <summary>Takes the last segment off a path of at least two.</summary>
    private static bool TakeLast(string path, out string rest, out string last)
    {
        var slash = path.LastIndexOf('/');
        (rest, last) = slash < 0 ? ("", path) : (path[..slash], path[(slash + 1)..]);
        return slash >= 0;
    }

    private static RegistryError? ReadManifest(string method, string name, string last, QueryReader query, out RegistryRequest? request)
    {
        request = null;
        if (method is not ("GET" or "HEAD" or "PUT" or "DELETE"))
            return RegistryError.MethodNotAllowed("GET, HEAD, PUT, DELETE");
        if (!RepositoryName.TryParse(name, out var repository))
            return InvalidName;
        if (!Reference.TryParse(last, out var reference))
            return last.Contains(':', StringComparison.Ordinal) ? InvalidDigest : RegistryError.TagInvalid("invalid tag");

        request = new ManifestRequest(method, repository, name, reference) { NamesDockerHub = query.TakeNamespace() };
        return null;
    }

    private static RegistryError? ReadBlob(string method, string name, string last, QueryReader query, out RegistryRequest? request)
    {
        request = null;
        if (method is not ("GET" or "HEAD"))
            return RegistryError.MethodNotAllowed("GET, HEAD");
        if (!RepositoryName.TryParse(name, out var repository))
            return InvalidName;
        if (!Digest.TryParse(last, out var digest))
            return InvalidDigest;

        request = new BlobRequest(method, repository, name, digest) { NamesDockerHub = query.TakeNamespace() };
        return null;
    }

    private static RegistryError? ReadTags(string method, string name, QueryReader query, out RegistryRequest? request)
    {
        request = null;
        if (method != "GET")
            return RegistryError.MethodNotAllowed("GET");
        if (!RepositoryName.TryParse(name, out var repository))
            return InvalidName;

        int? count = null;
        if (query.Take("n") is { } n)
        {
            if (n.Length > 9 || !int.TryParse(n, NumberStyles.None, CultureInfo.InvariantCulture, out var number))
                return RegistryError.Unsupported("the parameter n is not a count");
            count = number;
        }

        Tag? after = null;
        if (query.Take("last") is { } last && !Tag.TryParse(last, out after))
            return RegistryError.TagInvalid("the parameter last is not a tag");

        request = new TagsRequest(method, repository, name, count, after) { NamesDockerHub = query.TakeNamespace() };
        return null;
    }

    private static RegistryError? ReadReferrers(string method, string name, string last, QueryReader query, out RegistryRequest? request)
    {
        request = null;
        if (method != "GET")
            return RegistryError.MethodNotAllowed("GET");
        if (!RepositoryName.TryParse(name, out var repository))
            return InvalidName;
        if (!Digest.TryParse(last, out var digest))
            return InvalidDigest;

        var artifactType = query.Take("artifactType");
        if (artifactType is not null && !IsMediaType(artifactType))
            return RegistryError.Unsupported("the parameter artifactType is not a media type");

        request = new ReferrersRequest(method, repository, name, digest, artifactType) { NamesDockerHub = query.TakeNamespace() };
        return null;
    }

    private static RegistryError? ReadUpload(string method, string name, string session, QueryReader query, out RegistryRequest? request)
    {
        request = null;
        var starts = session.Length == 0;
        if (starts && method != "POST")
            return RegistryError.MethodNotAllowed("POST");
        if (!starts && method is not ("GET" or "PATCH" or "PUT" or "DELETE"))
            return RegistryError.MethodNotAllowed("GET, PATCH, PUT, DELETE");
        if (!RepositoryName.TryParse(name, out var repository))
            return InvalidName;
        if (session.Length > 512 || session.AsSpan().ContainsAnyExcept(SessionCharacters))
            return RegistryError.Unsupported("invalid upload session");

        Digest? digest = null;
        if (query.Take("digest") is { } text && !Digest.TryParse(text, out digest))
            return InvalidDigest;
        var namesDockerHub = query.TakeNamespace();

        if (!starts)
        {
            request = new UploadSessionRequest(method, repository, name, session, query.Rest(), digest) { NamesDockerHub = namesDockerHub };
            return null;
        }

        if (ReadMount(query, out var mount) is { } error)
            return error;
        request = new UploadStartRequest(repository, name, digest, mount) { NamesDockerHub = namesDockerHub };
        return null;
    }

    /// <summary>Reads a mount with its source; one without the other is ignored.</summary>
    private static RegistryError? ReadMount(QueryReader query, out BlobMount? mount)
    {
        mount = null;
        var mountText = query.Take("mount");
        var fromText = query.Take("from");
        Digest? digest = null;
        RepositoryName? from = null;
        if (mountText is not null && !Digest.TryParse(mountText, out digest))
            return InvalidDigest;
        if (fromText is not null && !RepositoryName.TryParse(fromText, out from))
            return InvalidName;

        if (digest is not null && from is not null)
            mount = new BlobMount(digest, from);
        return null;
    }

    /// <summary>RFC 6838, section 4.2.</summary>
    private static bool IsMediaType(string text) =>
        text.Length <= 255 && text.Count(c => c == '/') == 1 && text[0] != '/' && text[^1] != '/'
        && !text.AsSpan().ContainsAnyExcept(MediaTypeCharacters);

    private static RegistryError InvalidName => RegistryError.NameInvalid("invalid repository name");

    private static RegistryError InvalidDigest => RegistryError.DigestInvalid("invalid digest");

    /// <summary>
    /// Reads a query: known parameters are decoded once, strictly, and taken out by name. It keeps the first fault that it finds:
    /// a parameter that comes twice, a bad escape, an <c>ns</c> that is not Docker Hub's.
    /// </summary>
    private sealed class QueryReader(string query)
    {
        private readonly List<string> _parts = query.Length == 0 ? [] : [.. query.Split('&')];

        public RegistryError? Error { get; private set; } = query.AsSpan().ContainsAnyExcept(QueryCharacters)
            ? RegistryError.Unsupported("the query holds characters that must be encoded")
            : null;

        /// <summary>Whether <c>ns</c> names Docker Hub. Upstream does not get it.</summary>
        public bool TakeNamespace()
        {
            var ns = Take("ns");
            if (ns is not (null or "docker.io"))
                Error ??= RegistryError.Unsupported("this proxy answers for docker.io alone");
            return ns is not null;
        }

        public string? Take(string name)
        {
            string? value = null;
            for (var i = _parts.Count - 1; i >= 0; i--)
            {
                var equals = _parts[i].IndexOf('=', StringComparison.Ordinal);
                var key = Decode(equals < 0 ? _parts[i] : _parts[i][..equals]);
                if (key != name)
                    continue;
                if (value is not null)
                    Error ??= RegistryError.Unsupported($"the parameter {name} comes twice");
                value = Decode(equals < 0 ? "" : _parts[i][(equals + 1)..]);
                _parts.RemoveAt(i);
            }

            return value;
        }

        /// <summary>The parameters that were not taken out, byte for byte.</summary>
        public string Rest() => string.Join('&', _parts);

        /// <summary>Percent-decoding of ASCII, once; a plus sign is a plus sign.</summary>
        private string Decode(string text)
        {
            if (!text.Contains('%', StringComparison.Ordinal))
                return text;

            var decoded = new StringBuilder(text.Length);
            for (var i = 0; i < text.Length; i++)
            {
                if (text[i] != '%')
                {
                    decoded.Append(text[i]);
                    continue;
                }

                if (i + 2 >= text.Length || !byte.TryParse(text.AsSpan(i + 1, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value)
                    || value is <= (byte)' ' or > (byte)'~')
                {
                    Error ??= RegistryError.Unsupported("the query is not encoded properly");
                    return "";
                }

                decoded.Append((char)value);
                i += 2;
            }

            return decoded.ToString();
        }
    }
}
