namespace ImageAccess.Proxy.Foundation.Files;

/// <summary>A file that one process at a time has open: it keeps the others from changing what lies beside it.</summary>
internal static class LockFile
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(20);

    /// <returns>What is to be disposed of when the change is done.</returns>
    /// <exception cref="IOException">It cannot be written, or another process has it for too long.</exception>
    public static async Task<FileStream> HoldAsync(string path, CancellationToken cancellationToken)
    {
        var started = TimeProvider.System.GetTimestamp();
        while (true)
        {
            try
            {
                return new FileStream(path, OwnerFile.Options(FileMode.OpenOrCreate, FileAccess.Write, FileShare.None));
            }
            catch (IOException) when (File.Exists(path) && TimeProvider.System.GetElapsedTime(started) < Timeout)
            {
                await Task.Delay(Pause, TimeProvider.System, cancellationToken); // another one has it
            }
        }
    }
}
