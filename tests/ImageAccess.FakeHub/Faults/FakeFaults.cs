namespace ImageAccess.FakeHubs;

/// <summary>A fault that waits for its requests. Disposing takes it back.</summary>
public sealed class ArmedFault : IDisposable
{
    private readonly FakeFaults _faults;
    private readonly Face _face;
    private readonly Func<RecordedRequest, bool> _when;
    private readonly int _times;
    private int _hits;

    internal ArmedFault(FakeFaults faults, Face face, Func<RecordedRequest, bool> when, Fault fault, int times)
    {
        _faults = faults;
        _face = face;
        _when = when;
        _times = times;
        Fault = fault;
    }

    /// <summary>How many requests it has met.</summary>
    public int Hits => Volatile.Read(ref _hits);

    internal Fault Fault { get; }

    public void Dispose() => _faults.Remove(this);

    internal bool Takes(RecordedRequest request)
    {
        if (request.Face != _face || _hits >= _times || !_when(request))
            return false;
        _hits++;
        return true;
    }
}

/// <summary>What goes wrong, where, and how often. Of several that fit a request, the one armed first acts.</summary>
public sealed class FakeFaults
{
    private readonly Lock _gate = new();
    private readonly List<ArmedFault> _armed = [];

    internal FakeFaults()
    {
    }

    /// <summary>Every request to the face.</summary>
    public ArmedFault Add(Face face, Fault fault, int times = int.MaxValue) => Add(face, static _ => true, fault, times);

    /// <summary>Requests whose raw target contains this text.</summary>
    public ArmedFault Add(Face face, string targetPart, Fault fault, int times = int.MaxValue) =>
        Add(face, request => request.RawTarget.Contains(targetPart, StringComparison.Ordinal), fault, times);

    public ArmedFault Add(Face face, Func<RecordedRequest, bool> when, Fault fault, int times = int.MaxValue)
    {
        var added = new ArmedFault(this, face, when, fault, times);
        lock (_gate)
            _armed.Add(added);
        return added;
    }

    public void Clear()
    {
        lock (_gate)
            _armed.Clear();
    }

    internal void Remove(ArmedFault fault)
    {
        lock (_gate)
            _armed.Remove(fault);
    }

    internal Fault? For(RecordedRequest request)
    {
        lock (_gate)
            return _armed.Find(fault => fault.Takes(request))?.Fault;
    }
}
