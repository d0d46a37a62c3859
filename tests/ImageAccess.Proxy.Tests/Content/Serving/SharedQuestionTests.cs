using System.Text;
using System.Text.Json;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Tests.Walk;

namespace ImageAccess.Proxy.Tests.Content.Serving;

/// <summary>
/// An answer that several clients share is asked for in a form that is the same for all of them: no way of writing a request makes another
/// client get something else.
/// </summary>
public sealed class SharedQuestionTests : IAsyncLifetime
{
    private const string Index = "application/vnd.oci.image.index.v1+json";
    private const string Manifest = "application/vnd.oci.image.manifest.v1+json";
    private const string Tag = "/v2/library/nginx/manifests/latest";

    private readonly ManualTime _time = new(TimeProvider.System.GetUtcNow());
    private Surroundings _world = null!;

    /// <summary>Ways of accepting an index and a manifest.</summary>
    public static TheoryData<string> Ways =>
    [
        $"Accept: {Manifest}, {Index}",
        $"Accept: {Manifest};q=0.1,{Index}; q=0.9",
        $"Accept: Application/Vnd.OCI.Image.Manifest.v1+JSON, {Index.ToUpperInvariant()}",
        $"Accept: {Index};charset=utf-8;version=\"1,2\", {Manifest}",
        $"Accept: {Manifest}\r\nAccept: {Index}",
        $"Accept:  {Index} ,\t{Manifest} , {Index}",
        $"Accept: {Index}, {Manifest}, text/html;q=0, */*; q=0.000",
        $"Accept: {Index}, , {Manifest}, nonsense, /",
    ];

    public async Task InitializeAsync() => _world = await Surroundings.StartAsync(Surroundings.Policy, hub => hub.Time = _time, _time, ("Cache:Enabled", "true"));

    public async Task DisposeAsync() => await _world.DisposeAsync();

    [Theory]
    [MemberData(nameof(Ways))]
    public async Task Upstream_is_asked_in_the_form_that_the_answer_is_kept_by(string way)
    {
        var digest = _world.Hub.Images.FindManifest("library/nginx", "latest")!.Digest;
        await AskAsync("HEAD", Tag, way);
        await AskAsync("GET", Tag, way);
        _time.Advance(TimeSpan.FromMinutes(2));
        await AskAsync("GET", Tag, way);
        await AskAsync("GET", $"/v2/library/nginx/manifests/{digest}?ns=docker.io", way);
        var asked = _world.Hub.Requests.Of(Face.Registry);
        Assert.Equal(["HEAD", "GET", "HEAD"], asked.Select(request => request.Method));
        Assert.All(asked, request => Assert.Equal($"{Index},{Manifest}", request.Header("Accept")));
    }

    [Theory]
    [InlineData("Accept: */*", "*/*")]
    [InlineData("Accept: text/html;q=0", null)]
    [InlineData("Accept:", null)]
    [InlineData("Accept: ;q=1, ,", null)]
    [InlineData("X-Accept: text/html", null)]
    public async Task What_accepts_nothing_in_particular_asks_for_nothing_in_particular(string way, string? sent)
    {
        Assert.Equal(200, (await AskAsync("GET", Tag, way)).Status);
        Assert.Equal(sent, Assert.Single(_world.Hub.Requests.Of(Face.Registry)).Header("Accept"));
    }

    /// <summary>Upstream gives another manifest to whoever asks in a way of their own. Who asks first must not choose what others get.</summary>
    [Theory]
    [MemberData(nameof(Ways))]
    public async Task Nobody_chooses_what_another_client_gets(string way)
    {
        ServeOtherwiseUnless($"{Index},{Manifest}");
        var right = _world.Hub.Images.FindManifest("library/nginx", "latest")!.Digest;
        await AskAsync("GET", Tag, way);
        Assert.Equal(right, (await AskAsync("GET", Tag, $"Accept: {Index},{Manifest}")).Header("Docker-Content-Digest"));

        // A revalidation in that way, and then an outage.
        _time.Advance(TimeSpan.FromMinutes(2));
        await AskAsync("HEAD", Tag, way);
        _time.Advance(TimeSpan.FromMinutes(2));
        _world.Hub.Faults.Clear();
        _world.Hub.Faults.Add(Face.Registry, Fault.Status(503));
        Assert.Equal(right, (await AskAsync("GET", Tag, $"Accept: {Index},{Manifest}")).Header("Docker-Content-Digest"));
        Assert.DoesNotContain(await AuditAsync(), line => line.TryGetProperty("formerDigest", out _));
    }

    /// <summary>The same while both ask at once: who waits gets the answer of who asked first.</summary>
    [Theory]
    [MemberData(nameof(Ways))]
    public async Task Nobody_chooses_what_who_asks_at_the_same_time_gets(string way)
    {
        var release = new TaskCompletionSource();
        ServeOtherwiseUnless($"{Index},{Manifest}", release.Task);
        var first = AskAsync("GET", Tag, way);
        await _world.AskedAsync(Face.Registry);
        var second = AskAsync("GET", Tag, $"Accept: {Index},{Manifest}");
        release.SetResult();
        await first;
        Assert.Equal(_world.Hub.Images.FindManifest("library/nginx", "latest")!.Digest, (await second).Header("Docker-Content-Digest"));
    }

    /// <summary>A blob's download is for all who want the blob, so nothing of it depends on what the first of them accepts.</summary>
    [Theory]
    [InlineData("GET", "Accept: text/plain")]
    [InlineData("GET", "Accept: application/vnd.oci.image.layer.v1.tar+gzip, */*")]
    [InlineData("HEAD", "Accept: IMAGE/png;q=0.1")]
    public async Task A_blob_is_asked_for_whatever_its_client_accepts(string method, string accept)
    {
        var layer = _world.Hub.Images.FindManifest("library/nginx", "latest")!.Layers[0];
        Assert.Equal(200, (await AskAsync(method, $"/v2/library/nginx/blobs/{layer}", accept)).Status);
        Assert.Null(Assert.Single(_world.Hub.Requests.Of(Face.Registry)).Header("Accept"));
    }

    private void ServeOtherwiseUnless(string accept, Task? release = null)
    {
        var other = Encoding.ASCII.GetBytes($$"""{"schemaVersion":2,"mediaType":"{{Manifest}}","layers":[]}""");
        _world.Hub.Faults.Add(Face.Registry, request => request.RawTarget == Tag, Fault.Custom(async (http, answer) =>
        {
            await (release ?? Task.CompletedTask).WaitAsync(http.RequestAborted);
            if (string.Join(',', http.Request.Headers.Accept.ToArray()) == accept)
            {
                await answer();
                return;
            }

            http.Response.Headers["Docker-Content-Digest"] = FakeRegistry.DigestOf(other);
            http.Response.ContentType = Manifest;
            http.Response.ContentLength = other.Length;
            if (http.Request.Method == "GET")
                await http.Response.Body.WriteAsync(other, http.RequestAborted);
        }));
    }

    private async Task<RawAnswer> AskAsync(string method, string target, string headers) => await _world.SendRawAsync(
        $"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {await _world.PullTokenAsync(null, "library/nginx")}\r\n{headers}\r\n\r\n");

    private async Task<IReadOnlyList<JsonElement>> AuditAsync() => await _world.AuditAsync(3);
}
