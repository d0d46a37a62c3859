using System.Globalization;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Policies.Catalog;
using ImageAccess.Proxy.Policies.Decisions;

namespace ImageAccess.Proxy.Tests.Policies.Catalog;

/// <summary>10,000 decisions at once, of 200 callers, over 100 namespaces that nobody has heard of: fewer than all may ask for in a minute.</summary>
public sealed class LoadTests : IAsyncLifetime
{
    private const int Decisions = 10_000;
    private const int Callers = 200;
    private const int Namespaces = 100;

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    /// <summary>As many questions are under way as may be.</summary>
    private readonly TaskCompletionSource _full = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private CatalogSurroundings _here = null!;
    private CatalogRoom _room = null!;
    private int _requests;
    private int _inside;
    private int _most;

    public async Task InitializeAsync()
    {
        _here = await CatalogSurroundings.StartAsync();
        _room = _here.Build();
        for (var i = 0; i < Namespaces; i++)
            _here.Hub.Namespaces.Add($"name{i}", IsVerified(i) ? "verified_publisher" : null);
    }

    public async Task DisposeAsync()
    {
        await _room.DisposeAsync();
        await _here.DisposeAsync();
    }

    [Fact]
    public async Task They_cause_one_request_for_each_namespace_and_four_at_once()
    {
        _here.Hub.Faults.Add(Face.Hub, Fault.Custom((_, answer) => CountAsync(async () =>
        {
            await _full.Task.WaitAsync(Limit); // on a slow machine too as many are under way as may be
            await answer();
        })));

        var decisions = await DecideAsync();

        Assert.All(decisions, decided => Assert.Equal(
            (IsVerified(decided.Namespace) ? PolicyRule.VerifiedPublisher : PolicyRule.Community, IsVerified(decided.Namespace)),
            (decided.Decision.Rule, decided.Decision.Permit is not null)));
        Assert.Equal(Namespaces, _requests);
        Assert.Equal(HubCatalogSource.MaximumRequests, _most);
    }

    [Fact]
    public async Task A_429_stops_them_for_as_long_as_it_says()
    {
        const int before = 40;
        var until = _here.Time.GetUtcNow().AddMinutes(10);
        _here.Hub.Faults.Add(Face.Hub, Fault.Custom((http, answer) => CountAsync(() =>
        {
            if (_requests <= before)
                return answer();
            http.Response.StatusCode = 429;
            http.Response.Headers["X-Retry-After"] = until.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
            return Task.CompletedTask;
        })));

        var decisions = await DecideAsync();
        Assert.InRange(_requests, before + 1, before + HubCatalogSource.MaximumRequests);
        Assert.All(decisions, decided => Assert.Equal(
            decided.Decision.Permit is not null, decided.Decision.Rule == PolicyRule.VerifiedPublisher && IsVerified(decided.Namespace)));
        Assert.InRange(decisions.Select(decided => decided.Namespace).Distinct().Count(name => Known(decisions, name)), before - 3, before);

        var asked = _requests;
        _here.Time.Advance(TimeSpan.FromMinutes(10) - TimeSpan.FromSeconds(61));
        await DecideAsync();
        Assert.Equal(asked, _requests);

        _here.Hub.Faults.Clear();
        _here.Time.Advance(TimeSpan.FromSeconds(61));
        Assert.All(await DecideAsync(), decided => Assert.NotEqual(PolicyRule.Unknown, decided.Decision.Rule));
        Assert.InRange(_here.Asked, Namespaces, Namespaces + HubCatalogSource.MaximumRequests);
    }

    private static bool Known(IReadOnlyList<Decided> decisions, int name) =>
        decisions.Any(decided => decided.Namespace == name && decided.Decision.Rule != PolicyRule.Unknown);

    private static bool IsVerified(int name) => name % 3 == 0;

    private async Task<IReadOnlyList<Decided>> DecideAsync()
    {
        var document = """{ "organizations": [ { "name": "acme", "enabled": true, "allow": { "verifiedPublisher": true } } ] }"""u8.ToArray();
        Assert.True(PolicyCompiler.TryCompile(document, out var policy, out _));
        var today = DateOnly.FromDateTime(_here.Time.GetUtcNow().UtcDateTime);
        var callers = Enumerable.Range(0, Callers).Select(i => Caller.SignedIn($"user{i}", $"id{i}"))
            .Select(caller => new Judge(new PolicyView(policy, caller, today), _room.Catalog, CatalogPayer.Client(caller, null))).ToList();
        var pairs = Enumerable.Range(0, Decisions).Select(i => (Caller: i % Callers, Namespace: i % Namespaces)).ToArray();
        new Random(7).Shuffle(pairs);

        var deciding = pairs.Select(pair => Task.Run(async () =>
        {
            Assert.True(RepositoryName.TryParse($"name{pair.Namespace}/app", out var repository));
            var judgement = await callers[pair.Caller].DecideAsync(repository, CancellationToken.None);
            return new Decided(pair.Namespace, judgement.Decision);
        }));
        return await Task.WhenAll(deciding).WaitAsync(Limit);
    }

    private async Task CountAsync(Func<Task> answer)
    {
        Interlocked.Increment(ref _requests);
        var inside = Interlocked.Increment(ref _inside);
        lock (_here)
            _most = Math.Max(_most, inside);
        if (inside == HubCatalogSource.MaximumRequests)
            _full.TrySetResult();
        try
        {
            await Task.Yield();
            await answer();
        }
        finally
        {
            Interlocked.Decrement(ref _inside);
        }
    }

    private sealed record Decided(int Namespace, AccessDecision Decision);
}
