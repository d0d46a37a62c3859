using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Tests.Connections.Ingress;
using ImageAccess.Proxy.Tests.Walk;

namespace ImageAccess.Proxy.Tests.Overload;

/// <summary>
/// The real program in a process of its own that may open few files, a greedy client at 127.0.0.1 and a modest one at 127.0.0.2, whose
/// pulls must go on. This is the one place where time is measured.
/// </summary>
public sealed class OverloadRoom : IAsyncDisposable
{
    public const int Descriptors = 1024;

    private const long MostMemory = 400L * 1024 * 1024;

    private static readonly IPAddress GreedyAddress = IPAddress.Parse("127.0.0.1");
    private static readonly IPAddress ModestAddress = IPAddress.Parse("127.0.0.2");

    private readonly TemporaryDirectory _directory = new();

    private bool _isHubStopped;
    private TimeSpan _calm;

    private OverloadRoom(FakeHub hub) => Hub = hub;

    public FakeHub Hub { get; }

    internal TargetServer Echo { get; } = new();

    public ImageAccessProcess Program { get; private set; } = null!;

    /// <summary>A blob of the repository that the greedy client pulls.</summary>
    public string LargeDigest { get; private set; } = "";

    /// <summary>How often the modest client has pulled.</summary>
    public int ModestPulls { get; private set; }

    public string AuditFile => _directory["data/audit.jsonl"];

    public static async Task<OverloadRoom> StartAsync(int descriptors = Descriptors, params (string Name, string Value)[] environment)
    {
        var room = new OverloadRoom(await FakeHub.StartAsync());
        room.Hub.Images.PushImage("library/nginx", "latest", [RandomNumberGenerator.GetBytes(100_000)]);
        var large = RandomNumberGenerator.GetBytes(32 * 1024 * 1024);
        room.Hub.Images.PushImage("library/large", "latest", [large]);
        room.LargeDigest = $"sha256:{Convert.ToHexStringLower(SHA256.HashData(large))}";
        room.Hub.Users.Add("bob", "bobs-password", "dckr_pat_bob");
        room.Hub.Users.AddOrganization("acme", "", "dckr_oat_acme");
        room.Hub.Namespaces.Find("acme")!.AddMember("bob");
        room.Hub.Images.PushImage("acme/app", "latest", [[2]]);
        room.Hub.Namespaces.Add("someuser", "", NamespaceKind.User);
        room.Hub.Images.PushImage("someuser/custom-image", "latest", [[1]]);
        Directory.CreateDirectory(room._directory["data"]);
        await File.WriteAllTextAsync(room._directory["data/policy.json"], Surroundings.Policy);
        await File.WriteAllTextAsync(room._directory["imageaccess.json"], $$"""
            {
              "Listen": { "Mirror": "http://127.0.0.1:0", "Admin": "http://127.0.0.1:0", "Gateway": "https://127.0.0.1:0", "ForwardProxy": "http://127.0.0.1:0" },
              "Upstream": {
                "Registry": "{{room.Hub.Registry}}", "Auth": "{{room.Hub.Auth}}", "Hub": "{{room.Hub.Hub}}", "RedirectHosts": [ "{{room.Hub.Cdn.Authority}}" ],
                "Addresses": { "registry-1.docker.io": "192.0.2.1", "{{IngressRoom.EchoHost}}": "127.0.0.1" }
              },
              "Egress": { "Allow": [ "{{IngressRoom.EchoHost}}:{{room.Echo.Port}} private" ] }
            }
            """);
        await using (var certificates = new ImageAccessProcess(room._directory.Path, ["certificates", "create"], environment))
            Assert.Equal(0, (await certificates.EndAsync()).Code);
        room.Program = ImageAccessProcess.WithDescriptors(descriptors, room._directory.Path, environment);
        await room.Program.WaitForLineAsync("next ");
        foreach (var said in new[] { "The cache holds", "Learnt the token service's verification key", $"has the migration {SqlDatabase.NewestMigration}" }) // by what goes on after the start
            await room.Program.WaitForLineAsync(line => line.Contains(said, StringComparison.Ordinal));
        if ((await room.ListenerAsync("mirror")).Scheme == Uri.UriSchemeHttp)
            room._calm = await room.FindSlowestAsync(5);
        return room;
    }

    /// <summary>A listener's address as the start tells it: <c>mirror</c>, <c>gateway</c>, <c>proxy</c> or <c>admin</c>.</summary>
    public async Task<Uri> ListenerAsync(string name) => new((await Program.WaitForLineAsync(name + " ")).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1]);

    /// <summary>A connection of the greedy client, which may be closed already.</summary>
    public static Task<Socket?> OpenGreedilyAsync(Uri listener) => OpenAsync(GreedyAddress, listener, default);

    /// <summary>What the greedy client is answered, until the connection ends.</summary>
    public static async Task<string> AskGreedilyAsync(Uri listener, string request)
    {
        var socket = await OpenGreedilyAsync(listener) ?? throw new IOException("the connection was refused");
        await using var stream = new NetworkStream(socket, ownsSocket: true);
        await stream.WriteAsync(Encoding.Latin1.GetBytes(request));
        return await IngressRoom.ReadToEndAsync(stream);
    }

    /// <summary>Opens so many connections and holds them; what is closed is opened once more, as long as the attack lasts.</summary>
    /// <param name="begin">What each says first.</param>
    public static Attack Hold(Uri listener, int count, Func<Socket, Task> begin) => new(count, async () =>
    {
        if (await OpenGreedilyAsync(listener) is not { } socket)
            return null;
        try
        {
            await begin(socket);
            return socket;
        }
        catch (Exception exception) when (exception is SocketException or IOException)
        {
            socket.Dispose();
            return null;
        }
    });

    /// <summary>So many at once send one request after the other, each over a connection of its own, until the attack is over.</summary>
    /// <param name="request">The next request; its answer ends the connection.</param>
    public static Attack Ask(Uri listener, int count, Func<int, string> request)
    {
        var number = 0;
        return Hold(listener, count, async socket =>
        {
            await socket.SendAsync(Encoding.Latin1.GetBytes(request(Interlocked.Increment(ref number))));
            var answer = new byte[16 * 1024];
            while (await socket.ReceiveAsync(answer) > 0)
            {
                // What it is does not matter to the greedy client.
            }
        });
    }

    /// <summary>What the modest client is answered.</summary>
    public async Task<string> AskModestlyAsync(string path, string token)
    {
        using var client = NewClient(ModestAddress, await ListenerAsync("mirror"));
        client.DefaultRequestHeaders.Authorization = new("Bearer", token);
        using var answer = await client.GetAsync(path);
        return await answer.Content.ReadAsStringAsync();
    }

    /// <summary>
    /// The modest client pulls on, with new connections each time: all come, and 99 of 100 within two seconds, or four times what they take when
    /// nobody else is there. Another program on the machine may slow down one round, and hardly five.
    /// </summary>
    public async Task PullModestlyAsync()
    {
        const int Rounds = 5, Pulls = 20;
        var most = TimeSpan.FromSeconds(Math.Max(2, 4 * _calm.TotalSeconds));
        var slowest = TimeSpan.MaxValue;
        for (var round = 0; round < Rounds && slowest > most; round++)
            slowest = await FindSlowestAsync(Pulls);
        Assert.InRange(slowest, TimeSpan.Zero, most);
    }

    private async Task<TimeSpan> FindSlowestAsync(int pulls)
    {
        var slowest = TimeSpan.Zero;
        for (var number = 0; number < pulls; number++)
        {
            var started = Stopwatch.GetTimestamp();
            await PullAsync();
            if (Stopwatch.GetElapsedTime(started) is var took && took > slowest)
                slowest = took;
        }

        return slowest;
    }

    private async Task PullAsync()
    {
        using var client = NewClient(ModestAddress, await ListenerAsync("mirror"));
        var token = JsonSerializer.Deserialize<JsonElement>(await client.GetStringAsync("/token?service=registry.docker.io&scope=repository:library/nginx:pull")).GetProperty("token").GetString();
        client.DefaultRequestHeaders.Authorization = new("Bearer", token);
        var manifest = await client.GetStringAsync("/v2/library/nginx/manifests/latest");
        var digest = JsonSerializer.Deserialize<JsonElement>(manifest).GetProperty("layers")[0].GetProperty("digest").GetString();
        Assert.Equal(100_000, (await client.GetByteArrayAsync($"/v2/library/nginx/blobs/{digest}")).Length);
        ModestPulls++;
    }

    /// <summary>The program lives, its administrator reads it, and it has not grown.</summary>
    public async Task AssertWellAsync()
    {
        Assert.False(Program.HasEnded, Program.Output);
        Assert.Contains("\"imageAccess\": \"on\"", await ReadAdminAsync("/readyz"), StringComparison.Ordinal);
        Assert.InRange(Program.PeakMemory, 1, MostMemory);
    }

    public async Task<string> ReadAdminAsync(string path)
    {
        using var client = NewClient(ModestAddress, await ListenerAsync("admin"));
        return await client.GetStringAsync(path);
    }

    /// <summary>What a metric says at the moment; 0 where it says nothing.</summary>
    public async Task<long> MeterAsync(string sample) =>
        (await ReadAdminAsync("/metrics")).Split('\n').FirstOrDefault(line => line.StartsWith(sample + " ", StringComparison.Ordinal)) is { } line
            ? long.Parse(line.AsSpan(sample.Length + 1), CultureInfo.InvariantCulture)
            : 0;

    public async Task EventuallySaysAsync(string sample, Predicate<long> expected)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (!expected(await MeterAsync(sample)))
            await Task.Delay(20, limit.Token);
    }

    /// <summary>Docker Hub is gone from now on.</summary>
    public async Task StopHubAsync()
    {
        if (!_isHubStopped)
            await Hub.DisposeAsync();
        _isHubStopped = true;
    }

    public async ValueTask DisposeAsync()
    {
        await Program.DisposeAsync();
        await StopHubAsync();
        await Echo.DisposeAsync();
        _directory.Dispose();
    }

    private static HttpClient NewClient(IPAddress from, Uri address) => new(new SocketsHttpHandler
    {
        UseProxy = false,
        ConnectCallback = async (context, cancellationToken) =>
            new NetworkStream(await OpenAsync(from, address, cancellationToken) ?? throw new IOException("the connection was refused"), ownsSocket: true),
    })
    {
        BaseAddress = address,
        DefaultRequestHeaders = { ConnectionClose = true },
        Timeout = TimeSpan.FromSeconds(30),
    };

    private static async Task<Socket?> OpenAsync(IPAddress from, Uri listener, CancellationToken cancellationToken)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            socket.Bind(new IPEndPoint(from, 0));
            await socket.ConnectAsync(IPAddress.Loopback, listener.Port, cancellationToken);
            return socket;
        }
        catch (SocketException)
        {
            socket.Dispose();
            return null;
        }
    }
}

/// <summary>Connections that are held, and opened again when they are closed, until the attack is over.</summary>
public sealed class Attack : IAsyncDisposable
{
    private readonly CancellationTokenSource _over = new();
    private readonly Task _attacking;
    private int _held;
    private int _tried;

    public Attack(int count, Func<Task<Socket?>> open) => _attacking = Task.WhenAll(Enumerable.Range(0, count).Select(_ => HoldAsync(open)));

    public int Tried => Volatile.Read(ref _tried);

    /// <summary>Connections that are open at the moment.</summary>
    public int Held => Volatile.Read(ref _held);

    public async ValueTask DisposeAsync()
    {
        await _over.CancelAsync();
        await _attacking;
        _over.Dispose();
    }

    private async Task HoldAsync(Func<Task<Socket?>> open)
    {
        var one = new byte[1];
        while (!_over.IsCancellationRequested)
        {
            using var socket = await open();
            Interlocked.Increment(ref _tried);
            if (socket is not null)
            {
                Interlocked.Increment(ref _held);
                try
                {
                    await socket.ReceiveAsync(Memory<byte>.Empty, _over.Token);
                    if (socket.Available > 0)
                        await Task.Delay(Timeout.InfiniteTimeSpan, _over.Token); // it has an answer, which it does not read
                }
                catch (Exception exception) when (exception is SocketException or OperationCanceledException)
                {
                    // Closed, or the end of the attack.
                }

                Interlocked.Decrement(ref _held);
            }

            await Task.Delay(TimeSpan.FromMilliseconds(500)); // a greedy client, and not more load than the test's own machine has
        }
    }
}

/// <summary>These tests use up what there is: they run one after the other, and when no other test runs.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class OverloadTests
{
    public const string Name = "overload";
}

/// <summary>One <see cref="OverloadRoom"/> for all tests of a class.</summary>
public sealed class SharedOverloadRoom : IAsyncLifetime
{
    public OverloadRoom Room { get; private set; } = null!;

    public async Task InitializeAsync() => Room = await OverloadRoom.StartAsync();

    public async Task DisposeAsync() => await Room.DisposeAsync();
}
