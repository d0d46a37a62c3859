using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace ImageAccess.Core.Oci;

/// <summary>
/// A request of the registry API, parsed once from the raw target (OCI distribution specification v1.1, "Endpoints").
/// What is judged, and what upstream is asked, both come from here.
/// </summary>
public abstract class RegistryRequest
{
    private protected RegistryRequest(string method) => Method = method;

    /// <summary>The HTTP method, one that the endpoint knows.</summary>
    public string Method { get; }

    /// <summary>The client named Docker Hub in <c>ns</c>: it takes this proxy for a mirror.</summary>
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

/// <summary><c>GET /v2/</c>: does this registry speak the protocol, and who am I to it?</summary>
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

    /// <summary>What the audit calls the thing asked for: a tag, a digest, an endpoint's name.</summary>
    public abstract string Subject { get; }

    /// <summary>Path and query to ask upstream for. Outside this assembly only a permit for this very repository gives it.</summary>
    internal string Target => $"/v2/{Repository.Value}/{Tail}";

    private protected abstract string Tail { get; }
}

/// <summary><c>/v2/NAME/manifests/REFERENCE</c></summary>
public sealed class ManifestRequest : RepositoryRequest
{
    internal ManifestRequest(string method, RepositoryName repository, string nameAsWritten, Reference reference)
        : base(method, repository, nameAsWritten) => Reference = reference;

    public Reference Reference { get; }

    public override RegistryAction Action => Method switch
    {
        "PUT" => RegistryAction.Push,
        "DELETE" => RegistryAction.Delete,
        _ => RegistryAction.Pull,
    };

    public override string Subject => Reference.Value;

    private protected override string Tail => $"manifests/{Reference.Value}";
}

/// <summary><c>/v2/NAME/blobs/DIGEST</c></summary>
public sealed class BlobRequest : RepositoryRequest
{
    internal BlobRequest(string method, RepositoryName repository, string nameAsWritten, Digest digest)
        : base(method, repository, nameAsWritten) => Digest = digest;

    public Digest Digest { get; }

    public override RegistryAction Action => RegistryAction.Pull;

    public override string Subject => Digest.Value;

    private protected override string Tail => $"blobs/{Digest.Value}";
}

/// <summary><c>/v2/NAME/tags/list?n=&amp;last=</c></summary>
public sealed class TagsRequest : RepositoryRequest
{
    internal TagsRequest(string method, RepositoryName repository, string nameAsWritten, int? count, Tag? last)
        : base(method, repository, nameAsWritten)
    {
        Count = count;
        Last = last;
    }

    /// <summary>How many tags a page holds at most, when the client says so.</summary>
    public int? Count { get; }

    /// <summary>The tag after which the page begins.</summary>
    public Tag? Last { get; }

    public override RegistryAction Action => RegistryAction.Pull;

    public override string Subject => "tags/list";

    private protected override string Tail => "tags/list" + RegistryRequestParser.Query(
        ("n", Count?.ToString(CultureInfo.InvariantCulture)), ("last", Last?.Value));
}

/// <summary><c>/v2/NAME/referrers/DIGEST?artifactType=</c></summary>
public sealed class ReferrersRequest : RepositoryRequest
{
    internal ReferrersRequest(string method, RepositoryName repository, string nameAsWritten, Digest digest, string? artifactType)
        : base(method, repository, nameAsWritten)
    {
        Digest = digest;
        ArtifactType = artifactType;
    }

    public Digest Digest { get; }

    public string? ArtifactType { get; }

    public override RegistryAction Action => RegistryAction.Pull;

    public override string Subject => Digest.Value;

    private protected override string Tail =>
        $"referrers/{Digest.Value}" + RegistryRequestParser.Query(("artifactType", ArtifactType));
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

    /// <summary>
    /// The mount that the client asks for. Upstream is asked to mount only after a permit for the source has opened it
    /// (<see cref="WithMount"/>); without one the client sends the bytes.
    /// </summary>
    public BlobMount? Mount { get; }

    public override RegistryAction Action => RegistryAction.Push;

    public override string Subject => "blobs/uploads";

    private protected override string Tail => "blobs/uploads/" + RegistryRequestParser.Query(
        ("digest", Digest?.Value), ("mount", _mounts ? Mount?.Digest.Value : null), ("from", _mounts ? Mount?.From.Value : null));

    /// <summary>The same upload, with its mount in what upstream is asked.</summary>
    internal UploadStartRequest WithMount() => new(Repository, NameAsWritten, Digest, Mount, mounts: true) { NamesDockerHub = NamesDockerHub };
}

/// <summary>A blob to be linked from a repository that upstream already holds it in.</summary>
public sealed record BlobMount(Digest Digest, RepositoryName From);

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
