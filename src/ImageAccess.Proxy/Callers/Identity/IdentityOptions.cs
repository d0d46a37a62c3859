namespace ImageAccess.Proxy.Callers.Identity;

public sealed class IdentityOptions
{
    public const string Section = "Identity";

    /// <summary>JSON Pointer into the token's payload, to the claim that names the caller's organizations.</summary>
    public string? OrganizationClaim { get; set; }

    /// <summary>PEM file of certificates or public keys. When set, no key is learnt.</summary>
    public string? TrustedKeys { get; set; }

    /// <summary><c>Upstream:Auth</c> as written: another section's key, so the section above cannot set it.</summary>
    internal string TokenService { get; set; } = DefaultTokenService;

    /// <summary><c>Data:Directory</c>: where learnt keys are kept; nowhere without one.</summary>
    internal string DataDirectory { get; set; } = "";

    internal const string DefaultTokenService = "https://auth.docker.io";
}
