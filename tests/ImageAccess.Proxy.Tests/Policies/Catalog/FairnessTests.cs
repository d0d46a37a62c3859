using ImageAccess.Proxy.Foundation.Limits;
using ImageAccess.Proxy.Policies.Catalog;
using ImageAccess.Proxy.Tests.Foundation.Limits;

namespace ImageAccess.Proxy.Tests.Policies.Catalog;

public sealed class FairnessTests
{
    private readonly FairSlots _slots = new(slots: 2, maximumWaiting: 100, maximumWaitingOfCaller: 100);
    private readonly List<string> _served = [];

    [Fact]
    public async Task Callers_are_served_in_turns_however_many_questions_each_has()
    {
        var (first, second) = (await _slots.EnterAsync(Caller("x"), default), await _slots.EnterAsync(Caller("x"), default));
        var waiting = new List<Task>();
        for (var i = 0; i < 20; i++)
            waiting.Add(ServeAsync("mallory"));
        waiting.Add(ServeAsync("bob"));
        waiting.Add(ServeAsync("carol"));
        waiting.Add(ServeAsync("bob"));

        first.Dispose();
        await Task.WhenAll(waiting);
        second.Dispose();

        Assert.Equal(["mallory", "bob", "carol", "mallory", "bob", "mallory"], _served.Take(6));
        Assert.Equal(23, _served.Count);
    }

    [Fact]
    public async Task Never_more_are_in_than_there_are_slots()
    {
        var (inside, most) = (0, 0);
        await Task.WhenAll(Enumerable.Range(0, 90).Select(i => Task.Run(async () =>
        {
            using var slot = await _slots.EnterAsync(Caller($"user {i % 7}"), default);
            var now = Interlocked.Increment(ref inside);
            InterlockedMax(ref most, now);
            await Task.Yield();
            Interlocked.Decrement(ref inside);
        })));
        Assert.Equal(2, most);
        Assert.True(_slots.EnterAsync(Caller("x"), default).IsCompletedSuccessfully);
    }

    [Fact]
    public async Task Who_leaves_gives_the_place_in_the_line_up()
    {
        var (first, second) = (await _slots.EnterAsync(Caller("x"), default), await _slots.EnterAsync(Caller("x"), default));
        using var leaving = new CancellationTokenSource();
        var gone = _slots.EnterAsync(Caller("bob"), leaving.Token);
        var stays = _slots.EnterAsync(Caller("carol"), default);
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => gone);

        first.Dispose();
        (await stays).Dispose();
        second.Dispose();
        Assert.True(_slots.EnterAsync(Caller("x"), default).IsCompletedSuccessfully);
        Assert.True(_slots.EnterAsync(Caller("x"), default).IsCompletedSuccessfully);
        Assert.False(_slots.EnterAsync(Caller("x"), default).IsCompleted);
    }

    [Fact]
    public async Task A_slot_that_comes_as_its_caller_leaves_is_not_lost()
    {
        for (var round = 0; round < 200; round++)
        {
            var slots = new FairSlots(slots: 1, maximumWaiting: 10, maximumWaitingOfCaller: 10);
            var held = await slots.EnterAsync(Caller("x"), default);
            using var leaving = new CancellationTokenSource();
            var waiting = slots.EnterAsync(Caller("bob"), leaving.Token);
            await Task.WhenAll(Task.Run(held.Dispose), Task.Run(leaving.Cancel));
            try
            {
                (await waiting).Dispose();
            }
            catch (OperationCanceledException)
            {
            }

            Assert.True(slots.EnterAsync(Caller("y"), default).IsCompletedSuccessfully);
        }
    }

    [Fact]
    public async Task The_line_has_an_end()
    {
        var slots = new FairSlots(slots: 1, maximumWaiting: 2, maximumWaitingOfCaller: 2);
        var held = await slots.EnterAsync(Caller("x"), default);
        var (one, two) = (slots.EnterAsync(Caller("x"), default), slots.EnterAsync(Caller("y"), default));
        await Assert.ThrowsAsync<TooManyWaitingException>(() => slots.EnterAsync(Caller("z"), default));

        held.Dispose();
        (await one).Dispose();
        (await two).Dispose();
        (await slots.EnterAsync(Caller("z"), default)).Dispose();
    }

    [Fact]
    public void A_caller_may_ask_so_often_in_any_minute()
    {
        using var limits = new LimitRoom();
        var time = new ManualTime();
        var allowance = new QuestionAllowance(time, limits.Metrics);
        var (alice, bob) = (CatalogRoom.Payer("alice"), CatalogRoom.Payer("bob"));
        for (var i = 0; i < QuestionAllowance.OfUser; i++)
        {
            Assert.True(allowance.TryTake(alice, "a", out var underWay));
            underWay.Dispose();
            time.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.False(allowance.TryTake(alice, "b", out _));
        Assert.True(allowance.TryTake(bob, "b", out _));
        Assert.Equal(1, limits.Limited("catalog questions"));
        time.Advance(TimeSpan.FromSeconds(60 - QuestionAllowance.OfUser));
        Assert.True(allowance.TryTake(alice, "b", out _));
        Assert.False(allowance.TryTake(alice, "b", out _));
    }

    /// <summary>They would wait for each other until their time is over, and the catalog would look broken.</summary>
    [Theory]
    [InlineData("alice")]
    [InlineData("192.0.2.1")]
    [InlineData("2001:db8::1")]
    public void So_many_questions_of_one_caller_are_under_way(string caller)
    {
        using var limits = new LimitRoom();
        var time = new ManualTime();
        var allowance = new QuestionAllowance(time, limits.Metrics);
        var taken = new List<IDisposable>();
        while (allowance.TryTake(CatalogRoom.Payer(caller), "a", out var underWay))
            taken.Add(underWay);
        Assert.Equal(QuestionAllowance.UnderWay, taken.Count);
        Assert.True(allowance.TryTake(CatalogRoom.Payer("bob"), "a", out _));
        time.Advance(TimeSpan.FromMinutes(1));
        Assert.False(allowance.TryTake(CatalogRoom.Payer(caller), "a", out _));
        taken[0].Dispose();
        Assert.True(allowance.TryTake(CatalogRoom.Payer(caller), "a", out _));
    }

    /// <summary>Who fills the line leaves room in it.</summary>
    [Fact]
    public async Task One_callers_part_of_the_line_has_an_end()
    {
        var slots = new FairSlots(slots: 1, maximumWaiting: 100, maximumWaitingOfCaller: 3);
        var held = await slots.EnterAsync(Caller("x"), default);
        var waiting = Enumerable.Range(0, 3).Select(_ => slots.EnterAsync(Caller("mallory"), default)).ToList();
        await Assert.ThrowsAsync<TooManyWaitingException>(() => slots.EnterAsync(Caller("mallory"), default));
        var bob = slots.EnterAsync(Caller("bob"), default);
        held.Dispose();
        (await waiting[0]).Dispose();
        (await bob).Dispose();
        waiting.Add(slots.EnterAsync(Caller("mallory"), default));
        foreach (var place in waiting.Skip(1))
            (await place).Dispose();
    }

    private static ClientShare Caller(string name) => ClientShare.OfUser(name);

    private async Task ServeAsync(string caller)
    {
        using var slot = await _slots.EnterAsync(Caller(caller), default);
        lock (_served)
            _served.Add(caller);
    }

    private static void InterlockedMax(ref int target, int value)
    {
        var seen = target;
        while (value > seen)
            seen = Interlocked.CompareExchange(ref target, value, seen) is var before && before == seen ? value : before;
    }
}
