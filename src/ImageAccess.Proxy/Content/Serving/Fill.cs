using System.Buffers;
using System.Net;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Content.Cache;
using ImageAccess.Proxy.Content.Upstream;
using ImageAccess.Proxy.Foundation.DockerHub;

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
internal sealed class Fill(Digest digest, RepositoryName repository, CacheWriter writer, long? total, IdleLimits limits, TimeProvider time) : IAsyncDisposable
{
    private const int BufferSize = 64 * 1024;

    /// <summary>How often a broken download is resumed where it broke.</summary>
    private const int MaximumResumptions = 3;

    /// <summary>How many bytes behind what has come so far a reader may begin, and wait for them.</summary>
    private const long Reach = 256L * 1024 * 1024;

    /// <summary>
    /// How many bytes a download may be ahead of its furthest reader, unless it must be finished: who reads slowly, or nothing, fetches and
    /// writes no more than that.
    /// </summary>
    public const long Window = 8 * 1024 * 1024;

    /// <summary>
    /// How long a download without readers stands still before it is abandoned: clients that read a blob in pieces leave after each, and
    /// ask for the next.
    /// </summary>
    public static readonly TimeSpan Linger = TimeSpan.FromSeconds(5);

    private readonly Lock _gate = new();
    private readonly CancellationTokenSource _abandoned = new();
    private readonly WaitingReaders _waiting = new();
    private readonly Lock _latestGate = new();
    private ReadOnlyMemory<byte> _latest;
    private long _latestStart;
    private TaskCompletionSource? _standstill;
    private ITimer? _lingering;
    private long _furthest;
    private int _readers;
    private bool _isRunning = true;
    private bool _isReleased;

    public Digest Digest => digest;

    /// <summary>Where the first client asked for it.</summary>
    public RepositoryName Repository => repository;

    /// <summary>In bytes; null where upstream did not say and the end has not come.</summary>
    public long? Total => total ?? (State == FillState.Done ? writer.Length : null);

    public FillState State { get; private set; }

    /// <summary>It is finished whoever reads it, and has a place for that (<see cref="Fills.TryTakePlace"/>) until its end.</summary>
    public bool MustFinish { get; private set; }

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
            GoOn();
            return true;
        }
    }

    /// <param name="finishFrom">From this part on, the download is finished without readers.</param>
    /// <param name="mayFinish">Takes a place for that; false where none is free.</param>
    public void Leave(double finishFrom, Func<bool> mayFinish)
    {
        lock (_gate)
        {
            if (--_readers > 0 || State != FillState.Coming || MustFinish || writer.Length >= total)
                return;
            MustFinish = writer.Length >= finishFrom * (total ?? long.MaxValue) && mayFinish();
            if (MustFinish)
            {
                GoOn();
                return;
            }

            _standstill ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _lingering = time.CreateTimer(_ => AbandonIfStill(), null, Linger, Timeout.InfiniteTimeSpan);
        }
    }

    /// <summary>The download, which is about to begin, is worth finishing, whoever reads it.</summary>
    public void Finish()
    {
        lock (_gate)
            MustFinish = true;
    }

    /// <summary>Whether who reads from an offset on may wait for it: it comes soon.</summary>
    public bool IsWithinReach(long offset) => State != FillState.Coming || offset - writer.Length <= Reach;

    /// <summary>Reads from an offset what may be seen so far; 0 where that is nothing. The reader has taken what is before.</summary>
    public async ValueTask<int> ReadAsync(Memory<byte> buffer, long offset, CancellationToken cancellationToken)
    {
        ComeTo(offset);
        var visible = Visible() - offset;
        if (visible <= 0)
            return 0;
        if (buffer.Length > visible)
            buffer = buffer[..(int)visible];
        return CopyLatest(buffer.Span, offset) is > 0 and var copied ? copied : await writer.ReadAsync(buffer, offset, cancellationToken);
    }

    /// <summary>Whether the byte at this offset may be seen.</summary>
    public bool Shows(long offset) => Visible() > offset;

    /// <summary>Completes when the byte at this offset may be seen, or the download has ended. Nothing is done for who waits until then.</summary>
    public Task ChangedAsync(long offset, CancellationToken cancellationToken)
    {
        ComeTo(offset);
        return _waiting.WaitAsync(offset, IsSettled, cancellationToken);
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

    /// <summary>Whether waiting for the byte at this offset has an end.</summary>
    private Func<long, bool> IsSettled => field ??= offset => State != FillState.Coming || Shows(offset);

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
                Cause = CauseOf(exception, current);
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
        using var limit = limits.Begin(_abandoned.Token);
        try
        {
            while (await limit.ReadAsync(body, next) is > 0 and var count)
            {
                if (writer.Length + count > total)
                    throw new WrongContentException("upstream sends more than it said");
                await KeepAsync(next.AsMemory(0, count));
                Show(next.AsMemory(0, count));
                (next, shown) = (shown, next);
                await StandStillAsync(limit);
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
        _waiting.Wake(IsSettled);
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
        {
            State = state;
            GoOn();
        }

        _waiting.Wake(IsSettled);
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

    /// <summary>A reader has come so far.</summary>
    private void ComeTo(long offset)
    {
        if (offset <= Volatile.Read(ref _furthest))
            return;
        lock (_gate)
        {
            _furthest = Math.Max(_furthest, offset);
            if (!IsAhead())
                GoOn();
        }
    }

    private bool IsAhead() => !MustFinish && writer.Length != total && writer.Length - _furthest >= Window;

    /// <summary>While there is no reader, or none that is near enough, nothing more is fetched. Upstream is not to blame for that time.</summary>
    private async ValueTask StandStillAsync(IdleLimit limit)
    {
        while (Standstill() is { } standstill)
        {
            limit.Pause();
            await standstill.WaitAsync(_abandoned.Token);
            limit.Restart();
        }
    }

    private Task? Standstill()
    {
        lock (_gate)
        {
            if (_standstill is null && State == FillState.Coming && IsAhead())
                _standstill = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return _standstill?.Task;
        }
    }

    /// <summary>There is a reader again, or an end. To be called under the lock.</summary>
    private void GoOn()
    {
        _standstill?.SetResult();
        _standstill = null;
        _lingering?.Dispose();
        _lingering = null;
    }

    private void AbandonIfStill()
    {
        lock (_gate)
        {
            if (_standstill is not null && _readers == 0)
                _ = _abandoned.CancelAsync();
        }
    }

    private static string CauseOf(Exception exception, HttpResponseMessage answer) => exception switch
    {
        UpstreamFailedException failed => failed.Cause,
        _ when answer.RequestMessage?.RequestUri is { } address => $"{exception.GetBaseException().Message} ({NetworkFailure.HostOf(address)})",
        _ => exception.GetBaseException().Message,
    };

    private bool IsBroken(Exception exception) =>
        exception is IOException or HttpRequestException or UpstreamFailedException || (exception is OperationCanceledException && !_abandoned.IsCancellationRequested);

    private sealed class StoreFailedException(Exception cause) : Exception(cause.Message, cause);

    private sealed class WrongContentException(string message) : Exception(message);
}
