using ImageAccess.Core.Policies;
using WireMock.RequestBuilders;
using WireMock.ResponseBuilders;
using WireMock.Server;

namespace ImageAccess.Proxy.Tests.Callers.Members;

/// <summary>The Hub API's member calls as somebody else writes them: another server, and its faults.</summary>
public sealed class WireMockMemberFaultTests : IAsyncLifetime, IDisposable
{
    private const string SignIn = "/v2/auth/token";
    private const string List = "/v2/orgs/acme/members";

    private readonly WireMockServer _server = WireMockServer.Start();
    private DirectoryRoom _room = null!;

    /// <summary>The fault, and the beginning of what is said of it.</summary>
    public static TheoryData<string, Func<IResponseBuilder>, string> Faults => new()
    {
        { "empty", () => Response.Create().WithFault(FaultType.EMPTY_RESPONSE), "the Hub API's answer is not JSON" },
        { "garbage", () => Response.Create().WithFault(FaultType.MALFORMED_RESPONSE_CHUNK), "the Hub API's answer is not JSON" },
        { "malformed", () => Response.Create().WithBody("""{"results":[{"id":"a1","username":"mal"""), "the Hub API's answer is not JSON" },
        { "500", () => Response.Create().WithStatusCode(500), "the Hub API answered 500" },
        { "429", () => Response.Create().WithStatusCode(429).WithHeader("Retry-After", "3600"), "the Hub API asks us to back off until " },
    };

    public async Task InitializeAsync()
    {
        _room = await DirectoryRoom.OpenAsync(("Upstream:Hub", _server.Url!));
        Healthy();
        await _room.ReadAsync();
    }

    public async Task DisposeAsync() => await _room.DisposeAsync();

    public void Dispose() => _server.Dispose();

    [Theory]
    [MemberData(nameof(Faults))]
    public Task A_fault_of_the_sign_in_leaves_the_last_list_in_force(string what, Func<IResponseBuilder> fault, string says) =>
        FailsAsync(SignIn, what, fault(), says);

    [Theory]
    [MemberData(nameof(Faults))]
    public Task A_fault_of_the_list_leaves_the_last_list_in_force(string what, Func<IResponseBuilder> fault, string says) =>
        FailsAsync(List, what, fault(), says);

    [Theory]
    [InlineData(SignIn)]
    [InlineData(List)]
    public async Task A_slow_answer_is_given_up(string call)
    {
        _server.Reset();
        Answer(call, Response.Create().WithBody("{}").WithDelay(TimeSpan.FromSeconds(60)));
        if (call != SignIn)
            Answer(SignIn, Response.Create().WithBody("""{"access_token":"t"}"""));

        var reading = _room.ReadAsync();
        while (await Task.WhenAny(reading, Task.Delay(10)) != reading)
            _room.Time.Advance(TimeSpan.FromMilliseconds(500));
        Assert.StartsWith("the Hub API did not answer within 15 s", _room.Refresh.TroubleWith("acme"), StringComparison.Ordinal);
        Assert.Equal(OrganizationRole.Owner, _room.RoleOf("alice"));
    }

    private async Task FailsAsync(string call, string what, IResponseBuilder fault, string says)
    {
        _server.Reset();
        if (call != SignIn)
            Answer(SignIn, Response.Create().WithBody("""{"access_token":"t"}"""));
        Answer(call, fault);
        await _room.ReadAsync();

        Assert.True(_room.Refresh.TroubleWith("acme")?.StartsWith(says, StringComparison.Ordinal), $"{what}: {_room.Refresh.TroubleWith("acme")}");
        Assert.Equal(OrganizationRole.Owner, _room.RoleOf("alice"));

        _server.Reset();
        Healthy();
        _room.Time.Advance(TimeSpan.FromHours(2));
        await _room.ReadAsync();
        Assert.Null(_room.Refresh.TroubleWith("acme"));
    }

    private void Healthy()
    {
        var alice = DirectoryRoom.CallerOf("alice").Subject!.Replace("-", "", StringComparison.Ordinal);
        Answer(SignIn, Response.Create().WithBody("""{"access_token":"t"}"""));
        Answer(List, Response.Create().WithBody($$"""{"count":1,"next":null,"results":[{"id":"{{alice}}","username":"alice","role":"Owner"}]}"""));
    }

    private void Answer(string path, IResponseBuilder response) => _server.Given(Request.Create().WithPath(path)).RespondWith(response);
}
