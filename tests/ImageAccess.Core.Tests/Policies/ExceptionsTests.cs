using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;

namespace ImageAccess.Core.Tests.Policies;

public sealed class ExceptionsTests
{
    private static readonly Digest First = Read(Names.Sha256);
    private static readonly Digest Second = Read(Names.Sha512);

    [Theory]
    [InlineData(null, "is empty")]
    [InlineData("ghcr.io/acme/app", "is an image of ghcr.io, and not of Docker Hub")]
    [InlineData("nginx:1@" + Names.Sha256, "has a tag and a digest: name the one or the other")]
    [InlineData(Names.Sha256, "names no repository: write REPOSITORY@DIGEST")]
    [InlineData("sha256:0123", "has a digest that is none: sha256: and 64 hexadecimal digits in lower case")]
    public void What_an_exception_cannot_name_is_refused_with_a_text(string? text, string problem)
    {
        Assert.False(GrantedException.TryParsePattern(text, out var pattern, out var said));
        Assert.Null(pattern);
        Assert.Equal(problem, said);
    }

    [Fact]
    public void They_are_counted_and_have_a_version()
    {
        var exceptions = new Exceptions([Permits.Exception(2, "nginx"), Permits.Exception(1, "someuser/*")], 7);
        Assert.Equal((2, 7L), (exceptions.Count, exceptions.Version));
        Assert.Equal([1L, 2L], exceptions.All.Select(exception => exception.Id));
        Assert.Equal((0, 0L), (Exceptions.None.Count, Exceptions.None.Version));
    }

    [Fact]
    public void A_snapshot_that_does_not_say_what_it_opens_is_none()
    {
        foreach (var unsound in new[]
        {
            Permits.Exception(1, "nginx:1"), Permits.Exception(1, "nginx", First), Permits.Exception(1, "nginx", follow: true), Permits.Exception(1, "library/*", follow: true),
            Permits.Exception(1, $"nginx@{First}", Second), Permits.Exception(1, $"nginx@{First}", follow: true),
            Permits.Exception(1, "nginx") with { Pattern = ImagePattern.TryParse(Names.Sha256, out var bare, out _) ? bare : throw new InvalidOperationException() },
        })
            Assert.Throws<ArgumentException>(() => new Exceptions([unsound], 1));
        Assert.Throws<ArgumentException>(() => new Exceptions([Permits.Exception(1, "nginx"), Permits.Exception(1, "httpd")], 1));
        Assert.Throws<ArgumentException>(() => new Exceptions([.. Enumerable.Range(0, Exceptions.Maximum + 1).Select(id => Permits.Exception(id, "nginx"))], 1));
        Assert.Equal(Exceptions.Maximum, new Exceptions([.. Enumerable.Range(0, Exceptions.Maximum).Select(id => Permits.Exception(id, "nginx"))], 1).Count);
    }

    [Fact]
    public void They_stand_beside_the_document_and_the_blocks()
    {
        var exceptions = new Exceptions([Permits.Exception(1, "nginx")], 1);
        var policy = Policy.Off.With(exceptions).With(Blocks.None);
        Assert.Same(exceptions, policy.Exceptions);
        Assert.Same(Policy.Off.Document, policy.Document);
        Assert.Same(policy, policy.With(exceptions));
        Assert.Equal(0, Policy.Off.Exceptions.Count);
    }

    [Theory]
    [InlineData(null, null, null)]
    [InlineData(null, 5, null)]
    [InlineData(10, null, 10)]
    [InlineData(10, 5, 5)]
    [InlineData(10, 20, 10)]
    [InlineData(3650, null, 3650)]
    public void It_ends_when_it_says_and_with_the_documents_longest_time(int? maximum, int? until, int? ends)
    {
        var exception = Permits.Exception(1, "nginx") with { Until = until is { } days ? DateTimeOffset.UnixEpoch.AddDays(days) : null };
        Assert.Equal(
            ends ?? until, exception.EndUnder(new ExceptionsDocument { MaximumDays = maximum }) is { } end ? (int)(end - DateTimeOffset.UnixEpoch).TotalDays : null);
    }

    [Fact]
    public void The_last_instant_of_all_is_no_mistake() =>
        Assert.True((Permits.Exception(1, "nginx") with { Since = DateTimeOffset.MaxValue }).Holds(new ExceptionsDocument { MaximumDays = 3650 }, DateTimeOffset.UnixEpoch));

    [Fact]
    public void A_limited_permit_is_for_what_was_shown_to_be_within_it()
    {
        var permit = Permits.Limited(Pull("GET", $"/v2/nginx/manifests/{First}").Asked, Permits.Exception(1, $"nginx@{First}")).Permit!;
        Assert.True(permit.IsLimited);
        var limit = Assert.Single(permit.Limits);
        Assert.Equal("acme", limit.Organization);
        Assert.True(limit.IsRoot(First));
        Assert.False(limit.IsRoot(Second));

        Assert.Same(limit, Assert.Throws<OutsideException>(() => permit.Demand(First)).Limit);
        permit.Show(First);
        permit.Demand(First);
        Assert.Throws<OutsideException>(() => permit.Demand(Second));
    }

    [Theory]
    [InlineData("GET", "manifests/1", true)]
    [InlineData("HEAD", "manifests/1", true)]
    [InlineData("GET", "blobs/" + Names.Sha256, true)]
    [InlineData("GET", "referrers/" + Names.Sha256, true)]
    [InlineData("GET", "tags/list", false)]
    [InlineData("PUT", "manifests/1", false)]
    [InlineData("DELETE", "manifests/1", false)]
    [InlineData("POST", "blobs/uploads/", false)]
    [InlineData("GET", "blobs/uploads/1", false)]
    public void A_limited_permit_opens_no_way_upstream_but_for_pulls_of_an_image(string method, string rest, bool opens)
    {
        var request = Pull(method, $"/v2/nginx/{rest}");
        var permit = Permits.Limited(new Asked(request.Repository) { IsPull = true }, Permits.Exception(1, $"nginx@{First}")).Permit!;
        if (opens)
            Assert.Equal($"/v2/library/nginx/{rest}", permit.UpstreamTarget(request));
        else
            Assert.Equal($"A permit for images of library/nginx was shown for {request.Subject}.", Assert.Throws<InvalidOperationException>(() => permit.UpstreamTarget(request)).Message);
    }

    [Theory]
    [InlineData("GET", "manifests/1", true)]
    [InlineData("HEAD", "blobs/" + Names.Sha256, true)]
    [InlineData("GET", "referrers/" + Names.Sha256, true)]
    [InlineData("GET", "tags/list", true)]
    [InlineData("PUT", "manifests/1", false)]
    [InlineData("DELETE", "manifests/1", false)]
    [InlineData("POST", "blobs/uploads/", false)]
    [InlineData("GET", "blobs/uploads/1", false)]
    [InlineData("PATCH", "blobs/uploads/1", false)]
    public void Only_what_reads_is_a_pull(string method, string rest, bool isPull) => Assert.Equal(isPull, Pull(method, $"/v2/nginx/{rest}").Asked.IsPull);

    [Fact]
    public void The_source_of_a_mount_is_not_pulled() =>
        Assert.False(Assert.IsType<UploadStartRequest>(Pull("POST", $"/v2/acme/app/blobs/uploads/?mount={First}&from=library/nginx")).Mount!.Asked.IsPull);

    [Fact]
    public void Who_pulls_an_image_without_tag_and_digest_pulls_latest()
    {
        Assert.Equal("latest", Asked.PullOf(Names.Repository("nginx"), null, null).Tag?.Value);
        Assert.Null(Asked.PullOf(Names.Repository("nginx"), null, First).Tag);
        Assert.True(Asked.PullOf(Names.Repository("nginx"), null, First).IsPull);
    }

    [Fact]
    public void What_is_outside_is_denied_with_a_text()
    {
        var allowed = Permits.Limited(new Asked(Names.Repository("nginx")) { IsPull = true }, Permits.Exception(1, $"nginx@{First}"), Permits.Exception(2, "nginx:1", First));
        var limit = allowed.Permit!.Limits[0];
        var denial = PolicyEngine.DenyOutside(allowed, new OutsideException(limit));
        Assert.Equal(
            (AccessOutcome.Deny, "exception", "image access denied: only approved images of nginx are allowed", "ask in #platform", null),
            (denial.Outcome, denial.Rule, denial.Message, denial.Help, denial.Permit));
        Assert.Equal(["acme"], denial.Organizations);
        Assert.Equal([1L, 2L], denial.Exceptions.Select(exception => exception.Id));

        denial = PolicyEngine.DenyOutside(allowed, new OutsideException(limit, limit.Exceptions[1]));
        Assert.Equal($"image access denied: nginx:1 was approved as {First}, and has changed since", denial.Message);
        Assert.Equal([2L], denial.Exceptions.Select(exception => exception.Id));
    }

    private static RepositoryRequest Pull(string method, string target)
    {
        Assert.True(RegistryRequest.TryParse(method, target, out var request, out var error), error?.ToString());
        return Assert.IsAssignableFrom<RepositoryRequest>(request);
    }

    private static Digest Read(string text) => Digest.TryParse(text, out var digest) ? digest : throw new ArgumentException(text, nameof(text));
}
