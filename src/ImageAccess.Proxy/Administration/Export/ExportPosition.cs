using System.Text.Json;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Administration.Export;

/// <summary>How far the trail is with a receiver for sure.</summary>
/// <param name="File">What the trail's file is known by; null where nothing was sent yet.</param>
/// <param name="Place">Where its next line begins.</param>
/// <param name="Sequence">The last line's place in the chain, by which it is known what is missing after it.</param>
internal sealed record ExportPosition(string? File, long Place, long Sequence)
{
    private const int MaximumSize = 4096;

    public static readonly ExportPosition None = new(null, 0, 0);

    /// <summary><see cref="None"/> where there is none that can be read: then what is kept is sent again.</summary>
    /// <param name="path">Its file.</param>
    /// <param name="flaw">Why it cannot be read, where it is there.</param>
    public static ExportPosition Read(string path, out string? flaw)
    {
        flaw = null;
        var reading = new WholeFile(path, MaximumSize).Read();
        if (reading.IsMissing)
            return None;
        if (reading.Bytes is not { } bytes)
        {
            flaw = reading.Failure;
            return None;
        }

        try
        {
            if (JsonSerializer.Deserialize<ExportPosition>(bytes.Span, JsonSerializerOptions.Web) is { File.Length: > 0, Place: >= 0, Sequence: >= 0 } position)
                return position;
        }
        catch (JsonException)
        {
            // It says so below.
        }

        flaw = "holds no position";
        return None;
    }

    /// <exception cref="IOException">It could not be written; the old one is still there.</exception>
    public void Write(string path) => AtomicFile.Write(path, JsonSerializer.SerializeToUtf8Bytes(this, JsonSerializerOptions.Web));
}
