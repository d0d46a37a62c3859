namespace ImageAccess.Proxy.Tests.Overload;

/// <summary>One client asks for repositories that it invents: each is denied, has a line in the audit trail, and its namespace is a question to the Hub API.</summary>
[Collection(OverloadTests.Name)]
public sealed class DenialsTests
{
    private const int Most = 1024 * 1024;

    [Fact]
    public async Task Invented_repositories_leave_the_others_their_questions_and_the_trail_its_lines()
    {
        await using var room = await OverloadRoom.StartAsync();
        var token = await room.Hub.TokenForAsync(null, ["repository:library/nginx:pull"]);
        var agent = new string('a', 3000);
        await using (OverloadRoom.Ask(await room.ListenerAsync("mirror"), 50, number =>
            $"GET /v2/invented{number}/image/manifests/latest HTTP/1.0\r\nHost: x\r\nUser-Agent: {agent}\r\nAuthorization: Bearer {token}\r\n\r\n"))
        {
            await room.EventuallySaysAsync("""imageaccess_limited_total{what="catalog questions"}""", refused => refused >= 100);
            await room.PullModestlyAsync();
            await room.AssertWellAsync();
        }

        Assert.Contains("image access denied", await room.AskModestlyAsync("/v2/someuser/custom-image/manifests/latest", token), StringComparison.Ordinal); // its question is answered
        room.Program.Terminate();
        Assert.Equal(0, (await room.Program.EndAsync()).Code);
        Assert.InRange(new FileInfo(room.AuditFile).Length, 1, Most);
        Assert.Equal(room.ModestPulls + 1, (await File.ReadAllLinesAsync(room.AuditFile)).Count(line => line.Contains("\"client\":\"127.0.0.2\"", StringComparison.Ordinal)));
    }
}
