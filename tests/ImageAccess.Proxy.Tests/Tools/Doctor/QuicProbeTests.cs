using System.Net;
using System.Net.Sockets;
using ImageAccess.Proxy.Tools.Doctor;
using ImageAccess.Proxy.Tools.Doctor.Probes;

namespace ImageAccess.Proxy.Tests.Tools.Doctor;

/// <summary>The packet that every QUIC server answers, and what counts as its answer.</summary>
public sealed class QuicProbeTests
{
    [Fact]
    public async Task A_server_that_names_its_versions_speaks_QUIC()
    {
        await using var server = new UdpServer(packet => Answer(packet[15..23], packet[6..14]));

        Assert.True(await IsSpokenAsync(server.EndPoint));
        var packet = server.Packets[0];
        Assert.Equal(1200, packet.Length);
        Assert.Equal(0xc0, packet[0] & 0xc0);
        Assert.All(packet[1..5], part => Assert.Equal(0x0a, part & 0x0f));
        Assert.Equal((8, 8), (packet[5], packet[14]));
    }

    [Fact]
    public async Task A_lost_packet_is_sent_again()
    {
        var seen = 0;
        await using var server = new UdpServer(packet => ++seen == 1 ? null : Answer(packet[15..23], packet[6..14]));

        Assert.True(await IsSpokenAsync(server.EndPoint));
    }

    public static TheoryData<string, Func<byte[], byte[]?>> OtherAnswers => new()
    {
        { "none", _ => null },
        { "an echo", packet => packet },
        { "identifiers not exchanged", packet => Answer(packet[6..14], packet[15..23]) },
        { "another protocol", _ => "hello"u8.ToArray() },
        { "nothing in it", _ => [] },
    };

    [Theory]
    [MemberData(nameof(OtherAnswers))]
    public async Task Any_other_answer_is_none(string what, Func<byte[], byte[]?> answer)
    {
        await using var server = new UdpServer(answer);

        Assert.False(await IsSpokenAsync(server.EndPoint), what);
        Assert.NotEmpty(server.Packets);
    }

    [Fact]
    public async Task A_closed_port_is_none()
    {
        IPEndPoint closed;
        using (var socket = new UdpClient(new IPEndPoint(IPAddress.Loopback, 0)))
            closed = (IPEndPoint)socket.Client.LocalEndPoint!;

        Assert.False(await IsSpokenAsync(closed));
    }

    [Fact]
    public async Task An_open_way_is_told()
    {
        await using var server = new UdpServer(packet => Answer(packet[15..23], packet[6..14]));
        using var machine = new ExaminedMachine().Leading(server.EndPoint, "registry-1.docker.io");

        var row = (await machine.ExamineAsync()).Row("QUIC IPv4", "registry-1.docker.io");

        Assert.Equal((RouteVerdict.Open, "127.0.0.1: it speaks QUIC"), (row.Verdict, row.Outcome.Detail));
        Assert.Equal($"curl -sS -k -o /dev/null -D - --http3-only --connect-to ::127.0.0.1:{server.EndPoint.Port} https://registry-1.docker.io/v2/", row.Outcome.Command);
    }

    private static Task<bool> IsSpokenAsync(IPEndPoint server) => new QuicProbe(new Timeouts(TimeProvider.System)).IsSpokenAsync(server, CancellationToken.None);

    /// <summary>Version Negotiation (RFC 9000, section 17.2.1) with version 1.</summary>
    private static byte[] Answer(byte[] destination, byte[] source) => [0xca, 0, 0, 0, 0, 8, .. destination, 8, .. source, 0, 0, 0, 1];

    private sealed class UdpServer : IAsyncDisposable
    {
        private readonly UdpClient _socket = new(new IPEndPoint(IPAddress.Loopback, 0));
        private readonly Task _serving;

        public UdpServer(Func<byte[], byte[]?> answer) => _serving = ServeAsync(answer);

        public IPEndPoint EndPoint => (IPEndPoint)_socket.Client.LocalEndPoint!;

        public List<byte[]> Packets { get; } = [];

        public async ValueTask DisposeAsync()
        {
            _socket.Dispose();
            await _serving.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        private async Task ServeAsync(Func<byte[], byte[]?> answer)
        {
            while (true)
            {
                var received = await _socket.ReceiveAsync();
                Packets.Add(received.Buffer);
                if (answer(received.Buffer) is { } bytes)
                    await _socket.SendAsync(bytes, received.RemoteEndPoint);
            }
        }
    }
}
