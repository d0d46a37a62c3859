using System.Net;
using ImageAccess.FakeHubs;

namespace ImageAccess.Proxy.Tests.FakeHubs;

public sealed class UploadTests : IAsyncLifetime
{
    private static readonly byte[] Blob = "0123456789"u8.ToArray();
    private static readonly string Digest = FakeRegistry.DigestOf(Blob);
    private FakeHub _hub = null!;
    private HubClient _client = null!;

    public async Task InitializeAsync()
    {
        _hub = await FakeHub.StartAsync(options => options.PublicRegistry = new Uri("https://registry-1.docker.io"));
        _client = HubClient.Of(_hub);
        _hub.Users.Add("alice", "wonderland");
        _client.Token = await _hub.TokenForAsync("alice", "repository:alice/app:pull,push");
    }

    public async Task DisposeAsync()
    {
        _client.Dispose();
        await _hub.DisposeAsync();
    }

    [Fact]
    public async Task A_blob_goes_up_in_pieces()
    {
        using var started = await _client.SendAsync(HttpMethod.Post, "/v2/alice/app/blobs/uploads/");
        using var first = await _client.SendAsync(HttpMethod.Patch, TargetOf(started), Piece(0, 4));
        using var asked = await _client.GetAsync(TargetOf(first));
        using var wrong = await _client.SendAsync(HttpMethod.Patch, TargetOf(asked), Piece(7, 3));
        using var second = await _client.SendAsync(HttpMethod.Patch, TargetOf(wrong), Piece(4, 3));
        using var ended = await _client.SendAsync(HttpMethod.Put, TargetOf(second) + "&digest=" + Uri.EscapeDataString(Digest), Piece(7, 3));

        Assert.Equal(HttpStatusCode.Accepted, started.StatusCode);
        var location = started.Headers.Location!.OriginalString;
        Assert.StartsWith("https://registry-1.docker.io/v2/alice/app/blobs/uploads/", location, StringComparison.Ordinal);
        Assert.EndsWith("%3D%3D", location, StringComparison.Ordinal);
        Assert.Equal("0-3", first.Headers.GetValues("Range").Single());
        Assert.Equal((HttpStatusCode.NoContent, "0-3"), (asked.StatusCode, asked.Headers.GetValues("Range").Single()));
        Assert.Equal(HttpStatusCode.RequestedRangeNotSatisfiable, wrong.StatusCode);
        Assert.Equal("0-6", second.Headers.GetValues("Range").Single());
        Assert.Equal(HttpStatusCode.Created, ended.StatusCode);
        Assert.Equal(Blob, _hub.Images.FindBlob("alice/app", Digest)!.Value.ToArray());
    }

    [Fact]
    public async Task A_state_that_came_back_changed_is_refused()
    {
        using var started = await _client.SendAsync(HttpMethod.Post, "/v2/alice/app/blobs/uploads/");

        using var decoded = await _client.GetAsync(TargetOf(started).Replace("%3D", "=", StringComparison.Ordinal));
        using var cancelled = await _client.SendAsync(HttpMethod.Delete, TargetOf(started));
        using var gone = await _client.GetAsync(TargetOf(started));

        Assert.Equal(HttpStatusCode.NotFound, decoded.StatusCode);
        Assert.Equal(HttpStatusCode.NoContent, cancelled.StatusCode);
        Assert.Equal("BLOB_UPLOAD_UNKNOWN", (string)(await HubClient.JsonOf(gone))["errors"]![0]!["code"]!);
    }

    [Fact]
    public async Task A_blob_goes_up_in_one_request_if_its_digest_is_right()
    {
        var target = $"/v2/alice/app/blobs/uploads/?digest={Uri.EscapeDataString(Digest)}";
        using var stored = await _client.SendAsync(HttpMethod.Post, target, new ByteArrayContent(Blob));
        using var wrong = await _client.SendAsync(HttpMethod.Post, target, new ByteArrayContent([1]));

        Assert.Equal(HttpStatusCode.Created, stored.StatusCode);
        Assert.Equal(Digest, stored.Headers.GetValues("Docker-Content-Digest").Single());
        Assert.Equal("DIGEST_INVALID", (string)(await HubClient.JsonOf(wrong))["errors"]![0]!["code"]!);
    }

    [Theory]
    [InlineData(false, HttpStatusCode.Accepted)]
    [InlineData(true, HttpStatusCode.Created)]
    public async Task A_mount_needs_pull_on_its_source(bool granted, HttpStatusCode status)
    {
        _hub.Images.PushBlob("library/base", Blob);
        if (granted)
            _client.Token = await _hub.TokenForAsync("alice", "repository:alice/app:pull,push", "repository:library/base:pull");

        var target = $"/v2/alice/app/blobs/uploads/?mount={Uri.EscapeDataString(Digest)}&from=library%2Fbase";
        using var response = await _client.SendAsync(HttpMethod.Post, target);

        Assert.Equal(status, response.StatusCode);
    }

    [Fact]
    public async Task Nobody_pushes_to_what_is_not_theirs()
    {
        _client.Token = await _hub.TokenForAsync("alice", "repository:library/base:pull,push");

        using var response = await _client.SendAsync(HttpMethod.Post, "/v2/library/base/blobs/uploads/");

        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
        Assert.Contains("scope=\"repository:library/base:pull,push\"", $"{response.Headers.WwwAuthenticate}", StringComparison.Ordinal);
    }

    /// <summary>Path and query of a Location, byte for byte, at the hub's own address.</summary>
    private string TargetOf(HttpResponseMessage response) =>
        _hub.Registry.AbsoluteUri.TrimEnd('/') + response.Headers.Location!.PathAndQuery;

    private static ByteArrayContent Piece(int start, int length)
    {
        var piece = new ByteArrayContent(Blob, start, length);
        piece.Headers.TryAddWithoutValidation("Content-Range", $"{start}-{start + length - 1}");
        return piece;
    }
}
