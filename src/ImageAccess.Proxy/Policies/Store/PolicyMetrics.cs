using System.Buffers.Binary;
using System.Diagnostics.Metrics;
using System.Security.Cryptography;
using System.Text;

namespace ImageAccess.Proxy.Policies.Store;

/// <summary>Which policy is in force, and what it does.</summary>
internal sealed class PolicyMetrics(IMeterFactory meters, IPolicyStore policies, TimeProvider time)
{
    private static readonly string[] Modes = ["off", "observe", "enforce"];

    public void Watch()
    {
        var meter = meters.Create("ImageAccess");
        meter.CreateObservableGauge("imageaccess.policy.version", Version, null, "A number for the policy in force: the same on each replica that has the same.");
        meter.CreateObservableGauge("imageaccess.policy.organizations", Organizations, "{organization}", "Organizations of the policy, by what it does for them.");
    }

    /// <summary>Not a label: each version would be a series of its own, and they have no end. What a double holds exactly.</summary>
    internal static long NumberOf(string version) => BinaryPrimitives.ReadInt64BigEndian(SHA256.HashData(Encoding.UTF8.GetBytes(version))) & ((1L << 48) - 1);

    private IEnumerable<Measurement<long>> Version() => policies.State is { } state ? [new(NumberOf(state.Policy.Version))] : [];

    private IEnumerable<Measurement<int>> Organizations()
    {
        var today = DateOnly.FromDateTime(time.GetUtcNow().UtcDateTime);
        var modes = policies.State?.Policy.Organizations.Select(organization => organization.Mode(today)).ToList() ?? [];
        return Modes.Select(mode => new Measurement<int>(modes.Count(one => one == mode), new KeyValuePair<string, object?>("mode", mode)));
    }
}
