using System.Net;
using ImageAccess.Proxy.Callers.Identity;
using ImageAccess.Proxy.Callers.Members;
using ImageAccess.Proxy.Policies.Catalog;
using ImageAccess.Proxy.Policies.Store;

namespace ImageAccess.Proxy.Policies.Decisions;

/// <summary>Makes each judge from the policy, the member lists and the instant of that moment.</summary>
public sealed class Judges(IPolicyStore policies, MembershipDirectory directory, PublisherCatalog catalog, TimeProvider time)
{
    /// <summary>The judge of a request.</summary>
    /// <param name="token">The token that names its caller.</param>
    /// <param name="address">The client's address.</param>
    /// <exception cref="InvalidOperationException">No policy is in force yet.</exception>
    internal Judge For(VerifiedToken token, IPAddress? address)
    {
        var policy = policies.Current;
        var caller = directory.Describe(token.Caller, policy);
        return new Judge(new PolicyView(policy, caller, time.GetUtcNow()), catalog, CatalogPayer.Client(caller, address));
    }

    /// <summary>The judge of a check, which names its caller itself.</summary>
    /// <exception cref="NoVerdictException">No policy is in force yet, or it cannot tell who the caller is.</exception>
    internal Judge For(JudgedCaller judged)
    {
        var policy = policies.State?.Policy ?? throw new NoVerdictException("no policy is in force yet", isTemporary: true);
        return judged.TryResolve(policy, out var caller, out var problem)
            ? new Judge(new PolicyView(policy, judged.Reduce(policy, directory.DescribeHolder(caller, policy)), time.GetUtcNow()), catalog, judged.Payer)
            : throw new NoVerdictException($"{judged}: {problem}", isTemporary: false);
    }
}
