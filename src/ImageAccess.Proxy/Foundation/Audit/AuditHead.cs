using System.Globalization;
using System.Text;
using System.Text.Json;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Foundation.Audit;

/// <summary>
/// How far the trail's chain went when the last batch was written, in a file beside it: so a trail whose end was cut off is known. It is overwritten in
/// place and has always the same length. After a crash the trail may be ahead of it, and is never behind.
/// </summary>
internal static class AuditHead
{
    public const string Extension = ".head";

    private const int MaximumSize = 4096;

    public static string PathOf(string trail) => Path.ChangeExtension(trail, Extension);

    /// <summary>Null where there is none that can be read.</summary>
    public static ChainLink? Read(string trail)
    {
        try
        {
            using var file = File.OpenHandle(PathOf(trail), share: FileShare.ReadWrite | FileShare.Delete);
            var buffer = new byte[MaximumSize];
            var reader = new Utf8JsonReader(buffer.AsSpan(0, RandomAccess.Read(file, buffer, 0)));
            using var json = JsonDocument.ParseValue(ref reader);
            var link = new ChainLink(json.RootElement.GetProperty("seq").GetInt64(), json.RootElement.GetProperty("chain").GetString() ?? "");
            return link.Sequence > 0 && link.Hash.Length == ChainLink.HashLength ? link : null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or JsonException or InvalidOperationException or FormatException or KeyNotFoundException)
        {
            return null;
        }
    }

    /// <exception cref="IOException">It cannot be written.</exception>
    public static void Write(string trail, ChainLink link)
    {
        var text = string.Create(CultureInfo.InvariantCulture, $$"""{"seq":{{link.Sequence,20}},"chain":"{{link.Hash}}"}""") + "\n";
        using var file = new FileStream(PathOf(trail), OwnerFile.Options(FileMode.OpenOrCreate, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete));
        file.Write(Encoding.ASCII.GetBytes(text));
        if (file.Length > text.Length)
            file.SetLength(text.Length);
    }
}
