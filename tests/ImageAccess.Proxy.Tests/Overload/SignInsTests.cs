using System.Text;
using ImageAccess.FakeHubs;

namespace ImageAccess.Proxy.Tests.Overload;

/// <summary>One client tries passwords without end.</summary>
[Collection(OverloadTests.Name)]
public sealed class SignInsTests
{
    private const int Guessers = 50;
    private const int Refused = 100;

    [Fact]
    public async Task Wrong_passwords_at_the_token_endpoint_leave_the_others_theirs()
    {
        await using var room = await OverloadRoom.StartAsync();
        await using (OverloadRoom.Ask(await room.ListenerAsync("mirror"), Guessers, number =>
            $"GET /token?service=registry.docker.io HTTP/1.0\r\nHost: x\r\nAuthorization: Basic {Basic($"name{number % 3}", $"guess{number}")}\r\n\r\n"))
        {
            await room.EventuallySaysAsync("""imageaccess_limited_total{what="sign-ins"}""", refused => refused >= Refused);
            await room.PullModestlyAsync();
            await room.AssertWellAsync();
        }

        var passed = room.Hub.Requests.Of(Face.Auth).Count(asked => asked.Authorization?.StartsWith("Basic", StringComparison.Ordinal) == true);
        Assert.InRange(passed, 1, 200);
    }

    [Fact]
    public async Task Wrong_passwords_at_the_forward_proxy_leave_the_others_theirs()
    {
        using var directory = new TemporaryDirectory();
        await File.WriteAllTextAsync(directory["users"], $"alice:{BCrypt.Net.BCrypt.HashPassword("password of alice", 10)}\n");
        await using var room = await OverloadRoom.StartAsync(environment: [("IMAGEACCESS_ForwardProxy__Users", directory["users"])]);
        await using (OverloadRoom.Ask(await room.ListenerAsync("proxy"), Guessers, number =>
            $"CONNECT registry-1.docker.io:443 HTTP/1.1\r\nHost: registry-1.docker.io:443\r\nProxy-Authorization: Basic {Basic(number % 2 == 0 ? "alice" : $"name{number}", $"guess{number}")}\r\n\r\n"))
        {
            await room.EventuallySaysAsync("""imageaccess_limited_total{what="proxy sign-ins"}""", refused => refused >= Refused);
            await room.PullModestlyAsync();
            await room.AssertWellAsync();
        }
    }

    private static string Basic(string name, string secret) => Convert.ToBase64String(Encoding.ASCII.GetBytes($"{name}:{secret}"));
}
