namespace ImageAccess.Proxy.Policies.Store;

/// <summary>The bytes of the last accepted document, so that a restart finds a policy even when the document is gone.</summary>
internal sealed class KeptPolicy(string path, long maximumSize)
{
    private readonly PolicyFile _file = new(path, maximumSize);

    public string Path { get; } = path;

    public PolicyReading Read() => _file.Read();

    /// <summary>Old or new, never a part: written aside, brought to disk, renamed.</summary>
    public void Write(ReadOnlySpan<byte> document)
    {
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(Path)!);
        var aside = Path + ".new";
        File.Delete(aside);
        using (var stream = new FileStream(aside, CreateOptions()))
        {
            stream.Write(document);
            stream.Flush(flushToDisk: true);
        }

        File.Move(aside, Path, overwrite: true);
    }

    private static FileStreamOptions CreateOptions()
    {
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        return options;
    }
}
