using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using ImageAccess.Core.Hosts;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Foundation.DockerHub;

/// <summary>Docker Hub as this proxy reaches it: the section <c>Upstream</c>.</summary>
public sealed class UpstreamOptions
{
    public Uri Registry { get; set; } = new("https://registry-1.docker.io");

    public Uri Auth { get; set; } = new("https://auth.docker.io");

    public Uri Hub { get; set; } = new("https://hub.docker.com");

    /// <summary>Where <c>/v1/search</c> is.</summary>
    public Uri Index { get; set; } = new("https://index.docker.io");

    /// <summary>A parent proxy for everything that goes upstream. The environment's proxy variables are not read.</summary>
    public Uri? Proxy { get; set; }

    /// <summary>A PEM file of roots that are trusted beside the system's.</summary>
    public string? TrustedCertificates { get; set; }

    /// <summary>How long nothing may flow in an exchange with the registry or the CDN before it is given up.</summary>
    public TimeSpan IdleTimeout { get; set; } = TimeSpan.FromSeconds(60);

    /// <summary>Each service of Docker Hub is asked once a minute whether it is there, unless it has just answered.</summary>
    public bool Probe { get; set; } = true;

    /// <summary>Where a redirect of a blob may lead; Docker Hub's content delivery hosts where none is given.</summary>
    public IList<string> RedirectHosts { get; } = [];
}

/// <param name="addresses">The section <c>Upstream:Addresses</c>, which is no option but the resolver's own.</param>
internal sealed class UpstreamOptionsValidator(IConfigurationSection addresses) : IValidateOptions<UpstreamOptions>
{
    public ValidateOptionsResult Validate(string? name, UpstreamOptions options)
    {
        var failures = new List<string>();
        foreach (var (key, address) in new (string, Uri?)[]
                 {
                     ("Upstream:Registry", options.Registry), ("Upstream:Auth", options.Auth), ("Upstream:Hub", options.Hub),
                     ("Upstream:Index", options.Index), ("Upstream:Proxy", options.Proxy),
                 })
        {
            if (address is not null && !IsPlainOrigin(address))
                failures.Add($"{key}: '{address}' is not an http or https address without a path, as https://registry-1.docker.io");
        }

        foreach (var host in options.RedirectHosts)
        {
            if (!HostPattern.TryParse(host, out _))
                failures.Add($"Upstream:RedirectHosts: '{host}' is not a host with at most one * label, as cdn.example.com or cdn.*.example.com:8443");
        }

        if (options.IdleTimeout < TimeSpan.FromSeconds(1) || options.IdleTimeout > TimeSpan.FromHours(1))
            failures.Add("Upstream:IdleTimeout: choose a time from 1s to 60m");
        if (options.TrustedCertificates is { } file && FlawOfCertificates(file) is { } flaw)
            failures.Add($"Upstream:TrustedCertificates: {flaw}");
        else if (options.TrustedCertificates is { } trusted && FileRights.Of(trusted) is { IsWritableByOthers: true })
            failures.Add($"Upstream:TrustedCertificates: {trusted} {FileRights.Fault} {trusted}");
        HostResolver.Read(addresses, failures);

        return failures.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(failures);
    }

    private static string? FlawOfCertificates(string file)
    {
        if (!File.Exists(file))
            return $"there is no file {file}";
        try
        {
            var certificates = new X509Certificate2Collection();
            certificates.ImportFromPemFile(file);
            return certificates.Count == 0 ? $"{file} has no certificate in PEM" : null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or CryptographicException)
        {
            return $"{file} cannot be read as PEM: {exception.Message}";
        }
    }

    private static bool IsPlainOrigin(Uri address) =>
        address.IsAbsoluteUri && address.Scheme is "http" or "https" && address.PathAndQuery == "/" && address.UserInfo.Length == 0 && address.Fragment.Length == 0;
}
