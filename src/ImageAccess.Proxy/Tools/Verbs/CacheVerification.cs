using System.Buffers;
using System.Collections.Concurrent;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Content.Cache;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary><c>cache verify</c>: every content is read and compared with its digest. A proxy may run meanwhile.</summary>
internal sealed class CacheVerification(CacheDirectory directory, TimeProvider time, ProgressLine progress)
{
    private const int BufferSize = 1024 * 1024;

    private readonly ConcurrentDictionary<Digest, string> _damaged = new();
    private readonly Lock _reporting = new();
    private IReadOnlyList<KeptContent> _contents = [];
    private long _size;
    private long _read;
    private bool _isRemoving;
    private long _began;

    public IReadOnlyList<(Digest Digest, string Problem)> Damaged =>
        [.. _damaged.Select(pair => (pair.Key, pair.Value)).OrderBy(pair => pair.Key.Value, StringComparer.Ordinal)];

    public object Facts => new
    {
        Contents = _contents.Count,
        Size = _size,
        Removed = _isRemoving,
        Damaged = Damaged.Select(damaged => new { Digest = damaged.Digest.Value, Path = directory.PathOf(damaged.Digest), damaged.Problem }),
    };

    public async Task RunAsync(bool remove, CancellationToken cancellationToken)
    {
        (_contents, _isRemoving, _began) = ([.. directory.FindAll()], remove, time.GetTimestamp());
        _size = _contents.Sum(content => content.Length);
        await Parallel.ForEachAsync(_contents, cancellationToken, async (content, stop) =>
        {
            if (await ProblemAsync(content, stop) is not { } problem)
                return;
            _damaged[content.Digest] = problem;
            if (remove)
                File.Delete(directory.PathOf(content.Digest));
        });
    }

    public async Task PrintAsync(TextWriter output)
    {
        foreach (var (digest, problem) in Damaged)
            await output.WriteLineAsync(TextTable.Plain($"{(_isRemoving ? "removed" : "damaged")}  {digest}: {problem}"));
        await output.WriteLineAsync(
            $"{TextTable.Count(_contents.Count - _damaged.Count, "content")} verified, {CacheCommands.Size(_size)} read"
            + (_damaged.IsEmpty ? "" : $"; {_damaged.Count} damaged{(_isRemoving ? ", removed" : ": --remove removes what is damaged")}"));
    }

    private async ValueTask<string?> ProblemAsync(KeptContent content, CancellationToken cancellationToken)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
        try
        {
            using var handle = File.OpenHandle(directory.PathOf(content.Digest), FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            using var check = new DigestCheck(content.Digest);
            for (var offset = 0L; await RandomAccess.ReadAsync(handle, buffer, offset, cancellationToken) is var read and > 0; offset += read)
            {
                check.Append(buffer.AsSpan(0, read));
                Report(read);
            }

            return check.Verifies() ? null : "its bytes are not what its digest says";
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            return null; // it was evicted meanwhile
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return exception.Message;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private void Report(int read)
    {
        lock (_reporting)
        {
            _read += read;
            var left = time.GetElapsedTime(_began) * ((double)Math.Max(0, _size - _read) / _read);
            progress.Report($"{100.0 * _read / Math.Max(_read, _size):F0}% verified, {CacheCommands.Size(_read)} of {CacheCommands.Size(_size)}, {Duration(left)} left");
        }
    }

    private static string Duration(TimeSpan left) => left.TotalMinutes >= 1
        ? TextTable.Count((long)Math.Ceiling(left.TotalMinutes), "minute")
        : TextTable.Count((long)Math.Ceiling(left.TotalSeconds), "second");
}
