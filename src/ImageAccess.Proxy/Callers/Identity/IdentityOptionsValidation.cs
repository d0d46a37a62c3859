using System.Net;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Callers.Identity;

internal sealed class IdentityOptionsValidation : IValidateOptions<IdentityOptions>
{
    public ValidateOptionsResult Validate(string? name, IdentityOptions options)
    {
        var problems = Problems(options).ToList();
        return problems.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(problems);
    }

    private static IEnumerable<string> Problems(IdentityOptions options)
    {
        if (!string.IsNullOrEmpty(options.OrganizationClaim) && !JsonPointer.TryParse(options.OrganizationClaim, out _))
        {
            yield return $"Identity:OrganizationClaim: '{options.OrganizationClaim}' is not a JSON Pointer; "
                + "write one like /https:~1~1auth.docker.io/organizations (~1 is a slash, ~0 a tilde)";
        }

        var hasTrustedKeys = !string.IsNullOrEmpty(options.TrustedKeys);
        if (hasTrustedKeys && !TrustedKeyFile.TryRead(options.TrustedKeys!, out _, out var problem))
            yield return $"Identity:TrustedKeys: {options.TrustedKeys} {problem}";

        if (!TryReadTokenService(options.TokenService, out var tokenService))
        {
            yield return "Upstream:Auth: is not an http or https address without user, query and fragment; "
                + $"write one like {IdentityOptions.DefaultTokenService}";
        }
        else if (!hasTrustedKeys && !VouchesForKeys(tokenService))
        {
            yield return $"Identity:TrustedKeys: Upstream:Auth is {tokenService.OriginalString}, and over plain http a key is learnt "
                + "from this host alone; name a PEM file of the token service's certificates here, or make Upstream:Auth https";
        }
    }

    public static bool TryReadTokenService(string text, out Uri tokenService) =>
        Uri.TryCreate(text, UriKind.Absolute, out tokenService!)
        && tokenService.Scheme is "http" or "https"
        && tokenService is { Host.Length: > 0, UserInfo: "", Query: "", Fragment: "" };

    /// <summary>Only a connection that nobody can stand in.</summary>
    private static bool VouchesForKeys(Uri tokenService) =>
        tokenService.Scheme == Uri.UriSchemeHttps
        || string.Equals(tokenService.Host, "localhost", StringComparison.OrdinalIgnoreCase)
        || (IPAddress.TryParse(tokenService.Host.Trim('[', ']'), out var address) && IPAddress.IsLoopback(address));
}
