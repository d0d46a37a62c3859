using System.Collections.Concurrent;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Foundation.DockerHub;
using Microsoft.Extensions.DependencyInjection;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>A connection that upstream resets while it is kept costs no client anything: what may be asked twice is asked again on a new one.</summary>
public abstract class ResetConnectionTests(string transport) : WalkTests(transport)
{
    private const string Policy = """{ "organizations": [ { "name": "acme", "owners": [ "alice" ], "members": [ "bob" ], "enabled": true, "allow": { "official": true, "verifiedPublisher": true } } ] }""";
    private const string Scope = "service=registry.docker.io&scope=repository:acme/app:pull";
    private const string Form = "Content-Type: application/x-www-form-urlencoded\r\n";

    private readonly ConcurrentQueue<string> _connections = new();

    public static TheoryData<string, Face> Questions => new()
    {
        { "GET /v2/acme/app/manifests/latest", Face.Registry },
        { "GET /v2/acme/app/manifests/DIGEST", Face.Registry },
        { "HEAD /v2/acme/app/manifests/latest", Face.Registry },
        { "GET /v2/acme/app/blobs/BLOB", Face.Registry },
        { "HEAD /v2/acme/app/blobs/BLOB", Face.Registry },
        { "GET /v2/acme/app/blobs/BLOB", Face.Cdn },
        { "GET /v2/acme/app/tags/list", Face.Registry },
        { "GET /v2/acme/app/referrers/DIGEST", Face.Registry },
        { "GET /token?" + Scope, Face.Auth },
        { "POST /token grant_type=password&username=bob&password=bobs-password&client_id=docker&" + Scope, Face.Auth },
        { "POST /token grant_type=refresh_token&refresh_token=REFRESH&client_id=docker&" + Scope, Face.Auth },
        { "SEARCH q=nginx", Face.Index },
        { "GET /v2/bitnami/redis/manifests/latest", Face.Hub },
    };

    [Theory]
    [MemberData(nameof(Questions))]
    public async Task A_kept_connection_that_is_reset_is_replaced(string question, Face face)
    {
        await using var world = await StartAsync(Policy);
        var expected = await AskAsync(world, question);
        world.Hub.Namespaces.Add("bitnami", "verified_publisher");
        using (world.Hub.Faults.Add(face, Remember(breaks: false), times: 1))
            await AskAsync(world, question, another: true);

        using var reset = world.Hub.Faults.Add(face, Remember(breaks: true), times: 1);
        var answer = await AskAsync(world, question, another: true);

        Assert.Equal((200, 1), (answer.Status, reset.Hits));
        Assert.Equal(expected.Header("Content-Type"), answer.Header("Content-Type"));
        Assert.Single(_connections.Distinct(StringComparer.Ordinal)); // the one that was reset had been kept
        Assert.Contains(world.Log.All, line => line.StartsWith("A connection to 127.0.0.1 broke before it was answered; the request is sent once more on a new one: ", StringComparison.Ordinal));
        using var admin = Surroundings.NewClient(world.Admin);
        Assert.Contains($"imageaccess_upstream_requests_total{{kind=\"{KindOf(face)}\",status=\"none\"}} 1\n", await admin.GetStringAsync("/metrics"), StringComparison.Ordinal);
    }

    /// <summary>A firewall resets what was sent over TLS as well.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Over_TLS_too(bool resets)
    {
        using var authority = new CertificateAuthority();
        using var certificate = authority.Issue("127.0.0.1");
        using var folder = new TemporaryDirectory();
        await authority.WriteToAsync(folder["ca.crt"]);
        var connections = 0;
        await using var upstream = new RawServer(
            async connection =>
            {
                var isFirst = Interlocked.Increment(ref connections) == 1;
                while (await connection.ReadHeadAsync() is not null)
                {
                    await connection.WriteAsync("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
                    if (!isFirst)
                        continue;
                    await connection.ReadHeadAsync();
                    if (resets)
                        connection.Reset();
                    return;
                }
            },
            certificate);
        await using var world = await StartAsync(settings: [("Upstream:Registry", upstream.Address), ("Upstream:TrustedCertificates", folder["ca.crt"])]);
        for (var times = 0; times < 3; times++)
            Assert.Equal((200, "{}"), await AskAsync(world, "GET /v2/acme/app/tags/list") is var answer ? (answer.Status, answer.Body) : default);
        Assert.NotEqual(1, connections);
    }

    [Fact]
    public async Task What_is_reset_twice_fails_and_the_cause_is_named()
    {
        await using var world = await StartAsync();
        using var reset = world.Hub.Faults.Add(Face.Auth, Fault.CloseConnection());
        var answer = await AskAsync(world, "GET /token?" + Scope);

        Assert.Equal((502, 2), (answer.Status, reset.Hits));
        Assert.Contains($"The token service failed: the token service gave no whole answer ({world.Hub.Auth.Authority}: the answer broke off, Connection reset by peer; look at Upstream:Auth)", world.Log.ToString(), StringComparison.Ordinal);
    }

    /// <summary>What changes something is not sent twice; so it begins on no connection that was kept.</summary>
    [Theory]
    [InlineData("POST", "blobs/uploads/", "")]
    [InlineData("PATCH", "blobs/uploads/abc", "hello")]
    [InlineData("PUT", "blobs/uploads/abc?digest=sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "")]
    [InlineData("PUT", "manifests/v1", "{}")]
    [InlineData("DELETE", "manifests/v1", "")]
    public async Task A_write_has_a_connection_of_its_own(string method, string resource, string body)
    {
        await using var world = await StartAsync();
        world.Hub.Faults.Add(Face.Registry, Fault.Custom((http, _) =>
        {
            _connections.Enqueue(http.Connection.Id);
            http.Response.StatusCode = 202;
            http.Response.ContentLength = 0;
            return Task.CompletedTask;
        }));
        var token = world.Hub.Signer.IssueToken(draft => draft.For(world.Hub.Users.Find("bob")!).Access = [new TokenAccess("acme/app", "pull", "push", "delete")]);
        var request = $"{method} /v2/acme/app/{resource} HTTP/1.1\r\nHost: {world.Mirror.Authority}\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n"
            + (method == "DELETE" ? "\r\n" : $"Content-Length: {body.Length}\r\n\r\n{body}");
        for (var times = 0; times < 3; times++)
            Assert.Equal(202, (await world.SendRawAsync(request)).Status);
        Assert.Equal(3, _connections.Distinct(StringComparer.Ordinal).Count());
    }

    [Theory]
    [InlineData("")]
    [InlineData("0")]
    [InlineData("1")]
    public async Task A_CDN_that_is_busy_is_asked_again_once(string retryAfter)
    {
        await using var world = await StartAsync();
        using var busy = world.Hub.Faults.Add(Face.Cdn, Busy(retryAfter), times: 1);
        var answer = await AskAsync(world, "GET /v2/acme/app/blobs/BLOB");

        Assert.Equal((200, "a layer of acme/app", 1), (answer.Status, answer.Body, busy.Hits));
        using var admin = Surroundings.NewClient(world.Admin);
        Assert.Contains("imageaccess_upstream_requests_total{kind=\"cdn\",status=\"503\"} 1\n", await admin.GetStringAsync("/metrics"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", 2)]
    [InlineData("3600", 1)]
    [InlineData("Wed, 21 Oct 2099 07:28:00 GMT", 1)]
    public async Task A_CDN_that_stays_busy_or_asks_for_a_long_wait_fails(string retryAfter, int asked)
    {
        await using var world = await StartAsync();
        using var busy = world.Hub.Faults.Add(Face.Cdn, Busy(retryAfter));
        var answer = await AskAsync(world, "GET /v2/acme/app/blobs/BLOB");
        Assert.Equal((502, "127.0.0.1 answered 503 for a blob", asked), (answer.Status, answer.Message, busy.Hits));
    }

    [Fact]
    public async Task A_503_of_the_registry_is_its_word()
    {
        await using var world = await StartAsync();
        using var busy = world.Hub.Faults.Add(Face.Registry, Busy("1"));
        var answer = await AskAsync(world, "GET /v2/acme/app/tags/list");
        Assert.Equal((503, "1", 1), (answer.Status, answer.Header("Retry-After"), busy.Hits));
    }

    private static Fault Busy(string retryAfter) => Fault.Status(503, headers: retryAfter.Length == 0 ? [] : [("Retry-After", retryAfter)]);

    private static string KindOf(Face face) => face switch { Face.Auth => "token", Face.Index => "search", Face.Hub => "hub", Face.Cdn => "cdn", _ => "registry" };

    private Fault Remember(bool breaks) => Fault.Custom((http, answer) =>
    {
        _connections.Enqueue(http.Connection.Id);
        if (!breaks)
            return answer();
        http.Abort();
        return Task.CompletedTask;
    });

    /// <param name="another">The same of somebody else, where the proxy would remember the first answer.</param>
    private static async Task<RawAnswer> AskAsync(Surroundings world, string question, bool another = false)
    {
        var image = world.Hub.Images.FindManifest("acme/app", "latest")!;
        if (another && question.Contains("bitnami", StringComparison.Ordinal))
        {
            var name = $"publisher{Guid.NewGuid():n}";
            world.Hub.Namespaces.Add(name, "verified_publisher");
            world.Hub.Images.PushImage($"{name}/redis", "latest");
            question = question.Replace("bitnami", name, StringComparison.Ordinal);
        }

        question = question.Replace("DIGEST", image.Digest, StringComparison.Ordinal).Replace("BLOB", image.Layers[0], StringComparison.Ordinal);
        if (question.Contains("REFRESH", StringComparison.Ordinal))
            question = question.Replace("REFRESH", await RefreshTokenAsync(world), StringComparison.Ordinal);
        if (question.Split(' ') is ["SEARCH", var query])
        {
            var found = await world.Proxy.Services.GetRequiredService<UpstreamSearch>().AskAsync(query, basic: null, CancellationToken.None);
            return new RawAnswer((int)found.Status, "", new Dictionary<string, string> { ["Content-Type"] = found.ContentType! }, "");
        }

        if (question.Split(' ') is ["POST", var target, var form])
            return await world.SendRawAsync($"POST {target} HTTP/1.1\r\nHost: {world.Mirror.Authority}\r\nConnection: close\r\n{Form}Content-Length: {form.Length}\r\n\r\n{form}");
        var (method, address) = (question.Split(' ')[0], question.Split(' ')[1]);
        var repository = address.StartsWith("/v2/", StringComparison.Ordinal) ? string.Join('/', address.Split('/')[2..4]) : null;
        return await world.AskAsync(method, address, repository is null ? null : await world.PullTokenAsync("bob", repository));
    }

    private static async Task<string> RefreshTokenAsync(Surroundings world)
    {
        var basic = Convert.ToBase64String("bob:bobs-password"u8);
        var answer = await world.SendRawAsync(
            $"GET /token?service=registry.docker.io&offline_token=true&client_id=docker HTTP/1.1\r\nHost: {world.Mirror.Authority}\r\nConnection: close\r\nAuthorization: Basic {basic}\r\n\r\n");
        return Uri.EscapeDataString(System.Text.Json.Nodes.JsonNode.Parse(answer.Body)!["refresh_token"]!.GetValue<string>());
    }
}

public sealed class ResetConnectionTests_direct() : ResetConnectionTests(Direct);

public sealed class ResetConnectionTests_kestrel() : ResetConnectionTests(Kestrel);
