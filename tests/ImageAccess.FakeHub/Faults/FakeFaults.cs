namespace ImageAccess.FakeHubs;

/// <summary>A fault that waits for its requests. Disposing takes it back.</summary>
public sealed class ArmedFault : IDisposable
{
    private readonly FakeFaults faults;
    private readonly Face face;
    private readonly Func<RecordedRequest, bool> when;
    private readonly int times;
    private int hits;

    internal ArmedFault(FakeFaults faults, Face face, Func<RecordedRequest, bool> when, Fault fault, int times)
    {
        this.faults = faults;
        this.face = face;
        this.when = when;
        this.times = times;
        Fault = fault;
    }

    /// <summary>How many requests it has met.</summary>
    public int Hits => Volatile.Read(ref hits);

    internal Fault Fault { get; }

    public void Dispose() => faults.Remove(this);

    internal bool Takes(RecordedRequest request)
    {
        if (request.Face != face || hits >= times || !when(request))
            return false;
        hits++;
        return true;
    }
}

/// <summary>What goes wrong, where, and how often. Of several that fit a request, the one armed first acts.</summary>
public sealed class FakeFaults
{
    private readonly Lock gate = new();
    private readonly List<ArmedFault> armed = [];

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
        lock (gate)
            armed.Add(added);
        return added;
    }

    public void Clear()
    {
        lock (gate)
            armed.Clear();
    }

    internal void Remove(ArmedFault fault)
    {
        lock (gate)
            armed.Remove(fault);
    }

    internal Fault? For(RecordedRequest request)
    {
        lock (gate)
            return armed.Find(fault => fault.Takes(request))?.Fault;
    }
}
