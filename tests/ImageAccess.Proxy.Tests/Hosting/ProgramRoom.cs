using System.Globalization;
using System.Net.Sockets;
using System.Security.Cryptography;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Tests.Connections.Ingress;
using ImageAccess.Proxy.Tests.Walk;

namespace ImageAccess.Proxy.Tests.Hosting;

/// <summary>The program in a process and a directory of its own, in front of a fake Docker Hub and of a server that tunnels lead to.</summary>
internal sealed class ProgramRoom(string transport) : IAsyncDisposable
{
    public const string Repository = "library/slow";

    private readonly TemporaryDirectory _directory = new();

    public FakeHub Hub { get; private set; } = null!;

    public TargetServer Echo { get; } = new();

    public string this[string name] => _directory[name];

    public static async Task<ProgramRoom> OpenAsync(string transport)
    {
        var room = new ProgramRoom(transport) { Hub = await FakeHub.StartAsync() };
        await File.WriteAllTextAsync(room["policy.json"], Surroundings.Policy);
        return room;
    }

    public async ValueTask DisposeAsync()
    {
        await Hub.DisposeAsync();
        await Echo.DisposeAsync();
        _directory.Dispose();
    }

    /// <summary>Starts it; the settings are members of the configuration's root, and the command is what comes before <c>dotnet</c>.</summary>
    public async Task<RunningProgram> StartAsync(string settings = """ "Cache": { "Enabled": false } """, string listen = "", params IReadOnlyList<string> command)
    {
        await File.WriteAllTextAsync(this["imageaccess.json"], $$"""
            {
              "Listen": { "Mirror": "http://127.0.0.1:0", "Admin": "http://127.0.0.1:0", "Transport": "{{transport}}"{{listen}} },
              "Upstream": { "Registry": "{{Hub.Registry}}", "Auth": "{{Hub.Auth}}", "Hub": "{{Hub.Hub}}", "RedirectHosts": [ "{{Hub.Cdn.Authority}}" ],
                            "Addresses": { "{{IngressRoom.EchoHost}}": "127.0.0.1" } },
              "Egress": { "Allow": [ "{{IngressRoom.EchoHost}}:{{Echo.Port.ToString(CultureInfo.InvariantCulture)}} private" ] },
              "Policy": { "File": "policy.json" },
              {{settings}}
            }
            """);
        if (listen.Length > 0)
        {
            await using var certificates = new ImageAccessProcess(_directory.Path, ["certificates", "create"]);
            Assert.Equal(0, (await certificates.EndAsync()).Code);
        }

        return await RunningProgram.OfAsync(new ImageAccessProcess([.. command, "dotnet"], _directory.Path, []));
    }

    /// <summary>An image of one layer; its bytes and its digest.</summary>
    public (byte[] Layer, string Digest) Push(string repository, int bytes = 4000)
    {
        var layer = RandomNumberGenerator.GetBytes(bytes);
        return (layer, Hub.Images.PushImage(repository, "latest", [layer]).Layers[0].ToString());
    }

    /// <summary>The content host sends forty pieces, one after the other, and so for seconds.</summary>
    public ArmedFault SlowContent() => Hub.Faults.Add(Face.Cdn, Fault.Drip(100, TimeSpan.FromMilliseconds(100)));
}

/// <summary>A program that has said where it listens.</summary>
internal sealed class RunningProgram : IAsyncDisposable
{
    private RunningProgram(ImageAccessProcess process, Uri mirror, Uri admin) => (Process, Mirror, Admin, Client) = (process, mirror, admin, Surroundings.NewClient(mirror));

    public ImageAccessProcess Process { get; }

    public Uri Mirror { get; }

    public Uri Admin { get; }

    public HttpClient Client { get; }

    public static async Task<RunningProgram> OfAsync(ImageAccessProcess process)
    {
        try
        {
            return new RunningProgram(process, await AddressAsync(process, "mirror "), await AddressAsync(process, "admin "));
        }
        catch
        {
            await process.DisposeAsync();
            throw;
        }
    }

    public Task<Uri> ForwardProxyAsync() => AddressAsync(Process, "proxy ");

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await Process.DisposeAsync();
    }

    public async Task<HttpResponseMessage> AskAsync(HttpMethod method, string target, string token)
    {
        using var request = new HttpRequestMessage(method, target);
        request.Headers.Add("Authorization", $"Bearer {token}");
        return await Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
    }

    /// <summary>Sends the signal, and waits until nobody can connect any more.</summary>
    public async Task StopAsync(string signal = "TERM")
    {
        Process.Signal(signal);
        await Eventually.TrueAsync(() => !Accepts(Mirror) && !Accepts(Admin));
    }

    private static bool Accepts(Uri listener)
    {
        try
        {
            using var socket = new TcpClient(listener.Host, listener.Port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private static async Task<Uri> AddressAsync(ImageAccessProcess process, string line) =>
        new((await process.WaitForLineAsync(line)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1]);
}
