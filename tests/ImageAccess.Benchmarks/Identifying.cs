using BenchmarkDotNet.Attributes;
using ImageAccess.FakeHubs;
using ImageAccess.Proxy.Callers.Identity;
using ImageAccess.Proxy.Foundation.DockerHub;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Primitives;

namespace ImageAccess.Benchmarks;

/// <summary>Who asks: a token seen before, one seen for the first time, and none. The tokens are those of the tests' Docker Hub.</summary>
[MemoryDiagnoser]
public class Identifying
{
    private FakeHub? _hub;
    private ServiceProvider? _services;
    private CallerIdentifier? _identifier;
    private StringValues _known;
    private StringValues _large;

    [GlobalSetup]
    public async Task OpenAsync()
    {
        _hub = await FakeHub.StartAsync();
        _hub.Users.Add("bob", "builder");
        var configuration = new ConfigurationBuilder()
            .AddInMemoryCollection(new Dictionary<string, string?> { ["Upstream:Auth"] = _hub.Auth.AbsoluteUri })
            .Build();
        _services = new ServiceCollection().AddLogging().AddDockerHub(configuration).AddIdentity(configuration).BuildServiceProvider();
        _identifier = _services.GetRequiredService<CallerIdentifier>();

        _known = "Bearer " + await _hub.TokenForAsync("bob", "repository:library/hello:pull");
        // One that grants more than is remembered is verified each time: the cost of every first request.
        _hub.ShapeToken = draft =>
            draft.Access = [.. Enumerable.Range(0, CallerIdentifier.MaximumRememberedGrants + 1).Select(i => new TokenAccess($"library/image{i}", "pull"))];
        _large = "Bearer " + await _hub.TokenForAsync("bob");
        if (await Remembered() is not Identification.Verified || await VerifiedAnew() is not Identification.Verified)
            throw new InvalidOperationException("a good token was not taken");
    }

    [GlobalCleanup]
    public async Task CloseAsync()
    {
        await _services!.DisposeAsync();
        await _hub!.DisposeAsync();
    }

    [Benchmark]
    public ValueTask<Identification> Remembered() => _identifier!.IdentifyAsync(_known, CancellationToken.None);

    /// <summary>Of a token with 65 grants: reading it is a part of the cost.</summary>
    [Benchmark]
    public ValueTask<Identification> VerifiedAnew() => _identifier!.IdentifyAsync(_large, CancellationToken.None);

    [Benchmark]
    public ValueTask<Identification> NoToken() => _identifier!.IdentifyAsync(StringValues.Empty, CancellationToken.None);
}
