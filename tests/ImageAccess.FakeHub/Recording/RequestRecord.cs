namespace ImageAccess.FakeHubs;

/// <summary>Every request that reached any face, in the order of arrival.</summary>
public sealed class RequestRecord
{
    private readonly Lock _gate = new();
    private readonly List<RecordedRequest> _requests = [];
    private TaskCompletionSource _arrival = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public IReadOnlyList<RecordedRequest> All
    {
        get
        {
            lock (_gate)
                return [.. _requests];
        }
    }

    /// <summary>Requests to Docker Hub's own names: the proof that a client did, or did not, go past the proxy.</summary>
    public IReadOnlyList<RecordedRequest> ViaDockerHubNames => [.. All.Where(request => request.ViaDockerHubNames)];

    public IReadOnlyList<RecordedRequest> Of(Face face) => [.. All.Where(request => request.Face == face)];

    public void Clear()
    {
        lock (_gate)
            _requests.Clear();
    }

    /// <summary>The first request, past or to come, that the predicate accepts.</summary>
    public async Task<RecordedRequest> WaitForAsync(Func<RecordedRequest, bool> wanted, CancellationToken cancel)
    {
        while (true)
        {
            Task next;
            lock (_gate)
            {
                if (_requests.Find(request => wanted(request)) is { } found)
                    return found;
                next = _arrival.Task;
            }

            await next.WaitAsync(cancel);
        }
    }

    internal void Add(RecordedRequest request)
    {
        TaskCompletionSource arrived;
        lock (_gate)
        {
            _requests.Add(request);
            arrived = _arrival;
            _arrival = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        arrived.SetResult();
    }
}
