namespace ImageAccess.Proxy.Tools.Engines;

/// <summary>The ways in to the proxy, as a file of an engine can set them up.</summary>
[Flags]
internal enum WaysIn
{
    None = 0,
    Mirror = 1,
    Gateway = 2,
    ForwardProxy = 4,
}

/// <summary>A file from which an engine learns its way to Docker Hub, or each such file of a folder.</summary>
/// <param name="Path">As <c>/etc/docker/daemon.json</c>. It may begin with <c>~/</c>, the user's home folder, and name any file by one <c>*</c>: <c>docker.service.d/*.conf</c>.</param>
/// <param name="Ways">The ways in that it sets up.</param>
internal sealed record EngineFile(string Path, WaysIn Ways)
{
    private const string OurName = "imageaccess";

    /// <summary>The file that <c>clients</c> writes: the one of this path, or ours in the folder.</summary>
    public string Ours => Path.Replace("*", OurName, StringComparison.Ordinal);
}
