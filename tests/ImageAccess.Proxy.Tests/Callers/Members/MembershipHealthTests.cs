using ImageAccess.FakeHubs;

namespace ImageAccess.Proxy.Tests.Callers.Members;

public sealed class MembershipHealthTests : IAsyncLifetime
{
    private DirectoryRoom _room = null!;

    public async Task InitializeAsync() => _room = await DirectoryRoom.OpenAsync();

    public async Task DisposeAsync() => await _room.DisposeAsync();

    [Fact]
    public async Task No_list_yet_is_degraded_with_its_cause()
    {
        Assert.Equal("the member list of acme has not been read yet", await _room.ConcernAsync());
        using (_room.Hub.Faults.Add(Face.Hub, Fault.Status(500)))
            await _room.ReadAsync();
        Assert.Equal("the member list of acme has not been read yet: the Hub API answered 500 for the sign-in", await _room.ConcernAsync());
        await _room.ReadAsync();
        Assert.Null(await _room.ConcernAsync());
    }

    [Fact]
    public async Task Older_than_a_day_is_degraded_and_older_than_it_may_be_says_what_that_means()
    {
        await _room.ReadAsync();
        using var fault = _room.Hub.Faults.Add(Face.Hub, "members", Fault.Status(500));
        await _room.ReadAsync();
        Assert.Null(await _room.ConcernAsync());
        _room.Time.Advance(TimeSpan.FromDays(1));
        Assert.Null(await _room.ConcernAsync());
        _room.Time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal("the member list of acme is 24 hours old: the Hub API answered 500 for the member list of acme", await _room.ConcernAsync());
        _room.Time.Advance(TimeSpan.FromDays(6));
        Assert.Equal("the member list of acme is 7 days old and exempts no owner: the Hub API answered 500 for the member list of acme", await _room.ConcernAsync());
    }

    [Theory]
    [InlineData(401)]
    [InlineData(403)]
    public async Task A_refusal_is_degraded_at_once(int status)
    {
        await _room.ReadAsync();
        using var fault = _room.Hub.Faults.Add(Face.Hub, "members", Fault.Status(status));
        await _room.ReadAsync();
        Assert.Equal(
            $"the member list of acme is 0 minutes old: the Hub API refuses the member list of acme ({status}); look at Identity:Directory:Username, its secret and what the two may read",
            await _room.ConcernAsync());
    }
}
