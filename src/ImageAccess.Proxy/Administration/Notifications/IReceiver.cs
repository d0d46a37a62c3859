using System.Threading.Channels;

namespace ImageAccess.Proxy.Administration.Notifications;

/// <summary>Somebody who is told.</summary>
internal interface IReceiver
{
    /// <summary>Its place in the configuration: <c>Webhooks:0</c>, <c>Mail</c>.</summary>
    string Name { get; }

    bool Wants(Notice notice);

    /// <summary>Tells it once.</summary>
    /// <returns>Why it did not take it, without a secret; null once it has said that it has it.</returns>
    Task<Refusal?> SendAsync(Notice notice, CancellationToken cancellationToken);
}

/// <summary>Why a receiver did not take a notification.</summary>
/// <param name="Cause">What follows its name in a sentence.</param>
/// <param name="After">How long it asks us to wait.</param>
internal sealed record Refusal(string Cause, TimeSpan? After = null);

/// <summary>All who are told, and that there is something for them.</summary>
internal sealed class Receivers(IReadOnlyList<IReceiver> all) : IDisposable
{
    private readonly Channel<bool>[] _wakes =
        [.. all.Select(_ => Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite }))];

    public IReadOnlyList<IReceiver> All { get; } = all;

    public void Dispose()
    {
        foreach (var receiver in All.OfType<IDisposable>())
            receiver.Dispose();
    }

    public void Wake()
    {
        foreach (var wake in _wakes)
            wake.Writer.TryWrite(true);
    }

    /// <summary>Waits until there is something for it, and no longer than this.</summary>
    public async Task WaitAsync(IReceiver receiver, TimeSpan longest, TimeProvider time, CancellationToken cancellationToken)
    {
        var wake = _wakes[All.ToList().IndexOf(receiver)].Reader;
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        await Task.WhenAny(Task.Delay(longest, time, enough.Token), wake.WaitToReadAsync(enough.Token).AsTask());
        await enough.CancelAsync();
        wake.TryRead(out _);
        cancellationToken.ThrowIfCancellationRequested();
    }
}
