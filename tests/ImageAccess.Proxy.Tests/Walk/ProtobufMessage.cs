using System.Buffers.Binary;
using System.Text;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>A message of protocol buffers by the numbers of its fields, read without its schema.</summary>
internal sealed class ProtobufMessage
{
    private readonly List<(int Number, long Value, byte[] Bytes)> _fields = [];

    public static ProtobufMessage Read(ReadOnlySpan<byte> bytes)
    {
        var message = new ProtobufMessage();
        while (bytes.Length > 0)
        {
            var tag = Varint(ref bytes);
            var (number, length) = ((int)(tag >> 3), 0);
            var value = 0L;
            switch (tag & 7)
            {
                case 0:
                    value = Varint(ref bytes);
                    break;
                case 1:
                    value = BinaryPrimitives.ReadInt64LittleEndian(bytes);
                    bytes = bytes[8..];
                    break;
                case 2:
                    length = (int)Varint(ref bytes);
                    break;
                case 5:
                    value = BinaryPrimitives.ReadInt32LittleEndian(bytes);
                    bytes = bytes[4..];
                    break;
                default:
                    throw new InvalidDataException($"wire type {tag & 7}");
            }

            message._fields.Add((number, value, bytes[..length].ToArray()));
            bytes = bytes[length..];
        }

        return message;
    }

    public bool Has(int number) => _fields.Exists(field => field.Number == number);

    public long Number(int number) => _fields.Find(field => field.Number == number).Value;

    public byte[] Bytes(int number) => _fields.Find(field => field.Number == number).Bytes ?? [];

    public string Text(int number) => Encoding.UTF8.GetString(Bytes(number));

    public string Hex(int number) => Convert.ToHexString(Bytes(number));

    /// <summary>The messages in a field, or in a field of those, and so on.</summary>
    public IEnumerable<ProtobufMessage> All(params int[] path)
    {
        var found = _fields.Where(field => field.Number == path[0]).Select(field => Read(field.Bytes));
        return path.Length == 1 ? found : found.SelectMany(message => message.All(path[1..]));
    }

    /// <summary>OpenTelemetry's attributes in a field, each value as text.</summary>
    public Dictionary<string, string> Attributes(int number) =>
        All(number).ToDictionary(pair => pair.Text(1), pair => ValueOf(pair.All(2).SingleOrDefault() ?? new ProtobufMessage()), StringComparer.Ordinal);

    private static string ValueOf(ProtobufMessage value) =>
        value.Has(1) ? value.Text(1)
        : value.Has(2) ? value.Number(2) == 1 ? "true" : "false"
        : value.Has(3) ? FormattableString.Invariant($"{value.Number(3)}")
        : value.Has(4) ? FormattableString.Invariant($"{BitConverter.Int64BitsToDouble(value.Number(4))}")
        : string.Join(',', value.All(5, 1).Select(ValueOf));

    private static long Varint(ref ReadOnlySpan<byte> bytes)
    {
        var value = 0L;
        for (var shift = 0; ; shift += 7)
        {
            var next = bytes[0];
            bytes = bytes[1..];
            value |= (long)(next & 0x7F) << shift;
            if (next < 0x80)
                return value;
        }
    }
}
