using System.Globalization;
using ImageAccess.Proxy.Tests.Walk;

namespace ImageAccess.Proxy.Tests.Connections.Ingress;

/// <summary>Docker Hub's names lead to the proxy itself, and nobody told it where they really lead.</summary>
public sealed class LoopTests
{
    private static string Own { get; } = string.Create(CultureInfo.InvariantCulture, $"127.75.{(Environment.ProcessId >> 8) & 255}.{Environment.ProcessId & 255}");

    [Fact]
    public async Task A_request_that_comes_back_is_508_and_one_line_that_names_the_key()
    {
        await using var first = await IngressRoom.StartAsync();
        await using var room = await IngressRoom.StartAsync(settings:
        [
            ("Listen:Gateway", $"https://{Own}:443"),
            ("Upstream:Registry", "https://registry-1.docker.io"),
            ("Upstream:Index", "https://index.docker.io"),
            ("Upstream:TrustedCertificates", first.World.AuthorityFile), // as on a machine that trusts the CA as its clients do
            ("Certificates:Authority", first.World.AuthorityFile),
            ("Certificates:AuthorityKey", Path.ChangeExtension(first.World.AuthorityFile, ".key")),
            ("Upstream:Addresses:registry-1.docker.io", Own),
            ("Upstream:Addresses:index.docker.io", Own),
        ]);
        var token = await room.World.PullTokenAsync(null, "library/nginx");
        for (var round = 0; round < 3; round++)
        {
            var answer = await room.World.AskAsync("GET", "/v2/library/nginx/manifests/latest", token);
            Assert.Equal(508, answer.Status);
            Assert.Equal("the proxy's own request came back to it: Docker Hub's names lead to the proxy itself, set Upstream:Addresses", answer.Message);
        }

        var line = Assert.Single(room.World.Log.ToString().Split('\n'), text => text.Contains("came back", StringComparison.Ordinal) && text.StartsWith("Error", StringComparison.Ordinal));
        Assert.Contains("set Upstream:Addresses", line, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Others_Via_goes_on_with_ones_own_behind_it()
    {
        await using var world = await Surroundings.StartAsync();
        var token = await world.PullTokenAsync(null, "library/nginx");
        var answer = await world.SendRawAsync(
            $"GET /v2/library/nginx/manifests/latest HTTP/1.1\r\nHost: x\r\nConnection: close\r\nVia: 1.1 other\r\nAuthorization: Bearer {token}\r\n\r\n");
        Assert.Equal(200, answer.Status);
        Assert.Matches("^1\\.1 other, ?1\\.1 imageaccess-[0-9a-f]{16}$", world.Hub.Requests.All[^1].Header("Via"));
    }
}
