using System.Buffers;
using System.Net;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Content.Cache;
using ImageAccess.Proxy.Content.Upstream;

namespace ImageAccess.Proxy.Content.Serving;

/// <summary>What became of a download.</summary>
internal enum FillState
{
    Coming,

    /// <summary>All of it is there and is what its digest says.</summary>
    Done,

    /// <summary>It cannot be kept: each reader fetches the rest for itself.</summary>
    Unkept,

    /// <summary>Upstream broke off and could not resume, or sent something else than the digest says.</summary>
    Failed,

    /// <summary>No reader was left.</summary>
    Abandoned,
}

/// <summary>
/// One download of one blob, for any number of readers. Each reader follows at its own pace. Nobody sees the last byte before the whole
/// has been verified, so that wrong content ends in a broken connection and never in a complete answer.
/// </summary>
internal sealed class Fill(Digest digest, CacheWriter writer, long? total, TimeProvider time) : IAsyncDisposable
{
    private const int BufferSize = 64 * 1024;

    /// <summary>How often a broken download is resumed where it broke.</summary>
    private const int MaximumResumptions = 3;

    private readonly Lock _gate = new();
    private readonly CancellationTokenSource _abandoned = new();
    private readonly Lock _latestGate = new();
    private ReadOnlyMemory<byte> _latest;
    private long _latestStart;
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _readers;
    private bool _isRunning = true;
    private bool _isReleased;

    public Digest Digest => digest;

    /// <summary>In bytes; null where upstream did not say and the end has not come.</summary>
    public long? Total => total ?? (State == FillState.Done ? writer.Length : null);

    public FillState State { get; private set; }

    /// <summary>Why the download failed, or was interrupted last; empty where it never was.</summary>
    public string Cause { get; private set; } = "";

    /// <summary>Downloads until the end, verifies and publishes. It never throws: its state says what became of it.</summary>
    /// <param name="answer">Upstream's answer, whose body is next.</param>
    /// <param name="resume">Asks upstream for the rest from a byte on.</param>
    public async Task RunAsync(HttpResponseMessage answer, Func<long, CancellationToken, Task<HttpResponseMessage>> resume)
    {
        var state = FillState.Failed;
        try
        {
            state = await DownloadAsync(answer, resume);
        }
        catch (StoreFailedException)
        {
            state = FillState.Unkept;
        }
        catch (WrongContentException exception)
        {
            Cause = exception.Message;
        }
        catch (OperationCanceledException) when (_abandoned.IsCancellationRequested)
        {
            state = FillState.Abandoned;
        }
        finally
        {
            End(state);
            lock (_gate)
                _isRunning = false;
        }
    }

    /// <summary>Adds a reader, which must call <see cref="Leave"/>; false where there is nothing to follow any more.</summary>
    public bool TryJoin()
    {
        lock (_gate)
        {
            if (_isReleased || State is FillState.Failed or FillState.Abandoned || _abandoned.IsCancellationRequested)
                return false;
            _readers++;
            return true;
        }
    }

    /// <param name="finishFrom">From this part on, the download is finished without readers.</param>
    public void Leave(double finishFrom)
    {
        var isLast = false;
        lock (_gate)
            isLast = --_readers == 0 && State == FillState.Coming && !(writer.Length >= finishFrom * (total ?? long.MaxValue));
        if (isLast)
            _abandoned.Cancel();
    }

    /// <summary>Reads from an offset what may be seen so far; 0 where that is nothing.</summary>
    public async ValueTask<int> ReadAsync(Memory<byte> buffer, long offset, CancellationToken cancellationToken)
    {
        var visible = Visible() - offset;
        if (visible <= 0)
            return 0;
        if (buffer.Length > visible)
            buffer = buffer[..(int)visible];
        return CopyLatest(buffer.Span, offset) is > 0 and var copied ? copied : await writer.ReadAsync(buffer, offset, cancellationToken);
    }

    /// <summary>Whether the byte at this offset may be seen.</summary>
    public bool Shows(long offset) => Visible() > offset;

    /// <summary>Completes when the byte at this offset may be seen, or the download has ended.</summary>
    public Task ChangedAsync(long offset, CancellationToken cancellationToken)
    {
        lock (_gate)
            return State != FillState.Coming || Shows(offset) ? Task.CompletedTask : _changed.Task.WaitAsync(cancellationToken);
    }

    /// <summary>Stops the download.</summary>
    public void Abandon()
    {
        lock (_gate)
        {
            if (!_isReleased)
                _abandoned.Cancel();
        }
    }

    /// <summary>Called by the download and by each reader at its end. The last one frees the writer.</summary>
    public async ValueTask DisposeAsync()
    {
        lock (_gate)
        {
            if (_readers > 0 || _isRunning || _isReleased)
                return;
            _isReleased = true;
        }

        await writer.DisposeAsync();
        _abandoned.Dispose();
    }

    /// <summary>How many bytes may be seen: all but the last, until the content is verified.</summary>
    private long Visible() => State == FillState.Done ? writer.Length : Math.Max(0, total is { } all ? Math.Min(writer.Length, all - 1) : writer.Length - 1);

    private async Task<FillState> DownloadAsync(HttpResponseMessage answer, Func<long, CancellationToken, Task<HttpResponseMessage>> resume)
    {
        var current = answer;
        for (var resumptions = 0; ; resumptions++)
        {
            try
            {
                using (current)
                    await DownloadAsync(current);
                return await FinishAsync();
            }
            catch (Exception exception) when (IsBroken(exception))
            {
                Cause = exception.GetBaseException().Message;
                if (resumptions == MaximumResumptions || await ResumeAsync(resume) is not { } next)
                    return FillState.Failed;
                current = next;
            }
        }
    }

    private async Task DownloadAsync(HttpResponseMessage answer)
    {
        await using var body = await answer.Content.ReadAsStreamAsync(_abandoned.Token);
        var (next, shown) = (ArrayPool<byte>.Shared.Rent(BufferSize), ArrayPool<byte>.Shared.Rent(BufferSize));
        using var limit = new IdleLimit(time, _abandoned.Token);
        try
        {
            while (await limit.ReadAsync(body, next) is > 0 and var count)
            {
                if (writer.Length + count > total)
                    throw new WrongContentException("upstream sends more than it said");
                await KeepAsync(next.AsMemory(0, count));
                Show(next.AsMemory(0, count));
                (next, shown) = (shown, next);
            }
        }
        finally
        {
            Show(default);
            ArrayPool<byte>.Shared.Return(next);
            ArrayPool<byte>.Shared.Return(shown);
        }

        if (writer.Length < total)
            throw new IOException("upstream's answer ends too early");
    }

    /// <summary>Keeps the latest piece in memory until the next comes, so that readers who follow closely need not read it from the store.</summary>
    private void Show(ReadOnlyMemory<byte> bytes)
    {
        lock (_latestGate)
            (_latest, _latestStart) = (bytes, writer.Length - bytes.Length);
        Notify();
    }

    private int CopyLatest(Span<byte> buffer, long offset)
    {
        lock (_latestGate)
        {
            if (offset < _latestStart || offset >= _latestStart + _latest.Length)
                return 0;
            var bytes = _latest.Span[(int)(offset - _latestStart)..];
            bytes = bytes[..Math.Min(buffer.Length, bytes.Length)];
            bytes.CopyTo(buffer);
            return bytes.Length;
        }
    }

    private async ValueTask KeepAsync(ReadOnlyMemory<byte> bytes)
    {
        try
        {
            await writer.WriteAsync(bytes, _abandoned.Token);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new StoreFailedException(exception);
        }
    }

    /// <summary>Readers see all of it once it is verified. They do not wait until it is on disk.</summary>
    private async Task<FillState> FinishAsync()
    {
        if (!writer.Verifies())
            throw new WrongContentException("upstream's content is not what its digest says");
        End(FillState.Done);
        try
        {
            await writer.PublishAsync(CancellationToken.None);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // The store logs it. The content is not kept, but it is right, and its readers have all of it.
        }

        return FillState.Done;
    }

    private void End(FillState state)
    {
        lock (_gate)
            State = state;
        Notify();
    }

    /// <summary>Asks for the rest, from the byte at which the download broke; null where upstream does not send exactly that.</summary>
    private async Task<HttpResponseMessage?> ResumeAsync(Func<long, CancellationToken, Task<HttpResponseMessage>> resume)
    {
        try
        {
            var from = writer.Length;
            var answer = await resume(from, _abandoned.Token);
            if (answer.StatusCode == HttpStatusCode.PartialContent
                && answer.Content.Headers.ContentRange is { From: { } first } range && first == from && (range.Length is null || range.Length == total))
                return answer;
            answer.Dispose();
            return null;
        }
        catch (Exception exception) when (IsBroken(exception))
        {
            return null;
        }
    }

    private void Notify()
    {
        TaskCompletionSource changed;
        lock (_gate)
            (changed, _changed) = (_changed, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        changed.TrySetResult();
    }

    private bool IsBroken(Exception exception) =>
        exception is IOException or HttpRequestException or UpstreamFailedException || (exception is OperationCanceledException && !_abandoned.IsCancellationRequested);

    private sealed class StoreFailedException(Exception cause) : Exception(cause.Message, cause);

    private sealed class WrongContentException(string message) : Exception(message);
}
