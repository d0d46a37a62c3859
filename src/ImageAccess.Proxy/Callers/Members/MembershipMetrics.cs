using System.Diagnostics.Metrics;

namespace ImageAccess.Proxy.Callers.Members;

/// <summary>Attempts to read the member lists, and their age.</summary>
internal sealed class MembershipMetrics
{
    public const string Reads = "imageaccess.members.reads";
    public const string Age = "imageaccess.members.age";

    private readonly Counter<long> _reads;

    public MembershipMetrics(IMeterFactory meters, MembershipDirectory directory, TimeProvider time)
    {
        var meter = meters.Create("ImageAccess");
        _reads = meter.CreateCounter<long>(Reads, "{list}", "Attempts to read an organization's member list, by result.");
        meter.CreateObservableGauge(
            Age,
            () => directory.Book.Lists.Values.Select(list => new Measurement<double>(
                (time.GetUtcNow() - list.ReadAt).TotalSeconds, new KeyValuePair<string, object?>("organization", list.Organization))),
            "s",
            "How old the member list of an organization is.");
    }

    public void StartAtZero()
    {
        foreach (var result in new[] { "read", "failed" })
            Read(result, 0);
    }

    public void Read() => Read("read", 1);

    public void NotRead() => Read("failed", 1);

    private void Read(string result, int lists) => _reads.Add(lists, new KeyValuePair<string, object?>("result", result));
}
