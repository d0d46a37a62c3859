namespace ImageAccess.Proxy.Foundation.Files;

/// <summary>The copy of what came last, as of the bytes that were accepted, which a restart begins with. Who looks after it calls it by one thread at a time.</summary>
/// <param name="path">Where it is.</param>
/// <param name="tell">Told the path and the cause, once until it works again.</param>
internal sealed class KeptCopy(string path, Action<string, string> tell)
{
    private volatile string? _failure;

    /// <summary>Why a restart may not find what came last; null when it does.</summary>
    public string? Failure => _failure;

    public void Keep(byte[] content) => Keep(file => file.Write(content));

    /// <param name="write">Writes the content into the stream.</param>
    public void Keep(Action<Stream> write)
    {
        try
        {
            AtomicFile.Write(path, write);
            _failure = null;
        }
        catch (IOException exception)
        {
            if (_failure is null)
                tell(path, exception.Message);
            _failure = exception.Message;
        }
    }
}
