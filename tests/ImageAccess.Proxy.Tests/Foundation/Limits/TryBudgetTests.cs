using System.Net;
using ImageAccess.Proxy.Foundation.Limits;
using ImageAccess.Proxy.Tests.Overload;

namespace ImageAccess.Proxy.Tests.Foundation.Limits;

[Collection(OverloadTests.Name)] // one of them measures the memory of the process
public sealed class TryBudgetTests : IDisposable
{
    private static readonly ClientShare Alice = ClientShare.OfUser("alice");
    private static readonly ClientShare Bob = ClientShare.OfUser("bob");

    private readonly LimitRoom _room = new();
    private readonly ManualTime _time = new();

    public void Dispose() => _room.Dispose();

    [Theory]
    [InlineData(1, 60)]
    [InlineData(5, 60)]
    [InlineData(20, 3600)]
    public void So_many_tries_are_free_in_any_window_and_the_next_is_told_when(int tries, int seconds)
    {
        var budget = NewBudget(tries, TimeSpan.FromSeconds(seconds));
        for (var number = 0; number < tries; number++)
        {
            Assert.False(budget.IsSpent(Alice, out _));
            budget.Count(Alice);
            _time.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.True(budget.IsSpent(Alice, out var retryAfter));
        Assert.Equal(TimeSpan.FromSeconds(seconds - tries), retryAfter);
        Assert.False(budget.IsSpent(Bob, out _));
        Assert.Equal(1, _room.Limited("sign-ins"));

        _time.Advance(retryAfter - TimeSpan.FromTicks(1));
        Assert.True(budget.IsSpent(Alice, out retryAfter));
        Assert.Equal(TimeSpan.FromSeconds(1), retryAfter);
        _time.Advance(TimeSpan.FromTicks(1));
        Assert.True(budget.TryCount(Alice, out _));
        Assert.Equal(tries == 1, budget.IsSpent(Alice, out retryAfter) && retryAfter == TimeSpan.FromSeconds(seconds)); // the others become free one after the other
    }

    [Fact]
    public void Who_has_tried_within_the_window_is_known()
    {
        var budget = NewBudget(2, TimeSpan.FromMinutes(1));
        budget.Count(Alice);
        Assert.True(budget.HasTried(Alice));
        Assert.False(budget.HasTried(Bob));
        _time.Advance(TimeSpan.FromMinutes(1));
        Assert.False(budget.HasTried(Alice));
    }

    [Fact]
    public void A_try_beyond_the_budget_makes_nobody_wait_longer()
    {
        var budget = NewBudget(2, TimeSpan.FromMinutes(1));
        Assert.True(budget.TryCount(Alice, out _));
        Assert.True(budget.TryCount(Alice, out _));
        for (var number = 0; number < 50; number++)
        {
            budget.Count(Alice);
            Assert.False(budget.TryCount(Alice, out var retryAfter));
            Assert.Equal(TimeSpan.FromSeconds(60 - number), retryAfter);
            _time.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.Equal(50, _room.Limited("sign-ins"));
        _time.Advance(TimeSpan.FromSeconds(10));
        Assert.True(budget.TryCount(Alice, out _));
    }

    [Fact]
    public void What_only_looks_takes_nothing()
    {
        var budget = NewBudget(1, TimeSpan.FromMinutes(1));
        Assert.All(Enumerable.Range(0, 100), _ => Assert.False(budget.IsSpent(Alice, out var _)));
        Assert.True(budget.TryCount(Alice, out _));
    }

    [Fact]
    public void Clients_beyond_those_that_have_a_budget_share_one_until_there_is_a_place()
    {
        var budget = NewBudget(2, TimeSpan.FromMinutes(1), maximumClients: 3);
        Assert.All("abcde", name => Assert.True(budget.TryCount(ClientShare.OfUser($"{name}"), out var _)));
        Assert.True(budget.IsSpent(ClientShare.OfUser("f"), out _));
        Assert.False(budget.TryCount(ClientShare.OfUser("g"), out _));
        Assert.True(budget.TryCount(ClientShare.OfUser("a"), out _));

        _time.Advance(TimeSpan.FromMinutes(1));
        Assert.False(budget.IsSpent(ClientShare.OfUser("f"), out _));
        Assert.True(budget.TryCount(ClientShare.OfUser("f"), out _));
        Assert.True(budget.TryCount(ClientShare.OfUser("f"), out _));
        Assert.True(budget.TryCount(ClientShare.OfUser("g"), out _));
    }

    /// <summary>Who has a /32 of IPv6 has four thousand million networks.</summary>
    [Fact]
    public void Ever_new_addresses_cost_no_more_memory_and_no_budget_of_those_who_were_there()
    {
        var budget = NewBudget(2, TimeSpan.FromHours(1));
        Assert.True(budget.TryCount(Alice, out _));
        var before = GC.GetTotalMemory(forceFullCollection: true);
        var bytes = new byte[16];
        for (var number = 0; number < 300_000; number++)
        {
            BitConverter.TryWriteBytes(bytes.AsSpan(4), number);
            budget.Count(ClientShare.Of(new IPAddress(bytes)));
        }

        Assert.InRange(GC.GetTotalMemory(forceFullCollection: true) - before, 0, 10_000_000);
        Assert.True(budget.TryCount(Alice, out _));
    }

    private TryBudget NewBudget(int tries, TimeSpan window, int maximumClients = 10_000) => new("sign-ins", tries, window, _time, _room.Metrics, maximumClients);
}

internal static class Tries
{
    /// <summary>As the rooms do it: takes a try unless there is none left.</summary>
    public static bool TryCount(this TryBudget budget, ClientShare client, out TimeSpan retryAfter)
    {
        if (budget.IsSpent(client, out retryAfter))
            return false;
        budget.Count(client);
        return true;
    }
}
