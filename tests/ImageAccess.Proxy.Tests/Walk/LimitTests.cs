using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using ImageAccess.Proxy.Foundation.Limits;
using ImageAccess.Proxy.Tests.Connections.Ingress;
using Microsoft.Extensions.DependencyInjection;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>What a client gets that has all that it may have, and what the others get meanwhile. Clients are addresses of this machine.</summary>
public abstract class LimitTests(string transport) : WalkTests(transport)
{
    private const string One = "127.0.0.1";
    private const string Other = "127.0.0.2";
    private const string Third = "127.0.0.3";

    private static readonly (string, string)[] BothFurther = [("Listen:Gateway", "https://127.0.0.1:0"), ("Listen:ForwardProxy", "http://127.0.0.1:0")];

    [Theory]
    [InlineData("mirror", "mirror")]
    [InlineData("mirror", "gateway")]
    [InlineData("gateway", "proxy")]
    [InlineData("proxy", "mirror")]
    public async Task A_client_has_its_connections_over_all_listeners_together(string first, string second)
    {
        await using var here = await StartAsync(settings: [("Limits:Connections", "4"), ("Limits:ConnectionsPerClient", "2"), .. BothFurther]);
        using var held = await OpenAsync(One, AddressOf(here, first));
        using var more = await OpenAsync(One, AddressOf(here, second));
        await AcceptedAsync(here, 2);
        await AssertClosedAsync(One, AddressOf(here, second));
        await AssertClosedAsync(One, AddressOf(here, first));

        Assert.Equal(401, await AskMirrorAsync(here, Other)); // another client is served
        Assert.Equal(200, await AskAsync(here.Admin, One, "/livez")); // and the administrator at the same address
        Assert.True(await MeterAsync(here, """imageaccess_limited_total{what="connections"}""") >= 2);

        held.Dispose();
        await AnsweredAsync(here, One); // what has ended is free
    }

    [Fact]
    public async Task All_clients_have_their_connections_together_and_the_administrator_has_some_of_its_own()
    {
        await using var here = await StartAsync(settings: [("Limits:Connections", "3"), ("Limits:ConnectionsPerClient", "2"), .. BothFurther]);
        using var one = await OpenAsync(One, here.Mirror);
        using var two = await OpenAsync(Other, here.Further[0]);
        using var three = await OpenAsync(Third, here.Further[1]);
        await AcceptedAsync(here, 3);
        await AssertClosedAsync("127.0.0.4", here.Mirror);
        Assert.Equal(200, await AskAsync(here.Admin, "127.0.0.4", "/livez"));
        Assert.Contains("\"limits\": \"all 3 connections are in use\"", await ReadAdminAsync(here, "/readyz"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("127.0.0.0/31")]
    [InlineData("::ffff:127.0.0.1")]
    public async Task A_trusted_proxy_has_the_connections_of_many_clients(string trusted)
    {
        await using var here = await StartAsync(settings: [("Limits:Connections", "5"), ("Limits:ConnectionsPerClient", "1"), ("Listen:TrustedProxies:0", trusted)]);
        var held = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => OpenAsync(One, here.Mirror)));
        Assert.Equal(401, await AskMirrorAsync(here, One));
        foreach (var socket in held)
            socket.Dispose();
        await AnsweredAsync(here, Other);
        await AcceptedAsync(here, 0);
        using var own = await OpenAsync(Other, here.Mirror);
        await AssertClosedAsync(Other, here.Mirror);
    }

    [Theory]
    [InlineData("GET", "library/nginx", "manifests/latest")]
    [InlineData("GET", "acme/app", "tags/list")]
    [InlineData("POST", "acme/app", "blobs/uploads/")]
    public async Task A_client_with_all_its_pulls_is_told_to_come_back_and_what_is_denied_stays_denied(string method, string repository, string path)
    {
        await using var here = await StartAsync(settings: [("Limits:RequestsPerClient", "1")]);
        var digest = PushLarge(here);
        using var pulling = await BeginPullAsync(here, One, digest);

        var token = await here.TokenAsync("bob", $"repository:{repository}:pull,push");
        here.Hub.Requests.Clear();
        var refused = await SendAsync(here, One, Request(method, $"/v2/{repository}/{path}", token));
        Assert.Equal((429, "5", "TOOMANYREQUESTS"), (refused.Status, refused.Header("Retry-After"), refused.Code));
        Assert.Equal("too many pulls and pushes are under way at once, try again in 5 seconds", refused.Message);
        Assert.Equal(refused.Message, refused.Phrase);
        Assert.Empty(here.Hub.Requests.All);
        Assert.Equal(1, await MeterAsync(here, """imageaccess_limited_total{what="requests"}"""));

        var denied = await SendAsync(here, One, Request("GET", "/v2/someuser/custom-image/manifests/latest", await here.PullTokenAsync(null, "someuser/custom-image"), "docker/29.7.0 go/go1.25.4"));
        Assert.Contains("image access denied", denied.Phrase, StringComparison.Ordinal);
        Assert.NotEqual(429, denied.Status);
        Assert.NotEqual(429, (await SendAsync(here, Other, Request(method, $"/v2/{repository}/{path}", token))).Status);

        pulling.Dispose();
        await AnsweredAsync(async () => (await SendAsync(here, One, Request("GET", "/v2/library/nginx/manifests/latest", token))).Status == 200 || repository != "library/nginx");
    }

    [Fact]
    public async Task Pulls_through_a_trusted_proxy_are_those_of_the_address_that_it_forwards()
    {
        await using var here = await StartAsync(settings: [("Limits:RequestsPerClient", "1"), ("Listen:TrustedProxies:0", "127.0.0.1")]);
        var digest = PushLarge(here);
        using var pulling = await BeginPullAsync(here, One, digest, "X-Forwarded-For: 198.51.100.1\r\n");
        var token = await here.PullTokenAsync(null, "library/nginx");
        Assert.Equal(429, await ManifestAsync("198.51.100.1"));
        Assert.Equal(200, await ManifestAsync("198.51.100.2"));
        Assert.Equal(200, await ManifestAsync("2001:db8::1"));

        async Task<int> ManifestAsync(string client) =>
            (await SendAsync(here, One, Request("GET", "/v2/library/nginx/manifests/latest", token, further: $"X-Forwarded-For: {client}\r\n"))).Status;
    }

    /// <summary>A balancer that knows nothing of HTTP forwards no address: only the limit of all holds.</summary>
    [Theory]
    [InlineData("mirror")]
    [InlineData("gateway")]
    [InlineData("forward-proxy")]
    public async Task Pulls_through_a_trusted_proxy_that_forwards_no_address_are_those_of_many_clients(string way)
    {
        await using var room = await IngressRoom.StartAsync(
            settings: [("Limits:Requests", "2"), ("Limits:RequestsPerClient", "1"), ("Listen:TrustedProxies:0", "127.0.0.0/8"), ("Listen:Transport", Transport)]);
        var digest = PushLarge(room.World);
        using var one = await BeginPullAsync(room.World, One, digest);
        var token = await room.World.PullTokenAsync(null, "library/nginx");
        Assert.Equal(200, (await ManifestAsync()).Status);

        using var two = await BeginPullAsync(room.World, Other, digest);
        Assert.Equal((429, "TOOMANYREQUESTS"), await ManifestAsync() is var refused ? (refused.Status, refused.Code) : default);

        Task<RawAnswer> ManifestAsync()
        {
            const string Host = "registry-1.docker.io";
            var request = IngressRoom.Request("GET", Host, "/v2/library/nginx/manifests/latest", token);
            return way switch
            {
                "mirror" => SendAsync(room.World, One, request),
                "gateway" => room.AskGatewayAsync(Host, request),
                _ => room.AskForwardProxyAsync(Host, request),
            };
        }
    }

    [Theory]
    [InlineData("Limits:Connections", "0", "'0' is not a whole number, as 100")]
    [InlineData("Limits:Requests", "-1", "'-1' is not a whole number, as 100")]
    [InlineData("Limits:TunnelsPerClient", "many", "'many' is not a whole number, as 100")]
    public async Task What_is_no_number_stops_the_start(string key, string value, string problem)
    {
        using var directory = new TemporaryDirectory();
        await using var program = new ImageAccessProcess(directory.Path, [], ("IMAGEACCESS_" + key.Replace(":", "__", StringComparison.Ordinal), value));
        var (code, _, error) = await program.EndAsync();
        Assert.Equal((2, $"imageaccess: {key}: {problem}\n"), (code, error));
    }

    private static Uri AddressOf(Surroundings here, string listener) => listener switch
    {
        "mirror" => here.Mirror,
        "gateway" => here.Further[0],
        _ => here.Further[1],
    };

    /// <summary>Each listener accepts by itself: what a client has opened counts a moment later.</summary>
    private static Task AcceptedAsync(Surroundings here, int connections) =>
        Eventually.TrueAsync(() => here.Proxy.Services.GetRequiredService<ClientLimits>().Connections.InUse == connections);

    private static string PushLarge(Surroundings here)
    {
        var layer = RandomNumberGenerator.GetBytes(32 * 1024 * 1024);
        here.Hub.Images.PushImage("library/large", "latest", [layer]);
        return $"sha256:{Convert.ToHexStringLower(SHA256.HashData(layer))}";
    }

    /// <summary>A pull that has begun and whose client reads no more of it.</summary>
    private static async Task<Socket> BeginPullAsync(Surroundings here, string client, string digest, string further = "")
    {
        var token = await here.PullTokenAsync(null, "library/large");
        var socket = await OpenAsync(client, here.Mirror);
        await socket.SendAsync(Encoding.ASCII.GetBytes(Request("GET", $"/v2/library/large/blobs/{digest}", token, further: further)));
        var beginning = new byte[12];
        await socket.ReceiveAsync(beginning);
        Assert.Equal("HTTP/1.1 200", Encoding.ASCII.GetString(beginning));
        return socket;
    }

    private static string Request(string method, string target, string? token, string? userAgent = null, string further = "") =>
        $"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        + (token is null ? "" : $"Authorization: Bearer {token}\r\n")
        + (userAgent is null ? "" : $"User-Agent: {userAgent}\r\n")
        + (method == "POST" ? "Content-Length: 0\r\n" : "")
        + further + "\r\n";

    private static Task<RawAnswer> SendAsync(Surroundings here, string client, string request) => SendAsync(here.Mirror, client, request);

    private static async Task<RawAnswer> SendAsync(Uri listener, string client, string request)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        await using var stream = new NetworkStream(await OpenAsync(client, listener), ownsSocket: true);
        await stream.WriteAsync(Encoding.Latin1.GetBytes(request), limit.Token);
        using var answer = new MemoryStream();
        await stream.CopyToAsync(answer, limit.Token);
        return RawAnswer.Parse(Encoding.Latin1.GetString(answer.ToArray()));
    }

    private static async Task<int> AskAsync(Uri listener, string client, string target) => (await SendAsync(listener, client, Request("GET", target, null))).Status;

    private static Task<int> AskMirrorAsync(Surroundings here, string client) => AskAsync(here.Mirror, client, "/v2/");

    private static async Task<string> ReadAdminAsync(Surroundings here, string path)
    {
        using var client = Surroundings.NewClient(here.Admin);
        return await client.GetStringAsync(path);
    }

    private static async Task<long> MeterAsync(Surroundings here, string sample) =>
        long.Parse((await ReadAdminAsync(here, "/metrics")).Split('\n').Single(line => line.StartsWith(sample, StringComparison.Ordinal)).Split(' ')[^1], System.Globalization.CultureInfo.InvariantCulture);

    private static async Task<Socket> OpenAsync(string client, Uri listener)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        socket.Bind(new IPEndPoint(IPAddress.Parse(client), 0));
        await socket.ConnectAsync(IPAddress.Loopback, listener.Port);
        return socket;
    }

    private static async Task AssertClosedAsync(string client, Uri listener)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        try
        {
            using var socket = await OpenAsync(client, listener);
            Assert.Equal(0, await socket.ReceiveAsync(new byte[1], limit.Token));
        }
        catch (SocketException exception) when (exception.SocketErrorCode == SocketError.ConnectionReset)
        {
            // Kestrel's transport closes so.
        }
    }

    private static Task AnsweredAsync(Surroundings here, string client) => AnsweredAsync(async () => await AskMirrorAsync(here, client) == 401);

    /// <summary>Until it is so: a connection that has ended is free a moment later.</summary>
    private static async Task AnsweredAsync(Func<Task<bool>> isAnswered)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (true)
        {
            try
            {
                if (await isAnswered())
                    return;
            }
            catch (Exception exception) when (exception is IOException or SocketException or IndexOutOfRangeException)
            {
                // It was closed as soon as it was accepted.
            }

            await Task.Delay(10, limit.Token);
        }
    }
}

public sealed class LimitTests_direct() : LimitTests(Direct);

public sealed class LimitTests_kestrel() : LimitTests(Kestrel);
