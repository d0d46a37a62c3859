using System.Buffers;
using System.Net.Security;
using ImageAccess.Core.Hosts;
using ImageAccess.Proxy.Connections.Ingress;
using static ImageAccess.Proxy.Tests.Connections.Ingress.ClientHelloBytes;

namespace ImageAccess.Proxy.Tests.Connections.Ingress;

/// <summary>The first message of TLS, as clients send it and as nobody should.</summary>
public sealed class ClientHelloTests
{
    [Theory]
    [InlineData("registry-1.docker.io")]
    [InlineData("auth.docker.io")]
    public async Task The_server_name_of_a_real_client_is_read(string host)
    {
        var bytes = await CaptureAsync(host);
        var hello = Read(bytes);
        Assert.Equal((ClientHelloState.Complete, HostName.Parse(host), false), (hello.State, hello.ServerName, hello.IsEncrypted));
    }

    [Fact]
    public void The_name_is_read_in_its_one_form() => Assert.Equal("registry-1.docker.io", Read(Of("Registry-1.DOCKER.io.")).ServerName?.Value);

    [Fact]
    public void Every_beginning_is_incomplete_and_never_anything_else()
    {
        foreach (var most in new[] { 16 * 1024, 7, 1 })
        {
            var bytes = Record(Message(Extensions("registry-1.docker.io")), most);
            for (var length = 0; length < bytes.Length; length++)
                Assert.Equal(ClientHelloState.Incomplete, Read(bytes[..length]).State);
            Assert.Equal("registry-1.docker.io", Read(bytes).ServerName?.Value);
        }
    }

    [Fact]
    public void What_follows_the_message_is_not_looked_at() =>
        Assert.Equal("a.example", Read([.. Of("a.example"), 20, 3, 3, 0, 1, 1, 255, 255]).ServerName?.Value);

    [Fact]
    public void Bytes_in_many_segments_are_read_alike()
    {
        var bytes = Of("registry-1.docker.io");
        Segment? first = null, last = null;
        foreach (var one in bytes)
        {
            last = new Segment(new[] { one }, last);
            first ??= last;
        }

        Assert.Equal("registry-1.docker.io", ClientHello.Read(new ReadOnlySequence<byte>(first!, 0, last!, 1)).ServerName?.Value);
    }

    [Fact]
    public void A_name_that_is_none_is_no_name()
    {
        Assert.All(["127.0.0.1", "", "a..b", "a/b", "[::1]", "a\0b"], name => Assert.Null(Read(Of(name)).ServerName));
        Assert.Equal(new ClientHello(ClientHelloState.Complete), Read(Of(null)));
        Assert.Equal(new ClientHello(ClientHelloState.Complete), Read(Record(Message(null))));
    }

    [Theory]
    [InlineData(0xfe0d)]
    [InlineData(0xffce)]
    public void An_encrypted_one_is_told(int extension) => Assert.True(Read(Of("public.example", (extension, [1, 2, 3]))).IsEncrypted);

    public static TheoryData<string, byte[]> Wrong => new()
    {
        { "two server names", Record(Message(Extensions(null, (0, ServerName("a.example", "b.example"))))) },
        { "two extensions of server names", Of("a.example", (0, ServerName("b.example"))) },
        { "no name in the list", Record(Message(Extensions(null, (0, Vector([]))))) },
        { "a name of another type", Record(Message(Extensions(null, (0, Vector([1, 0, 1, 97]))))) },
        { "a name that is longer than its list", Record(Message(Extensions(null, (0, Vector([0, 0, 9, 97]))))) },
        { "bytes behind the list", Record(Message(Extensions(null, (0, [.. ServerName("a.example"), 0])))) },
        { "bytes behind the extensions", Record(Message(Extensions("a.example")) is var message ? Longer(message, 1) : []) },
        { "an extension cut short", Record(Message([0, 0, 0, 99, 1])) },
        { "another message", Record([2, 0, 0, 1, 0]) },
        { "a message without end", Record([1, 255, 255, 255, 3, 3]) },
        { "an empty record", [22, 3, 1, 0, 0] },
        { "a record too large", [22, 3, 1, 255, 255, 1] },
        { "another record in between", [.. Record(Message(Extensions("a.example")), 40).Take(45), 21, 3, 3, 0, 2, 1, 0] },
        { "more than fits", [.. Record([1, 0, 63, 255, .. new byte[16000]], 100)] },
    };

    [Theory]
    [MemberData(nameof(Wrong))]
    public void What_two_readers_might_read_differently_is_malformed(string what, byte[] bytes) => Assert.True(Read(bytes).State == ClientHelloState.Malformed, what);

    [Theory]
    [InlineData("GET / HTTP/1.1\r\n")]
    [InlineData("SSH-2.0")]
    [InlineData("\u0016\u0002\u0000")]
    [InlineData("\u0080\u002e\u0001")]
    [InlineData("\u0015\u0003\u0001")]
    public void Something_else_is_not_TLS(string bytes) => Assert.Equal(ClientHelloState.NotTls, Read([.. bytes.Select(c => (byte)c)]).State);

    /// <summary>No byte that is changed, left out or put in breaks the reader.</summary>
    [Fact]
    public void Whatever_comes_is_read_without_a_fault()
    {
        var random = new Random(1);
        for (var round = 0; round < 20_000; round++)
        {
            var bytes = Record(Message(Extensions("registry-1.docker.io", (10, [0, 2, 0, 29]))), random.Next(1, 300)).ToList();
            for (var change = random.Next(1, 5); change > 0; change--)
            {
                var place = random.Next(bytes.Count);
                switch (random.Next(3))
                {
                    case 0:
                        bytes[place] = (byte)random.Next(256);
                        break;
                    case 1:
                        bytes.RemoveAt(place);
                        break;
                    default:
                        bytes.Insert(place, (byte)random.Next(256));
                        break;
                }
            }

            Read([.. bytes]);
        }
    }

    private static byte[] Longer(byte[] message, int by)
    {
        byte[] longer = [.. message, .. new byte[by]];
        longer[3] += (byte)by;
        return longer;
    }

    private static ClientHello Read(byte[] bytes) => ClientHello.Read(new ReadOnlySequence<byte>(bytes));

    private static async Task<byte[]> CaptureAsync(string host)
    {
        var sent = new MemoryStream();
        await using var tls = new SslStream(new OneWay(sent));
        await Assert.ThrowsAnyAsync<Exception>(() => tls.AuthenticateAsClientAsync(host));
        return sent.ToArray();
    }

    private sealed class Segment : ReadOnlySequenceSegment<byte>
    {
        public Segment(ReadOnlyMemory<byte> memory, Segment? previous)
        {
            Memory = memory;
            RunningIndex = previous is null ? 0 : previous.RunningIndex + previous.Memory.Length;
            if (previous is not null)
                previous.Next = this;
        }
    }

    /// <summary>Takes what is written, and has nothing to read.</summary>
    private sealed class OneWay(Stream sent) : MemoryStream
    {
        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => sent.WriteAsync(buffer, cancellationToken);
    }
}
