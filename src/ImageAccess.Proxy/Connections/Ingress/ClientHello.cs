using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using ImageAccess.Core.Hosts;

namespace ImageAccess.Proxy.Connections.Ingress;

/// <summary>What the first bytes of a connection are.</summary>
internal enum ClientHelloState
{
    /// <summary>TLS, but a ClientHello that two readers could read in two ways.</summary>
    Malformed,

    /// <summary>Not TLS.</summary>
    NotTls,

    /// <summary>The beginning of a ClientHello.</summary>
    Incomplete,

    Complete,
}

/// <summary>The first message of a TLS client (RFC 8446, section 4.1.2), as far as it names a host.</summary>
/// <param name="State">Whether the other values count.</param>
/// <param name="ServerName">The server name (RFC 6066, section 3); null where there is none, or one that is no host name.</param>
/// <param name="IsEncrypted">There is an encrypted ClientHello inside, whose server name may be another (RFC 9849).</param>
internal readonly record struct ClientHello(ClientHelloState State, HostName? ServerName = null, bool IsEncrypted = false)
{
    /// <summary>Bytes, with the records around it. Clients send some hundred, with post-quantum keys some thousand.</summary>
    public const int MaximumLength = 16 * 1024;

    private const byte HandshakeRecord = 22;
    private const byte ClientHelloMessage = 1;
    private const int RecordHeader = 5;
    private const int MessageHeader = 4;
    private const int MaximumFragment = 16 * 1024;
    private const ushort ServerNameExtension = 0;
    private const ushort EncryptedClientHello = 0xfe0d;
    private const ushort EncryptedServerName = 0xffce; // its predecessor

    public static ClientHello Read(in ReadOnlySequence<byte> bytes)
    {
        var head = bytes.Length <= MaximumLength ? bytes : bytes.Slice(0, MaximumLength);
        var read = Read(head.IsSingleSegment ? head.FirstSpan : head.ToArray());
        return read.State == ClientHelloState.Incomplete && bytes.Length >= MaximumLength ? new(ClientHelloState.Malformed) : read;
    }

    private static ClientHello Read(ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty)
            return new(ClientHelloState.Incomplete);
        if (bytes[0] != HandshakeRecord || (bytes.Length > 1 && bytes[1] != 3))
            return new(ClientHelloState.NotTls);

        var message = new ArrayBufferWriter<byte>(Math.Max(1, bytes.Length));
        while (true)
        {
            if (bytes.Length < RecordHeader)
                return new(ClientHelloState.Incomplete);
            var length = BinaryPrimitives.ReadUInt16BigEndian(bytes[3..]);
            if (bytes[0] != HandshakeRecord || bytes[1] != 3 || length is 0 or > MaximumFragment)
                return new(ClientHelloState.Malformed);

            var fragment = bytes[RecordHeader..];
            message.Write(fragment.Length > length ? fragment[..length] : fragment);
            if (Whole(message.WrittenSpan) is { } read)
                return read;
            if (fragment.Length <= length)
                return new(ClientHelloState.Incomplete);
            bytes = fragment[length..];
        }
    }

    /// <summary>Null while the message is incomplete.</summary>
    private static ClientHello? Whole(ReadOnlySpan<byte> message)
    {
        if (message.IsEmpty)
            return null;
        if (message[0] != ClientHelloMessage)
            return new ClientHello(ClientHelloState.Malformed);
        if (message.Length < MessageHeader)
            return null;

        var length = (message[1] << 16) | BinaryPrimitives.ReadUInt16BigEndian(message[2..]);
        if (length > MaximumLength)
            return new ClientHello(ClientHelloState.Malformed);
        if (message.Length - MessageHeader < length)
            return null;
        return message.Length - MessageHeader == length && ReadBody(message[MessageHeader..]) is { } hello
            ? hello
            : new ClientHello(ClientHelloState.Malformed);
    }

    private static ClientHello? ReadBody(ReadOnlySpan<byte> body)
    {
        var reader = new Reader(body);
        if (!reader.TryTake(2 + 32, out _) // version, random
            || !reader.TryTakeVector(1, out _) // session
            || !reader.TryTakeVector(2, out _) // cipher suites
            || !reader.TryTakeVector(1, out _)) // compression
            return null;
        if (reader.IsAtEnd)
            return new ClientHello(ClientHelloState.Complete);
        return reader.TryTakeVector(2, out var extensions) && reader.IsAtEnd ? ReadExtensions(extensions) : null;
    }

    private static ClientHello? ReadExtensions(ReadOnlySpan<byte> extensions)
    {
        var reader = new Reader(extensions);
        HostName? serverName = null;
        var isEncrypted = false;
        var hasServerName = false;
        while (!reader.IsAtEnd)
        {
            if (!reader.TryTake(2, out var type) || !reader.TryTakeVector(2, out var content))
                return null;
            switch (BinaryPrimitives.ReadUInt16BigEndian(type))
            {
                case ServerNameExtension when hasServerName || !TryReadServerName(content, out serverName):
                    return null;
                case ServerNameExtension:
                    hasServerName = true;
                    break;
                case EncryptedClientHello or EncryptedServerName:
                    isEncrypted = true;
                    break;
            }
        }

        return new ClientHello(ClientHelloState.Complete, serverName, isEncrypted);
    }

    /// <summary>A list of exactly one host name. An address counts as no name, and is no fault.</summary>
    private static bool TryReadServerName(ReadOnlySpan<byte> content, out HostName? name)
    {
        name = null;
        var reader = new Reader(content);
        if (!reader.TryTakeVector(2, out var list) || !reader.IsAtEnd)
            return false;

        var entries = new Reader(list);
        if (!entries.TryTake(1, out var type) || type[0] != 0 || !entries.TryTakeVector(2, out var text) || !entries.IsAtEnd)
            return false;
        name = HostName.TryParse(Encoding.Latin1.GetString(text), out var host) ? host : null;
        return true;
    }

    private ref struct Reader(ReadOnlySpan<byte> bytes)
    {
        private ReadOnlySpan<byte> _rest = bytes;

        public readonly bool IsAtEnd => _rest.IsEmpty;

        public bool TryTake(int count, out ReadOnlySpan<byte> taken)
        {
            taken = default;
            if (_rest.Length < count)
                return false;
            taken = _rest[..count];
            _rest = _rest[count..];
            return true;
        }

        /// <summary>A length of one or two bytes, and so many bytes behind it.</summary>
        public bool TryTakeVector(int lengthBytes, out ReadOnlySpan<byte> taken)
        {
            taken = default;
            return TryTake(lengthBytes, out var length)
                && TryTake(lengthBytes == 1 ? length[0] : BinaryPrimitives.ReadUInt16BigEndian(length), out taken);
        }
    }
}
