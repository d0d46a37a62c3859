using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using ImageAccess.FakeHubs;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>Upstream refuses a write before it has read all of it: its own words reach the client at once, whatever is still under way.</summary>
public abstract class EarlyRefusalTests(string transport) : WalkTests(transport)
{
    private const string TooLarge = """{"errors":[{"code":"DENIED","message":"your storage quota is used up","detail":null}]}""";
    private const string Upload = "blobs/uploads/abc?_state=x";

    /// <summary>Far less than <c>Upstream:IdleTimeout</c>, far more than an answer takes.</summary>
    private static readonly TimeSpan AtOnce = TimeSpan.FromSeconds(20);

    public static TheoryData<string, string, string, int> Writes
    {
        get
        {
            var data = new TheoryData<string, string, string, int>();
            foreach (var then in new[] { "hangs", "closes", "resets" })
            {
                data.Add("PATCH " + Upload, "Content-Length: 400000000", then, 413);
                data.Add("PATCH " + Upload, "Transfer-Encoding: chunked", then, 403);
                data.Add("POST blobs/uploads/?digest=sha256:" + new string('a', 64), "Content-Length: 50000000", then, 429);
                data.Add("PUT " + Upload + "&digest=sha256:" + new string('a', 64), "Content-Length: 50000000", then, 500);
                data.Add("PUT " + Upload + "&digest=sha256:" + new string('b', 64), "Transfer-Encoding: chunked", then, 401);
            }

            return data;
        }
    }

    /// <summary>The client has sent a part of the body, and waits.</summary>
    [Theory]
    [MemberData(nameof(Writes))]
    public async Task Upstreams_refusal_reaches_a_client_that_is_still_sending(string write, string framing, string then, int status)
    {
        await using var upstream = Refusing(status, then);
        await using var world = await StartAsync(settings: ("Upstream:Registry", upstream.Address));
        using var client = new TcpClient();
        var stream = await SendHeadAsync(client, world, write, framing);
        await stream.WriteAsync(framing.StartsWith("Transfer", StringComparison.Ordinal) ? "5\r\nhello\r\n"u8.ToArray() : "hello"u8.ToArray());

        var answer = await ReadAsync(stream);
        Assert.Equal((status, TooLarge, "7", "close"), (answer.Status, answer.Body, answer.Header("Retry-After"), answer.Header("Connection")));
        if (status == 401)
            Assert.StartsWith($"Bearer realm=\"http://{world.Mirror.Authority}/token\"", answer.Header("WWW-Authenticate"), StringComparison.Ordinal);
    }

    /// <summary>What a refused upload has promised is never made up for: the largest costs as little as any.</summary>
    [Theory]
    [InlineData(1L << 40)]
    [InlineData((1L << 40) - 1)]
    [InlineData(900_000_000_000)]
    public async Task A_refused_upload_that_has_promised_much_ends_at_once(long length)
    {
        await using var upstream = Refusing(413, "hangs");
        await using var world = await StartAsync(settings: ("Upstream:Registry", upstream.Address));
        using var client = new TcpClient();
        var stream = await SendHeadAsync(client, world, "PATCH " + Upload, $"Content-Length: {length}");
        Assert.Equal((413, TooLarge), await ReadAsync(stream) is var answer ? (answer.Status, answer.Body) : default);
    }

    [Theory]
    [InlineData("PATCH " + Upload, (1L << 40) + 1)]
    [InlineData("PUT " + Upload, 5_000_000_000_000)]
    [InlineData("POST blobs/uploads/", long.MaxValue)]
    public async Task An_upload_that_promises_more_than_there_can_be_is_refused_here(string write, long length)
    {
        await using var world = await StartAsync();
        using var client = new TcpClient();
        var answer = await ReadAsync(await SendHeadAsync(client, world, write, $"Content-Length: {length}"));
        Assert.Equal((413, "an upload has at most 1 TiB"), (answer.Status, answer.Message));
        Assert.Empty(world.Hub.Requests.Of(Face.Registry));
    }

    /// <summary>Nothing of the client is left unread, so its connection stays.</summary>
    [Theory]
    [InlineData("POST blobs/uploads/", 401)]
    [InlineData("DELETE manifests/old", 404)]
    [InlineData("POST blobs/uploads/?from=library/hello&mount=sha256:0000000000000000000000000000000000000000000000000000000000000000", 500)]
    public async Task A_refusal_of_what_was_sent_whole_keeps_the_connection(string write, int status)
    {
        await using var upstream = Refusing(status, "hangs");
        await using var world = await StartAsync(settings: ("Upstream:Registry", upstream.Address));
        using var client = new TcpClient();
        var answer = await ReadAsync(await SendHeadAsync(client, world, write, "Content-Length: 0", "pull", "push", "delete"));
        Assert.Equal((status, TooLarge, null), (answer.Status, answer.Body, answer.Header("Connection")));
    }

    /// <summary>The same over TLS, which no test needs besides; the certificate is one that the configuration trusts.</summary>
    [Theory]
    [InlineData("Content-Length: 400000000", "hangs")]
    [InlineData("Content-Length: 400000000", "resets")]
    [InlineData("Transfer-Encoding: chunked", "hangs")]
    [InlineData("Transfer-Encoding: chunked", "closes")]
    public async Task Upstreams_refusal_comes_over_TLS(string framing, string then)
    {
        using var authority = new CertificateAuthority();
        using var certificate = authority.Issue("127.0.0.1");
        using var folder = new TemporaryDirectory();
        await authority.WriteToAsync(folder["ca.crt"]);
        await using var upstream = Refusing(413, then, after: 100_000, certificate);
        await using var world = await StartAsync(settings: [("Upstream:Registry", upstream.Address), ("Upstream:TrustedCertificates", folder["ca.crt"])]);
        using var client = new TcpClient();
        var stream = await SendHeadAsync(client, world, "PATCH " + Upload, framing);
        var piece = Encoding.ASCII.GetBytes($"10000\r\n{new string('x', 0x10000)}\r\n");
        for (var sent = 0; sent < 8; sent++)
            await stream.WriteAsync(piece);
        var answer = await ReadAsync(stream);
        Assert.Equal((413, TooLarge), (answer.Status, answer.Body));
    }

    /// <summary>The client goes on sending as fast as it can, and reads the answer only when it cannot send any more or has sent a lot.</summary>
    [Theory]
    [InlineData("Content-Length: 400000000", "hangs")]
    [InlineData("Content-Length: 400000000", "resets")]
    [InlineData("Transfer-Encoding: chunked", "hangs")]
    [InlineData("Transfer-Encoding: chunked", "closes")]
    public async Task A_client_that_goes_on_sending_reads_it_too(string framing, string then)
    {
        await using var upstream = Refusing(413, then, after: 300_000);
        await using var world = await StartAsync(settings: ("Upstream:Registry", upstream.Address));
        using var client = new TcpClient();
        var stream = await SendHeadAsync(client, world, "PATCH " + Upload, framing);
        var piece = Encoding.ASCII.GetBytes($"10000\r\n{new string('x', 0x10000)}\r\n");
        try
        {
            for (var sent = 0; sent < 200; sent++)
                await stream.WriteAsync(piece).AsTask().WaitAsync(AtOnce);
        }
        catch (IOException)
        {
            // It has closed; what it said before is there to be read.
        }

        var answer = await ReadAsync(stream);
        Assert.Equal((413, TooLarge), (answer.Status, answer.Body));
    }

    /// <summary>A manifest is read whole before upstream is asked; upstream may refuse it by its head all the same.</summary>
    [Theory]
    [InlineData("closes")]
    [InlineData("resets")]
    [InlineData("hangs")]
    public async Task A_manifest_that_is_refused_early_is_answered(string then)
    {
        await using var upstream = Refusing(403, then);
        await using var world = await StartAsync(settings: ("Upstream:Registry", upstream.Address));
        using var client = new TcpClient();
        var stream = await SendHeadAsync(client, world, "PUT manifests/v1", "Content-Length: 4000000");
        await stream.WriteAsync(new byte[4_000_000]);
        var answer = await ReadAsync(stream);
        Assert.Equal((403, TooLarge), (answer.Status, answer.Body));
    }

    /// <summary>An upstream that says that it goes on reading is sent the rest; what it says at the end is the answer.</summary>
    [Theory]
    [InlineData("HTTP/1.1 100 Continue\r\n\r\n")]
    [InlineData("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")]
    public async Task An_interim_answer_ends_nothing(string interim)
    {
        await using var upstream = new RawServer(async connection =>
        {
            await connection.ReadHeadAsync();
            await connection.WriteAsync(interim);
            await connection.ReadAsync(3_000_000);
            await connection.WriteAsync("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nRange: 0-2999999\r\n\r\n");
            await connection.HangAsync();
        });
        await using var world = await StartAsync(settings: ("Upstream:Registry", upstream.Address));
        using var client = new TcpClient();
        var stream = await SendHeadAsync(client, world, "PATCH " + Upload, "Content-Length: 3000000");
        await stream.WriteAsync(new byte[3_000_000]);
        var answer = await ReadAsync(stream);
        Assert.Equal((202, "0-2999999", null), (answer.Status, answer.Header("Range"), answer.Header("Connection") is "keep-alive" ? "kept" : null));
    }

    /// <summary>What is lost of an error's text does not hide the error.</summary>
    [Theory]
    [InlineData("Content-Length: 1000\r\n\r\nyour quota", "your quota")]
    [InlineData("Transfer-Encoding: chunked\r\n\r\n5\r\nyour \r\n", "your ")]
    [InlineData("Connection: close\r\n\r\nyour quota", "your quota")]
    [InlineData("Content-Length: 1000\r\n\r\n", "")]
    public async Task A_refusal_whose_text_breaks_off_is_still_a_refusal(string rest, string text)
    {
        foreach (var write in new[] { "PATCH " + Upload, "GET tags/list", "GET manifests/latest" })
        {
            await using var upstream = new RawServer(async connection =>
            {
                await connection.ReadHeadAsync();
                await connection.WriteAsync("HTTP/1.1 413 Content Too Large\r\nRetry-After: 7\r\n" + rest);
            });
            await using var world = await StartAsync(settings: ("Upstream:Registry", upstream.Address));
            using var client = new TcpClient();
            var stream = await SendHeadAsync(client, world, write, write[0] == 'P' ? "Content-Length: 50000000" : "X-Nothing: x");
            var answer = await ReadAsync(stream);
            Assert.Equal((write, 413, text, "7"), (write, answer.Status, answer.Body, answer.Header("Retry-After")));
        }
    }

    private static RawServer Refusing(int status, string then, int after = 0, X509Certificate2? certificate = null)
    {
        return new RawServer(RefuseAsync, certificate);

        async Task RefuseAsync(RawConnection connection)
        {
            await connection.ReadHeadAsync();
            await connection.ReadAsync(after);
            await connection.WriteAsync(
                $"HTTP/1.1 {status} No\r\nContent-Type: application/json\r\nContent-Length: {TooLarge.Length}\r\nRetry-After: 7\r\n"
                + $"WWW-Authenticate: Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\"\r\n\r\n{TooLarge}");
            if (then == "hangs")
                await connection.HangAsync();
            else if (then == "resets")
                connection.Close();
        }
    }

    private static async Task<NetworkStream> SendHeadAsync(TcpClient client, Surroundings world, string write, string framing, params string[] actions)
    {
        actions = actions.Length == 0 ? ["pull", "push"] : actions;
        var token = world.Hub.Signer.IssueToken(draft => draft.For(world.Hub.Users.Find("bob")!).Access = [new TokenAccess("acme/app", actions)]);
        var (method, resource) = (write.Split(' ')[0], write.Split(' ')[1]);
        await client.ConnectAsync(world.Mirror.Host, world.Mirror.Port);
        var stream = client.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes(
            $"{method} /v2/acme/app/{resource} HTTP/1.1\r\nHost: {world.Mirror.Authority}\r\nAuthorization: Bearer {token}\r\n{framing}\r\n\r\n"));
        return stream;
    }

    /// <summary>The answer, as soon as all of it has come.</summary>
    private static async Task<RawAnswer> ReadAsync(NetworkStream stream)
    {
        using var limit = new CancellationTokenSource(AtOnce);
        using var received = new MemoryStream();
        var buffer = new byte[4096];
        while (!IsWhole(Encoding.Latin1.GetString(received.ToArray())))
        {
            var count = await stream.ReadAsync(buffer, limit.Token);
            Assert.NotEqual(0, count);
            received.Write(buffer.AsSpan(0, count));
        }

        return RawAnswer.Parse(Encoding.Latin1.GetString(received.ToArray()));
    }

    private static bool IsWhole(string text)
    {
        var end = text.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        return end >= 0 && RawAnswer.Parse(text).Header("Content-Length") is { } length && text.Length - end - 4 >= int.Parse(length, System.Globalization.CultureInfo.InvariantCulture);
    }
}

public sealed class EarlyRefusalTests_direct() : EarlyRefusalTests(Direct);

public sealed class EarlyRefusalTests_kestrel() : EarlyRefusalTests(Kestrel);
