using System.Text;
using ImageAccess.Proxy.Tests.Walk;

namespace ImageAccess.Proxy.Tests.Connections.Ingress;

/// <summary>The hostile requests of the mirror once more, under Docker Hub's own name: none is answered, none goes upstream.</summary>
public sealed class HostileRequestTests(IngressRoom room) : IClassFixture<IngressRoom>
{
    private const string Host = "registry-1.docker.io";

    /// <summary>All but the one that the index answers.</summary>
    public static TheoryData<string> Named => [.. Walk.HostileRequestTests.Cases.Keys.Where(name => name != "endpoint /v1/search?q=x")];

    [Theory]
    [MemberData(nameof(Named))]
    public async Task It_is_refused_and_nothing_goes_upstream(string name)
    {
        var token = await room.World.TokenAsync("alice", "repository:acme/app:pull,push,delete");
        Assert.Equal(200, (await room.AskGatewayAsync(Host, IngressRoom.Request("GET", Host, "/v2/", token))).Status);
        room.World.Hub.Requests.Clear();
        await using var tls = await room.SecureAsync(await IngressRoom.OpenAsync(room.Gateway), Host);

        var hostile = Walk.HostileRequestTests.Cases[name];
        await tls.WriteAsync(Encoding.Latin1.GetBytes(hostile.Text.Replace("HOST", Host, StringComparison.Ordinal).Replace("TOKEN", token, StringComparison.Ordinal)));
        var said = await IngressRoom.ReadToEndAsync(tls);

        Assert.InRange(RawAnswer.Parse(said).Status, 400, 505);
        Assert.Equal(2, said.Split("HTTP/1.1 ").Length);
        Assert.Empty(room.World.Hub.Requests.All);
    }
}
