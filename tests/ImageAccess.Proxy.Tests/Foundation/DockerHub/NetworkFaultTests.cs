using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Foundation.DockerHub;
using ImageAccess.Proxy.Tests.Connections.Ingress;
using ImageAccess.Proxy.Tests.Walk;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace ImageAccess.Proxy.Tests.Foundation.DockerHub;

/// <summary>
/// A network that does everything that networks do, on each connection that the proxy makes. No failure of it is an error of the proxy (500):
/// the client gets 502, 504 or 503, and one line of the log names the host, what failed, and the key to look at.
/// </summary>
public sealed class NetworkFaultTests
{
    private const string Policy =
        """{ "organizations": [ { "name": "acme", "members": [ "bob" ], "enabled": true, "allow": { "official": true, "verifiedPublisher": true } } ] }""";

    private static readonly string Digest = "sha256:" + new string('a', 64);

    /// <summary>What the network does, and what the line says of it.</summary>
    private static readonly Dictionary<string, string> Faults = new(StringComparer.Ordinal)
    {
        ["unresolved"] = "its name cannot be resolved, ",
        ["refused"] = "no connection, Connection refused; look at ",
        ["dropped"] = "",
        ["stalled"] = "",
        ["reset"] = "the answer broke off, Connection reset by peer; look at ",
        ["closed"] = "the answer broke off",
        ["cut"] = "",
        ["garbage"] = "the answer cannot be read; look at ",
        ["untrusted"] = "TLS failed, ",
        ["no TLS"] = "TLS failed, ",
        ["TLS stalled"] = "",
    };

    public static TheoryData<string, string> Connections
    {
        get
        {
            var all = new TheoryData<string, string>();
            foreach (var connection in new[] { "registry HEAD", "registry GET", "registry blob", "registry tags", "upload PATCH", "manifest PUT", "token GET", "token POST", "key", "cdn", "badge" })
            {
                foreach (var fault in Faults.Keys.Where(fault => (connection, fault) != ("registry HEAD", "cut"))) // a HEAD has nothing to cut
                    all.Add(connection, fault);
            }

            return all;
        }
    }

    [Theory]
    [MemberData(nameof(Connections))]
    public async Task It_is_told_as_what_it_is(string connection, string fault)
    {
        var time = new ManualTime(TimeProvider.System.GetUtcNow());
        var kind = connection.Split(' ')[0];
        await using var network = new FaultyNetwork(fault, mustBeOwn: kind is "token" or "key");
        var (key, settings) = kind switch
        {
            "token" or "key" => ("Upstream:Auth", ("Upstream:Auth", network.Address)),
            "badge" => ("Upstream:Hub", ("Upstream:Hub", network.Address)),
            "cdn" => ("Upstream:RedirectHosts", ("Upstream:RedirectHosts:0", new Uri(network.Address).Authority)),
            _ => ("Upstream:Registry", ("Upstream:Registry", network.Address)),
        };
        await using var here = await Surroundings.StartAsync(Policy, null, time, settings, ("Upstream:IdleTimeout", "00:00:01"));
        here.Services = services => services.AddSingleton<IHostResolver>(network);
        await here.RestartAsync();
        if (kind == "cdn")
            here.Hub.Faults.Add(Face.Registry, "/blobs/", Fault.Redirect($"{network.Address}/a/b?signature=secret-of-the-address"));
        var token = here.Hub.Signer.IssueToken(draft => draft.For(here.Hub.Users.Find("bob")!).Access =
            [new TokenAccess("acme/app", "pull", "push"), new TokenAccess("bitnami/redis", "pull")]);
        if (kind is not ("key" or "token"))
            Assert.Equal(200, (await here.AskAsync("GET", "/v2/", token)).Status); // the key is known
        here.Log.Clear();

        var asking = connection switch
        {
            "registry HEAD" => here.AskAsync("HEAD", "/v2/acme/app/manifests/latest", token),
            "registry blob" or "cdn" => here.AskAsync("GET", $"/v2/acme/app/blobs/{Digest}", token),
            "registry tags" => here.AskAsync("GET", "/v2/acme/app/tags/list", token),
            "upload PATCH" => SendAsync(here, "PATCH", "/v2/acme/app/blobs/uploads/abc?_state=x", token, "some bytes"),
            "manifest PUT" => SendAsync(here, "PUT", "/v2/acme/app/manifests/v1", token, "{}"),
            "token GET" => here.AskAsync("GET", "/token?service=registry.docker.io&scope=repository:library/nginx:pull"),
            "token POST" => SendAsync(here, "POST", "/token", null, "grant_type=password&service=registry.docker.io&client_id=docker&username=bob&password=secret-of-bob"),
            "badge" => here.AskAsync("GET", "/v2/bitnami/redis/manifests/latest", token),
            _ => here.AskAsync("GET", "/v2/acme/app/manifests/latest", token),
        };
        while (network.IsSilent && await Task.WhenAny(asking, Task.Delay(10)) != asking)
            time.Advance(TimeSpan.FromMilliseconds(100));
        while (kind == "badge" && await Task.WhenAny(asking, Task.Delay(10)) != asking)
            time.Advance(TimeSpan.FromMilliseconds(10)); // the pauses between the tries
        var answer = await asking;

        if (fault == "cut" && connection is "registry blob" or "cdn")
            Assert.Equal((200, "100", 5), (answer.Status, answer.Header("Content-Length"), answer.Body.Length)); // not whole: the client sees that
        else
            Assert.Equal(kind is "key" or "badge" ? 503 : network.IsSilent ? 504 : 502, answer.Status);
        Assert.Empty(here.Log.At(LogLevel.Error));
        var line = Assert.Single(here.Log.At(LogLevel.Warning));
        Assert.Contains(network.Host, line, StringComparison.Ordinal);
        Assert.Contains(connection == "upload PATCH" && fault == "reset" ? "the answer broke off" : Faults[fault], line, StringComparison.Ordinal); // its body may meet a broken pipe
        Assert.Contains(fault == "unresolved" ? "Upstream:Addresses" : key, line, StringComparison.Ordinal);
        if (fault is "untrusted" or "no TLS")
            Assert.Contains("Upstream:TrustedCertificates", line, StringComparison.Ordinal);
        Assert.All(["secret-of", token], secret => Assert.DoesNotContain(secret, $"{here.Log} {answer.Body}", StringComparison.Ordinal));
        Assert.DoesNotContain(network.Host, $"{answer.Phrase} {answer.Body}", StringComparison.Ordinal); // of the internal network, for all that is known

        using var admin = Surroundings.NewClient(here.Admin);
        var degraded = JsonNode.Parse(await admin.GetStringAsync("/readyz"))!["degraded"]!.AsObject();
        if (fault != "cut") // an answer had begun
            Assert.Contains(network.Host, Assert.Single(degraded).Value!.GetValue<string>(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("auth.docker.io", "Upstream:Auth", "the token service of Docker Hub could not be reached (auth.docker.io: its name cannot be resolved, ")]
    [InlineData("registry-1.docker.io", "Upstream:Registry", "Docker Hub could not be reached (registry-1.docker.io: its name cannot be resolved, ")]
    [InlineData("mirror.internal.example", "Upstream:Registry", "Docker Hub could not be reached")]
    public async Task A_client_is_told_of_Docker_Hubs_own_hosts_alone(string host, string key, string message)
    {
        await using var network = new FaultyNetwork("unresolved");
        await using var here = await Surroundings.StartAsync(settings: (key, $"https://{host}"));
        here.Services = services => services.AddSingleton<IHostResolver>(network);
        await here.RestartAsync();
        var answer = key == "Upstream:Auth"
            ? await here.AskAsync("GET", "/token?service=registry.docker.io")
            : await here.AskAsync("GET", "/v2/acme/app/manifests/latest", await here.PullTokenAsync("bob", "acme/app"));
        Assert.Equal(502, answer.Status);
        Assert.StartsWith(message, answer.Message, StringComparison.Ordinal);
        if (!message.EndsWith(' '))
            Assert.Equal(message, answer.Message);
    }

    [Theory]
    [InlineData("unresolved")]
    [InlineData("refused")]
    [InlineData("dropped")]
    public async Task A_tunnel_that_leads_nowhere_is_a_502(string fault)
    {
        await using var network = new FaultyNetwork(fault);
        var time = new ManualTime(TimeProvider.System.GetUtcNow());
        await using var room = await IngressRoom.StartAsync(time, settings: [("Egress:Allow:2", $"{FaultyNetwork.Name}:{network.Port} private")]);
        room.World.Services = services => services.AddSingleton<IHostResolver>(network);
        await room.World.RestartAsync();
        room.World.Log.Clear();
        var asking = room.ConnectAsync($"{FaultyNetwork.Name}:{network.Port}");
        while (network.IsSilent && await Task.WhenAny(asking, Task.Delay(10)) != asking)
            time.Advance(TimeSpan.FromMilliseconds(100));
        var (head, stream) = await asking;
        await using (stream)
            Assert.StartsWith($"HTTP/1.1 502 {FaultyNetwork.Name} could not be reached\r\n", head, StringComparison.Ordinal);
        Assert.Empty(room.World.Log.At(LogLevel.Error));
    }

    private static Task<RawAnswer> SendAsync(Surroundings here, string method, string target, string? token, string body) => here.SendRawAsync(
        $"{method} {target} HTTP/1.1\r\nHost: {here.Mirror.Authority}\r\nConnection: close\r\n{(token is null ? "" : $"Authorization: Bearer {token}\r\n")}"
        + $"Content-Type: {(target == "/token" ? "application/x-www-form-urlencoded" : "application/vnd.oci.image.manifest.v1+json")}\r\n"
        + string.Create(CultureInfo.InvariantCulture, $"Content-Length: {body.Length}\r\n\r\n{body}"));

    /// <summary>A host, and the way to it, with one fault.</summary>
    private sealed class FaultyNetwork : IHostResolver, IAsyncDisposable
    {
        public const string Name = "upstream.test";

        private readonly string _fault;
        private readonly bool _mustBeOwn;
        private readonly CertificateAuthority _authority = new("Nobody trusts this");
        private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        private readonly List<Socket> _filling = [];
        private readonly RawServer? _server;

        /// <param name="mustBeOwn">Over plain http nobody else than this machine is believed: it has no name then.</param>
        public FaultyNetwork(string fault, bool mustBeOwn = false)
        {
            (_fault, _mustBeOwn) = (fault, mustBeOwn);
            if (fault is "reset" or "closed" or "cut" or "garbage" or "stalled" or "untrusted" or "no TLS" or "TLS stalled")
            {
                _server = new RawServer(ServeAsync, fault == "untrusted" ? _authority.Issue(Name) : null);
                Port = new Uri(_server.Address).Port;
                return;
            }

            _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            Port = ((IPEndPoint)_listener.LocalEndPoint!).Port;
            if (fault == "dropped")
                Fill();
            else
                _listener.Close();
        }

        public int Port { get; }

        public string Host => string.Create(CultureInfo.InvariantCulture, $"{(IsTls || !_mustBeOwn ? Name : "127.0.0.1")}:{Port}");

        public string Address => $"{(IsTls ? "https" : "http")}://{Host}";

        private bool IsTls => _fault.Contains("TLS", StringComparison.Ordinal) || _fault == "untrusted" || (_mustBeOwn && _fault == "unresolved");

        /// <summary>Nothing comes back: only time ends it.</summary>
        public bool IsSilent => _fault is "dropped" or "stalled" or "TLS stalled";

        public Task<IPAddress[]> ResolveAsync(string host, CancellationToken cancellationToken) =>
            IPAddress.TryParse(host, out var literal) ? Task.FromResult<IPAddress[]>([literal])
            : _fault == "unresolved" ? throw new SocketException((int)SocketError.TryAgain)
            : Task.FromResult<IPAddress[]>([host == Name ? IPAddress.Loopback : IPAddress.Parse("192.0.2.1")]);

        public async ValueTask DisposeAsync()
        {
            if (_server is not null)
                await _server.DisposeAsync();
            _filling.ForEach(socket => socket.Dispose());
            _listener.Dispose();
            _authority.Dispose();
        }

        /// <summary>What is sent to a port whose queue is full is dropped.</summary>
        private void Fill()
        {
            _listener.Listen(0);
            for (var i = 0; i < 4; i++)
            {
                var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { Blocking = false };
                _filling.Add(socket);
                try
                {
                    socket.Connect(_listener.LocalEndPoint!);
                }
                catch (SocketException)
                {
                    // It is under way.
                }
            }
        }

        private async Task ServeAsync(RawConnection connection)
        {
            if (_fault == "TLS stalled")
            {
                await connection.HangAsync();
                return;
            }

            if (_fault == "no TLS")
            {
                await connection.WriteAsync("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
                return;
            }

            await connection.ReadHeadAsync();
            switch (_fault)
            {
                case "reset":
                    connection.Reset();
                    break;
                case "cut":
                    await connection.WriteAsync("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"a\":");
                    break;
                case "garbage":
                    await connection.WriteAsync("SSH-2.0-OpenSSH_9.2\r\n");
                    break;
                case "stalled":
                    await connection.HangAsync();
                    break;
            }
        }
    }
}
