using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Policies.Store;
using Microsoft.Extensions.DependencyInjection;

namespace ImageAccess.Proxy.Tests.Walk;

/// <summary>The policy of the proxy's own store, with a test's exceptions beside it.</summary>
public sealed class ExceptedStore
{
    private volatile Exceptions _exceptions = Exceptions.None;
    private long _version;

    /// <summary>In force at once.</summary>
    public void Grant(params GrantedException[] exceptions) => _exceptions = new Exceptions(exceptions, Interlocked.Increment(ref _version));

    public void Register(IServiceCollection services) =>
        services.AddSingleton<IPolicyStore>(provider => new Store(provider.GetRequiredService<PolicyStore>(), this));

    private sealed class Store(PolicyStore inner, ExceptedStore excepted) : IPolicyStore
    {
        public Policy Current => inner.Current.With(excepted._exceptions);

        public PolicyState? State => inner.State is { } state ? state with { Policy = state.Policy.With(excepted._exceptions) } : null;

        public void WhenChanged(Action<Policy> act) => inner.WhenChanged(act);
    }
}
