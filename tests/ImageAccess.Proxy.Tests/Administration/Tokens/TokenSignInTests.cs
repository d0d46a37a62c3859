using System.Net;
using ImageAccess.Proxy.Administration.Roles;
using ImageAccess.Proxy.Administration.Tokens;
using ImageAccess.Proxy.Callers.Members;
using ImageAccess.Proxy.Foundation.Configuration;
using ImageAccess.Proxy.Foundation.Database;
using ImageAccess.Proxy.Foundation.Database.Keys;
using ImageAccess.Proxy.Foundation.Limits;
using ImageAccess.Proxy.Tests.Administration.Changes;
using ImageAccess.Proxy.Tests.Callers.Members;
using ImageAccess.Proxy.Tests.Foundation.Audit;
using ImageAccess.Proxy.Tests.Foundation.Database;
using ImageAccess.Proxy.Tests.Foundation.Limits;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Tests.Administration.Tokens;

/// <summary>A token from the day that it is made to its end, in both databases.</summary>
[Collection(PostgresRoom.Name)]
public sealed class TokenSignInTests(PostgresServer server) : IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly AuditFixture _audit = new();
    private readonly LimitRoom _limits = new();
    private readonly ManualTime _time = new();
    private readonly SettablePolicy _policies = new() { Current = ChangeRoom.PolicyWith() };
    private TokenUpkeep? _upkeep;
    private TokenSignIn? _signIn;
    private SqlDatabase _database = null!;

    public void Dispose()
    {
        _signIn?.Dispose();
        _upkeep?.Dispose();
        _limits.Dispose();
        _audit.Dispose();
        _directory.Dispose();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task It_is_made_used_and_revoked(bool isPostgres)
    {
        await UseAsync(isPostgres);
        var (row, secret) = await MakeAsync(new TokenGrant { Role = "administrator", Organization = "acme", Person = "dan", Label = "ci" });
        foreach (var scheme in new[] { "Bearer", "bearer", "BEARER" })
        {
            var bearer = await IdentifyAsync($"{scheme} {secret}");
            Assert.Equal(("dan", "dan", "acme", Core.Policies.Roles.Administrator), (bearer.Actor!.Name, bearer.Actor.Person, bearer.Actor.Organization, bearer.Actor.Fixed));
            Assert.Equal(row.Id, bearer.Token!.Id);
        }

        foreach (var header in new[] { null, "", "Bearer", "Bearer ", secret, $"Basic {secret}", $"Bearer {secret},Bearer {secret}", $"Bearer {secret} x", $"Bearer {secret[..^1]}", $"Bearer {secret.ToUpperInvariant()}" })
            Assert.Null((await IdentifyAsync(header)).Actor);

        await _upkeep!.WriteAsync(_database, default);
        Assert.Equal(_time.GetUtcNow(), (await FindAsync(row.Id)).LastUsed);
        await new TokenChanges(_database, _time).RevokeAsync(row.Id, "alice", _ => { }, default);
        Assert.Null((await IdentifyAsync($"Bearer {secret}")).Actor);
        var refused = await Assert.ThrowsAsync<Proxy.Policies.Exceptions.RefusedChangeException>(() => new TokenChanges(_database, _time).RevokeAsync(row.Id, "alice", _ => { }, default));
        Assert.Equal($"the token {row.Id} was revoked already, 2026-06-01 12:00Z by alice", refused.Message);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task It_ends_at_its_instant_and_while_it_waits_it_is_none(bool isPostgres)
    {
        await UseAsync(isPostgres);
        var (row, secret) = await MakeAsync(new TokenGrant { Role = "auditor", Organization = "acme", Label = "a report", Lifetime = TimeSpan.FromDays(2) });
        _time.Advance(TimeSpan.FromDays(2) - TimeSpan.FromMilliseconds(1));
        Assert.NotNull((await IdentifyAsync($"Bearer {secret}")).Actor);
        _time.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Null((await IdentifyAsync($"Bearer {secret}")).Actor);

        var (waiting, other) = await MakeAsync(new TokenGrant { Role = "administrator", Organization = "acme", Label = "ci" });
        await _database.WriteAsync(context => context.ApiTokens.Where(one => one.Id == waiting.Id).ExecuteUpdateAsync(set => set.SetProperty(one => one.Waits, true)), default);
        Assert.Null((await IdentifyAsync($"Bearer {other}")).Actor);
        Assert.True(row.Id != waiting.Id);
    }

    /// <summary>Who has stolen one makes others with it, and others with those; they end with it, also those that a second person has yet to approve.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_was_made_with_a_token_is_revoked_with_it(bool isPostgres)
    {
        await UseAsync(isPostgres);
        var grant = new TokenGrant { Role = "administrator", Organization = "acme", Label = "ci" };
        var (stolen, _) = await MakeAsync(grant);
        var (child, childSecret) = await MakeAsync(grant with { Parent = stolen.Id });
        var (_, grandchildSecret) = await MakeAsync(grant with { Parent = child.Id });
        var (waiting, _) = await MakeAsync(grant with { Parent = child.Id });
        await _database.WriteAsync(context => context.ApiTokens.Where(one => one.Id == waiting.Id).ExecuteUpdateAsync(set => set.SetProperty(one => one.Waits, true)), default);
        var (_, otherSecret) = await MakeAsync(grant);

        var changes = new TokenChanges(_database, _time);
        await changes.RevokeAsync(stolen.Id, "alice", _ => { }, default);
        Assert.Null((await IdentifyAsync($"Bearer {childSecret}")).Actor);
        Assert.Null((await IdentifyAsync($"Bearer {grandchildSecret}")).Actor);
        Assert.NotNull((await IdentifyAsync($"Bearer {otherSecret}")).Actor);
        Assert.Equal(("alice", _time.GetUtcNow()), ((await FindAsync(child.Id)).RevokedBy!, (await FindAsync(child.Id)).Revoked!.Value));
        await Assert.ThrowsAsync<Proxy.Policies.Exceptions.RefusedChangeException>(() => _database.WriteAsync(context => changes.AdmitAsync(context, waiting.Hash, default), default));

        var late = await Assert.ThrowsAsync<Proxy.Policies.Exceptions.RefusedChangeException>(() => MakeAsync(grant with { Parent = stolen.Id }));
        Assert.Equal($"the token {stolen.Id} was revoked: make another one", late.Message);
    }

    /// <summary>What holds is what the clock says; what was revoked stays so, and no last use goes back.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_clock_that_goes_back_revives_nothing_that_was_revoked(bool isPostgres)
    {
        await UseAsync(isPostgres);
        var (row, secret) = await MakeAsync(new TokenGrant { Role = "auditor", Organization = "acme", Label = "a report" });
        _time.Advance(TimeSpan.FromDays(1));
        await IdentifyAsync($"Bearer {secret}");
        await _upkeep!.WriteAsync(_database, default);
        var used = (await FindAsync(row.Id)).LastUsed;

        _time.Advance(-TimeSpan.FromDays(40));
        Assert.NotNull((await IdentifyAsync($"Bearer {secret}")).Actor);
        await _upkeep.WriteAsync(_database, default);
        Assert.Equal(used, (await FindAsync(row.Id)).LastUsed);
        await new TokenChanges(_database, _time).RevokeAsync(row.Id, "alice", _ => { }, default);
        _time.Advance(-TimeSpan.FromDays(40));
        Assert.Null((await IdentifyAsync($"Bearer {secret}")).Actor);
    }

    [Theory]
    [InlineData("dan", "administrator", "acme", true)]
    [InlineData("fay", "administrator", "acme", false)]
    [InlineData("dan", "administrator", "beta", false)]
    [InlineData("zoe", "company-owner", null, true)]
    [InlineData("dan", "administrator", null, false)]
    [InlineData("nobody", "member", "acme", false)]
    public async Task A_persons_token_has_no_more_than_the_person(string person, string role, string? organization, bool isGood)
    {
        await UseAsync(isPostgres: false);
        var (_, secret) = await MakeAsync(new TokenGrant { Role = role, Organization = organization, Person = person, Label = "ci" });
        Assert.Equal(isGood, (await IdentifyAsync($"Bearer {secret}")).Actor is not null);
    }

    private async Task UseAsync(bool isPostgres)
    {
        _database = isPostgres ? PostgresServer.Open(await server.CreateDatabaseAsync()) : new SqliteDatabase(_directory["imageaccess.db"]);
        await _database.MigrateAsync(default);
        var options = Options.Create(new DirectoryOptions());
        var accounts = new NamedAccounts(options, new ConfirmedAccounts(options, _audit.Trail, NullLogger<ConfirmedAccounts>.Instance));
        var directory = new MembershipDirectory(options, accounts, _audit.Trail, _time, NullLogger<MembershipDirectory>.Instance);
        _upkeep = new TokenUpkeep(_database, new DatabaseState(), _audit.Trail, _time);
        var limits = new LimitOptions();
        limits.Complete(new Machine(20_000, 16L * 1024 * 1024 * 1024));
        _signIn = new TokenSignIn(
            _database,
            new RoleBook(_policies, directory, accounts),
            new SessionTokens(new EphemeralDataProtectionProvider(), new KeyStore(new KeyFile(null, ""), new DatabaseState(), _time, NullLogger<KeyStore>.Instance), _time),
            _upkeep, new ClientLimits(Options.Create(limits), _limits.Metrics), _limits.Metrics, _audit.Trail,
            Options.Create(new ConsoleOptions()), _time);
    }

    private Task<(ApiTokenRow Row, string Secret)> MakeAsync(TokenGrant grant) => new TokenChanges(_database, _time).CreateAsync(grant, "root", default);

    private Task<ApiTokenRow> FindAsync(long id) => _database.ReadAsync(context => context.ApiTokens.AsNoTracking().SingleAsync(row => row.Id == id), default);

    private Task<TokenBearer> IdentifyAsync(string? authorization) => _signIn!.IdentifyAsync(authorization, IPAddress.Parse("10.0.0.1"), takesSessions: true, default);
}
