using ImageAccess.Core.Policies;
using ImageAccess.FakeHubs;

namespace ImageAccess.Proxy.Tests.Callers.Members;

public sealed class MembershipRefreshTests : IAsyncLifetime
{
    private const string List = "/v2/orgs/acme/members";

    private DirectoryRoom _room = null!;

    public async Task InitializeAsync() => _room = await DirectoryRoom.OpenAsync();

    public async Task DisposeAsync() => await _room.DisposeAsync();

    [Fact]
    public async Task Lists_are_read_at_the_start_and_every_five_minutes()
    {
        await StartAsync();
        await AdvanceAsync(TimeSpan.FromMinutes(5) - TimeSpan.FromSeconds(1), readings: 1);
        await AdvanceAsync(TimeSpan.FromSeconds(1), readings: 2);
        await AdvanceAsync(TimeSpan.FromMinutes(5), readings: 3);
    }

    [Fact]
    public async Task An_unknown_caller_brings_the_next_reading_forward_at_most_once_a_minute_and_waits_for_nothing()
    {
        await StartAsync();
        _room.Acme.AddMember("carol");
        Assert.Equal(OrganizationRole.None, _room.RoleOf("carol"));
        await SettleAsync(at: TimeSpan.FromMinutes(1));
        await AdvanceAsync(TimeSpan.FromSeconds(59), readings: 1);
        Assert.Equal(OrganizationRole.None, _room.RoleOf("carol"));
        await AdvanceAsync(TimeSpan.FromSeconds(1), readings: 2);
        Assert.Equal(OrganizationRole.Member, _room.RoleOf("carol"));

        await AdvanceAsync(TimeSpan.FromMinutes(2), readings: 2);
        Assert.Equal(OrganizationRole.None, _room.RoleOf("mallory"));
        await Eventually.TrueAsync(() => _room.Asked(List).Count == 3); // a minute has long passed: at once
    }

    [Theory]
    [InlineData("alice")]
    [InlineData("bob")]
    public async Task A_known_caller_brings_nothing_forward(string username)
    {
        await StartAsync();
        _room.RoleOf(username);
        await AdvanceAsync(TimeSpan.FromMinutes(4), readings: 1);
    }

    [Fact]
    public async Task A_failed_reading_is_tried_again_after_a_minute()
    {
        using var fault = _room.Hub.Faults.Add(Face.Hub, List, Fault.Status(500), times: 1);
        await StartAsync(due: TimeSpan.FromMinutes(1));
        await AdvanceAsync(TimeSpan.FromSeconds(59), readings: 1);
        await AdvanceAsync(TimeSpan.FromSeconds(1), readings: 2);
        Assert.Equal(OrganizationRole.Owner, _room.RoleOf("alice"));
    }

    [Fact]
    public async Task A_refused_sign_in_is_not_tried_again_soon()
    {
        using var fault = _room.Hub.Faults.Add(Face.Hub, "/v2/auth/token", Fault.Status(401));
        await StartAsync();
        await AdvanceAsync(TimeSpan.FromMinutes(4), readings: 0);
        Assert.Equal(1, fault.Hits);
    }

    [Fact]
    public async Task A_long_backoff_that_the_API_asks_for_is_kept_also_for_unknown_callers()
    {
        using var fault = _room.Hub.Faults.Add(Face.Hub, List, Fault.TooManyHubRequests(DirectoryRoom.Start.AddMinutes(30)), times: 1);
        await StartAsync(due: TimeSpan.FromMinutes(30));
        Assert.Equal(OrganizationRole.None, _room.RoleOf("alice"));
        await AdvanceAsync(TimeSpan.FromMinutes(29), readings: 1);
        await AdvanceAsync(TimeSpan.FromMinutes(1), readings: 2);
        Assert.Equal(OrganizationRole.Owner, _room.RoleOf("alice"));
    }

    [Fact]
    public async Task A_caller_does_not_wait_for_a_reading_that_hangs()
    {
        await StartAsync();
        using var fault = _room.Hub.Faults.Add(Face.Hub, List, Fault.NeverAnswer());
        _room.Time.Advance(TimeSpan.FromMinutes(5));
        await Eventually.TrueAsync(() => fault.Hits == 1);
        Assert.Equal(OrganizationRole.Owner, _room.RoleOf("alice"));
        Assert.Equal(OrganizationRole.None, _room.RoleOf("carol"));
    }

    [Fact]
    public async Task A_restart_asks_for_nothing_that_it_knows()
    {
        await StartAsync();
        _room.Time.Advance(TimeSpan.FromMinutes(2));
        await _room.RestartAsync();
        await SettleAsync(at: TimeSpan.FromMinutes(3));
        Assert.Equal(OrganizationRole.Owner, _room.RoleOf("alice"));
        Assert.Single(_room.Asked(List));
        await AdvanceAsync(TimeSpan.FromMinutes(3), readings: 2);
    }

    [Fact]
    public async Task A_start_without_Docker_Hub_has_the_last_good_list_and_its_age()
    {
        await StartAsync();
        _room.Time.Advance(TimeSpan.FromHours(30));
        using var fault = _room.Hub.Faults.Add(Face.Hub, Fault.CloseConnection());
        await _room.RestartAsync();
        await Eventually.TrueAsync(() => _room.Refresh.TroubleWith("acme") is not null);
        Assert.Equal(OrganizationRole.Owner, _room.RoleOf("alice"));
        Assert.Matches("^the member list of acme is (30|29) hours old: the Hub API gave no whole answer \\(127.0.0.1:[0-9]+: the answer broke off, Connection reset by peer; look at Upstream:Hub\\) for the sign-in$", await _room.ConcernAsync());
    }

    /// <summary>The first reading is done, and the next is set for its time.</summary>
    private async Task StartAsync(TimeSpan? due = null)
    {
        await _room.StartAsync();
        await SettleAsync(due ?? TimeSpan.FromMinutes(5));
    }

    private Task SettleAsync(TimeSpan at)
    {
        var due = _room.Time.GetUtcNow() + at;
        return Eventually.TrueAsync(() => _room.Time.NextDue == due);
    }

    /// <summary>Moves the clock; what that sets off has come to rest.</summary>
    private async Task AdvanceAsync(TimeSpan by, int readings)
    {
        _room.Time.Advance(by);
        await Eventually.TrueAsync(() => _room.Asked(List).Count == readings && (readings == 0 || _room.Asked(List)[^1].Status != 0));
        await Task.Delay(150); // and no more
        Assert.Equal(readings, _room.Asked(List).Count);
    }
}
