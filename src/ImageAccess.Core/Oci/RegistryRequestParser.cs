using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;
using ImageAccess.Core.Hosts;

namespace ImageAccess.Core.Oci;

/// <summary>Reads a raw request target from its end. Registry paths need no percent-encoding, so none is accepted there.</summary>
internal static class RegistryRequestParser
{
    private const string Root = "/v2/";

    /// <summary>Docker Hub redirects it to <see cref="Root"/>; here both are one.</summary>
    private const string RootWithoutSlash = "/v2";

    private const string LettersAndDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

    /// <summary>The characters of RFC 3986, section 3.4, and those that clients write unencoded: all printable ASCII except delimiters.</summary>
    private static readonly SearchValues<char> QueryCharacters = SearchValues.Create(LettersAndDigits + "!$%&'()*+,-./:;=?@[]^_`{|}~");

    private static readonly SearchValues<char> SessionCharacters = SearchValues.Create(LettersAndDigits + "-_.=");

    public static bool TryParse(
        string method,
        string rawTarget,
        [NotNullWhen(true)] out RegistryRequest? request,
        [NotNullWhen(false)] out RegistryError? error)
    {
        request = null;
        if (rawTarget.Length > RegistryRequest.MaximumTarget)
        {
            error = RegistryError.TargetTooLong;
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
                return RegistryError.Unsupported("a registry path has no encoded, special or non-ASCII characters");
        }

        foreach (var segment in path[1..].Split('/'))
        {
            var text = path[1..][segment];
            if (text is "." or "..")
                return RegistryError.Unsupported("a registry path has no dot segments");
        }

        return path.Contains("//", StringComparison.Ordinal)
            ? RegistryError.Unsupported("a registry path has no empty segments")
            : null;
    }

    private static RegistryError? Read(string method, string path, QueryReader query, out RegistryRequest? request)
    {
        request = null;
        var isPing = path is Root or RootWithoutSlash;
        if (!isPing && !path.StartsWith(Root, StringComparison.Ordinal))
            return RegistryError.NoSuchEndpoint;

        if (isPing)
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
            return InvalidReference(method, last);

        IReadOnlyList<Tag> tags = [];
        if (method == "PUT" && !TryReadTags(query, out tags))
            return RegistryError.TagInvalid("the parameter tag is not a tag");

        request = new ManifestRequest(method, repository, name, reference, tags) { NamesDockerHub = query.TakeNamespace() };
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

        var namesDockerHub = query.TakeNamespace();
        request = new TagsRequest(method, repository, name, query.Rest()) { NamesDockerHub = namesDockerHub };
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

        var namesDockerHub = query.TakeNamespace();
        request = new ReferrersRequest(method, repository, name, digest, query.Rest()) { NamesDockerHub = namesDockerHub };
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
        var algorithm = query.Take("digest-algorithm");
        if (algorithm is not null && !Digest.IsAlgorithm(algorithm))
            return InvalidDigest;
        request = new UploadStartRequest(repository, name, digest, mount) { DigestAlgorithm = algorithm, NamesDockerHub = namesDockerHub };
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

    private static bool TryReadTags(QueryReader query, out IReadOnlyList<Tag> tags)
    {
        List<Tag> read = [];
        tags = read;
        foreach (var text in query.TakeAll("tag"))
        {
            if (!Tag.TryParse(text, out var tag))
                return false;
            read.Add(tag);
        }

        return true;
    }

    /// <summary>There is no manifest of such a name to read, which is no fault of the request; writing one is (distribution specification, "Pulling manifests").</summary>
    private static RegistryError InvalidReference(string method, string reference)
    {
        var error = reference.Contains(':', StringComparison.Ordinal) ? InvalidDigest : RegistryError.TagInvalid("invalid tag");
        return method is "GET" or "HEAD" ? error with { Status = 404 } : error;
    }

    private static RegistryError InvalidName => RegistryError.NameInvalid("invalid repository name");

    private static RegistryError InvalidDigest => RegistryError.DigestInvalid("invalid digest");

    /// <summary>
    /// Reads a query: known parameters are decoded once, strictly, and taken out by name. It keeps the first fault that it finds:
    /// a parameter that comes twice, a bad escape, an <c>ns</c> that is not Docker Hub's.
    /// </summary>
    private sealed class QueryReader(string query)
    {
        private readonly List<string> _parts = query.Length == 0 ? [] : [.. query.Split('&')];

        private RegistryError? _error = query.AsSpan().ContainsAnyExcept(QueryCharacters)
            ? RegistryError.Unsupported("the query holds characters that must be encoded")
            : null;

        private bool _hasUnreadableName;

        public RegistryError? Error => _error ?? (_hasUnreadableName ? BadEncoding : null);

        private static RegistryError BadEncoding => RegistryError.Unsupported("the query is not encoded properly");

        /// <summary>Whether <c>ns</c> names Docker Hub, by whichever of the registry's names. Upstream does not get it.</summary>
        public bool TakeNamespace()
        {
            var ns = Take("ns");
            if (ns is not (null or DockerHubHosts.Domain) && !DockerHubHosts.NamesRegistry(ns))
                _error ??= RegistryError.Unsupported("this proxy answers only for docker.io");
            return ns is not null;
        }

        public string? Take(string name)
        {
            var values = TakeAll(name);
            if (values.Count > 1)
                _error ??= RegistryError.Unsupported($"the parameter {name} comes twice");
            return values.Count == 0 ? null : values[0];
        }

        /// <summary>All values of a parameter that may come more than once, in their order.</summary>
        public List<string> TakeAll(string name)
        {
            List<string>? values = null;
            var kept = 0;
            for (var i = 0; i < _parts.Count; i++)
            {
                var part = _parts[i];
                var equals = part.IndexOf('=', StringComparison.Ordinal);
                if (!TryDecode(equals < 0 ? part : part[..equals], out var key))
                    _hasUnreadableName = true;
                if (key != name)
                {
                    _parts[kept++] = part;
                    continue;
                }

                if (!TryDecode(equals < 0 ? "" : part[(equals + 1)..], out var value))
                    _error ??= BadEncoding;
                (values ??= []).Add(value);
            }

            _parts.RemoveRange(kept, _parts.Count - kept);
            return values ?? [];
        }

        /// <summary>The parameters that were not taken out, byte for byte. They are upstream's, so it does not matter whether we can read their names.</summary>
        public string Rest()
        {
            _hasUnreadableName = false;
            return string.Join('&', _parts);
        }

        /// <summary>Percent-decoding of ASCII, once; a plus sign is a plus sign.</summary>
        private static bool TryDecode(string text, out string decoded)
        {
            decoded = text;
            if (!text.Contains('%', StringComparison.Ordinal))
                return true;

            var characters = new StringBuilder(text.Length);
            for (var i = 0; i < text.Length; i++)
            {
                if (text[i] != '%')
                {
                    characters.Append(text[i]);
                    continue;
                }

                if (i + 2 >= text.Length || !byte.TryParse(text.AsSpan(i + 1, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value)
                    || value is <= (byte)' ' or > (byte)'~')
                {
                    decoded = "";
                    return false;
                }

                characters.Append((char)value);
                i += 2;
            }

            decoded = characters.ToString();
            return true;
        }
    }
}
