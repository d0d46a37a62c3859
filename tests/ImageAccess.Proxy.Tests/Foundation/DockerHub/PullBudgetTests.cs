using System.Diagnostics.Metrics;
using System.Globalization;
using ImageAccess.Proxy.Foundation.DockerHub;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;

namespace ImageAccess.Proxy.Tests.Foundation.DockerHub;

/// <summary>What the headers of Docker Hub's answers say of the pulls that are left, and what they may say without harm.</summary>
public sealed class PullBudgetTests : IDisposable
{
    private const string Address = "203.0.113.7";

    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();
    private readonly ManualTime _time = new();
    private readonly LogLines<PullBudget> _log = new();
    private readonly PullBudget _budget;

    public PullBudgetTests() => _budget = new PullBudget(new UpstreamMetrics(_services.GetRequiredService<IMeterFactory>()), _time, _log);

    public void Dispose()
    {
        _log.Dispose();
        _services.Dispose();
    }

    [Theory]
    [InlineData("100;w=21600", "20;w=21600", 100, 20, 21600)]
    [InlineData("100", "20", 100, 20, 21600)] // no window: Docker Hub's own
    [InlineData("100;w=0", "20;w=0", 100, 20, 21600)]
    [InlineData("100;w=-1", "20", 100, 20, 21600)]
    [InlineData("100;w=99999999999999999999", "20", 100, 20, 21600)]
    [InlineData("100;w=86401", "20", 100, 20, 21600)]
    [InlineData("100;w=60", "20;w=5", 100, 20, 60)]
    [InlineData(" 100 ; w=60", "\t20", 100, 20, 60)]
    [InlineData("100;w=60;x=1", "20", 100, 20, 21600)]
    [InlineData("1000000000", "1000000000", 1000000000, 1000000000, 21600)]
    [InlineData("100", "101", 100, 100, 21600)] // more than there are
    [InlineData("100", "0", 100, 0, 21600)]
    public void What_Docker_Hub_says_is_read(string limit, string remaining, long allowed, long left, int window)
    {
        Read(Address, limit, remaining);
        Assert.Equal([new PullsLeft(Address, allowed, left, TimeSpan.FromSeconds(window), _time.GetUtcNow(), IsLow: left * 5 <= allowed)], _budget.Accounts);
    }

    [Theory]
    [InlineData("", "20")]
    [InlineData("100", "")]
    [InlineData("100", null)]
    [InlineData(null, "20")]
    [InlineData("-100;w=21600", "20")]
    [InlineData("100", "-1")]
    [InlineData("+100", "20")]
    [InlineData("1e9", "20")]
    [InlineData("100,5", "20")]
    [InlineData("0x10", "20")]
    [InlineData("٣٠", "20")]
    [InlineData("0", "0")]
    [InlineData("1000000001", "20")]
    [InlineData("99999999999999999999999999", "20")]
    [InlineData("100;w=21600;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "20")]
    [InlineData("unlimited", "20")]
    public void What_is_no_budget_is_none(string? limit, string? remaining)
    {
        Read(Address, limit, remaining);
        Assert.Empty(_budget.Accounts);
        Assert.Empty(_budget.Organizations);
    }

    [Theory]
    [InlineData("203.0.113.7", "203.0.113.7")]
    [InlineData("2001:db8::7", "2001:db8::7")]
    [InlineData("0ab70deb-065a-43fc-acd5-5d48caa945d8", "0ab70deb-065a-43fc-acd5-5d48caa945d8")]
    [InlineData(null, "unknown")]
    [InlineData("", "unknown")]
    [InlineData("a b", "unknown")]
    [InlineData("a\"b", "unknown")]
    [InlineData("a\u001bb", "unknown")]
    [InlineData("ünique", "unknown")]
    [InlineData("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "unknown")]
    public void An_account_is_named_as_Docker_Hub_names_it_or_not_at_all(string? source, string name)
    {
        Read(source, "100", "50");
        Assert.Equal(name, Assert.Single(_budget.Accounts).Name);
    }

    [Fact]
    public async Task It_is_low_from_a_fifth_on_and_until_three_tenths_are_left()
    {
        foreach (var (remaining, isLow) in new[] { (100, false), (21, false), (20, true), (21, true), (20, true), (0, true), (29, true), (30, false), (21, false), (20, true) })
        {
            Read(Address, "100", remaining.ToString(CultureInfo.InvariantCulture));
            Assert.Equal((remaining, isLow), (Assert.Single(_budget.Accounts).Remaining, Assert.Single(_budget.Accounts).IsLow));
            Assert.Equal(isLow ? HealthStatus.Degraded : HealthStatus.Healthy, (await LookAsync()).Status);
        }

        Assert.Equal(
            "few pulls from Docker Hub are left, for 1 accounts or addresses, at the least 20 of 100: sign in with accounts that have more, or pull less; what is kept is served without them",
            (await LookAsync()).Description);
        Assert.Equal(
            [
                "Docker Hub allows 203.0.113.7 20 more of 100 pulls in 6 hours: sign in with an account that has more, or pull less; what is kept is served without them",
                "Docker Hub allows 203.0.113.7 30 more of 100 pulls: enough again",
                "Docker Hub allows 203.0.113.7 20 more of 100 pulls in 6 hours: sign in with an account that has more, or pull less; what is kept is served without them",
            ],
            _log.All);
        Assert.Equal(2, _log.At(LogLevel.Warning).Count);
    }

    [Fact]
    public async Task What_was_read_is_forgotten_when_its_window_is_over()
    {
        Read(Address, "100;w=3600", "3;w=3600", "acme");
        _time.Advance(TimeSpan.FromSeconds(3599));
        Assert.Equal((1, 1), (_budget.Accounts.Count, _budget.Organizations.Count));
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal((0, 0), (_budget.Accounts.Count, _budget.Organizations.Count));
        Assert.Equal(HealthStatus.Healthy, (await LookAsync()).Status);
    }

    [Fact]
    public void An_organization_has_what_its_account_with_the_least_has()
    {
        Read("bob", "200", "150", "acme");
        Read("carol", "200", "30", "acme", "umbrella");
        Read("dave", "200", "190", "acme");
        Assert.Equal([("acme", 30), ("umbrella", 30)], _budget.Organizations.Select(left => (left.Name, left.Remaining)));
        Assert.Equal([("carol", 30), ("bob", 150), ("dave", 190)], _budget.Accounts.Select(left => (left.Name, left.Remaining)));

        Read("carol", "200", "200", "acme"); // the window of that very account began again
        Assert.Equal([("umbrella", 30), ("acme", 200)], _budget.Organizations.Select(left => (left.Name, left.Remaining)));
        Read("dave", "200", "120", "acme");
        _time.Advance(TimeSpan.FromHours(7));
        Read("bob", "200", "199", "acme");
        Assert.Equal([("acme", 199)], _budget.Organizations.Select(left => (left.Name, left.Remaining)));
    }

    [Fact]
    public async Task Accounts_beyond_are_one_and_have_the_least_of_them()
    {
        for (var i = 0; i < 5000; i++)
            Read($"account-{i}", "100", i == 4000 ? "7" : "90", "acme");
        Assert.Equal(PullBudget.MaximumAccounts + 1, _budget.Accounts.Count);
        Assert.Equal((PullBudget.Others, 7L), (_budget.Accounts[0].Name, _budget.Accounts[0].Remaining));
        Assert.Equal(7, Assert.Single(_budget.Organizations).Remaining);
        Assert.Single(_log.At(LogLevel.Warning));

        for (var i = 0; i < 50; i++)
            Read($"account-{i}", "100", "1");
        Assert.Contains("for 51 accounts or addresses, at the least 1 of 100: ", (await LookAsync()).Description, StringComparison.Ordinal);
    }

    [Fact]
    public void Organizations_have_an_end_too()
    {
        for (var i = 0; i < 3000; i++)
            Read(Address, "100", "50", $"organization-{i}");
        Assert.Equal(1000, _budget.Organizations.Count);
    }

    [Fact]
    public async Task Many_read_at_once()
    {
        await Parallel.ForAsync(0, 20_000, (i, _) =>
        {
            Read($"account-{i % 300}", "1000", (i % 1000).ToString(CultureInfo.InvariantCulture), "acme");
            return ValueTask.CompletedTask;
        });
        Assert.InRange(_budget.Accounts.Count, PullBudget.MaximumAccounts, PullBudget.MaximumAccounts + Environment.ProcessorCount + 1);
        Assert.All(_budget.Accounts, left => Assert.InRange(left.Remaining, 0, 999));
    }

    private Task<HealthCheckResult> LookAsync() => _budget.CheckHealthAsync(new HealthCheckContext());

    private void Read(string? source, string? limit, string? remaining, params string[] organizations)
    {
        using var answer = new HttpResponseMessage();
        foreach (var (name, value) in new[] { ("docker-ratelimit-source", source), ("ratelimit-limit", limit), ("ratelimit-remaining", remaining) })
        {
            if (value is not null)
                answer.Headers.TryAddWithoutValidation(name, value);
        }

        _budget.Read(answer, organizations);
    }
}
