using System.Text;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Policies.Store;

/// <summary>What holds the policy document.</summary>
internal enum PolicySource
{
    File,
    Database,
}

/// <summary>
/// Where the policy document lives: as a key says, else as the data directory remembers, else in a file. Nothing but a person hands it over from the one to
/// the other: never a file that is gone, nor a database that does not answer.
/// </summary>
/// <param name="Source">Where it lives.</param>
/// <param name="Key">The key that says so; null where it is remembered.</param>
/// <param name="Remembered">What the data directory remembers; null where it remembers nothing.</param>
internal sealed record PolicyHome(PolicySource Source, string? Key, PolicySource? Remembered)
{
    private const string SourceKey = "Policy:Source";
    private const string FileKey = "Policy:File";
    private const int MaximumSize = 64;

    /// <summary>The data directory says something else, which the key overrules.</summary>
    public bool IsAnother => Source != (Remembered ?? PolicySource.File);

    /// <exception cref="OptionsValidationException">The keys contradict each other, or without one what is remembered cannot be read.</exception>
    public static PolicyHome Find(PolicyStoreOptions options)
    {
        var remembered = Read(options.SourcePath, out var flaw);
        return options switch
        {
            { Source: { } source } when Parse(source) is null => throw Fault($"{SourceKey}: '{PrintableText.Of(source)}' is neither file nor database"),
            { Source: { } source, File: not null } when Parse(source) == PolicySource.Database =>
                throw Fault($"{FileKey}: the policy document is in the database ({SourceKey}): leave one of the two keys out"),
            { Source: { } source } => new PolicyHome(Parse(source)!.Value, SourceKey, remembered),
            { File: not null } => new PolicyHome(PolicySource.File, FileKey, remembered),
            _ when flaw is not null => throw Fault($"{SourceKey}: {options.SourcePath} {flaw}: it says where the policy document lives; set {SourceKey} to file or database"),
            _ => new PolicyHome(remembered ?? PolicySource.File, null, remembered),
        };
    }

    /// <summary>What the data directory is to remember.</summary>
    public static byte[] ToBytes(PolicySource source) => Encoding.ASCII.GetBytes(Words(source) + "\n");

    /// <summary>The home as it is now: where no key says so, somebody may have brought the document into the database.</summary>
    public PolicyHome Look(PolicyStoreOptions options) =>
        Key is null && Read(options.SourcePath, out _) is { } remembered && remembered != Source ? new PolicyHome(remembered, null, remembered) : this;

    private static PolicySource? Read(string path, out string? flaw)
    {
        var reading = new WholeFile(path, MaximumSize).Read();
        var source = reading.Bytes is { } bytes ? Parse(Encoding.ASCII.GetString(bytes.Span).TrimEnd()) : null;
        flaw = source is not null || reading.IsMissing ? null : reading.Bytes is null ? reading.Failure : "is not what was written";
        return source;
    }

    private static PolicySource? Parse(string text) => text switch
    {
        "file" => PolicySource.File,
        "database" => PolicySource.Database,
        _ => null,
    };

    private static string Words(PolicySource source) => source == PolicySource.Database ? "database" : "file";

    private static OptionsValidationException Fault(string fault) => new(nameof(PolicyStoreOptions), typeof(PolicyStoreOptions), [fault]);
}
