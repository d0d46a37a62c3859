using System.Net;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Policies.Catalog;
using ImageAccess.Proxy.Policies.Decisions;

namespace ImageAccess.Proxy.Tests.Policies.Catalog;

/// <summary>Who counts as one caller where questions are counted: the user, else the address.</summary>
public sealed class CallerTests : IAsyncLifetime
{
    private CatalogSurroundings _here = null!;
    private CatalogRoom _room = null!;

    public async Task InitializeAsync()
    {
        _here = await CatalogSurroundings.StartAsync();
        _room = _here.Build();
    }

    public async Task DisposeAsync()
    {
        await _room.DisposeAsync();
        await _here.DisposeAsync();
    }

    [Theory]
    [InlineData(null, "192.0.2.1", null, "192.0.2.1", true)]
    [InlineData(null, "192.0.2.1", null, "192.0.2.2", false)]
    [InlineData(null, "192.0.2.1", null, "::ffff:192.0.2.1", true)]
    [InlineData(null, "2001:db8::1", null, "2001:db8::ffff:1", true)]
    [InlineData(null, "2001:db8::1", null, "2001:db8:0:1::1", false)]
    [InlineData("alice", "192.0.2.1", "alice", "192.0.2.2", true)]
    [InlineData("alice", "192.0.2.1", "bob", "192.0.2.1", false)]
    [InlineData("alice", "192.0.2.1", null, "192.0.2.1", false)]
    [InlineData(null, null, null, null, true)]
    public async Task These_are_one_caller_or_two(string? name, string? address, string? otherName, string? otherAddress, bool same)
    {
        var own = name is null ? QuestionAllowance.FailuresOfAddress : QuestionAllowance.OfUser;
        for (var i = 0; i < 3 * QuestionAllowance.OfAddress; i++)
            await RuleAsync(null, $"203.0.113.{i % 3}", $"unlike{i}"); // the spare is used up
        for (var i = 0; i < own; i++)
            Assert.Equal(PolicyRule.Community, await RuleAsync(name, address, $"name{i}"));
        Assert.Equal(PolicyRule.Unknown, await RuleAsync(name, address, "one-too-many"));
        Assert.Equal(same ? PolicyRule.Unknown : PolicyRule.Community, await RuleAsync(otherName, otherAddress, "another"));
    }

    /// <summary>Invented names stop nobody behind the same address: neither who is signed in, nor who asks for what there is.</summary>
    [Theory]
    [InlineData(null, 22)]
    [InlineData(null, 25)]
    [InlineData("bob", 22)]
    [InlineData("bob", 1000)]
    public async Task A_few_invented_names_stop_nobody(string? name, int invented)
    {
        const string Address = "192.0.2.1";
        AddNamespaces(10);
        for (var i = 0; i < invented; i++)
            await RuleAsync(null, Address, $"invented{i}");
        for (var i = 0; i < 10; i++)
            Assert.Equal(PolicyRule.VerifiedPublisher, await RuleAsync(name, Address, $"publisher{i}"));
    }

    /// <summary>Hundreds of colleagues behind one address, none of them signed in.</summary>
    [Theory]
    [InlineData("192.0.2.1")]
    [InlineData("2001:db8::1")]
    [InlineData(null)]
    public async Task What_there_is_does_not_count_for_an_address(string? address)
    {
        AddNamespaces(QuestionAllowance.OfAddress);
        for (var i = 0; i < QuestionAllowance.OfAddress; i++)
            Assert.Equal(PolicyRule.VerifiedPublisher, await RuleAsync(null, address, $"publisher{i}"));
    }

    /// <summary>An inventor meets an end, and so does who tries every name that there is; other addresses have their own.</summary>
    [Theory]
    [InlineData(false, "192.0.2.1")]
    [InlineData(true, "192.0.2.1")]
    [InlineData(true, "2001:db8::1")]
    [InlineData(true, null)]
    public async Task An_address_does_not_ask_without_end_and_leaves_the_most_to_others(bool areThere, string? address)
    {
        if (areThere)
            AddNamespaces(400);
        var rules = new List<string>();
        for (var i = 0; i < 300; i++)
            rules.Add(await RuleAsync(null, address, $"publisher{i}"));
        Assert.Equal(35, rules.Count(rule => rule != PolicyRule.Unknown));
        Assert.Equal(35, _here.Asked);
        for (var i = 300; i < 335; i++)
            Assert.Equal(areThere ? PolicyRule.VerifiedPublisher : PolicyRule.Community, await RuleAsync(null, $"192.0.2.{i - 280}", $"publisher{i}"));
        Assert.NotEqual(PolicyRule.Unknown, await RuleAsync("alice", address, "publisher398"));
        _here.Time.Advance(TimeSpan.FromMinutes(1));
        Assert.NotEqual(PolicyRule.Unknown, await RuleAsync(null, address, "publisher397"));
    }

    /// <summary>Docker Hub would refuse the address of the proxy, and so everybody, for up to an hour: it is never asked so often.</summary>
    [Theory]
    [InlineData("the addresses of a network", false)]
    [InlineData("the addresses of a network", true)]
    [InlineData("users", true)]
    [InlineData("both", true)]
    public async Task All_together_stay_below_what_Docker_Hub_allows(string who, bool areThere)
    {
        if (areThere)
            AddNamespaces(300);
        for (var i = 0; i < 300; i++)
        {
            var isUser = who == "users" || (who == "both" && i % 2 == 0);
            await RuleAsync(isUser ? $"user{i / 15}" : null, $"2001:db8:0:{i / 15}::1", $"publisher{i}");
        }

        Assert.InRange(_here.Asked, 120, 150); // of about 180
        _here.Time.Advance(TimeSpan.FromMinutes(1));
        Assert.NotEqual(PolicyRule.Unknown, await RuleAsync(null, "192.0.2.1", "publisher299"));
        Assert.NotEqual(PolicyRule.Unknown, await RuleAsync("bob", "192.0.2.1", "publisher298"));
    }

    /// <summary>Invented names of many addresses come out of one spare; an address that invents nothing does not feel them.</summary>
    [Fact]
    public async Task Many_inventors_share_one_spare()
    {
        AddNamespaces(10);
        for (var i = 0; i < 160; i++)
            await RuleAsync(null, $"198.51.100.{i % 4}", $"invented{i}");
        Assert.Equal((4 * QuestionAllowance.FailuresOfAddress) + QuestionAllowance.Spare, _here.Asked);
        for (var i = 0; i < 10; i++)
            Assert.Equal(PolicyRule.VerifiedPublisher, await RuleAsync(null, "192.0.2.1", $"publisher{i}"));
    }

    /// <summary>Who was refused because all others had asked too much has all of its own questions afterwards.</summary>
    [Theory]
    [InlineData(null, 35)]
    [InlineData("alice", 20)]
    [InlineData("bob", 20)]
    public async Task A_refusal_uses_nothing_up(string? name, int own)
    {
        AddNamespaces(300);
        for (var i = 0; i < 200; i++)
            await RuleAsync(null, $"198.51.100.{i / 20}", $"publisher{i}");
        _here.Time.Advance(TimeSpan.FromSeconds(59));
        for (var i = 0; i < own; i++)
            Assert.Equal(PolicyRule.Unknown, await RuleAsync(name, "192.0.2.1", $"publisher{200 + i}"));
        _here.Time.Advance(TimeSpan.FromSeconds(1));
        for (var i = 0; i < own; i++)
            Assert.Equal(PolicyRule.VerifiedPublisher, await RuleAsync(name, "192.0.2.1", $"publisher{200 + i}"));
    }

    private void AddNamespaces(int count)
    {
        for (var i = 0; i < count; i++)
            _here.Hub.Namespaces.Add($"publisher{i}", "verified_publisher");
    }

    private async Task<string> RuleAsync(string? name, string? address, string @namespace)
    {
        Assert.True(PolicyCompiler.TryCompile("""{ "organizations": [ { "name": "acme", "enabled": true, "allow": { "verifiedPublisher": true } } ] }"""u8.ToArray(), out var policy, out _));
        Assert.True(RepositoryName.TryParse($"{@namespace}/app", out var repository));
        var caller = name is null ? Caller.Anonymous : Caller.SignedIn(name, $"id of {name}");
        var judge = new Judge(
            new PolicyView(policy, caller, _here.Time.GetUtcNow()),
            _room.Catalog,
            CatalogPayer.Client(caller, address is null ? null : IPAddress.Parse(address)));
        return (await judge.DecideAsync(repository, CancellationToken.None)).Decision.Rule;
    }
}
