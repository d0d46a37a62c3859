using WireMock.RequestBuilders;
using WireMock.ResponseBuilders;
using WireMock.Server;

namespace ImageAccess.Proxy.Tests.Policies.Catalog;

/// <summary>The Hub API as somebody else writes it: another server, and its faults.</summary>
public sealed class WireMockFaultTests : IAsyncLifetime, IDisposable
{
    private const string Bitnami = """{"id":"1","orgname":"bitnami","type":"Organization","badge":"verified_publisher"}""";

    private readonly WireMockServer _server = WireMockServer.Start();
    private readonly TemporaryDirectory _data = new();
    private readonly ManualTime _time = new();
    private CatalogRoom _room = null!;

    public static TheoryData<string, Func<IResponseBuilder>, int> Faults => new()
    {
        { "slow", () => Response.Create().WithBody(Bitnami).WithDelay(TimeSpan.FromSeconds(30)), 0 },
        { "empty", () => Response.Create().WithFault(FaultType.EMPTY_RESPONSE), 1 },
        { "garbage", () => Response.Create().WithFault(FaultType.MALFORMED_RESPONSE_CHUNK), 1 },
        { "malformed", () => Response.Create().WithBody("""{"orgname":"bitnami","badge":"verified_"""), 1 },
        { "500", () => Response.Create().WithStatusCode(500), 3 },
        { "429", () => Response.Create().WithStatusCode(429).WithHeader("Retry-After", "30"), 1 },
    };

    public Task InitializeAsync()
    {
        _room = CatalogRoom.Build(new Uri(_server.Url!), _data.Path, _time);
        return Task.CompletedTask;
    }

    public async Task DisposeAsync() => await _room.DisposeAsync();

    public void Dispose()
    {
        _server.Dispose();
        _data.Dispose();
    }

    [Theory]
    [MemberData(nameof(Faults))]
    public async Task A_fault_leaves_the_publisher_unknown_and_its_end_is_seen(string what, Func<IResponseBuilder> fault, int requests)
    {
        Answer(fault());
        var (answer, took) = await _room.FindInTimeAsync("bitnami");
        Assert.Equal((what, "unavailable"), (what, answer));
        Assert.True(took <= TimeSpan.FromSeconds(5.1), took.ToString());
        if (requests > 0)
            Assert.Equal((what, requests), (what, _server.LogEntries.Count));

        _server.Reset();
        Answer(Response.Create().WithBody(Bitnami));
        _time.Advance(TimeSpan.FromSeconds(31));
        Assert.Equal("VerifiedPublisher by hub", (await _room.FindInTimeAsync("bitnami")).Answer);
    }

    [Fact]
    public async Task A_server_that_is_gone_leaves_what_is_known_in_force()
    {
        Answer(Response.Create().WithBody(Bitnami));
        await _room.FindAsync("bitnami");
        _server.Stop();
        _time.Advance(TimeSpan.FromDays(2));

        Assert.Equal("VerifiedPublisher by hub", (await _room.FindInTimeAsync("bitnami")).Answer);
        Assert.Equal("unavailable", (await _room.FindInTimeAsync("curl")).Answer);
        Assert.StartsWith("the Hub API ", await _room.ConcernAsync(), StringComparison.Ordinal);
    }

    private void Answer(IResponseBuilder response) =>
        _server.Given(Request.Create().WithPath("/v2/orgs/bitnami/").UsingGet()).RespondWith(response);
}
