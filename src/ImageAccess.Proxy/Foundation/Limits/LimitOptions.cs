using System.Globalization;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Foundation.Limits;

/// <summary>
/// How much may be under way, in all and for each client: the section <c>Limits</c>. What is not set comes from the machine. In descriptors
/// a connection costs two (itself, and its request to Docker Hub), a tunnel one more, and a pull two more (the file, and the CDN).
/// </summary>
public sealed class LimitOptions
{
    /// <summary>Connections to the admin listener: a reserve that no other listener can use up.</summary>
    public const int AdminConnections = 64;

    /// <summary>
    /// Requests on the console's listener, of which a client has a quarter. Each may hold a thread while another process writes into the
    /// database: so few leave the threads to those who pull.
    /// </summary>
    public const int ConsoleRequests = 32;

    /// <summary>What the program itself has open: its assemblies, its listeners, files, questions to Docker Hub in the background.</summary>
    private const int OwnDescriptors = 320;

    /// <summary>Below this many for clients a start would serve nobody.</summary>
    private const int FewestDescriptors = 64;

    private const int MostConnections = 20_000;
    private const int SharePart = 4;

    public int Connections { get; set; }

    public int ConnectionsPerClient { get; set; }

    public int Tunnels { get; set; }

    public int TunnelsPerClient { get; set; }

    /// <summary>Pulls and pushes: allowed requests for content.</summary>
    public int Requests { get; set; }

    public int RequestsPerClient { get; set; }

    /// <summary><c>Listen:TrustedProxies</c>: the connections of these are those of many clients.</summary>
    public IList<string> TrustedProxies { get; set; } = [];

    internal Machine Machine { get; private set; } = new(0, 0);

    /// <summary>Takes from the machine what is not set.</summary>
    internal void Complete(Machine machine)
    {
        Machine = machine;
        var descriptors = Math.Max(0, machine.Descriptors - OwnDescriptors - AdminConnections);
        Connections = Given(Connections, Least(descriptors / 4, machine.Memory / 4 / (32 * 1024)));
        Tunnels = Given(Tunnels, Least(Connections, (descriptors - (2 * Connections)) / 2, machine.Memory / 4 / (192 * 1024)));
        Requests = Given(Requests, Least(Connections, (descriptors - (2 * Connections) - Tunnels) / 2, machine.Memory / 4 / (256 * 1024)));
        ConnectionsPerClient = Given(ConnectionsPerClient, Share(Connections));
        TunnelsPerClient = Given(TunnelsPerClient, Share(Tunnels));
        RequestsPerClient = Given(RequestsPerClient, Share(Requests));

        static int Given(int set, int otherwise) => set != 0 ? set : otherwise;

        static int Least(params ReadOnlySpan<long> bounds)
        {
            long least = MostConnections;
            foreach (var bound in bounds)
                least = Math.Min(least, bound);
            return (int)Math.Max(1, least);
        }

        static int Share(int all) => Math.Max(1, all / SharePart);
    }

    internal IEnumerable<string> Faults()
    {
        if (Machine.Descriptors < OwnDescriptors + AdminConnections + FewestDescriptors)
        {
            yield return string.Create(
                CultureInfo.InvariantCulture,
                $"Limits: the process may open {Machine.Descriptors} files and connections and needs at least {OwnDescriptors + AdminConnections + FewestDescriptors}: raise LimitNOFILE of the unit, or ulimit -n");
            yield break;
        }

        foreach (var (what, inAll, perClient) in new[] { ("Connections", Connections, ConnectionsPerClient), ("Tunnels", Tunnels, TunnelsPerClient), ("Requests", Requests, RequestsPerClient) })
        {
            if (inAll < 1)
                yield return $"Limits:{what}: at least 1";
            if (perClient < 1 || perClient > inAll)
                yield return string.Create(CultureInfo.InvariantCulture, $"Limits:{what}PerClient: from 1 to {inAll}, which Limits:{what} allows in all");
        }

        var needed = OwnDescriptors + AdminConnections + (2L * Connections) + Tunnels + (2L * Requests);
        if (needed > Machine.Descriptors)
        {
            yield return string.Create(
                CultureInfo.InvariantCulture,
                $"Limits: {Connections} connections, {Tunnels} tunnels and {Requests} requests need {needed} descriptors, and the process may open {Machine.Descriptors}: raise LimitNOFILE of the unit, or ulimit -n, or set less");
        }
    }
}

internal sealed class LimitOptionsValidator : IValidateOptions<LimitOptions>
{
    public ValidateOptionsResult Validate(string? name, LimitOptions options) =>
        options.Faults().ToList() is { Count: > 0 } faults ? ValidateOptionsResult.Fail(faults) : ValidateOptionsResult.Success;
}
