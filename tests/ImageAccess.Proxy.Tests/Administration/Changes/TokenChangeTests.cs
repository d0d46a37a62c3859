using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Administration.Tokens;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Policies.Exceptions;
using ImageAccess.Proxy.Tests.Policies.Store;
using Microsoft.EntityFrameworkCore;

namespace ImageAccess.Proxy.Tests.Administration.Changes;

/// <summary>Who may revoke which token of the API, by whichever way they come.</summary>
public sealed class TokenChangeTests : IAsyncLifetime, IDisposable
{
    private readonly ChangeRoom _room = new();

    public Task InitializeAsync() => _room.Database.MigrateAsync(default);

    public Task DisposeAsync() => Task.CompletedTask;

    public void Dispose() => _room.Dispose();

    [Theory]
    [InlineData("acme", "dan")]
    [InlineData("acme", "alice")]
    [InlineData("acme", "zoe")]
    [InlineData(null, "zoe")]
    public async Task Who_may_manage_tokens_revokes_one(string? organization, string by)
    {
        var id = await MakeAsync("owner", organization);
        Assert.Equal(by, (await RevokeAsync(id, by)).RevokedBy);
        var twice = await Assert.ThrowsAsync<RefusedChangeException>(() => RevokeAsync(id, by));
        Assert.Equal($"the token {id} was revoked already, 2026-06-01 12:00Z by {by}", twice.Message);
        Assert.Empty(_room.Told());
    }

    [Theory]
    [InlineData("gus")]
    [InlineData("fay")]
    [InlineData("bob")]
    public async Task Who_may_not_is_recorded_and_revokes_nothing(string by)
    {
        var id = await MakeAsync("auditor", "acme");
        var forbidden = await Assert.ThrowsAsync<ForbiddenChangeException>(() => RevokeAsync(id, by));
        Assert.Equal($"{by} may not do this in acme", forbidden.Message);
        Assert.Equal([$"forbidden manageTokens of acme by {by}"], _room.Told());
        Assert.Null((await TokenAsync(id)).Revoked);
    }

    [Theory]
    [InlineData("acme", "olga")]
    [InlineData("acme", "nobody")]
    [InlineData(null, "dan")]
    public async Task Anothers_token_is_as_one_that_is_not_there(string? organization, string by)
    {
        var id = await MakeAsync("auditor", organization);
        Assert.Equal($"there is no token {id}", (await Assert.ThrowsAsync<UnknownChangeException>(() => RevokeAsync(id, by))).Message);
        Assert.Equal("there is no token 99", (await Assert.ThrowsAsync<UnknownChangeException>(() => RevokeAsync(99, by))).Message);
        Assert.Null((await TokenAsync(id)).Revoked);
    }

    [Fact]
    public async Task Nobody_revokes_what_may_more_than_they()
    {
        _room.Policy = PolicyFixture.Compile("""{ "companyOwners": [ "zoe" ], "organizations": [ { "name": "acme", "owners": [ "alice" ] } ] }""");
        var id = await MakeAsync("company-owner", organization: null);
        var forbidden = await Assert.ThrowsAsync<ForbiddenChangeException>(() => RevokeAsync(id, "alice"));
        Assert.Equal($"alice may less than the token {id}, whose role is company-owner", forbidden.Message);
        Assert.Equal(["forbidden manageTokens of all by alice"], _room.Told());
        Assert.Equal("root", (await _room.Desk.RevokeTokenAsync(id, Actor.Server("root"), default)).RevokedBy);
    }

    private Task<ApiTokenRow> RevokeAsync(long id, string by) => _room.Desk.RevokeTokenAsync(id, ChangeRoom.Person(by), default);

    private Task<ApiTokenRow> TokenAsync(long id) => _room.Database.ReadAsync(context => context.ApiTokens.SingleAsync(row => row.Id == id), default);

    private async Task<long> MakeAsync(string role, string? organization)
    {
        var grant = new TokenGrant { Role = role, Organization = organization, Label = "ci" };
        return (await new TokenChanges(_room.Database, _room.Time).CreateAsync(grant, "root", default)).Row.Id;
    }
}
