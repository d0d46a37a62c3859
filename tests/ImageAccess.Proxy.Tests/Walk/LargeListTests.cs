using System.Text;
using ImageAccess.FakeHubs;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>Lists have a limit of their own, far above what exists, and are streamed; the limit of a manifest is not theirs.</summary>
public abstract class LargeListTests(string transport) : WalkTests(transport)
{
    private const int MiB = 1024 * 1024;

    private static readonly string Digest = "sha256:" + new string('a', 64);

    public static TheoryData<string, bool> Lists => new()
    {
        { "tags/list", true }, { "tags/list", false }, { "referrers/" + Digest, true }, { "referrers/" + Digest, false },
    };

    [Theory]
    [MemberData(nameof(Lists))]
    public async Task Two_hundred_thousand_entries_arrive_with_the_link_to_more(string resource, bool isChunked)
    {
        await using var world = await StartAsync();
        var list = $$"""{"name":"acme/app","tags":[{{string.Join(',', Enumerable.Range(0, 200_000).Select(tag => $"\"2024.01.{tag:d6}-some-long-suffix\""))}}]}""";
        world.Hub.Faults.Add(Face.Registry, Answer(Encoding.ASCII.GetBytes(list), isChunked, $"/v2/acme/app/{resource}?last=x"));

        using var answer = await BeginAsync(world, resource);
        Assert.Equal($"</v2/acme/app/{resource}?last=x>; rel=\"next\"", Assert.Single(answer.Headers.GetValues("Link")).Replace(world.Mirror.GetLeftPart(UriPartial.Authority), "", StringComparison.Ordinal));
        Assert.Equal(isChunked ? null : list.Length, answer.Content.Headers.ContentLength);
        Assert.Equal(list, await answer.Content.ReadAsStringAsync());
    }

    /// <summary>The client has the first half before upstream sends the second: nobody holds the whole.</summary>
    [Theory]
    [MemberData(nameof(Lists))]
    public async Task A_large_list_is_streamed(string resource, bool isChunked)
    {
        var half = new TaskCompletionSource();
        await using var world = await StartAsync();
        world.Hub.Faults.Add(Face.Registry, Fault.Custom(async (http, _) =>
        {
            http.Response.ContentType = "application/json";
            http.Response.ContentLength = isChunked ? null : 8 * MiB;
            await http.Response.Body.WriteAsync(new byte[4 * MiB]);
            await http.Response.Body.FlushAsync();
            await half.Task;
            await http.Response.Body.WriteAsync(new byte[4 * MiB]);
        }));

        using var answer = await BeginAsync(world, resource);
        await using var body = await answer.Content.ReadAsStreamAsync();
        await body.ReadExactlyAsync(new byte[(4 * MiB) - 1]).AsTask().WaitAsync(TimeSpan.FromSeconds(60));
        half.SetResult();
        await body.ReadExactlyAsync(new byte[(4 * MiB) + 1]);
        Assert.Equal(0, await body.ReadAsync(new byte[1]));
    }

    [Theory]
    [InlineData("tags/list", "tag list")]
    [InlineData("referrers/DIGEST", "list of referrers")]
    public async Task The_limit_says_its_name(string resource, string what)
    {
        resource = resource.Replace("DIGEST", Digest, StringComparison.Ordinal);
        await using var world = await StartAsync();
        using (world.Hub.Faults.Add(Face.Registry, Answer(new byte[(64 * MiB) + 1], isChunked: false)))
        {
            var answer = await world.AskAsync("GET", $"/v2/acme/app/{resource}", await world.PullTokenAsync("bob", "acme/app"));
            Assert.Equal((502, $"upstream's {what} is larger than 64 MiB"), (answer.Status, answer.Message));
        }

        world.Hub.Faults.Add(Face.Registry, Fault.EndlessBody("{"));
        using var endless = await BeginAsync(world, resource);
        await Assert.ThrowsAnyAsync<Exception>(() => endless.Content.CopyToAsync(Stream.Null));
        await Eventually.TrueAsync(() => world.Log.At(Microsoft.Extensions.Logging.LogLevel.Warning).Count(line => line.Contains($"upstream's {what} is larger than 64 MiB", StringComparison.Ordinal)) == 2);
    }

    [Fact]
    public async Task A_list_of_exactly_the_limit_passes()
    {
        await using var world = await StartAsync();
        world.Hub.Faults.Add(Face.Registry, Answer(new byte[64 * MiB], isChunked: true));
        using var answer = await BeginAsync(world, "tags/list");
        Assert.Equal(64 * MiB, (await answer.Content.ReadAsByteArrayAsync()).Length);
    }

    [Theory]
    [InlineData(4 * MiB, true, 200)]
    [InlineData((4 * MiB) + 1, true, 502)]
    [InlineData((4 * MiB) + 1, false, 502)]
    public async Task A_manifest_has_four_MiB(int length, bool isChunked, int status)
    {
        await using var world = await StartAsync();
        world.Hub.Faults.Add(Face.Registry, Answer(new byte[length], isChunked));
        using var answer = await BeginAsync(world, "manifests/latest");
        Assert.Equal(status, (int)answer.StatusCode);
        if (status != 200)
            Assert.Equal("upstream's manifest is larger than 4 MiB", answer.ReasonPhrase);
    }

    [Theory]
    [InlineData("GET", "tags/list", 429)]
    [InlineData("GET", "manifests/latest", 404)]
    [InlineData("POST", "blobs/uploads/", 500)]
    [InlineData("GET", "blobs/DIGEST", 403)]
    public async Task An_error_with_a_text_beyond_every_limit_is_still_that_error(string method, string resource, int status)
    {
        await using var world = await StartAsync();
        world.Hub.Faults.Add(Face.Registry, Fault.Custom(async (http, _) =>
        {
            http.Response.StatusCode = status;
            http.Response.ContentType = "text/plain";
            http.Response.Headers["Docker-Distribution-Api-Version"] = "registry/2.0"; // by which a registry's text differs from another server's
            await http.Response.Body.WriteAsync(Encoding.ASCII.GetBytes(new string('e', 5 * MiB)));
        }));
        var target = $"/v2/acme/app/{resource.Replace("DIGEST", Digest, StringComparison.Ordinal)}";
        using var request = new HttpRequestMessage(new HttpMethod(method), target) { Headers = { { "Authorization", "Bearer " + await world.TokenAsync("bob", "repository:acme/app:pull,push") } } };
        using var answer = await world.Client.SendAsync(request);
        Assert.Equal((status, "text/plain"), ((int)answer.StatusCode, answer.Content.Headers.ContentType?.MediaType));
        Assert.StartsWith("eeee", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    private static Fault Answer(byte[] body, bool isChunked, string? next = null) => Fault.Custom(async (http, _) =>
    {
        http.Response.ContentType = "application/json";
        http.Response.ContentLength = isChunked ? null : body.Length;
        if (next is not null)
            http.Response.Headers.Link = $"<{next}>; rel=\"next\"";
        await http.Response.Body.WriteAsync(body, http.RequestAborted);
    });

    private static async Task<HttpResponseMessage> BeginAsync(Surroundings world, string resource)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/v2/acme/app/{resource}") { Headers = { { "Authorization", "Bearer " + await world.PullTokenAsync("bob", "acme/app") } } };
        return await world.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
    }
}

public sealed class LargeListTests_direct() : LargeListTests(Direct);

public sealed class LargeListTests_kestrel() : LargeListTests(Kestrel);
