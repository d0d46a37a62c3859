using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Tests.Callers.Members;

/// <summary>The policy that a test puts in force; nobody is told of a change.</summary>
internal sealed class SettablePolicy : IPolicyStore
{
    public required Policy Current { get; set; }

    public PolicyState State => new(Current, default, null);

    public void WhenChanged(Action<Policy> act)
    {
    }
}
