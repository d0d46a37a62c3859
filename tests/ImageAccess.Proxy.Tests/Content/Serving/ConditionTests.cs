using System.Globalization;
using System.Text;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Content.Cache;
using ImageAccess.Proxy.Tests.Walk;
using Microsoft.Extensions.DependencyInjection;

namespace ImageAccess.Proxy.Tests.Content.Serving;

/// <summary>
/// Conditions and ranges of requests (RFC 9110, sections 13 and 14) have the same answer for manifests and blobs, whatever is kept of them:
/// without a cache, when the cache has nothing, while the content is being downloaded, and when it is kept.
/// </summary>
public sealed class ConditionTests(ConditionWorlds worlds) : IClassFixture<ConditionWorlds>
{
    private const string Tomorrow = "Fri, 01 Jan 2100 00:00:00 GMT";
    private const string LongAgo = "Sat, 01 Jan 2000 00:00:00 GMT";

    private static readonly string[] Kinds = ["tag", "digest", "blob"];
    private static int _number;

    /// <summary>Conditions and their status; <c>OWN</c> stands for the content's digest.</summary>
    public static TheoryData<string, int> Conditions => new()
    {
        { "", 200 },
        { "If-None-Match: \"OWN\"", 304 },
        { "If-None-Match: W/\"OWN\"", 304 },
        { "If-None-Match: \"sha256:other\", \"OWN\"", 304 },
        { "If-None-Match: \"a\",W/\"b\" ,, \"OWN\"", 304 },
        { "If-None-Match: \"a\"\r\nIf-None-Match: \"OWN\"", 304 },
        { "If-None-Match: *", 304 },
        { "If-None-Match: \"sha256:other\"", 200 },
        { "If-None-Match: \"OWN-gzip\"", 200 },
        { "If-None-Match: \"xOWN\"", 200 },
        { "If-None-Match: OWN", 200 },
        { "If-None-Match: \"OWN", 200 },
        { "If-Match: \"OWN\"", 200 },
        { "If-Match: *", 200 },
        { "If-Match: \"a\", \"OWN\"", 200 },
        { "If-Match: \"a\"", 412 },
        { "If-Match: W/\"OWN\"", 412 },
        { "If-Match: \"OWN-gzip\"", 412 },
        { "If-Match: OWN", 412 },
        { "If-Match: \"a\"\r\nIf-None-Match: \"OWN\"", 412 },
        { "If-Match: \"OWN\"\r\nIf-None-Match: \"OWN\"", 304 },
        { "If-Modified-Since: " + Tomorrow, 200 },
        { "If-Unmodified-Since: " + LongAgo, 200 },
        { "If-None-Match: \"a\"\r\nIf-Modified-Since: " + Tomorrow, 200 },
        { "If-Match: \"OWN\"\r\nIf-Unmodified-Since: " + LongAgo, 200 },
    };

    [Theory]
    [MemberData(nameof(Conditions))]
    public async Task A_condition_has_one_answer(string condition, int status)
    {
        await ForEachAsync(condition, (how, subject, answer) =>
        {
            Assert.True(status == answer.Status, $"{how}: {Text(answer)}");
            Assert.True((subject.ETag, subject.Digest) == (answer.Header("ETag"), answer.Header("Docker-Content-Digest")), $"{how}: {Text(answer)}");
            Assert.True(answer.Body.Length == 0 || status == 200, $"{how}: {Text(answer)}");
            Assert.True(answer.Header("Content-Length") == (status switch
            {
                200 => subject.Text.Length.ToString(CultureInfo.InvariantCulture),
                412 => "0",
                _ => null,
            }), $"{how}: {Text(answer)}");
            Assert.True(how.Contains("HEAD", StringComparison.Ordinal) || status != 200 || answer.Body == subject.Text, $"{how}: {Text(answer)}");
        });
    }

    /// <summary>Ranges, their status, and the first and last byte that comes; an end before the beginning counts from the last byte.</summary>
    public static TheoryData<string, int, int, int> Ranges => new()
    {
        { "Range: bytes=0-3", 206, 0, 3 },
        { "Range: bytes=2-5", 206, 2, 5 },
        { "Range: BYTES=2-5", 206, 2, 5 },
        { "Range: bytes=7-", 206, 7, -1 },
        { "Range: bytes=-4", 206, -4, -1 },
        { "Range: bytes=-99999", 206, 0, -1 },
        { "Range: bytes=0-99999", 206, 0, -1 },
        { "Range: bytes=5-9223372036854775807", 206, 5, -1 },
        { "Range: bytes=99999-", 416, 0, 0 },
        { "Range: bytes=99999-9223372036854775807", 416, 0, 0 },
        { "Range: bytes=-0", 416, 0, 0 },
        { "Range: bytes=5-2", 200, 0, -1 },
        { "Range: bytes=a-b", 200, 0, -1 },
        { "Range: chunks=0-1", 200, 0, -1 },
        { "Range: bytes=0-1,3-4", 200, 0, -1 },
        { "Range: bytes=0-1\r\nRange: bytes=2-3", 200, 0, -1 },
        { "Range: bytes=2-5\r\nIf-Range: \"OWN\"", 206, 2, 5 },
        { "Range: bytes=2-5\r\nIf-Range: W/\"OWN\"", 200, 0, -1 },
        { "Range: bytes=2-5\r\nIf-Range: \"other\"", 200, 0, -1 },
        { "Range: bytes=2-5\r\nIf-Range: " + Tomorrow, 200, 0, -1 },
        { "Range: bytes=2-5\r\nIf-None-Match: \"OWN\"", 304, 0, 0 },
        { "Range: bytes=2-5\r\nIf-None-Match: \"other\"", 206, 2, 5 },
        { "Range: bytes=2-5\r\nIf-Match: \"other\"", 412, 0, 0 },
        { "Range: bytes=99999-\r\nIf-Match: \"other\"", 412, 0, 0 },
    };

    [Theory]
    [MemberData(nameof(Ranges))]
    public async Task A_range_has_one_answer_and_HEAD_knows_none(string range, int status, int first, int last)
    {
        await ForEachAsync(range, (how, subject, answer) =>
        {
            var isHead = how.Contains("HEAD", StringComparison.Ordinal);
            var expected = isHead && status is 206 or 416 ? 200 : status;
            Assert.True(expected == answer.Status, $"{how}: {Text(answer)}");
            if (isHead)
            {
                Assert.True(expected != 200 || answer.Header("Content-Length") == $"{subject.Text.Length}", $"{how}: {Text(answer)}");
                Assert.Null(answer.Header("Content-Range"));
                return;
            }

            var (from, to) = (first < 0 ? subject.Text.Length + first : first, last < 0 ? subject.Text.Length + last : last);
            Assert.True(answer.Header("Content-Range") == (expected switch
            {
                206 => $"bytes {from}-{to}/{subject.Text.Length}",
                416 => $"bytes */{subject.Text.Length}",
                _ => null,
            }), $"{how}: {Text(answer)}");
            if (expected is 200 or 206)
                Assert.Equal((subject.Text[from..(to + 1)], subject.ETag, subject.Digest), (answer.Body, answer.Header("ETag"), answer.Header("Docker-Content-Digest")));
        });
    }

    /// <summary>Tag lists and referrers are upstream's own words: so are their entity-tags, and its judgement on them.</summary>
    [Theory]
    [InlineData("tags/list", "If-None-Match", "\"of-upstream\"")]
    [InlineData("tags/list", "If-None-Match", "W/\"of-upstream\", \"other\"")]
    [InlineData("referrers/sha256:0000000000000000000000000000000000000000000000000000000000000000", "If-None-Match", "\"of-upstream\"")]
    public async Task Conditions_on_lists_are_upstreams_to_judge(string list, string name, string value)
    {
        foreach (var world in worlds.Both)
        {
            using var fault = world.Hub.Faults.Add(Face.Registry, Fault.Custom((http, _) =>
            {
                (http.Response.StatusCode, http.Response.Headers.ETag) = (http.Request.Headers[name] == value ? 304 : 200, "\"of-upstream\"");
                return Task.CompletedTask;
            }));
            var answer = await AskAsync(world, "GET", $"/v2/library/nginx/{list}", $"{name}: {value}");
            Assert.Equal((304, "\"of-upstream\""), (answer.Status, answer.Header("ETag")));
        }
    }

    /// <summary>What upstream refuses is told as it is, whatever the client has.</summary>
    [Theory]
    [InlineData("If-None-Match: *", 404)]
    [InlineData("If-Match: *", 404)]
    [InlineData("If-Match: \"a\"", 404)]
    [InlineData("Range: bytes=0-1", 404)]
    public async Task Conditions_open_nothing(string condition, int status)
    {
        var missing = FakeRegistry.DigestOf("nowhere"u8);
        foreach (var world in worlds.Both)
        {
            foreach (var target in new[] { $"blobs/{missing}", $"manifests/{missing}", "manifests/none" })
            {
                var answer = await AskAsync(world, "GET", $"/v2/library/nginx/{target}", condition);
                Assert.True(answer.Status == status && answer.Code is "MANIFEST_UNKNOWN" or "BLOB_UNKNOWN" && answer.Header("ETag") is null, $"{target}: {Text(answer)}");
            }
        }
    }

    /// <summary>Where upstream does not say which digest a manifest has, its own entity-tag counts.</summary>
    [Theory]
    [InlineData("", 200)]
    [InlineData("If-None-Match: \"of-upstream\"", 304)]
    [InlineData("If-None-Match: *", 304)]
    [InlineData("If-None-Match: \"other\"", 200)]
    [InlineData("If-Match: \"other\"", 412)]
    public async Task Without_a_digest_upstreams_entity_tag_counts(string condition, int status)
    {
        foreach (var world in worlds.Both)
        {
            using var fault = world.Hub.Faults.Add(Face.Registry, Fault.Custom(async (http, answer) =>
            {
                http.Response.OnStarting(() =>
                {
                    http.Response.Headers.Remove("Docker-Content-Digest");
                    http.Response.Headers.ETag = "\"of-upstream\"";
                    return Task.CompletedTask;
                });
                await answer();
            }));
            foreach (var method in new[] { "GET", "HEAD" })
                Assert.Equal(status, (await AskAsync(world, method, "/v2/bitnami/redis/manifests/latest", condition)).Status);
        }
    }

    /// <summary>The client has it already: not a byte of it is fetched.</summary>
    [Fact]
    public async Task Who_has_a_blob_that_is_not_kept_costs_no_download()
    {
        foreach (var world in worlds.Both)
        {
            var subject = Push(world, "blob");
            world.Hub.Requests.Clear();
            Assert.Equal(304, (await AskAsync(world, "GET", subject.Target, $"If-None-Match: {subject.ETag}")).Status);
            Assert.Equal(["HEAD " + subject.Target], world.Hub.Requests.All.Select(asked => $"{asked.Method} {asked.Path}"));
        }
    }

    private async Task ForEachAsync(string condition, Action<string, Subject, RawAnswer> check)
    {
        foreach (var kind in Kinds)
        {
            foreach (var method in new[] { "GET", "HEAD" })
            {
                await AskAsync(worlds.Keeping, "cold, ");
                await AskAsync(worlds.NotKeeping, "without a cache, ");

                async Task AskAsync(Surroundings world, string state)
                {
                    var subject = Push(world, kind);
                    await CheckAsync(state);
                    if (world == worlds.NotKeeping)
                        return;
                    Assert.Equal(200, (await ConditionTests.AskAsync(world, "GET", subject.Target, "")).Status);
                    var contents = world.Proxy.Services.GetRequiredService<DirectoryStore>().Contents;
                    await Eventually.TrueAsync(() => contents.All.Any(content => content.Digest.Value == subject.Digest));
                    world.Hub.Requests.Clear();
                    await CheckAsync("kept, ");
                    Assert.Empty(world.Hub.Requests.All);

                    async Task CheckAsync(string how)
                    {
                        var own = condition.Replace("OWN", subject.Digest, StringComparison.Ordinal);
                        check($"{how}{kind} {method} {own}", subject, await ConditionTests.AskAsync(world, method, subject.Target, own));
                    }
                }
            }
        }

        await WhileComingAsync(condition, check);
    }

    /// <summary>Half of the blob is there; the rest comes as soon as the answer has begun.</summary>
    private async Task WhileComingAsync(string condition, Action<string, Subject, RawAnswer> check)
    {
        foreach (var method in new[] { "GET", "HEAD" })
        {
            var world = worlds.Keeping;
            var subject = Push(world, "blob");
            var release = new TaskCompletionSource();
            using var fault = world.Hub.Faults.Add(Face.Cdn, Path.GetFileName(subject.Target)[7..], Fault.Custom(async (http, _) =>
            {
                http.Response.ContentLength = subject.Text.Length;
                await http.Response.Body.WriteAsync(Encoding.ASCII.GetBytes(subject.Text).AsMemory(0, 12), http.RequestAborted);
                await http.Response.Body.FlushAsync(http.RequestAborted);
                await release.Task.WaitAsync(http.RequestAborted);
                await http.Response.Body.WriteAsync(Encoding.ASCII.GetBytes(subject.Text).AsMemory(12), http.RequestAborted);
            }), times: 1);
            using var first = new HttpRequestMessage(HttpMethod.Get, subject.Target);
            first.Headers.Add("Authorization", "Bearer " + await world.PullTokenAsync("bob", "acme/app"));
            using var begun = await world.Client.SendAsync(first, HttpCompletionOption.ResponseHeadersRead);
            await using var body = await begun.Content.ReadAsStreamAsync();
            await body.ReadExactlyAsync(new byte[12]);

            var own = condition.Replace("OWN", subject.Digest, StringComparison.Ordinal);
            using var request = new HttpRequestMessage(new HttpMethod(method), subject.Target);
            request.Headers.Add("Authorization", first.Headers.Authorization!.ToString());
            foreach (var line in own.Split("\r\n", StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split(": ")))
                request.Headers.TryAddWithoutValidation(line[0], line[1]);
            using var answer = await world.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
            release.SetResult();
            var headers = answer.Headers.NonValidated.Concat(answer.Content.Headers.NonValidated).ToDictionary(header => header.Key, header => header.Value.ToString());
            check($"coming, blob {method} {own}", subject, new RawAnswer((int)answer.StatusCode, "", headers, await answer.Content.ReadAsStringAsync()));
        }
    }

    private static Subject Push(Surroundings world, string kind)
    {
        var number = Interlocked.Increment(ref _number);
        var layer = $"the layer with the number {number} of its kind";
        var image = world.Hub.Images.PushImage("acme/app", $"v{number}", [Encoding.ASCII.GetBytes(layer)]);
        var (target, digest, text) = kind switch
        {
            "tag" => ($"manifests/v{number}", image.Digest, Encoding.ASCII.GetString(image.Manifest.Span)),
            "digest" => ($"manifests/{image.Digest}", image.Digest, Encoding.ASCII.GetString(image.Manifest.Span)),
            _ => ($"blobs/{image.Layers[0]}", image.Layers[0], layer),
        };
        return new Subject($"/v2/acme/app/{target}", digest, text);
    }

    private static async Task<RawAnswer> AskAsync(Surroundings world, string method, string target, string headers)
    {
        var repository = string.Join('/', target.Split('/')[2..4]);
        return await world.SendRawAsync(
            $"{method} {target} HTTP/1.1\r\nHost: {world.Mirror.Authority}\r\nConnection: close\r\n"
            + $"Authorization: Bearer {await world.PullTokenAsync("alice", repository)}\r\n{(headers.Length == 0 ? "" : headers + "\r\n")}\r\n");
    }

    /// <summary>For messages: a body may be a part of JSON.</summary>
    private static string Text(RawAnswer answer) => $"{answer.Status} {string.Join("; ", answer.Headers)} {answer.Body}";

    private sealed record Subject(string Target, string Digest, string Text)
    {
        public string ETag => $"\"{Digest}\"";
    }
}

/// <summary>Two proxies, of which one keeps what it has handed out.</summary>
public sealed class ConditionWorlds : IAsyncLifetime
{
    public Surroundings Keeping { get; private set; } = null!;

    public Surroundings NotKeeping { get; private set; } = null!;

    public IReadOnlyList<Surroundings> Both => [Keeping, NotKeeping];

    public async Task InitializeAsync()
    {
        Keeping = await Surroundings.StartAsync(settings: ("Cache:Enabled", "true"));
        NotKeeping = await Surroundings.StartAsync();
    }

    public async Task DisposeAsync()
    {
        await Keeping.DisposeAsync();
        await NotKeeping.DisposeAsync();
    }
}
