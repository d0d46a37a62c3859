using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace ImageAccess.Proxy.Tests.Foundation.DockerHub;

/// <summary>A name server on this machine that says what a test wants, anew for each question.</summary>
internal sealed class TestResolver : IAsyncDisposable
{
    /// <summary>The types of questions for an address of IPv4 and of IPv6.</summary>
    public const int Four = 1;
    public const int Six = 28;

    private readonly UdpClient _socket = new(new IPEndPoint(IPAddress.Loopback, 0));
    private readonly ConcurrentDictionary<string, Func<int, string?>> _names = new(StringComparer.OrdinalIgnoreCase);
    private readonly CancellationTokenSource _stopping = new();
    private readonly Task _answering;

    public TestResolver() => _answering = AnswerAsync();

    public string Address => _socket.Client.LocalEndPoint!.ToString()!;

    /// <summary>Which address the name has; called for each question of that address's kind.</summary>
    public void Say(string name, Func<string> address, bool isIPv6 = false) => Say(name, type => type == (isIPv6 ? Six : Four) ? address() : null);

    /// <summary>The same for each type of question.</summary>
    public void Say(string name, Func<int, string?> address) => _names[name] = address;

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        _socket.Dispose();
        await _answering;
        _stopping.Dispose();
    }

    private async Task AnswerAsync()
    {
        try
        {
            while (true)
            {
                var question = await _socket.ReceiveAsync(_stopping.Token);
                await _socket.SendAsync(Answer(question.Buffer), question.RemoteEndPoint, _stopping.Token);
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or ObjectDisposedException or SocketException)
        {
            // The test has ended.
        }
    }

    /// <summary>RFC 1035, section 4: the question with one record behind it, or with none.</summary>
    private byte[] Answer(byte[] question)
    {
        var labels = new List<string>();
        var place = 12;
        while (question[place] != 0)
        {
            labels.Add(Encoding.ASCII.GetString(question, place + 1, question[place]));
            place += question[place] + 1;
        }

        place++;
        var type = BinaryPrimitives.ReadUInt16BigEndian(question.AsSpan(place));
        var end = place + 4;
        var name = string.Join('.', labels);
        var isKnown = _names.TryGetValue(name, out var say);
        var address = isKnown && type is Four or Six && say!(type) is { } text ? IPAddress.Parse(text).GetAddressBytes() : [];
        byte[] record = address.Length == 0 ? [] : [0xc0, 12, 0, (byte)type, 0, 1, 0, 0, 0, 0, 0, (byte)address.Length, .. address];
        byte[] head = [question[0], question[1], 0x81, (byte)(isKnown ? 0x80 : 0x83), 0, 1, 0, (byte)(record.Length > 0 ? 1 : 0), 0, 0, 0, 0];
        return [.. head, .. question[12..end], .. record];
    }
}
