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
        for (var i = 0; i < PublisherCatalog.QuestionsPerMinute; i++)
            Assert.Equal(PolicyRule.Community, await RuleAsync(name, address, $"name{i}"));
        Assert.Equal(PolicyRule.Unknown, await RuleAsync(name, address, "one-too-many"));
        Assert.Equal(same ? PolicyRule.Unknown : PolicyRule.Community, await RuleAsync(otherName, otherAddress, "another"));
    }

    private async Task<string> RuleAsync(string? name, string? address, string @namespace)
    {
        Assert.True(PolicyCompiler.TryCompile("""{ "organizations": [ { "name": "acme", "enabled": true } ] }"""u8.ToArray(), out var policy, out _));
        Assert.True(RepositoryName.TryParse($"{@namespace}/app", out var repository));
        var caller = name is null ? Caller.Anonymous : Caller.SignedIn(name, $"id of {name}");
        var judge = new Judge(
            new PolicyView(policy, caller, DateOnly.FromDateTime(_here.Time.GetUtcNow().UtcDateTime)),
            _room.Catalog,
            CatalogPayer.Client(caller, address is null ? null : IPAddress.Parse(address)));
        return (await judge.DecideAsync(repository, CancellationToken.None)).Decision.Rule;
    }
}
