namespace ImageAccess.FakeHubs;

/// <summary>Every request that reached any face, in the order of arrival.</summary>
public sealed class RequestRecord
{
    private readonly Lock gate = new();
    private readonly List<RecordedRequest> requests = [];
    private TaskCompletionSource arrival = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public IReadOnlyList<RecordedRequest> All
    {
        get
        {
            lock (gate)
                return [.. requests];
        }
    }

    /// <summary>Requests to Docker Hub's own names: the proof that a client did, or did not, go past the proxy.</summary>
    public IReadOnlyList<RecordedRequest> ViaDockerHubNames => [.. All.Where(request => request.ViaDockerHubNames)];

    public IReadOnlyList<RecordedRequest> Of(Face face) => [.. All.Where(request => request.Face == face)];

    public void Clear()
    {
        lock (gate)
            requests.Clear();
    }

    /// <summary>The first request, past or to come, that the predicate accepts.</summary>
    public async Task<RecordedRequest> WaitForAsync(Func<RecordedRequest, bool> wanted, CancellationToken cancel)
    {
        while (true)
        {
            Task next;
            lock (gate)
            {
                if (requests.Find(request => wanted(request)) is { } found)
                    return found;
                next = arrival.Task;
            }

            await next.WaitAsync(cancel);
        }
    }

    internal void Add(RecordedRequest request)
    {
        TaskCompletionSource arrived;
        lock (gate)
        {
            requests.Add(request);
            arrived = arrival;
            arrival = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        arrived.SetResult();
    }
}
