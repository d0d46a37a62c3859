namespace ImageAccess.Proxy.Tests.Administration.Api;

public sealed class StatusTests
{
    [Fact]
    public async Task A_token_of_one_organization_is_told_of_no_other_what_is_degraded()
    {
        var room = new ApiRoom();
        await room.StartAsync(
            ("Identity:Directory:Organization:0", "acme"), ("Identity:Directory:Organization:1", "globex"), ("Identity:Directory:Username", "alice"), ("Identity:Directory:Secret", "a wrong one"));
        try
        {
            Assert.Contains("globex", await ConcernAsync(await room.TokenAsync("auditor", null)), StringComparison.Ordinal);
            Assert.Equal("it is about other organizations too: whoever runs the proxy sees it at /readyz", await ConcernAsync(await room.TokenAsync("auditor")));
        }
        finally
        {
            await room.DisposeAsync();
        }

        async Task<string?> ConcernAsync(string token) => (await room.SendAsync("GET", "/api/v1/status", token)).Json.GetProperty("degraded").GetProperty("members").GetString();
    }
}
