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
    [InlineData("GET", "/v2", false)]
    [InlineData("HEAD", "/v2", false)]
    [InlineData("GET", "/v2?", false)]
    [InlineData("HEAD", "/v2?ns=docker.io", true)]
    [InlineData("GET", "/v2?x=1&n%73=docker.io", true)]
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

    /// <summary>Upstream decides what becomes of the tags: the specification has them beside a digest alone, and some registries beside a tag too.</summary>
    [Theory]
    [InlineData("PUT", D, "?tag=v1", "?tag=v1")]
    [InlineData("PUT", D, "?tag=v3&tag=v3.1&tag=v3.1.2&tag=latest", "?tag=v3&tag=v3.1&tag=v3.1.2&tag=latest")]
    [InlineData("PUT", D, "?tag=b&tag=a&tag=b", "?tag=b&tag=a&tag=b")]
    [InlineData("PUT", Names.Sha512, "?t%61g=%761&x=y&tag=V_2.x-y&ns=docker.io", "?tag=v1&tag=V_2.x-y")]
    [InlineData("PUT", "latest", "?tag=stable", "?tag=stable")]
    [InlineData("PUT", D, "?Tag=v1&tags=v2", "")]
    [InlineData("GET", D, "?tag=v1", "")]
    [InlineData("HEAD", "latest", "?tag=..", "")]
    [InlineData("DELETE", D, "?tag=v1&tag=v2", "")]
    public void A_push_names_tags(string method, string reference, string query, string upstream)
    {
        var manifest = Assert.IsType<ManifestRequest>(Parsed(method, $"/v2/acme/app/manifests/{reference}{query}"));
        Assert.Equal($"/v2/acme/app/manifests/{reference}{upstream}", Upstream(manifest));
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

    /// <summary>By what a page is asked for is upstream's own: not a byte of it may change.</summary>
    [Theory]
    [InlineData("", "")]
    [InlineData("?", "")]
    [InlineData("?n=10", "?n=10")]
    [InlineData("?n=007&last=v1", "?n=007&last=v1")]
    [InlineData("?last=v1&n=3", "?last=v1&n=3")]
    [InlineData("?last=", "?last=")]
    [InlineData("?last", "?last")]
    [InlineData("?nextToken=2", "?nextToken=2")]
    [InlineData("?next_page=gAAAAABm%2Fx==&n=100", "?next_page=gAAAAABm%2Fx==&n=100")]
    [InlineData("?n=-1&n=ten&last=a%2fB%2Fc+d&last=%C3%A9", "?n=-1&n=ten&last=a%2fB%2Fc+d&last=%C3%A9")]
    [InlineData("?%6E=%31%30&x=%zz&%zz=1&&=", "?%6E=%31%30&x=%zz&%zz=1&&=")]
    [InlineData("?digest=x&mount=y&from=z&tag=..", "?digest=x&mount=y&from=z&tag=..")]
    [InlineData("?ns=docker.io", "")]
    [InlineData("?ns=docker.io&n=3&x=y", "?n=3&x=y")]
    [InlineData("?n=3&n%73=docker.io&x=y", "?n=3&x=y")]
    [InlineData("?n=3&last=%00&ns=docker.io", "?n=3&last=%00")]
    public void A_list_is_asked_for_byte_for_byte(string query, string upstream)
    {
        var tags = Assert.IsType<TagsRequest>(Parsed("GET", "/v2/acme/app/tags/list" + query));
        Assert.Equal((RegistryAction.Pull, "tags/list"), (tags.Action, tags.Subject));
        Assert.Equal("/v2/acme/app/tags/list" + upstream, Upstream(tags));

        var referrers = Assert.IsType<ReferrersRequest>(Parsed("GET", $"/v2/acme/app/referrers/{D}{query}"));
        Assert.Equal((RegistryAction.Pull, D, D), (referrers.Action, referrers.Digest.Value, referrers.Subject));
        Assert.Equal($"/v2/acme/app/referrers/{D}{upstream}", Upstream(referrers));
    }

    [Theory]
    [InlineData("?artifactType=application%2Fvnd.example%2Bjson")]
    [InlineData("?artifactType=application/vnd.example+json")]
    [InlineData("?artifactType=a/b&artifactType=c/d&n=1")]
    [InlineData("?artifactType=none")]
    public void Referrers_are_filtered_by_what_the_client_writes(string query) =>
        Assert.Equal($"/v2/acme/app/referrers/{D}{query}", Upstream(Assert.IsType<ReferrersRequest>(Parsed("GET", $"/v2/acme/app/referrers/{D}{query}"))));

    [Theory]
    [InlineData("/v2/library/nginx/tags/list?nextToken=2", "?nextToken=2")]
    [InlineData("?nextToken=2&n=%7e%2F", "?nextToken=2&n=%7e%2F")]
    [InlineData("list?last=a", "?last=a")]
    [InlineData("tags/list?last=a+b==", "?last=a+b==")]
    [InlineData("/v2/library%2Fnginx/tags/list?last=x", "?last=x")]
    [InlineData("/v2/library/nginx/tags/list?", "?")]
    [InlineData("/v2/library/nginx/tags/list", null)]
    [InlineData("", null)]
    [InlineData("/v2/nginx/tags/list?last=x", null)]
    [InlineData("/v2/library/nginx2/tags/list?last=x", null)]
    [InlineData("/v2/acme/library/nginx/tags/list?last=x", null)]
    [InlineData("/v2/library/nginx/manifests/latest?last=x", null)]
    [InlineData("/v2/library/nginx/tags/../tags/list?last=x", null)]
    [InlineData("../tags/list?last=x", null)]
    [InlineData("./list?last=x", null)]
    [InlineData("ist?last=x", null)]
    [InlineData("/list?last=x", null)]
    [InlineData("//tags/list?last=x", null)]
    [InlineData("https://registry.example.com/v2/library/nginx/tags/list?last=x", null)]
    [InlineData("/v2/library/nginx/tags/list?last=x#y", null)]
    [InlineData("/v2/library/nginx/tags/list?last=x y", null)]
    [InlineData("/v2/library/nginx/tags/list?last=x\r\nX-Evil: 1", null)]
    [InlineData("/v2/library/nginx/tags/list?last=\u00e9", null)]
    [InlineData("/v2/library/nginx/tags/list?ns=quay.io", null)]
    public void The_next_page_is_this_lists_path_with_upstreams_query(string link, string? query)
    {
        var tags = Assert.IsType<TagsRequest>(Parsed("GET", "/v2/nginx/tags/list?n=1"));
        Assert.Equal(query is null ? null : "/v2/nginx/tags/list" + query, tags.NextPage(link));
    }

    [Theory]
    [InlineData("/v2/acme/app/referrers/" + D + "?page=2", "?page=2")]
    [InlineData("/v2/acme/app/referrers/" + E + "?page=2", "?page=2")]
    [InlineData(D + "?page=2", "?page=2")]
    [InlineData("?page=%3D", "?page=%3D")]
    [InlineData("/v2/acme/app/referrers/" + Names.Sha512 + "?page=2", null)]
    [InlineData("/v2/acme/app/tags/list?page=2", null)]
    public void The_next_page_of_referrers_is_of_the_same_digest(string link, string? query)
    {
        var referrers = Assert.IsType<ReferrersRequest>(Parsed("GET", $"/v2/acme/app/referrers/{D}?artifactType=a/b"));
        Assert.Equal(query is null ? null : $"/v2/acme/app/referrers/{D}{query}", referrers.NextPage(link));
    }

    [Theory]
    [InlineData("", null, null, null, "")]
    [InlineData("?digest=" + D, D, null, null, "?digest=" + E)]
    [InlineData("?digest=" + E, D, null, null, "?digest=" + E)]
    [InlineData("?mount=" + D + "&from=library/nginx", null, D, "library/nginx", "?mount=" + E + "&from=library%2Fnginx")]
    [InlineData("?from=library%2Fnginx&mount=" + E, null, D, "library/nginx", "?mount=" + E + "&from=library%2Fnginx")]
    [InlineData("?from=nginx&mount=" + E, null, D, "library/nginx", "?mount=" + E + "&from=library%2Fnginx")]
    [InlineData("?ns=docker.io&from=acme%2fbase&mount=" + E + "&origin=x", null, D, "acme/base", "?mount=" + E + "&from=acme%2Fbase")]
    [InlineData("?digest-algorithm=sha512", null, null, null, "?digest-algorithm=sha512")]
    [InlineData("?digest-algorithm=multihash%2Bbase58", null, null, null, "?digest-algorithm=multihash%2Bbase58")]
    [InlineData("?mount=" + E + "&from=nginx&digest-algorithm=blake3", null, D, "library/nginx", "?digest-algorithm=blake3&mount=" + E + "&from=library%2Fnginx")]
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

    [Theory]
    [InlineData("GET", "/v2/nginx/manifests/latest", "repository:library/nginx:pull")]
    [InlineData("PUT", "/v2/acme/app/manifests/latest", "repository:acme/app:pull,push")]
    [InlineData("DELETE", "/v2/acme/app/manifests/latest", "repository:acme/app:delete")]
    [InlineData("POST", "/v2/acme/app/blobs/uploads/", "repository:acme/app:pull,push")]
    [InlineData("POST", "/v2/acme/app/blobs/uploads/?mount=" + E + "&from=nginx", "repository:acme/app:pull,push repository:library/nginx:pull")]
    [InlineData("POST", "/v2/acme/app/blobs/uploads/?mount=" + E + "&from=acme/app", "repository:acme/app:pull,push")]
    [InlineData("POST", "/v2/acme/app/blobs/uploads/?from=nginx", "repository:acme/app:pull,push")]
    public void A_request_needs_scopes(string method, string target, string scopes) =>
        Assert.Equal(scopes, string.Join(' ', Assert.IsAssignableFrom<RepositoryRequest>(Parsed(method, target)).Scopes));

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
    [InlineData("PATCH", "%zz=1&%=2&%C3%A9=3&_state=x", "%zz=1&%=2&%C3%A9=3&_state=x", null)]
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

    [Fact]
    public void Upstreams_own_part_of_a_query_may_be_long()
    {
        var much = new string('x', 60 * 1024);
        foreach (var target in new[] { $"/v2/acme/app/tags/list?nextToken={much}", $"/v2/acme/app/referrers/{D}?page={much}", $"/v2/acme/app/blobs/uploads/a?_state={much}" })
            Assert.Equal(target, Upstream(Assert.IsAssignableFrom<RepositoryRequest>(Parsed("GET", target))));
    }

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
    [InlineData("/v2/library/nginx/manifests/latest?ns=registry-1.docker.io", true)]
    [InlineData("/v2/library/nginx/manifests/latest?ns=index.docker.io", true)]
    [InlineData("/v2/library/nginx/manifests/latest?ns=registry.hub.docker.com", true)]
    [InlineData("/v2/library/nginx/manifests/latest?ns=DOCKER.IO", true)]
    [InlineData("/v2/library/nginx/manifests/latest?ns=Index.Docker.io", true)]
    [InlineData("/v2/library/nginx/manifests/latest?ns=docker.io.", true)]
    [InlineData("/v2/library/nginx/manifests/latest?ns=docker.io:443", true)]
    [InlineData("/v2/library/nginx/manifests/latest?ns=registry-1.docker.io%3A443", true)]
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
