using System.Text;

namespace ImageAccess.Proxy.Foundation.Files;

/// <summary>A file that holds a key and that its owner alone can read: one that the configuration names, or one of the data directory, which the first start makes.</summary>
/// <param name="path">The file.</param>
/// <param name="isOwn">It is the data directory's.</param>
internal sealed class PrivateKeyFile(string path, bool isOwn)
{
    private const int MaximumSize = 4096;

    private const UnixFileMode Others = UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.GroupExecute
        | UnixFileMode.OtherRead | UnixFileMode.OtherWrite | UnixFileMode.OtherExecute;

    public string Path => path;

    /// <summary>It is the data directory's, and has not been made yet.</summary>
    public bool IsToBeMade => isOwn && Find().IsMissing;

    /// <summary>Reads it, and makes it where it is the data directory's own.</summary>
    /// <param name="make">The text of a new key.</param>
    /// <param name="recipe">How somebody makes one by hand, to follow "make it with".</param>
    public PrivateKey Read(Func<string> make, string recipe)
    {
        var reading = Find();
        if (reading.IsMissing && isOwn)
        {
            if (Make(make()) is { } cause)
                return new PrivateKey { NotMade = cause };
            reading = Find();
        }

        return reading.IsMissing ? new PrivateKey { Flaw = $"is not there: make it with {recipe}" }
            : reading.Bytes is { } content ? new PrivateKey { Content = content }
            : new PrivateKey { Flaw = reading.Failure };
    }

    private FileReading Find() => new WholeFile(path, MaximumSize, Others).Read();

    private string? Make(string key)
    {
        try
        {
            AtomicFile.Write(path, Encoding.ASCII.GetBytes(key + "\n"), overwrite: false);
            return null;
        }
        catch (IOException exception)
        {
            return File.Exists(path) ? null : exception.Message; // another process may have been faster
        }
    }
}

/// <summary>What a key's file holds; without content one of the others says why.</summary>
internal readonly record struct PrivateKey
{
    public ReadOnlyMemory<byte>? Content { get; init; }

    /// <summary>Why it cannot be made at the moment, as on a full disk.</summary>
    public string? NotMade { get; init; }

    /// <summary>Why it cannot be used, as what follows its name in a sentence.</summary>
    public string? Flaw { get; init; }
}
