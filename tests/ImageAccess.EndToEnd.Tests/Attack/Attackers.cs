using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace ImageAccess.EndToEnd.Tests.Attack;

/// <summary>What is attacked: each listener, and a layer that is large.</summary>
internal sealed record Target(Uri Mirror, Uri Admin, IPEndPoint Gateway, Uri ForwardProxy, string LargeLayer)
{
    public IPEndPoint[] Listeners => [Of(Mirror), Of(Admin), Gateway, Of(ForwardProxy)];

    public static IPEndPoint Of(Uri uri) => new(IPAddress.Parse(uri.Host), uri.Port);
}

/// <summary>
/// Somebody at one address who tries everything at once. Each kind of attack has a rate of its own, and each try a limit: what is measured
/// is what the proxy does about it, not how fast this machine can open sockets.
/// </summary>
internal sealed class Attackers
{
    /// <summary>Where all of it comes from.</summary>
    private static readonly IPAddress Address = IPAddress.Parse("127.0.0.9");

    /// <summary>How long a try that holds something holds it, when the proxy does not end it.</summary>
    private static readonly TimeSpan Hold = TimeSpan.FromSeconds(30);

    private readonly Target _target;
    private readonly (int PerSecond, Func<CancellationToken, Task> Try)[] _kinds;
    private int _number;

    private Attackers(Target target)
    {
        _target = target;
        _kinds =
        [
            (40, SayNothingAsync), (40, LeaveAtOnceAsync), (40, ResetAsync), (10, SendHeadSlowlyAsync), (40, SendGarbageAsync), (20, ConnectAnywhereAsync),
            (20, SignInToForwardProxyAsync), (20, SignInToTokenServiceAsync), (20, ForgeTokenAsync), (40, AskForUnknownNamespacesAsync),
            (5, ReadSlowlyAsync), (5, WriteSlowlyAsync), (5, OpenUnreadTunnelAsync),
        ];
    }

    /// <summary>Attacks until it is cancelled. What becomes of the tries is nobody's concern.</summary>
    public static Task RunAsync(Target target, CancellationToken cancellationToken)
    {
        var attackers = new Attackers(target);
        return Task.WhenAll(attackers._kinds.Select(kind => RepeatAsync(kind.PerSecond, kind.Try, cancellationToken)));
    }

    private static async Task RepeatAsync(int perSecond, Func<CancellationToken, Task> once, CancellationToken cancellationToken)
    {
        using var atOnce = new SemaphoreSlim((int)(perSecond * Hold.TotalSeconds));
        var tries = new List<Task>();
        using var tick = new PeriodicTimer(TimeSpan.FromSeconds(1d / perSecond));
        try
        {
            while (await tick.WaitForNextTickAsync(cancellationToken))
            {
                await atOnce.WaitAsync(cancellationToken);
                tries.RemoveAll(done => done.IsCompleted);
                tries.Add(Task.Run(() => LimitedAsync(once, atOnce, cancellationToken), CancellationToken.None));
            }
        }
        catch (OperationCanceledException)
        {
            await Task.WhenAll(tries);
        }
    }

    private static async Task LimitedAsync(Func<CancellationToken, Task> once, SemaphoreSlim atOnce, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(Hold);
        try
        {
            await once(limit.Token);
        }
        catch (Exception refused) when (refused is OperationCanceledException or SocketException or IOException)
        {
            // The proxy ended it, or its time was over.
        }
        finally
        {
            atOnce.Release();
        }
    }

    private async Task SayNothingAsync(CancellationToken cancellationToken)
    {
        using var socket = await OpenAsync(AnyListener(), cancellationToken);
        await ReadToEndAsync(socket, cancellationToken);
    }

    private async Task LeaveAtOnceAsync(CancellationToken cancellationToken) => (await OpenAsync(AnyListener(), cancellationToken)).Dispose();

    private async Task ResetAsync(CancellationToken cancellationToken)
    {
        using var socket = await OpenAsync(AnyListener(), cancellationToken);
        await SendAsync(socket, "GET /v2/ HTT", cancellationToken);
        socket.LingerState = new LingerOption(true, 0);
    }

    private async Task SendHeadSlowlyAsync(CancellationToken cancellationToken)
    {
        using var socket = await OpenAsync(AnyListener(), cancellationToken);
        foreach (var part in "GET /v2/library/hello/manifests/latest HTTP/1.1\r\nHost: x\r\n")
        {
            await SendAsync(socket, part.ToString(), cancellationToken);
            await Task.Delay(TimeSpan.FromSeconds(1), cancellationToken);
        }
    }

    private async Task SendGarbageAsync(CancellationToken cancellationToken)
    {
        using var socket = await OpenAsync(AnyListener(), cancellationToken);
        var garbage = RandomNumberGenerator.GetBytes(RandomNumberGenerator.GetInt32(1, 4096));
        if (RandomNumberGenerator.GetInt32(2) == 0)
            garbage[0] = 0x16; // as a TLS handshake begins
        await socket.SendAsync(garbage, cancellationToken);
        await ReadToEndAsync(socket, cancellationToken);
    }

    private async Task ConnectAnywhereAsync(CancellationToken cancellationToken)
    {
        using var socket = await OpenAsync(Target.Of(_target.ForwardProxy), cancellationToken);
        await SendAsync(socket, $"CONNECT host{Next()}.test:443 HTTP/1.1\r\nHost: x\r\n{Basic("Proxy-Authorization", "nobody", "no")}\r\n", cancellationToken);
        await ReadToEndAsync(socket, cancellationToken);
    }

    private async Task SignInToForwardProxyAsync(CancellationToken cancellationToken)
    {
        using var socket = await OpenAsync(Target.Of(_target.ForwardProxy), cancellationToken);
        var user = Next() % 2 == 0 ? MixedAttackTests.Username : $"user{Next()}";
        await SendAsync(socket, $"CONNECT registry-1.docker.io:443 HTTP/1.1\r\nHost: x\r\n{Basic("Proxy-Authorization", user, $"wrong{Next()}")}\r\n", cancellationToken);
        await ReadToEndAsync(socket, cancellationToken);
    }

    private async Task SignInToTokenServiceAsync(CancellationToken cancellationToken)
    {
        var user = Next() % 2 == 0 ? "bob" : $"user{Next()}";
        await AskAsync("GET", "/token?service=registry.docker.io&scope=repository:library/hello:pull", Basic("Authorization", user, $"wrong{Next()}"), cancellationToken);
    }

    private async Task ForgeTokenAsync(CancellationToken cancellationToken)
    {
        var token = string.Join('.', Enumerable.Range(0, 3).Select(_ => Convert.ToHexString(RandomNumberGenerator.GetBytes(60))));
        await AskAsync("GET", "/v2/library/hello/manifests/latest", $"Authorization: Bearer {token}\r\n", cancellationToken);
    }

    private async Task AskForUnknownNamespacesAsync(CancellationToken cancellationToken)
    {
        var repository = $"invented{Next()}/image{Next()}";
        await AskAsync("GET", $"/v2/{repository}/manifests/latest", await BearerAsync(repository, cancellationToken), cancellationToken);
    }

    private async Task ReadSlowlyAsync(CancellationToken cancellationToken)
    {
        var bearer = await BearerAsync("library/large", cancellationToken);
        using var socket = await OpenAsync(Target.Of(_target.Mirror), cancellationToken);
        await SendAsync(socket, Request("GET", $"/v2/library/large/blobs/{_target.LargeLayer}", bearer), cancellationToken);
        var one = new byte[1];
        while (await socket.ReceiveAsync(one, cancellationToken) > 0)
            await Task.Delay(TimeSpan.FromSeconds(1), cancellationToken);
    }

    private async Task WriteSlowlyAsync(CancellationToken cancellationToken)
    {
        using var socket = await OpenAsync(Target.Of(_target.Mirror), cancellationToken);
        await SendAsync(socket, "POST /token HTTP/1.1\r\nHost: mirror\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 60000\r\n\r\n", cancellationToken);
        while (true)
        {
            await SendAsync(socket, "a", cancellationToken);
            await Task.Delay(TimeSpan.FromSeconds(1), cancellationToken);
        }
    }

    /// <summary>A tunnel that is asked for, and what comes through it is never read.</summary>
    private async Task OpenUnreadTunnelAsync(CancellationToken cancellationToken)
    {
        using var socket = await OpenAsync(Target.Of(_target.ForwardProxy), cancellationToken);
        await SendAsync(socket, "CONNECT registry-1.docker.io:443 HTTP/1.1\r\nHost: x\r\n\r\n", cancellationToken);
        await Task.Delay(Hold, cancellationToken);
    }

    /// <summary>An anonymous token, as everybody gets one.</summary>
    private async Task<string> BearerAsync(string repository, CancellationToken cancellationToken)
    {
        var answer = await AskAsync("GET", $"/token?service=registry.docker.io&scope=repository:{repository}:pull", "", cancellationToken);
        var body = answer.IndexOf("\r\n\r\n{", StringComparison.Ordinal);
        return body < 0 ? "" : $"Authorization: Bearer {JsonSerializer.Deserialize<JsonElement>(answer[(body + 4)..]).GetProperty("token").GetString()}\r\n";
    }

    private async Task<string> AskAsync(string method, string path, string headers, CancellationToken cancellationToken)
    {
        using var socket = await OpenAsync(Target.Of(_target.Mirror), cancellationToken);
        await SendAsync(socket, Request(method, path, headers), cancellationToken);
        return await ReadToEndAsync(socket, cancellationToken);
    }

    /// <summary>In the version that has no chunks, so that the answer's end is the connection's.</summary>
    private string Request(string method, string path, string headers) => $"{method} {path} HTTP/1.0\r\nHost: {_target.Mirror.Authority}\r\n{headers}\r\n";

    private static string Basic(string header, string user, string password) =>
        $"{header}: Basic {Convert.ToBase64String(Encoding.UTF8.GetBytes($"{user}:{password}"))}\r\n";

    private IPEndPoint AnyListener() => _target.Listeners[Next() % _target.Listeners.Length];

    private int Next() => Interlocked.Increment(ref _number);

    private static async Task<Socket> OpenAsync(IPEndPoint listener, CancellationToken cancellationToken)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Bind(new IPEndPoint(Address, 0));
            await socket.ConnectAsync(listener, cancellationToken);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static async Task SendAsync(Socket socket, string text, CancellationToken cancellationToken) =>
        await socket.SendAsync(Encoding.ASCII.GetBytes(text), cancellationToken);

    private static async Task<string> ReadToEndAsync(Socket socket, CancellationToken cancellationToken)
    {
        var text = new StringBuilder();
        var buffer = new byte[4096];
        while (await socket.ReceiveAsync(buffer, cancellationToken) is > 0 and var read)
            text.Append(Encoding.Latin1.GetString(buffer, 0, read));
        return text.ToString();
    }
}
