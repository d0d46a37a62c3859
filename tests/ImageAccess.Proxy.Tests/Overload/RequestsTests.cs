using System.Text;

namespace ImageAccess.Proxy.Tests.Overload;

/// <summary>One client begins more pulls than it may have under way, and reads none of them.</summary>
[Collection(OverloadTests.Name)]
public sealed class RequestsTests
{
    [Theory]
    [InlineData("")]
    [InlineData("Range: bytes=1000-\r\n")]
    [InlineData("Range: bytes=0-0,5-\r\n")]
    public async Task Pulls_that_are_never_read_leave_the_others_theirs(string range)
    {
        await using var room = await OverloadRoom.StartAsync();
        var mirror = await room.ListenerAsync("mirror");
        var token = await room.Hub.TokenForAsync(null, ["repository:library/large:pull"]);
        var request = Encoding.ASCII.GetBytes($"GET /v2/library/large/blobs/{room.LargeDigest} HTTP/1.1\r\nHost: x\r\n{range}Authorization: Bearer {token}\r\n\r\n");
        await using (var attack = OverloadRoom.Hold(mirror, 200, async socket =>
        {
            socket.ReceiveBufferSize = 4096;
            await socket.SendAsync(request);
        }))
        {
            await room.EventuallySaysAsync("""imageaccess_limited_total{what="requests"}""", refused => refused >= 10);
            await room.PullModestlyAsync();
            await room.AssertWellAsync();
            Assert.InRange(await room.MeterAsync("""imageaccess_limit_used{what="requests"}"""), 1, 20);
        }

        await room.EventuallySaysAsync("""imageaccess_limit_used{what="requests"}""", used => used == 0);
    }

    /// <summary>By mirror a client may go to Docker Hub after any ordinary error: a client over its share gets none for a denied image.</summary>
    [Fact]
    public async Task A_client_over_its_share_is_denied_as_before()
    {
        await using var room = await OverloadRoom.StartAsync(environment: [("IMAGEACCESS_Limits__RequestsPerClient", "2")]);
        var mirror = await room.ListenerAsync("mirror");
        var token = await room.Hub.TokenForAsync(null, ["repository:library/large:pull"]);
        var pull = Encoding.ASCII.GetBytes($"GET /v2/library/large/blobs/{room.LargeDigest} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n");
        var denied = await room.Hub.TokenForAsync(null, ["repository:someuser/custom-image:pull"]);
        await using var attack = OverloadRoom.Hold(mirror, 10, socket => socket.SendAsync(pull));
        await room.EventuallySaysAsync("""imageaccess_limited_total{what="requests"}""", refused => refused >= 5);
        foreach (var client in new[] { "docker/29.7.0 go/go1.25.4", "containerd/v2.1.5", "containers/5.36.2 (github.com/containers/image)" })
        {
            var answer = await OverloadRoom.AskGreedilyAsync(
                mirror, $"GET /v2/someuser/custom-image/manifests/latest HTTP/1.1\r\nHost: x\r\nConnection: close\r\nUser-Agent: {client}\r\nAuthorization: Bearer {denied}\r\n\r\n");
            Assert.DoesNotContain(" 429 ", answer.Split('\n')[0], StringComparison.Ordinal);
            Assert.Contains("image access denied: community images not allowed", answer, StringComparison.Ordinal);
        }
    }
}
