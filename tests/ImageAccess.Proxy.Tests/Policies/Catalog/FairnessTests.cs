using ImageAccess.Proxy.Foundation.Limits;
using ImageAccess.Proxy.Policies.Catalog;

namespace ImageAccess.Proxy.Tests.Policies.Catalog;

public sealed class FairnessTests
{
    private readonly FairSlots _slots = new(slots: 2, maximumWaiting: 100);
    private readonly List<string> _served = [];

    [Fact]
    public async Task Callers_are_served_in_turns_however_many_questions_each_has()
    {
        var (first, second) = (await _slots.EnterAsync("x", default), await _slots.EnterAsync("x", default));
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
            using var slot = await _slots.EnterAsync($"user {i % 7}", default);
            var now = Interlocked.Increment(ref inside);
            InterlockedMax(ref most, now);
            await Task.Yield();
            Interlocked.Decrement(ref inside);
        })));
        Assert.Equal(2, most);
        Assert.True(_slots.EnterAsync("x", default).IsCompletedSuccessfully);
    }

    [Fact]
    public async Task Who_leaves_gives_the_place_in_the_line_up()
    {
        var (first, second) = (await _slots.EnterAsync("x", default), await _slots.EnterAsync("x", default));
        using var leaving = new CancellationTokenSource();
        var gone = _slots.EnterAsync("bob", leaving.Token);
        var stays = _slots.EnterAsync("carol", default);
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => gone);

        first.Dispose();
        (await stays).Dispose();
        second.Dispose();
        Assert.True(_slots.EnterAsync("x", default).IsCompletedSuccessfully);
        Assert.True(_slots.EnterAsync("x", default).IsCompletedSuccessfully);
        Assert.False(_slots.EnterAsync("x", default).IsCompleted);
    }

    [Fact]
    public async Task A_slot_that_comes_as_its_caller_leaves_is_not_lost()
    {
        for (var round = 0; round < 200; round++)
        {
            var slots = new FairSlots(slots: 1, maximumWaiting: 10);
            var held = await slots.EnterAsync("x", default);
            using var leaving = new CancellationTokenSource();
            var waiting = slots.EnterAsync("bob", leaving.Token);
            await Task.WhenAll(Task.Run(held.Dispose), Task.Run(leaving.Cancel));
            try
            {
                (await waiting).Dispose();
            }
            catch (OperationCanceledException)
            {
            }

            Assert.True(slots.EnterAsync("y", default).IsCompletedSuccessfully);
        }
    }

    [Fact]
    public async Task The_line_has_an_end()
    {
        var slots = new FairSlots(slots: 1, maximumWaiting: 2);
        var held = await slots.EnterAsync("x", default);
        var (one, two) = (slots.EnterAsync("x", default), slots.EnterAsync("y", default));
        await Assert.ThrowsAsync<TooManyWaitingException>(() => slots.EnterAsync("z", default));

        held.Dispose();
        (await one).Dispose();
        (await two).Dispose();
        (await slots.EnterAsync("z", default)).Dispose();
    }

    [Fact]
    public void A_caller_may_ask_so_often_in_any_minute()
    {
        var time = new ManualTime();
        var allowance = new CallerAllowance(2, TimeSpan.FromMinutes(1), 100, time);
        Assert.True(allowance.TryTake("a"));
        time.Advance(TimeSpan.FromSeconds(30));
        Assert.True(allowance.TryTake("a"));
        Assert.False(allowance.TryTake("a"));
        Assert.True(allowance.TryTake("b"));

        time.Advance(TimeSpan.FromSeconds(30));
        Assert.True(allowance.TryTake("a"));
        Assert.False(allowance.TryTake("a"));
    }

    [Fact]
    public void Callers_beyond_those_that_are_watched_share()
    {
        var time = new ManualTime();
        var allowance = new CallerAllowance(2, TimeSpan.FromMinutes(1), 3, time);
        Assert.All(new[] { "a", "b", "c", "d", "e" }, caller => Assert.True(allowance.TryTake(caller)));
        Assert.False(allowance.TryTake("f"));
        Assert.True(allowance.TryTake("a"));

        time.Advance(TimeSpan.FromMinutes(1));
        Assert.True(allowance.TryTake("f"));
        Assert.True(allowance.TryTake("f"));
        Assert.True(allowance.TryTake("g"));
    }

    private async Task ServeAsync(string caller)
    {
        using var slot = await _slots.EnterAsync(caller, default);
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
