using ImageAccess.Core.Oci;
using ImageAccess.Core.Tests.Policies;

namespace ImageAccess.Core.Tests.Oci;

public sealed class RegistryRequestTests
{
    private const string D = Names.Sha256;
    private const string E = "sha256%3A0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    [Theory]
    [InlineData("GET", "/v2/", false)]
    [InlineData("HEAD", "/v2/", false)]
    [InlineData("GET", "/v2/?ns=docker.io", true)]
    [InlineData("GET", "/v2/?x=1", false)]
    public void A_ping(string method, string target, bool namesDockerHub)
    {
        var ping = Assert.IsType<PingRequest>(Parsed(method, target));
        Assert.Equal((method, namesDockerHub), (ping.Method, ping.NamesDockerHub));
    }

    [Theory]
    [InlineData("GET", "/v2/library/nginx/manifests/latest", RegistryAction.Pull, "latest")]
    [InlineData("HEAD", "/v2/library/nginx/manifests/1.27_a-B", RegistryAction.Pull, "1.27_a-B")]
    [InlineData("GET", "/v2/acme/app/manifests/" + D, RegistryAction.Pull, D)]
    [InlineData("GET", "/v2/acme/app/manifests/" + Names.Sha512, RegistryAction.Pull, Names.Sha512)]
    [InlineData("PUT", "/v2/acme/app/manifests/latest", RegistryAction.Push, "latest")]
    [InlineData("PUT", "/v2/acme/app/manifests/" + D, RegistryAction.Push, D)]
    [InlineData("DELETE", "/v2/acme/app/manifests/latest", RegistryAction.Delete, "latest")]
    [InlineData("DELETE", "/v2/acme/app/manifests/" + D, RegistryAction.Delete, D)]
    public void A_manifest(string method, string target, RegistryAction action, string reference)
    {
        var manifest = Assert.IsType<ManifestRequest>(Parsed(method, target));
        Assert.Equal((method, action, reference), (manifest.Method, manifest.Action, manifest.Subject));
        Assert.Equal((reference, reference.StartsWith("sha", StringComparison.Ordinal)), (manifest.Reference.Value, !manifest.Reference.IsTag));
        Assert.Equal(target, Upstream(manifest));
    }

    [Theory]
    [InlineData("GET", "/v2/library/nginx/blobs/" + D, D)]
    [InlineData("HEAD", "/v2/acme/a/b/c/blobs/" + Names.Sha512, Names.Sha512)]
    public void A_blob(string method, string target, string digest)
    {
        var blob = Assert.IsType<BlobRequest>(Parsed(method, target));
        Assert.Equal((method, RegistryAction.Pull, digest, digest), (blob.Method, blob.Action, blob.Digest.Value, blob.Subject));
        Assert.Equal(target, Upstream(blob));
    }

    [Theory]
    [InlineData("", null, null, "")]
    [InlineData("?", null, null, "")]
    [InlineData("?n=10", 10, null, "?n=10")]
    [InlineData("?n=0", 0, null, "?n=0")]
    [InlineData("?n=007", 7, null, "?n=7")]
    [InlineData("?n=999999999", 999999999, null, "?n=999999999")]
    [InlineData("?last=1.27_x-y", null, "1.27_x-y", "?last=1.27_x-y")]
    [InlineData("?last=v1&n=3", 3, "v1", "?n=3&last=v1")]
    [InlineData("?%6E=%31%30&l%61st=%76%31", 10, "v1", "?n=10&last=v1")]
    [InlineData("?ns=docker.io&n=3&x=y", 3, null, "?n=3")]
    public void A_list_of_tags(string query, int? count, string? last, string upstream)
    {
        var tags = Assert.IsType<TagsRequest>(Parsed("GET", "/v2/acme/app/tags/list" + query));
        Assert.Equal((RegistryAction.Pull, "tags/list"), (tags.Action, tags.Subject));
        Assert.Equal((count, last), (tags.Count, tags.Last?.Value));
        Assert.Equal("/v2/acme/app/tags/list" + upstream, Upstream(tags));
    }

    [Theory]
    [InlineData("", null, "")]
    [InlineData("?artifactType=application%2Fvnd.example%2Bjson", "application/vnd.example+json", "?artifactType=application%2Fvnd.example%2Bjson")]
    [InlineData("?artifactType=application/vnd.example+json", "application/vnd.example+json", "?artifactType=application%2Fvnd.example%2Bjson")]
    [InlineData("?n=1&artifactType=a/b", "a/b", "?artifactType=a%2Fb")]
    public void A_list_of_referrers(string query, string? artifactType, string upstream)
    {
        var referrers = Assert.IsType<ReferrersRequest>(Parsed("GET", $"/v2/acme/app/referrers/{D}{query}"));
        Assert.Equal((RegistryAction.Pull, D, D), (referrers.Action, referrers.Digest.Value, referrers.Subject));
        Assert.Equal(artifactType, referrers.ArtifactType);
        Assert.Equal($"/v2/acme/app/referrers/{D}{upstream}", Upstream(referrers));
    }

    [Theory]
    [InlineData("", null, null, null, "")]
    [InlineData("?digest=" + D, D, null, null, "?digest=" + E)]
    [InlineData("?digest=" + E, D, null, null, "?digest=" + E)]
    [InlineData("?mount=" + D + "&from=library/nginx", null, D, "library/nginx", "?mount=" + E + "&from=library%2Fnginx")]
    [InlineData("?from=library%2Fnginx&mount=" + E, null, D, "library/nginx", "?mount=" + E + "&from=library%2Fnginx")]
    [InlineData("?from=nginx&mount=" + E, null, D, "library/nginx", "?mount=" + E + "&from=library%2Fnginx")]
    [InlineData("?ns=docker.io&from=acme%2fbase&mount=" + E + "&origin=x", null, D, "acme/base", "?mount=" + E + "&from=acme%2Fbase")]
    [InlineData("?mount=" + E, null, null, null, "")] // without its source: any repository could be meant
    [InlineData("?from=library%2Fnginx", null, null, null, "")]
    public void An_upload_begins(string query, string? digest, string? mount, string? from, string upstream)
    {
        var upload = Assert.IsType<UploadStartRequest>(Parsed("POST", "/v2/acme/app/blobs/uploads/" + query));
        Assert.Equal(("POST", RegistryAction.Push, "blobs/uploads"), (upload.Method, upload.Action, upload.Subject));
        Assert.Equal((digest, mount, from), (upload.Digest?.Value, upload.Mount?.Digest.Value, upload.Mount?.From.Value));
        Assert.Equal("/v2/acme/app/blobs/uploads/" + upstream, Upstream(upload.Mount is { } asked ? Permits.For(asked.From).Mount(upload) : upload));
    }

    [Fact]
    public void A_mount_needs_a_permit_for_its_source()
    {
        var upload = Assert.IsType<UploadStartRequest>(
            Parsed("POST", $"/v2/app/blobs/uploads/?ns=docker.io&digest={D}&mount={E}&from=acme/base"));
        Assert.Equal($"/v2/library/app/blobs/uploads/?digest={E}", Upstream(upload));
        Assert.Throws<InvalidOperationException>(() => Permits.For("library/app").Mount(upload));

        var mounting = Permits.For("acme/base").Mount(upload);
        Assert.Equal(("library/app", "app", true), (mounting.Repository.Value, mounting.NameAsWritten, mounting.NamesDockerHub));
        Assert.Equal($"/v2/library/app/blobs/uploads/?digest={E}&mount={E}&from=acme%2Fbase", Upstream(mounting));
    }

    /// <summary>The state that upstream put into its <c>Location</c> is its own: not a byte of it may change.</summary>
    [Theory]
    [InlineData("PATCH", "", "", null)]
    [InlineData("GET", "_state=abc", "_state=abc", null)]
    [InlineData("DELETE", "_state=abc", "_state=abc", null)]
    [InlineData("PATCH", "_state=a-Z_0.9~%3D%3d==", "_state=a-Z_0.9~%3D%3d==", null)]
    [InlineData("PATCH", "_state=%e2%9c%93%00%zz+;,", "_state=%e2%9c%93%00%zz+;,", null)]
    [InlineData("PATCH", "b=2&a=1&b=3&&c&=", "b=2&a=1&b=3&&c&=", null)]
    [InlineData("PATCH", "_state=x&n=1&last=y&from=z&mount=w&from=z", "_state=x&n=1&last=y&from=z&mount=w&from=z", null)]
    [InlineData("PATCH", "ns=docker.io&_state=abc%3D", "_state=abc%3D", null)]
    [InlineData("PUT", "_state=abc%3D&digest=" + E, "_state=abc%3D&digest=" + E, D)]
    [InlineData("PUT", "_state=abc%3D&digest=" + D, "_state=abc%3D&digest=" + E, D)]
    [InlineData("PUT", "digest=" + E + "&_state=abc%3D", "_state=abc%3D&digest=" + E, D)]
    [InlineData("PUT", "digest=" + E, "digest=" + E, D)]
    [InlineData("PUT", "a=1&digest=" + E + "&ns=docker.io&b=2", "a=1&b=2&digest=" + E, D)]
    public void An_upload_goes_on(string method, string query, string upstream, string? digest)
    {
        const string Session = "/v2/acme/app/blobs/uploads/AZaz09-_.=";
        var upload = Assert.IsType<UploadSessionRequest>(Parsed(method, query.Length == 0 ? Session : $"{Session}?{query}"));
        Assert.Equal((method, RegistryAction.Push, "AZaz09-_.="), (upload.Method, upload.Action, upload.Session));
        Assert.Equal((digest, digest ?? "blobs/uploads"), (upload.Digest?.Value, upload.Subject));
        Assert.Equal(upstream.Length == 0 ? Session : $"{Session}?{upstream}", Upstream(upload));
    }

    [Fact]
    public void A_session_has_at_most_512_characters() =>
        Parsed("PATCH", $"/v2/acme/app/blobs/uploads/{new string('x', 512)}");

    /// <summary>A path is read from its end, so a name may contain the endpoints' words.</summary>
    [Theory]
    [InlineData("GET", "/v2/acme/manifests/manifests/latest", typeof(ManifestRequest), "acme/manifests")]
    [InlineData("GET", "/v2/manifests/manifests/manifests/manifests", typeof(ManifestRequest), "manifests/manifests")]
    [InlineData("GET", "/v2/acme/tags/list/manifests/latest", typeof(ManifestRequest), "acme/tags/list")]
    [InlineData("GET", "/v2/acme/blobs/uploads/manifests/latest", typeof(ManifestRequest), "acme/blobs/uploads")]
    [InlineData("GET", "/v2/acme/manifests/tags/list", typeof(TagsRequest), "acme/manifests")]
    [InlineData("GET", "/v2/tags/list/tags/list", typeof(TagsRequest), "tags/list")]
    [InlineData("GET", "/v2/acme/blobs/blobs/" + D, typeof(BlobRequest), "acme/blobs")]
    [InlineData("GET", "/v2/acme/blobs/uploads/blobs/" + D, typeof(BlobRequest), "acme/blobs/uploads")]
    [InlineData("GET", "/v2/acme/manifests/blobs/" + D, typeof(BlobRequest), "acme/manifests")]
    [InlineData("GET", "/v2/acme/referrers/referrers/" + D, typeof(ReferrersRequest), "acme/referrers")]
    [InlineData("POST", "/v2/blobs/uploads/blobs/uploads/", typeof(UploadStartRequest), "blobs/uploads")]
    [InlineData("POST", "/v2/acme/manifests/blobs/uploads/", typeof(UploadStartRequest), "acme/manifests")]
    [InlineData("PATCH", "/v2/acme/blobs/uploads/blobs/uploads/uploads", typeof(UploadSessionRequest), "acme/blobs/uploads")]
    [InlineData("PATCH", "/v2/acme/app/blobs/uploads/list", typeof(UploadSessionRequest), "acme/app")]
    [InlineData("GET", "/v2/acme/v2/manifests/latest", typeof(ManifestRequest), "acme/v2")]
    public void A_name_may_contain_the_words_of_the_endpoints(string method, string target, Type kind, string repository)
    {
        var request = Assert.IsAssignableFrom<RepositoryRequest>(Parsed(method, target));
        Assert.Equal((kind, repository), (request.GetType(), request.Repository.Value));
        Assert.Equal(target, Upstream(request));
    }

    [Theory]
    [InlineData("GET", "/v2/nginx/manifests/latest", "/v2/library/nginx/manifests/latest")]
    [InlineData("GET", "/v2/nginx/blobs/" + D, "/v2/library/nginx/blobs/" + D)]
    [InlineData("GET", "/v2/nginx/tags/list", "/v2/library/nginx/tags/list")]
    [InlineData("GET", "/v2/nginx/referrers/" + D, "/v2/library/nginx/referrers/" + D)]
    [InlineData("POST", "/v2/nginx/blobs/uploads/", "/v2/library/nginx/blobs/uploads/")]
    [InlineData("PATCH", "/v2/nginx/blobs/uploads/x?_state=y", "/v2/library/nginx/blobs/uploads/x?_state=y")]
    public void A_short_name_is_asked_for_in_full_and_answered_as_written(string method, string target, string upstream)
    {
        var request = Assert.IsAssignableFrom<RepositoryRequest>(Parsed(method, target));
        Assert.Equal(("nginx", "library/nginx"), (request.NameAsWritten, request.Repository.Value));
        Assert.Equal(upstream, Upstream(request));
    }

    [Theory]
    [InlineData("/v2/library/nginx/manifests/latest?ns=docker.io", true)]
    [InlineData("/v2/library/nginx/manifests/latest?%6e%73=docker%2eio", true)]
    [InlineData("/v2/library/nginx/manifests/latest?NS=quay.io", false)]
    [InlineData("/v2/library/nginx/manifests/latest?n=x&n=y&digest=z&unknown=%zz", false)]
    [InlineData("/v2/library/nginx/manifests/latest?a=b?c=d", false)]
    [InlineData("/v2/library/nginx/manifests/latest?../../x", false)]
    public void What_the_operation_does_not_know_is_not_sent_on(string target, bool namesDockerHub)
    {
        var request = Assert.IsType<ManifestRequest>(Parsed("GET", target));
        Assert.Equal(namesDockerHub, request.NamesDockerHub);
        Assert.Equal("/v2/library/nginx/manifests/latest", Upstream(request));
    }

    [Fact]
    public void A_permit_opens_its_own_repository_alone()
    {
        var request = Assert.IsType<ManifestRequest>(Parsed("GET", "/v2/acme/app/manifests/latest"));
        Assert.Throws<InvalidOperationException>(() => Permits.For("acme/other").UpstreamTarget(request));
        Assert.Throws<InvalidOperationException>(() => Permits.For("acme/app/more").UpstreamTarget(request));
    }

    private static string Upstream(RepositoryRequest request) => Permits.For(request.Repository).UpstreamTarget(request);

    private static RegistryRequest Parsed(string method, string target)
    {
        Assert.True(RegistryRequest.TryParse(method, target, out var request, out var error), error?.Message);
        Assert.Null(error);
        return request;
    }
}
