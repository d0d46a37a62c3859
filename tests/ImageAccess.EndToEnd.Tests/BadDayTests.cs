using System.Net;
using System.Net.Sockets;
using ImageAccess.FakeHubs;

namespace ImageAccess.EndToEnd.Tests;

/// <summary>
/// An administrator's bad day: the proxy as a process, real clients with it as their mirror, and Docker Hub fully reachable beside it. Whatever
/// fails, no denied image comes, and the log and <c>/readyz</c> say what it is. <c>tests/bad-day</c> tries every client with each fault; here it is one.
/// </summary>
[Collection(nameof(SurroundingsOfFaults))]
public sealed class BadDayTests(Surroundings world)
{
    private const string Denied = "someuser/custom-image";

    private static readonly string[] Clients = ["dockerd 20.10", "dockerd 28", "containerd 2"];

    /// <summary>The service, what its network does, and what the log and <c>/readyz</c> say.</summary>
    private static readonly (string Service, string Fault, string Says)[] Faults =
    [
        .. Faulty("Registry"), .. Faulty("Auth"), .. Faulty("Hub"),
        ("Registry", "another server", "does not answer as a registry does (200, text/html); look at Upstream:Registry"),
        ("Auth", "another server", "token service (200, text/html)"),
        ("Hub", "another server", "does not answer as the Hub API does (200, text/html); look at Upstream:Hub"),
    ];

    public static TheoryData<string, string, string, string> Days
    {
        get
        {
            var all = new TheoryData<string, string, string, string>();
            var isWhole = Environment.GetEnvironmentVariable("BAD_DAY") == "whole";
            foreach (var (number, (service, fault, says)) in Faults.Index())
            {
                foreach (var client in isWhole ? Clients : [Clients[number % Clients.Length]])
                    all.Add(client, service, fault, says);
            }

            return all;
        }
    }

    [Theory]
    [MemberData(nameof(Days))]
    public async Task Nothing_denied_comes_and_it_is_said_what_fails(string client, string service, string fault, string says)
    {
        using var dropping = new DroppingPort();
        var instead = fault switch
        {
            "dropped" => dropping.Address,
            "bad certificate" => $"https://{world.Hub.TlsEndPoint}",
            _ => $"http://{AddressOf(service)}",
        };
        using var armed = fault is "dropped" or "bad certificate" ? null : world.Hub.Faults.Add(FaceOf(service), request => !request.ViaDockerHubNames, fault switch
        {
            "reset" => Fault.CloseConnection(),
            "stalled" => Fault.NeverAnswer(),
            _ => Fault.Status(200, "<html>sign in to the network</html>", "text/html"),
        });
        await using var proxy = await world.ProxyAsync($"bad day {client} {service} {fault}".Replace(' ', '_'), Surroundings.Policy, new ProxySetup { Instead = (service, instead) });
        await using var program = await world.ClientAsync(client, proxy);
        world.Hub.Requests.Clear();

        (await program.PullAsync(Denied)).FailedSaying(service switch
        {
            "Registry" => Surroundings.Denied,
            "Auth" => "image access unavailable: the token service of Docker Hub cannot be reached, try again",
            _ => "image access unavailable: the publisher of someuser could not be verified, try again",
        });
        Assert.False(await program.HasAsync(Denied));
        Assert.Empty(world.HandedOut(Denied));

        await WaitAsync(async () => (await proxy.ReadinessAsync()).Contains(says, StringComparison.Ordinal) && proxy.Log.Contains(says, StringComparison.Ordinal), () => proxy.Log);
        Assert.DoesNotContain("   at ", proxy.Log, StringComparison.Ordinal); // no stack trace
    }

    /// <summary>What the network does to a service, and the words for it.</summary>
    private static IEnumerable<(string Service, string Fault, string Says)> Faulty(string service) =>
    [
        (service, "dropped", $"look at Upstream:{service}"),
        (service, "reset", $"look at Upstream:{service}"),
        (service, "stalled", $"look at Upstream:{service}"),
        (service, "bad certificate", $"look at Upstream:{service} and Upstream:TrustedCertificates"),
    ];

    private static Face FaceOf(string service) => service switch { "Registry" => Face.Registry, "Auth" => Face.Auth, _ => Face.Hub };

    private static async Task WaitAsync(Func<Task<bool>> condition, Func<string> said)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (!await condition())
        {
            Assert.False(limit.IsCancellationRequested, said());
            await Task.Delay(TimeSpan.FromMilliseconds(100));
        }
    }

    private string AddressOf(string service) => service switch { "Registry" => world.Hub.Registry.Authority, "Auth" => world.Hub.Auth.Authority, _ => world.Hub.Hub.Authority };

    /// <summary>A port to which everything that is sent is lost: its queue is full.</summary>
    private sealed class DroppingPort : IDisposable
    {
        private readonly List<Socket> _sockets = [];

        public DroppingPort()
        {
            var listener = Add();
            listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            listener.Listen(0);
            Address = $"http://{listener.LocalEndPoint}";
            for (var i = 0; i < 4; i++)
            {
                try
                {
                    Add().Connect(listener.LocalEndPoint!);
                }
                catch (SocketException)
                {
                    // It is under way.
                }
            }
        }

        public string Address { get; }

        public void Dispose() => _sockets.ForEach(socket => socket.Dispose());

        private Socket Add()
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { Blocking = false };
            _sockets.Add(socket);
            return socket;
        }
    }
}
