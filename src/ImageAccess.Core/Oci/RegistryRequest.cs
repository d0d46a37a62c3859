using System.Diagnostics.CodeAnalysis;

namespace ImageAccess.Core.Oci;

/// <summary>
/// A request of the registry API, parsed once from the raw target (OCI distribution specification v1.1, "Endpoints").
/// What is judged, and what upstream is asked, both come from here.
/// </summary>
public abstract class RegistryRequest
{
    /// <summary>
    /// The largest length of a target, in characters: far above what clients and registries send, among them the state of an upload and the
    /// scopes of a token.
    /// </summary>
    public const int MaximumTarget = 64 * 1024;

    private protected RegistryRequest(string method) => Method = method;

    /// <summary>The HTTP method, one that the endpoint knows.</summary>
    public string Method { get; }

    /// <summary>The client named Docker Hub in <c>ns</c>, by whichever of its names: it takes this proxy for a mirror.</summary>
    public bool NamesDockerHub { get; internal init; }

    /// <param name="method">The HTTP method as received.</param>
    /// <param name="rawTarget">The request target as received, undecoded.</param>
    /// <param name="request">The request, when the target is one.</param>
    /// <param name="error">What to answer otherwise.</param>
    public static bool TryParse(
        string method,
        string rawTarget,
        [NotNullWhen(true)] out RegistryRequest? request,
        [NotNullWhen(false)] out RegistryError? error) =>
        RegistryRequestParser.TryParse(method, rawTarget, out request, out error);
}

/// <summary><c>GET /v2/</c>, or without the last slash: does this registry speak the protocol, and who am I to it?</summary>
public sealed class PingRequest : RegistryRequest
{
    internal PingRequest(string method)
        : base(method)
    {
    }
}

/// <summary>A request that concerns one repository, and so needs a decision.</summary>
public abstract class RepositoryRequest : RegistryRequest
{
    private protected RepositoryRequest(string method, RepositoryName repository, string nameAsWritten)
        : base(method)
    {
        Repository = repository;
        NameAsWritten = nameAsWritten;
    }

    public RepositoryName Repository { get; }

    /// <summary>The repository's name as the client wrote it: <c>nginx</c> stays <c>nginx</c> in what is sent back.</summary>
    public string NameAsWritten { get; }

    /// <summary>What the caller's token must grant on the repository.</summary>
    public abstract RegistryAction Action { get; }

    /// <summary>What is judged.</summary>
    public Asked Asked => Named with { IsPull = Action == RegistryAction.Pull && Method is "GET" or "HEAD" };

    /// <summary>What of the repository is named.</summary>
    private protected virtual Asked Named => Repository;

    /// <summary>What a challenge asks the client to get a token for.</summary>
    public virtual IReadOnlyList<Scope> Scopes => [Scope.For(Repository, Action)];

    /// <summary>What the audit calls the thing asked for: a tag, a digest, an endpoint's name.</summary>
    public abstract string Subject { get; }

    /// <summary>Path and query to ask upstream for. Outside this assembly only a permit for this very repository gives it.</summary>
    internal string Target => $"/v2/{Repository.Value}/{Tail}";

    /// <summary>The request for a manifest of the same repository, by its digest.</summary>
    public ManifestRequest ManifestOf(Digest digest) => ManifestOf(Reference.Of(digest));

    /// <summary>The same by a tag.</summary>
    public ManifestRequest ManifestOf(Tag tag) => ManifestOf(Reference.Of(tag));

    /// <summary>The request for what is about a manifest of the same repository.</summary>
    public ReferrersRequest ReferrersOf(Digest digest) => new("GET", Repository, NameAsWritten, digest, "") { NamesDockerHub = NamesDockerHub };

    private ManifestRequest ManifestOf(Reference reference) => new("GET", Repository, NameAsWritten, reference, []) { NamesDockerHub = NamesDockerHub };

    private protected abstract string Tail { get; }
}

/// <summary><c>/v2/NAME/manifests/REFERENCE</c>; a push by digest may name tags: <c>?tag=a&amp;tag=b</c>.</summary>
public sealed class ManifestRequest : RepositoryRequest
{
    /// <summary>The largest manifest that is pulled or pushed, in bytes (OCI distribution specification v1.1, "Pushing Manifests").</summary>
    public const int MaximumSize = 4 * 1024 * 1024;

    internal ManifestRequest(string method, RepositoryName repository, string nameAsWritten, Reference reference, IReadOnlyList<Tag> tags)
        : base(method, repository, nameAsWritten) => (Reference, Tags) = (reference, tags);

    public Reference Reference { get; }

    /// <summary>The tags that a push asks for beside its reference, in its order. Whether it gets them, upstream says.</summary>
    public IReadOnlyList<Tag> Tags { get; }

    private protected override Asked Named => new(Repository, Reference.Tag, Reference.Digest) { FurtherTags = Tags };

    public override RegistryAction Action => Method switch
    {
        "PUT" => RegistryAction.Push,
        "DELETE" => RegistryAction.Delete,
        _ => RegistryAction.Pull,
    };

    public override string Subject => Reference.Value;

    private protected override string Tail =>
        $"manifests/{Reference.Value}" + RegistryRequestParser.Query([.. Tags.Select(tag => ("tag", (string?)tag.Value))]);
}

/// <summary><c>/v2/NAME/blobs/DIGEST</c></summary>
public sealed class BlobRequest : RepositoryRequest
{
    internal BlobRequest(string method, RepositoryName repository, string nameAsWritten, Digest digest)
        : base(method, repository, nameAsWritten) => Digest = digest;

    public Digest Digest { get; }

    private protected override Asked Named => new(Repository, Digest: Digest);

    public override RegistryAction Action => RegistryAction.Pull;

    public override string Subject => Digest.Value;

    private protected override string Tail => $"blobs/{Digest.Value}";
}

/// <summary>
/// A list that upstream may give in pages. By what a page is asked for is upstream's own matter, so the query goes there byte for byte.
/// </summary>
public abstract class ListRequest : RepositoryRequest
{
    private readonly string _query;

    private protected ListRequest(string method, RepositoryName repository, string nameAsWritten, string query)
        : base(method, repository, nameAsWritten) => _query = query;

    public override RegistryAction Action => RegistryAction.Pull;

    private protected abstract string Endpoint { get; }

    private protected override string Tail => _query.Length == 0 ? Endpoint : $"{Endpoint}?{_query}";

    /// <summary>The next page under the name that the client used: this list's own path, and the query of upstream's link byte for byte.</summary>
    /// <param name="link">The link's target, relative to upstream. Of its path only counts whether it is this list's, in full or its end.</param>
    /// <returns>Null when the link leads elsewhere, to the first page again, or to what a client could not ask for.</returns>
    public string? NextPage(string link)
    {
        var mark = link.IndexOf('?', StringComparison.Ordinal);
        if (mark < 0)
            return null;

        var path = Uri.UnescapeDataString(link[..mark]);
        var own = $"/v2/{Repository.Value}/{Endpoint}";
        var isOwn = path.Length == 0 || path == own || own.EndsWith($"/{path}", StringComparison.Ordinal);
        return isOwn && TryParse("GET", own + link[mark..], out _, out _) ? $"/v2/{NameAsWritten}/{Endpoint}{link[mark..]}" : null;
    }
}

/// <summary><c>/v2/NAME/tags/list</c></summary>
public sealed class TagsRequest : ListRequest
{
    internal TagsRequest(string method, RepositoryName repository, string nameAsWritten, string query)
        : base(method, repository, nameAsWritten, query)
    {
    }

    public override string Subject => "tags/list";

    private protected override string Endpoint => "tags/list";
}

/// <summary><c>/v2/NAME/referrers/DIGEST</c></summary>
public sealed class ReferrersRequest : ListRequest
{
    internal ReferrersRequest(string method, RepositoryName repository, string nameAsWritten, Digest digest, string query)
        : base(method, repository, nameAsWritten, query) => Digest = digest;

    public Digest Digest { get; }

    private protected override Asked Named => new(Repository, Digest: Digest);

    public override string Subject => Digest.Value;

    private protected override string Endpoint => $"referrers/{Digest.Value}";
}

/// <summary><c>POST /v2/NAME/blobs/uploads/</c>: an upload begins, or a blob is mounted from another repository.</summary>
public sealed class UploadStartRequest : RepositoryRequest
{
    private readonly bool _mounts;

    internal UploadStartRequest(RepositoryName repository, string nameAsWritten, Digest? digest, BlobMount? mount, bool mounts = false)
        : base("POST", repository, nameAsWritten)
    {
        Digest = digest;
        Mount = mount;
        _mounts = mounts;
    }

    /// <summary>The digest of a blob that comes whole with this request.</summary>
    public Digest? Digest { get; }

    /// <summary>The algorithm of the digest that the blob will have, where the client tells it before the bytes: <c>sha512</c>.</summary>
    public string? DigestAlgorithm { get; internal init; }

    /// <summary>
    /// The mount that the client asks for. Upstream is asked to mount only after a permit for the source has opened it
    /// (<see cref="WithMount"/>); without one the client sends the bytes.
    /// </summary>
    public BlobMount? Mount { get; }

    private protected override Asked Named => new(Repository, Digest: Digest);

    public override RegistryAction Action => RegistryAction.Push;

    /// <summary>A mount needs to read its source as well.</summary>
    public override IReadOnlyList<Scope> Scopes =>
        Mount is null || Mount.From.Equals(Repository) ? base.Scopes : [.. base.Scopes, Scope.For(Mount.From, RegistryAction.Pull)];

    public override string Subject => "blobs/uploads";

    private protected override string Tail => "blobs/uploads/" + RegistryRequestParser.Query(
        ("digest", Digest?.Value), ("digest-algorithm", DigestAlgorithm), ("mount", _mounts ? Mount?.Digest.Value : null), ("from", _mounts ? Mount?.From.Value : null));

    /// <summary>The same upload, with its mount in what upstream is asked.</summary>
    internal UploadStartRequest WithMount() =>
        new(Repository, NameAsWritten, Digest, Mount, mounts: true) { DigestAlgorithm = DigestAlgorithm, NamesDockerHub = NamesDockerHub };
}

/// <summary>A blob to be linked from a repository that upstream already holds it in.</summary>
public sealed record BlobMount(Digest Digest, RepositoryName From)
{
    /// <summary>What of the source is judged.</summary>
    public Asked Asked => new(From, Digest: Digest);
}

/// <summary><c>/v2/NAME/blobs/uploads/SESSION</c>: an upload under way.</summary>
public sealed class UploadSessionRequest : RepositoryRequest
{
    internal UploadSessionRequest(string method, RepositoryName repository, string nameAsWritten, string session, string state, Digest? digest)
        : base(method, repository, nameAsWritten)
    {
        Session = session;
        State = state;
        Digest = digest;
    }

    public string Session { get; }

    /// <summary>The query that upstream put into its <c>Location</c>, byte for byte.</summary>
    public string State { get; }

    /// <summary>The digest that ends the upload.</summary>
    public Digest? Digest { get; }

    private protected override Asked Named => new(Repository, Digest: Digest);

    public override RegistryAction Action => RegistryAction.Push;

    public override string Subject => Digest?.Value ?? "blobs/uploads";

    private protected override string Tail
    {
        get
        {
            var digest = Digest is null ? "" : $"digest={Uri.EscapeDataString(Digest.Value)}";
            var query = State.Length > 0 && digest.Length > 0 ? $"{State}&{digest}" : State + digest;
            return $"blobs/uploads/{Session}" + (query.Length > 0 ? $"?{query}" : "");
        }
    }
}
