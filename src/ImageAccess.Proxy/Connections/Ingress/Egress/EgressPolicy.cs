using ImageAccess.Core.Hosts;
using ImageAccess.Proxy.Policies.Store;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Connections.Ingress.Egress;

/// <summary>What becomes of a connection that names a host; zero refuses.</summary>
internal enum EgressVerdict
{
    Refuse,

    /// <summary>The registry and the token service: this program answers itself.</summary>
    Intercept,

    /// <summary>Tunnelled, to public addresses alone.</summary>
    Tunnel,

    /// <summary>Tunnelled, to whatever address the name has.</summary>
    TunnelToPrivate,
}

/// <summary>
/// Which hosts may be reached through this program. Image access rules Docker Hub alone, so every other public host may, until
/// <c>Egress:Allow</c> names those that may, or an organization of the policy does: then both must allow one. What would lead around the policy never may.
/// </summary>
public sealed class EgressPolicy
{
    private const int HttpsPort = 443;

    private readonly EgressRule[] _allow;
    private readonly EgressRule[] _deny;
    private readonly bool _copies;
    private readonly IPolicyStore _policies;

    public EgressPolicy(IOptions<EgressOptions> options, IPolicyStore policies)
    {
        _policies = policies;
        _allow = [.. Parse(options.Value.Allow)];
        _deny = [.. Parse(options.Value.Deny)];
        _copies = options.Value.HubCopies;
    }

    /// <summary>Registries that nobody named can be reached, and with them copies of Docker Hub.</summary>
    public bool IsOpen => _allow.Length == 0 || _allow.Any(rule => rule.IsAny);

    /// <summary>The verdict, and for a refusal its reason in one word for events and metrics.</summary>
    internal (EgressVerdict Verdict, string Reason) Decide(HostName host, int port)
    {
        switch (DockerHubHosts.RoleOf(host))
        {
            case DockerHubRole.Registry or DockerHubRole.TokenService when port == HttpsPort:
                return (EgressVerdict.Intercept, "");
            case not DockerHubRole.None:
                return (EgressVerdict.Refuse, RefusalReason.DockerHub);
        }

        if (_deny.Any(rule => rule.Denies(host, port)))
            return (EgressVerdict.Refuse, RefusalReason.Denied);
        if (!_copies && DockerHubCopies.Include(host))
            return (EgressVerdict.Refuse, RefusalReason.HubCopy);
        var registries = _policies.Current.AllowsRegistry(host, port);
        if (registries == false)
            return (EgressVerdict.Refuse, RefusalReason.Registry);
        var allowed = _allow.Where(rule => rule.Allows(host, port)).ToList();
        if (allowed.Exists(rule => rule.IsPrivate))
            return (EgressVerdict.TunnelToPrivate, "");
        return allowed.Count > 0 || (_allow.Length == 0 && (port == HttpsPort || registries == true))
            ? (EgressVerdict.Tunnel, "")
            : (EgressVerdict.Refuse, RefusalReason.NotAllowed);
    }

    private static IEnumerable<EgressRule> Parse(IEnumerable<string> rules) =>
        rules.Select(text => EgressRule.TryParse(text, out var rule) ? rule : throw new FormatException($"'{text}' is not a host"));
}
