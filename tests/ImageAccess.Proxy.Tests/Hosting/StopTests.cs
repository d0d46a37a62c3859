using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Security.Cryptography;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Tests.Connections.Ingress;
using ImageAccess.Proxy.Tests.Walk;

namespace ImageAccess.Proxy.Tests.Hosting;

/// <summary>The process is told to stop: what is under way ends, nothing new begins, and nothing waits for ever.</summary>
public abstract class StopTests(string transport) : WalkTests(transport), IAsyncLifetime
{
    private const string Patient = """ "Shutdown": { "GracePeriod": "10m" }, "Cache": { "Enabled": false } """;
    private const string Keeping = """ "Shutdown": { "GracePeriod": "10m" } """;
    private const string WithForwardProxy = """, "ForwardProxy": "http://127.0.0.1:0" """;

    /// <summary>As often as a client sends one more piece: for longer than any short timeout.</summary>
    private const int Pieces = 35;

    /// <summary>So large that a slow machine, too, sends more than the 240 bytes a second that the server wants.</summary>
    private const int PieceSize = 16 * 1024;

    private ProgramRoom _room = null!;

    public async Task InitializeAsync() => _room = await ProgramRoom.OpenAsync(Transport);

    public async Task DisposeAsync() => await _room.DisposeAsync();

    [Theory]
    [InlineData("TERM", Patient)]
    [InlineData("INT", Patient)]
    [InlineData("QUIT", Patient)]
    [InlineData("TERM", Keeping)]
    public async Task A_pull_that_is_under_way_comes_whole(string signal, string settings)
    {
        var (layer, digest) = _room.Push(ProgramRoom.Repository);
        _room.SlowContent();
        await using var program = await _room.StartAsync(settings);
        using var answer = await PullAsync(program, digest);
        await program.StopAsync(signal);

        Assert.Equal(layer, await answer.Content.ReadAsByteArrayAsync());
        var (code, _, error) = await program.Process.EndAsync();
        Assert.Equal((0, ""), (code, error));
    }

    [Fact]
    public async Task A_push_that_is_under_way_is_taken()
    {
        _room.Hub.Users.Add("alice", "alices-password");
        _room.Hub.Users.AddOrganization("acme");
        _room.Hub.Namespaces.Find("acme")!.AddMember("alice", "Owner");
        await using var program = await _room.StartAsync(Patient);
        var token = await _room.Hub.TokenForAsync("alice", "repository:acme/app:pull,push");
        using var begun = await program.AskAsync(HttpMethod.Post, "/v2/acme/app/blobs/uploads/", token);
        Assert.Equal(HttpStatusCode.Accepted, begun.StatusCode);
        var layer = RandomNumberGenerator.GetBytes(Pieces * PieceSize);

        await using var stream = await IngressRoom.OpenAsync(program.Mirror);
        await stream.WriteAsync(System.Text.Encoding.ASCII.GetBytes(string.Create(
            CultureInfo.InvariantCulture,
            $"PATCH {new Uri(program.Mirror, begun.Headers.Location!).PathAndQuery} HTTP/1.1\r\nHost: {program.Mirror.Authority}\r\nAuthorization: Bearer {token}\r\nContent-Length: {layer.Length}\r\n\r\n")));
        await stream.WriteAsync(layer.AsMemory(0, PieceSize));
        await _room.Hub.Requests.WaitForAsync(request => request.Method == "PATCH", CancellationToken.None);
        await program.StopAsync();
        for (var piece = 1; piece < Pieces; piece++)
        {
            await stream.WriteAsync(layer.AsMemory(piece * PieceSize, PieceSize));
            await Task.Delay(TimeSpan.FromMilliseconds(100));
        }

        Assert.StartsWith("HTTP/1.1 202 ", await IngressRoom.ReadToEndAsync(stream), StringComparison.Ordinal);
        Assert.Equal(0, (await program.Process.EndAsync()).Code);
    }

    /// <summary>For longer than any short timeout, by a clock that nothing but the test moves.</summary>
    [Fact]
    public async Task A_tunnel_goes_on_until_its_client_ends_it()
    {
        var time = new ManualTime(TimeProvider.System.GetUtcNow());
        await using var room = await IngressRoom.StartAsync(time, settings: [("Shutdown:GracePeriod", "00:10:00"), ("Listen:Transport", Transport)]);
        Task stopping;
        await using (var tls = await TunnelAsync(room.ForwardProxy, room.Echo))
        {
            stopping = room.World.Proxy.StopAsync();
            for (var piece = 0; piece < Pieces; piece++)
            {
                time.Advance(TimeSpan.FromSeconds(4));
                await EchoAsync(tls);
            }

            Assert.False(stopping.IsCompleted);
        }

        await stopping.WaitAsync(TimeSpan.FromMinutes(1));
    }

    [Fact]
    public async Task A_tunnel_in_which_nothing_moves_does_not_hold_it_up()
    {
        await using var program = await _room.StartAsync(Patient, WithForwardProxy);
        await using var tls = await TunnelAsync(program);
        await program.StopAsync();
        Assert.Equal(0, (await program.Process.EndAsync()).Code);
    }

    [Fact]
    public async Task Connections_that_wait_for_a_request_do_not_hold_it_up()
    {
        await using var program = await _room.StartAsync(Patient);
        using var admin = Surroundings.NewClient(program.Admin);
        using (var answer = await program.Client.GetAsync("/v2/"))
            Assert.Equal(HttpStatusCode.Unauthorized, answer.StatusCode);
        Assert.Equal("alive\n", await admin.GetStringAsync("/livez"));

        await program.StopAsync();
        Assert.Equal(0, (await program.Process.EndAsync()).Code);
    }

    [Fact]
    public async Task What_does_not_end_is_closed_when_the_grace_period_is_over()
    {
        var (_, digest) = _room.Push(ProgramRoom.Repository);
        _room.Hub.Faults.Add(Face.Cdn, Fault.Drip(1, TimeSpan.FromMilliseconds(100)));
        await using var program = await _room.StartAsync(""" "Shutdown": { "GracePeriod": "1s" } """, WithForwardProxy);
        using var answer = await PullAsync(program, digest);
        await using var tls = await TunnelAsync(program);
        using var ended = new CancellationTokenSource();
        var talking = Assert.ThrowsAnyAsync<IOException>(async () =>
        {
            while (!ended.IsCancellationRequested)
                await EchoAsync(tls);
        });
        await program.StopAsync();

        await Assert.ThrowsAnyAsync<HttpRequestException>(() => answer.Content.ReadAsByteArrayAsync());
        await talking;
        var (code, output, _) = await program.Process.EndAsync();
        Assert.Equal(0, code);
        Assert.Contains("Connections were still open 1 s after the signal and are closed now", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("TERM", "TERM", 143)]
    [InlineData("TERM", "INT", 130)]
    [InlineData("INT", "INT", 130)]
    [InlineData("QUIT", "TERM", 143)]
    public async Task A_second_signal_ends_it_at_once(string first, string second, int code)
    {
        var (_, digest) = _room.Push(ProgramRoom.Repository);
        _room.Hub.Faults.Add(Face.Cdn, Fault.Drip(1, TimeSpan.FromMilliseconds(100)));
        await using var program = await _room.StartAsync(Patient);
        using var answer = await PullAsync(program, digest);
        await program.StopAsync(first);
        Assert.False(program.Process.HasEnded);

        program.Process.Signal(second);
        var (ended, output, error) = await program.Process.EndAsync();
        Assert.Equal((code, ""), (ended, error));
        Assert.Contains($"Stopping on SIG{first}: no new connections; what is under way has 600 s to end, a second signal ends it at once", output, StringComparison.Ordinal);
    }

    private static async Task EchoAsync(SslStream tls)
    {
        await tls.WriteAsync("x"u8.ToArray());
        await tls.ReadExactlyAsync(new byte[1]);
    }

    private async Task<SslStream> TunnelAsync(RunningProgram program) => await TunnelAsync(await program.ForwardProxyAsync(), _room.Echo);

    private static async Task<SslStream> TunnelAsync(Uri forwardProxy, TargetServer target)
    {
        var (head, stream) = await IngressRoom.ConnectAsync(forwardProxy, string.Create(CultureInfo.InvariantCulture, $"{IngressRoom.EchoHost}:{target.Port}"));
        Assert.StartsWith("HTTP/1.1 200 ", head, StringComparison.Ordinal);
        var tls = await target.SecureAsync(stream);
        await EchoAsync(tls);
        return tls;
    }

    private async Task<HttpResponseMessage> PullAsync(RunningProgram program, string digest)
    {
        var answer = await program.AskAsync(
            HttpMethod.Get, $"/v2/{ProgramRoom.Repository}/blobs/{digest}", await _room.Hub.TokenForAsync(null, $"repository:{ProgramRoom.Repository}:pull"));
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        return answer;
    }
}

public sealed class StopTests_direct() : StopTests(Direct);

public sealed class StopTests_kestrel() : StopTests(Kestrel);
