using ImageAccess.FakeHubs;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>
/// Tests of the whole program. Each class of them runs twice, on either transport: it is abstract, and two classes of one line say which.
/// </summary>
public abstract class WalkTests(string transport)
{
    protected const string Direct = "direct";
    protected const string Kestrel = "kestrel";

    protected string Transport { get; } = transport;

    /// <summary>For a process of its own.</summary>
    protected (string Name, string Value) TransportVariable => ("IMAGEACCESS_Listen__Transport", Transport);

    protected Task<Surroundings> StartAsync(
        string policy = Surroundings.Policy, Action<FakeHubOptions>? hub = null, params (string Key, string Value)[] settings) =>
        StartAsync(policy, hub, TimeProvider.System, settings);

    protected Task<Surroundings> StartAsync(
        string policy, Action<FakeHubOptions>? hub, TimeProvider time, params (string Key, string Value)[] settings) =>
        Surroundings.StartAsync(policy, hub, time, [("Listen:Transport", Transport), .. settings]);
}
