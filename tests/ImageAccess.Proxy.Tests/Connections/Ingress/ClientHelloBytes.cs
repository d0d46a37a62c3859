using System.Buffers.Binary;
using System.Text;

namespace ImageAccess.Proxy.Tests.Connections.Ingress;

/// <summary>ClientHellos written by hand, and their parts, for those that no TLS client would send.</summary>
internal static class ClientHelloBytes
{
    /// <summary>In one record, with these extensions behind the server name.</summary>
    public static byte[] Of(string? serverName, params (int Type, byte[] Content)[] extensions) => Record(Message(Extensions(serverName, extensions)));

    public static byte[] Extensions(string? serverName, params (int Type, byte[] Content)[] extensions)
    {
        var all = serverName is null ? extensions : [(0, ServerName(serverName)), .. extensions];
        return [.. all.SelectMany(extension => (byte[])[.. Number(extension.Type), .. Vector(extension.Content)])];
    }

    /// <summary>The content of a server name extension.</summary>
    public static byte[] ServerName(params string[] names) =>
        Vector([.. names.SelectMany(name => (byte[])[0, .. Vector(Encoding.Latin1.GetBytes(name))])]);

    public static byte[] Message(byte[]? extensions)
    {
        byte[] body = [3, 3, .. new byte[32], 0, .. Vector([0x13, 0x01]), 1, 0, .. extensions is null ? [] : Vector(extensions)];
        return [1, 0, .. Number(body.Length), .. body];
    }

    /// <summary>The message in records of at most this many bytes each.</summary>
    public static byte[] Record(byte[] message, int most = 16 * 1024) =>
        [.. message.Chunk(most).SelectMany(piece => (byte[])[22, 3, 1, .. Vector(piece)])];

    public static byte[] Vector(byte[] content) => [.. Number(content.Length), .. content];

    private static byte[] Number(int number)
    {
        var bytes = new byte[2];
        BinaryPrimitives.WriteUInt16BigEndian(bytes, (ushort)number);
        return bytes;
    }
}
