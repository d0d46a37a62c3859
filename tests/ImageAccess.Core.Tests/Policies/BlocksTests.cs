using System.Globalization;
using System.Text;
using ImageAccess.Core.Classification;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;

namespace ImageAccess.Core.Tests.Policies;

public sealed class BlocksTests
{
    private static readonly RepositoryName Nginx = Names.Repository("nginx");

    [Theory]
    [InlineData("PUT", "/v2/acme/app/manifests/1.0", "acme/app:1.0")]
    [InlineData("DELETE", "/v2/acme/app/manifests/1.0", "acme/app:1.0")]
    [InlineData("PUT", "/v2/acme/app/manifests/" + Names.Sha256 + "?tag=a&tag=1.0", "acme/app:1.0")]
    [InlineData("HEAD", "/v2/acme/app/manifests/" + Names.Sha256, Names.Sha256)]
    [InlineData("GET", "/v2/acme/app/manifests/" + Names.Sha256, "acme/app@" + Names.Sha256)]
    [InlineData("GET", "/v2/acme/app/blobs/" + Names.Sha256, Names.Sha256)]
    [InlineData("GET", "/v2/acme/app/referrers/" + Names.Sha256, Names.Sha256)]
    [InlineData("POST", "/v2/acme/app/blobs/uploads/?digest=" + Names.Sha256, Names.Sha256)]
    [InlineData("PUT", "/v2/acme/app/blobs/uploads/1?digest=" + Names.Sha256, "acme/app@" + Names.Sha256)]
    [InlineData("POST", "/v2/acme/app/blobs/uploads/", "acme/app")]
    [InlineData("PATCH", "/v2/acme/app/blobs/uploads/1", "acme/*")]
    [InlineData("GET", "/v2/acme/app/tags/list", "acme/app")]
    [InlineData("GET", "/v2/nginx/tags/list", "library/*")]
    // What names nothing in particular is not denied for a part of the repository.
    [InlineData("GET", "/v2/acme/app/tags/list", "acme/app:1.0", false)]
    [InlineData("POST", "/v2/acme/app/blobs/uploads/", "acme/app@" + Names.Sha256, false)]
    [InlineData("GET", "/v2/acme/app/manifests/" + Names.Sha256, "acme/other@" + Names.Sha256, false)]
    [InlineData("GET", "/v2/acme/app/manifests/sha256", "sha256", false)]
    public void A_request_is_judged_by_all_that_it_names(string method, string target, string pattern, bool isBlocked = true)
    {
        Assert.True(RegistryRequest.TryParse(method, target, out var request, out var error), error?.ToString());
        Assert.Equal(isBlocked ? pattern : null, Of(pattern).Find(Assert.IsAssignableFrom<RepositoryRequest>(request).Asked)?.Pattern.ToString());
    }

    [Fact]
    public void A_mount_is_judged_by_its_source_and_its_digest()
    {
        Assert.True(RegistryRequest.TryParse("POST", $"/v2/acme/app/blobs/uploads/?mount={Names.Sha256}&from=nginx", out var request, out _));
        var mount = Assert.IsType<UploadStartRequest>(request).Mount!;
        Assert.All(["nginx", "library/*", Names.Sha256, $"nginx@{Names.Sha256}"], pattern => Assert.NotNull(Of(pattern).Find(mount.Asked)));
        Assert.Null(Of($"acme/app@{Names.Sha256}").Find(mount.Asked));
    }

    [Theory]
    [InlineData("""{ "config": { "digest": "DIGEST" } }""", true)]
    [InlineData("""{ "layers": [ { "size": 1, "digest": "other" }, { "digest": "DIGEST" } ] }""", true)]
    [InlineData("""{ "manifests": [ { "digest": "DIGEST", "platform": {} } ] }""", true)]
    [InlineData("""{ "subject": { "digest": "DIGEST" } }""", true)]
    [InlineData("""{ "fsLayers": [ { "blobSum": "DIGEST" } ] }""", true)]
    [InlineData("""{ "layers": [ { "\u0064igest": "DIGEST" } ] }""", true)]
    // That it was built from blocked content is a remark, and may be what an image was mended from.
    [InlineData("""{ "annotations": { "org.opencontainers.image.base.digest": "DIGEST" } }""", false)]
    [InlineData("""{ "layers": [ { "digest": [ "DIGEST" ] } ] }""", false)]
    [InlineData("""{ "layers": [ { "digest": "\ud800" } ] }""", false)]
    [InlineData("no manifest DIGEST", false)]
    [InlineData("", false)]
    public void A_manifest_is_blocked_by_what_it_names(string manifest, bool isBlocked)
    {
        var bytes = Encoding.UTF8.GetBytes(manifest.Replace("DIGEST", Names.Sha256, StringComparison.Ordinal));
        foreach (var pattern in new[] { Names.Sha256, $"nginx@{Names.Sha256}" })
        {
            var permit = PermitWith(pattern);
            if (isBlocked)
                Assert.Equal(Names.Sha256, Assert.Throws<BlockedException>(() => permit.DemandNamed(bytes)).Digest.Value);
            else
                permit.DemandNamed(bytes);
        }

        PermitWith($"acme/app@{Names.Sha256}", "nginx:1", "evil/*").DemandNamed(bytes);
    }

    [Fact]
    public void A_permit_is_not_for_blocked_content()
    {
        Assert.True(Digest.TryParse(Names.Sha256, out var digest));
        Assert.Throws<BlockedException>(() => PermitWith(Names.Sha256).Demand(digest));
        Assert.Throws<BlockedException>(() => PermitWith($"library/nginx@{Names.Sha256}").Demand(digest));
        PermitWith($"acme/app@{Names.Sha256}", "nginx:1.27").Demand(digest);
        Assert.True(PermitWith(Names.Sha256).HasBlockedDigests);
        Assert.False(PermitWith("acme/app", "acme/sha256:x", "evil/*").HasBlockedDigests);
    }

    [Fact]
    public void There_are_at_most_so_many_and_one_of_each_pattern()
    {
        var most = Enumerable.Range(0, Blocks.Maximum).Select(i => string.Create(CultureInfo.InvariantCulture, $"acme/app{i}")).ToArray();
        Assert.Equal(10_000, Of(most).Count);
        Assert.Equal("acme/app9999", Of(most).Find(Names.Repository("acme/app9999"))!.Pattern.ToString());
        Assert.Throws<ArgumentException>(() => Of([.. most, "one/more"]));
        Assert.Throws<ArgumentException>(() => Of("nginx", "library/nginx"));
    }

    [Fact]
    public void Nothing_is_allocated_to_find_none()
    {
        Asked asked = Nginx;
        var full = Of([.. Enumerable.Range(0, 100).Select(i => string.Create(CultureInfo.InvariantCulture, $"acme/app{i}"))]);
        foreach (var blocks in new[] { Blocks.None, full })
        {
            Assert.Null(blocks.Find(asked));
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var i = 0; i < 1000; i++)
                _ = blocks.Find(asked);
            Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        }
    }

    [Fact]
    public void The_document_stays_and_the_version_too()
    {
        var blocks = Of("nginx");
        var policy = Policy.Off.With(blocks);
        Assert.Same(blocks, policy.Blocks);
        Assert.Same(Policy.Off.Document, policy.Document);
        Assert.Equal("none", policy.Version);
        Assert.Equal(0, Policy.Off.Blocks.Count);
        Assert.Same(policy, policy.With(blocks));
        Assert.Same(Policy.Off, Policy.Off.With(Blocks.None));
    }

    private static Blocks Of(params string[] patterns) => new([.. patterns.Select((text, index) => new Block(index + 1, Pattern(text), "a test", "alice", DateTimeOffset.UnixEpoch))]);

    private static ImagePattern Pattern(string text) => ImagePattern.TryParse(text, out var pattern, out var problem) ? pattern : throw new ArgumentException(problem, nameof(text));

    private static Permit PermitWith(params string[] patterns) =>
        PolicyEngine.Decide(Policy.Off.With(Of(patterns)), Caller.Anonymous, Nginx, PublisherFacts.NotAsked, default).Permit!;
}
