using System.Text.Encodings.Web;
using System.Text.Json;

namespace ImageAccess.Proxy.Foundation.Files;

/// <summary>
/// JSON as people read it: quotes and letters of every language as they are. The default escapes what would be dangerous inside a web page;
/// ours is never put into one.
/// </summary>
internal static class ReadableJson
{
    public static JsonWriterOptions Compact { get; } = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static JsonWriterOptions Indented { get; } = Compact with { Indented = true };

    /// <summary>As <see cref="JsonSerializerOptions.Web"/> otherwise.</summary>
    public static JsonSerializerOptions Web { get; } = new(JsonSerializerDefaults.Web) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
}
