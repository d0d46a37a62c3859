using System.Text;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Tests.Walk;

namespace ImageAccess.Proxy.Tests.Content.Serving;

/// <summary>
/// Whether other repositories' content is kept here is nobody's business: upstream is asked the same for it as for what nobody has asked for
/// yet, in the same order. So the time that an answer takes tells nothing either.
/// </summary>
public sealed class EqualQuestionsTests : IAsyncLifetime
{
    private Surroundings _world = null!;

    public static TheoryData<string, string, string> Questions
    {
        get
        {
            var data = new TheoryData<string, string, string>();
            foreach (var repository in new[] { "acme/empty", "acme/both" })
            {
                foreach (var question in new[]
                         {
                             "GET blobs", "HEAD blobs", "GET blobs\r\nRange: bytes=3-6", "GET blobs\r\nRange: bytes=0-", "GET blobs\r\nRange: bytes=-4",
                             "GET blobs\r\nRange: bytes=1000-", "GET blobs\r\nRange: bytes=0-1,3-4", "GET blobs\r\nIf-None-Match: \"DIGEST\"", "GET blobs\r\nIf-None-Match: \"x\"",
                             "GET blobs\r\nIf-Match: \"x\"", "GET blobs\r\nIf-Range: \"DIGEST\"\r\nRange: bytes=2-3", "GET manifests", "HEAD manifests", "GET manifests\r\nIf-None-Match: *",
                             "HEAD blobs\r\nRange: bytes=3-6",
                         })
                {
                    data.Add(question.Split("\r\n", 2)[0], question.Contains("\r\n", StringComparison.Ordinal) ? question.Split("\r\n", 2)[1] : "User-Agent: x", repository);
                }
            }

            return data;
        }
    }

    public async Task InitializeAsync()
    {
        _world = await Surroundings.StartAsync(settings: ("Cache:Enabled", "true"));
        _world.Hub.Images.PushImage("acme/secret", "held", Layer("held"));
        _world.Hub.Images.PushImage("acme/empty", "latest");
        foreach (var name in new[] { "held", "unkn" })
            _world.Hub.Images.PushImage("acme/both", name, Layer(name));

        var held = _world.Hub.Images.FindManifest("acme/secret", "held")!;
        var token = await _world.PullTokenAsync("alice", "acme/secret");
        foreach (var target in new[] { $"manifests/{held.Digest}", $"blobs/{held.Layers[0]}", $"blobs/{held.Config}" })
            Assert.Equal(200, (await _world.AskAsync("GET", $"/v2/acme/secret/{target}", token)).Status);
        _world.Hub.Requests.Clear();
    }

    public async Task DisposeAsync() => await _world.DisposeAsync();

    [Theory]
    [MemberData(nameof(Questions))]
    public async Task What_another_repository_holds_is_asked_for_as_what_nobody_holds(string question, string headers, string repository)
    {
        var (held, heldAsked) = await AskAsync("held", question, headers, repository);
        var (unknown, unknownAsked) = await AskAsync("unkn", question, headers, repository);

        Assert.Equal(unknownAsked, heldAsked);
        Assert.Equal(unknown, held);
        Assert.Equal(repository == "acme/both", !held.StartsWith("404", StringComparison.Ordinal));
        Assert.NotEmpty(heldAsked);
    }

    /// <summary>A tag of this repository that leads to what another one holds.</summary>
    [Theory]
    [InlineData("GET", "User-Agent: x")]
    [InlineData("HEAD", "User-Agent: x")]
    [InlineData("GET", "If-None-Match: \"y\"")]
    public async Task A_tag_that_leads_to_what_another_repository_holds_is_asked_for_as_any_other(string method, string headers)
    {
        var asked = new List<IReadOnlyList<string>>();
        foreach (var tag in new[] { "held", "unkn" })
        {
            Assert.Equal(200, (await SendAsync(method, $"/v2/acme/both/manifests/{tag}", headers, "acme/both")).Status);
            asked.Add([.. TakeAsked().Select(one => one.Replace(tag, "TAG", StringComparison.Ordinal))]);
        }

        Assert.Equal(asked[1], asked[0]);
    }

    /// <summary>What another repository's client is fetching at this moment: nobody waits for that who is of this repository.</summary>
    [Theory]
    [InlineData("acme/empty", Face.Registry)]
    [InlineData("acme/empty", Face.Cdn)]
    [InlineData("acme/both", Face.Registry)]
    public async Task What_another_repositorys_client_is_fetching_is_asked_for_at_once(string repository, Face heldUp)
    {
        var release = new TaskCompletionSource();
        var coming = _world.Hub.Images.PushImage("acme/secret", "coming", Layer("coming"));
        _world.Hub.Images.PushImage("acme/both", "coming", Layer("coming"));
        var held = _world.Hub.Faults.Add(heldUp, _ => true, Fault.HoldUntil(release.Task), times: 1);
        var token = await _world.PullTokenAsync("alice", "acme/secret");
        var first = _world.AskAsync("GET", $"/v2/acme/secret/blobs/{coming.Layers[0]}", token);
        await Eventually.TrueAsync(() => held.Hits == 1);
        TakeAsked();

        var second = SendAsync("GET", $"/v2/{repository}/blobs/{coming.Layers[0]}", "User-Agent: x", repository);
        var expected = repository == "acme/both" ? new[] { "GET", "GET" } : ["GET"];
        await Eventually.TrueAsync(() => _world.Hub.Requests.All.Count(request => request.Face is Face.Registry or Face.Cdn) == expected.Length);
        if (repository == "acme/empty")
            Assert.Equal(404, (await second).Status); // the other is still held up
        release.SetResult();
        Assert.Equal((200, "a layer: coming"), await first is var one ? (one.Status, one.Body) : default);
        if (repository == "acme/both")
            Assert.Equal((200, "a layer: coming"), await second is var two ? (two.Status, two.Body) : default);
        Assert.Equal(1, _world.Hub.Requests.Of(Face.Registry).Count(request => request.Path.StartsWith($"/v2/{repository}/", StringComparison.Ordinal)));
    }

    /// <summary>What is served from here afterwards comes from here, and is asked for no more.</summary>
    [Fact]
    public async Task Once_upstream_has_answered_for_it_it_comes_from_here()
    {
        await AskAsync("held", "GET blobs", "User-Agent: x", "acme/both");
        foreach (var headers in new[] { "User-Agent: x", "Range: bytes=2-6" })
        {
            var (answer, asked) = await AskAsync("held", "GET blobs", headers, "acme/both");
            Assert.StartsWith(headers.StartsWith("Range", StringComparison.Ordinal) ? "206" : "200", answer, StringComparison.Ordinal);
            Assert.Empty(asked);
        }
    }

    private static byte[] Layer(string name) => Encoding.ASCII.GetBytes($"a layer: {name}");

    /// <summary>The answer, and what upstream was asked, in words that do not depend on the digest.</summary>
    private async Task<(string Answer, IReadOnlyList<string> Asked)> AskAsync(string name, string question, string headers, string repository)
    {
        var image = _world.Hub.Images.FindManifest("acme/both", name)!;
        var (method, kind) = (question.Split(' ')[0], question.Split(' ')[1]);
        var digest = kind == "manifests" ? image.Digest : image.Layers[0];
        string Neutral(string text) => text.Replace(digest, "DIGEST", StringComparison.Ordinal).Replace(digest[7..39], "TAG", StringComparison.Ordinal);
        var answer = await SendAsync(method, $"/v2/{repository}/{kind}/{digest}", headers.Replace("DIGEST", digest, StringComparison.Ordinal), repository);
        var sent = string.Join('|', answer.Headers.Where(header => header.Key is "Content-Type" or "Content-Range" or "ETag" or "Docker-Content-Digest" or "WWW-Authenticate").OrderBy(header => header.Key, StringComparer.Ordinal));
        return (Neutral($"{answer.Status} {sent} {(answer.Status >= 400 ? answer.Body : "")}"), [.. TakeAsked().Select(Neutral)]);
    }

    private async Task<RawAnswer> SendAsync(string method, string target, string headers, string repository) => await _world.SendRawAsync(
        $"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {await _world.PullTokenAsync("bob", repository)}\r\n{headers}\r\n\r\n");

    private List<string> TakeAsked()
    {
        List<string> asked =
        [
            .. _world.Hub.Requests.All.Where(request => request.Face is Face.Registry or Face.Cdn)
                .Select(request => $"{request.Face} {request.Method} {(request.Face == Face.Registry ? request.RawTarget : "")} {request.Header("Range")} {string.Join(',', request.Headers.Keys.Order(StringComparer.Ordinal))}"),
        ];
        _world.Hub.Requests.Clear();
        return asked;
    }
}
