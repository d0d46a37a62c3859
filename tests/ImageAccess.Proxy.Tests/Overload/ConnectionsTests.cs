using System.Text;
using ImageAccess.Proxy.Tests.Walk;

namespace ImageAccess.Proxy.Tests.Overload;

/// <summary>One client opens more connections than the process may have files.</summary>
[Collection(OverloadTests.Name)]
public sealed class ConnectionsTests(SharedOverloadRoom shared) : IClassFixture<SharedOverloadRoom>
{
    private const int Flood = 1200;

    private readonly OverloadRoom _room = shared.Room;

    [Theory]
    [InlineData("mirror", "")]
    [InlineData("mirror", "GET /v2/ HTTP/1.1\r\nHost: x\r\n")]
    [InlineData("gateway", "\u0016\u0003\u0001")]
    [InlineData("proxy", "CONNECT registry-1.docker.io:443 HTTP/1.1\r\n")]
    [InlineData("admin", "")]
    public async Task A_flood_of_one_listener_from_one_client_leaves_the_others_their_pulls(string listener, string beginning)
    {
        var what = listener == "admin" ? "admin connections" : "connections";
        var limited = $$"""imageaccess_limited_total{what="{{what}}"}""";
        var before = await _room.MeterAsync(limited);
        var address = await _room.ListenerAsync(listener);
        var bytes = Encoding.Latin1.GetBytes(beginning);
        await using (var attack = OverloadRoom.Hold(address, Flood, socket => socket.SendAsync(bytes)))
        {
            await _room.EventuallySaysAsync(limited, refused => refused - before > Flood / 2);
            await _room.PullModestlyAsync();
            await _room.AssertWellAsync();
        }

        await _room.EventuallySaysAsync($$"""imageaccess_limit_used{what="{{what}}"}""", used => used <= 1);
    }

    [Fact]
    public async Task A_flood_of_all_listeners_at_once_too()
    {
        var attacks = new List<Attack>();
        foreach (var listener in new[] { "mirror", "gateway", "proxy", "admin" })
            attacks.Add(OverloadRoom.Hold(await _room.ListenerAsync(listener), Flood / 4, _ => Task.CompletedTask));
        await Eventually.TrueAsync(() => attacks.TrueForAll(attack => attack.Tried >= Flood / 4));
        await _room.PullModestlyAsync();
        await _room.AssertWellAsync();
        foreach (var attack in attacks)
            await attack.DisposeAsync();
    }

    /// <summary>Connect and close, as fast as one client can: nothing of it is left.</summary>
    [Fact]
    public async Task Connections_that_come_and_go_leave_nothing()
    {
        var mirror = await _room.ListenerAsync("mirror");
        for (var number = 0; number < 3000; number++)
            (await OverloadRoom.OpenGreedilyAsync(mirror))?.Dispose();
        await _room.PullModestlyAsync();
        await _room.EventuallySaysAsync("""imageaccess_limit_used{what="connections"}""", used => used == 0);
        await _room.AssertWellAsync();
    }

    [Fact]
    public async Task The_start_tells_the_limits() => Assert.Matches(
        @"^limits   160 connections \(40 for each client\), 160 tunnels \(40\), 80 pulls and pushes \(20\): of 1024 files and \d+ MiB$", await _room.Program.WaitForLineAsync("limits "));

    [Theory]
    [InlineData(256)]
    [InlineData(300)]
    [InlineData(447)]
    public async Task With_too_few_files_it_does_not_start_and_says_so(int descriptors)
    {
        using var directory = new TemporaryDirectory();
        await File.WriteAllTextAsync(directory["imageaccess.json"], """{ "Listen": { "Mirror": "http://127.0.0.1:0", "Admin": "http://127.0.0.1:0" } }""");
        await using var program = ImageAccessProcess.WithDescriptors(descriptors, directory.Path);
        var (code, output, error) = await program.EndAsync();
        Assert.Equal((2, ""), (code, output));
        Assert.Equal($"imageaccess: Limits: the process may open {descriptors} files and connections and needs at least 448: raise LimitNOFILE of the unit, or ulimit -n\n", error);
    }
}
