namespace ImageAccess.Proxy.Foundation.Database;

/// <summary>
/// Looks at the file and its log twice a second: who commits changes the one or the other. Looking opens no connection, which would write into
/// the directory each time, and keeps none, which would hold on to a file that was replaced.
/// </summary>
internal sealed class SqliteWatch(string path) : IDatabaseWatch
{
    public static readonly TimeSpan Period = TimeSpan.FromMilliseconds(500);

    /// <summary>Two changes within one tick of the file system have the same time: what is that young is looked at again.</summary>
    private static readonly TimeSpan Unsettled = TimeSpan.FromSeconds(2);

    private Mark _seen = Mark.Of(path);

    public async Task WaitAsync(TimeSpan longest, TimeProvider time, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        do
        {
            await Task.Delay(Period, time, cancellationToken);
            var now = Mark.Of(path);
            if (now != _seen || now.IsYoung)
            {
                _seen = now;
                return;
            }
        }
        while (time.GetElapsedTime(started) < longest);
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private readonly record struct Mark(DateTime Written, long Length, DateTime LogWritten, long LogLength)
    {
        /// <summary>By the machine's clock, as the file's times are. Where the clock went back it is young for long, and looked at more often.</summary>
        public bool IsYoung => Newest > TimeProvider.System.GetUtcNow().UtcDateTime - Unsettled;

        private DateTime Newest => Written > LogWritten ? Written : LogWritten;

        public static Mark Of(string path)
        {
            var (file, log) = (new FileInfo(path), new FileInfo(path + "-wal"));
            return new Mark(file.LastWriteTimeUtc, file.Exists ? file.Length : -1, log.LastWriteTimeUtc, log.Exists ? log.Length : -1);
        }
    }
}
