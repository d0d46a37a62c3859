using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Connections.Ingress.Egress;

/// <summary>Where tunnels may lead: the section <c>Egress</c>.</summary>
public sealed class EgressOptions
{
    /// <summary>Hosts that may be reached; every public host on port 443 where none is named.</summary>
    public IList<string> Allow { get; } = [];

    /// <summary>Hosts that may not, whatever is allowed.</summary>
    public IList<string> Deny { get; } = [];

    /// <summary>The known copies of Docker Hub may be reached.</summary>
    public bool HubCopies { get; set; }

    /// <summary>How long nothing may move in a tunnel, in either direction.</summary>
    public TimeSpan IdleTimeout { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>How long a tunnel may last.</summary>
    public TimeSpan Lifetime { get; set; } = TimeSpan.FromHours(12);

    /// <summary>The parent proxy that everything goes through: <c>Upstream:Proxy</c>.</summary>
    public Uri? Parent { get; set; }
}

internal sealed class EgressOptionsValidator : IValidateOptions<EgressOptions>
{
    public ValidateOptionsResult Validate(string? name, EgressOptions options)
    {
        List<string> failures =
        [
            .. Wrong("Egress:Allow", options.Allow, _ => true),
            .. Wrong("Egress:Deny", options.Deny, rule => !rule.IsPrivate),
        ];
        if (options.Parent is { Scheme: not "http" })
            failures.Add("Upstream:Proxy: tunnels go through a parent proxy by http alone; name it with http://, or leave Listen:Gateway and Listen:ForwardProxy out");
        return failures.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(failures);
    }

    private static IEnumerable<string> Wrong(string key, IEnumerable<string> rules, Predicate<EgressRule> fits) => rules
        .Where(text => !EgressRule.TryParse(text, out var rule) || !fits(rule))
        .Select(text => $"{key}: '{text}' is not a host, as ghcr.io, *.example.com or registry.example.com:5000{(key.EndsWith("Allow", StringComparison.Ordinal) ? " private" : "")}");
}
