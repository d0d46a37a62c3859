using ImageAccess.Proxy.Foundation.Limits;

namespace ImageAccess.Proxy.Tests.Foundation.Limits;

public sealed class SharedSlotsTests : IDisposable
{
    private static readonly ClientShare Alice = ClientShare.OfUser("alice");
    private static readonly ClientShare Bob = ClientShare.OfUser("bob");

    private readonly LimitRoom _room = new();

    public void Dispose() => _room.Dispose();

    [Theory]
    [InlineData(10, 3)]
    [InlineData(10, 1)]
    [InlineData(4, 4)]
    public void A_client_has_its_share_and_the_others_have_theirs(int inAll, int perClient)
    {
        var slots = new SharedSlots("connections", inAll, perClient, _room.Metrics);
        Assert.All(Enumerable.Range(0, perClient), _ => Assert.True(slots.TryEnter(Alice, out var _)));
        Assert.False(slots.TryEnter(Alice, out var none));
        Assert.Null(none);
        Assert.Equal(1, _room.Limited("connections"));
        Assert.Equal(inAll > perClient, slots.TryEnter(Bob, out _));
        Assert.Equal(Math.Min(inAll, perClient + 1), slots.InUse);
    }

    [Fact]
    public void All_clients_together_have_no_more_than_there_are()
    {
        var slots = new SharedSlots("tunnels", 100, 1, _room.Metrics);
        var entered = Enumerable.Range(0, 1000).Count(number => slots.TryEnter(ClientShare.OfUser($"{number}"), out _));
        Assert.Equal((100, 100, 900), (entered, slots.InUse, (int)_room.Limited("tunnels")));
    }

    [Fact]
    public void What_many_clients_have_together_is_nobodys_share()
    {
        var slots = new SharedSlots("connections", 5, 1, _room.Metrics);
        Assert.All(Enumerable.Range(0, 4), _ => Assert.True(slots.TryEnter(null, out var _)));
        Assert.True(slots.TryEnter(ClientShare.Of(null), out _)); // who has no address is a client
        Assert.False(slots.TryEnter(null, out _));
    }

    [Fact]
    public void What_has_ended_is_free_once()
    {
        var slots = new SharedSlots("requests", 2, 1, _room.Metrics);
        Assert.True(slots.TryEnter(Alice, out var first));
        first.Dispose();
        first.Dispose();
        Assert.Equal(0, slots.InUse);
        Assert.True(slots.TryEnter(Alice, out var second));
        first.Dispose();
        Assert.False(slots.TryEnter(Alice, out _));
        second.Dispose();
        Assert.True(slots.TryEnter(null, out var third));
        third.Dispose();
        Assert.Equal(0, slots.InUse);
    }

    [Fact]
    public async Task At_once_from_many_threads_the_limits_hold_and_nothing_stays()
    {
        var slots = new SharedSlots("connections", 50, 10, _room.Metrics);
        var most = 0;
        await Parallel.ForEachAsync(Enumerable.Range(0, 20_000), new ParallelOptions { MaxDegreeOfParallelism = 16 }, async (number, _) =>
        {
            if (!slots.TryEnter(ClientShare.OfUser($"{number % 8}"), out var slot))
                return;
            for (int seen = most, now = slots.InUse; now > seen; seen = Interlocked.CompareExchange(ref most, now, seen))
            {
                // Until the largest stands there.
            }

            await Task.Yield();
            slot.Dispose();
        });
        Assert.InRange(most, 1, 50);
        Assert.Equal(0, slots.InUse);
        Assert.All(Enumerable.Range(0, 10), _ => Assert.True(slots.TryEnter(ClientShare.OfUser("0"), out var _)));
        Assert.False(slots.TryEnter(ClientShare.OfUser("0"), out _));
    }
}
