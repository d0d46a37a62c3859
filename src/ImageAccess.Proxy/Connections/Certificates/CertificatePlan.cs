using System.Formats.Asn1;
using System.Globalization;
using System.Security.Cryptography.X509Certificates;
using ImageAccess.Core.Hosts;

namespace ImageAccess.Proxy.Connections.Certificates;

/// <summary>The certificates that the configuration asks for.</summary>
internal sealed class CertificatePlan
{
    private const string DirectorySetting = CertificatesOptions.Section + ":Directory";

    public CertificatePlan(CertificatesOptions options)
    {
        Folder = options.Folder;
        PublicHost = options.PublicHost;
        Authority = new PlannedAuthority(
            Pair("ca", "Certificates:Authority", options.Authority, options.AuthorityKey),
            options.Gateway is null ? DockerHubHosts.Intercepted : []);
        DockerHub = new PlannedLeaf("docker-hub", Pair("docker-hub", "Certificates:Gateway", options.Gateway, options.GatewayKey), DockerHubHosts.Intercepted);
        if (PublicHost is not null || options.Mirror is not null)
            Mirror = new PlannedLeaf("mirror", Pair("mirror", "Certificates:Mirror", options.Mirror, options.MirrorKey), PublicHost is null ? [] : [PublicHost]);
    }

    public string Folder { get; }

    public string? PublicHost { get; }

    public PlannedAuthority Authority { get; }

    public PlannedLeaf DockerHub { get; }

    /// <summary>Null where the configuration gives the mirror listener no name.</summary>
    public PlannedLeaf? Mirror { get; }

    public IReadOnlyList<PlannedLeaf> Leaves => Mirror is null ? [DockerHub] : [DockerHub, Mirror];

    public IReadOnlyList<PlannedCertificate> All => [Authority, .. Leaves];

    /// <summary>Docker Hub's domains, and the mirror listener's own name.</summary>
    public NameConstraints Constraints => NameConstraints.For(
        PublicHost is { } host ? [DockerHubHosts.Domain, DockerHubHosts.Hub, host] : [DockerHubHosts.Domain, DockerHubHosts.Hub]);

    private CertificatePair Pair(string name, string setting, string? certificate, string? key) => certificate is not null && key is not null
        ? new CertificatePair(certificate, key, IsOwn: true, setting, setting + "Key")
        : new CertificatePair(Path.Combine(Folder, name + ".crt"), Path.Combine(Folder, name + ".key"), IsOwn: false, DirectorySetting, DirectorySetting);
}

/// <summary>A certificate that the configuration asks for: where it is, and what it must be valid for.</summary>
internal abstract class PlannedCertificate(string name, CertificatePair files)
{
    protected const string ServerAuthentication = "1.3.6.1.5.5.7.3.1";
    private const string AnyUsage = "2.5.29.37.0";

    public string Name { get; } = name;

    public CertificatePair Files { get; } = files;

    /// <summary>The administrator brings it.</summary>
    public bool IsOwn => Files.IsOwn;

    /// <summary>Reads it and checks what it is valid for.</summary>
    public (KeyedCertificate? Found, CertificateProblem? Problem, PairReading Reading) Read(DateTimeOffset now)
    {
        var reading = Files.Read();
        return (reading.Found, ProblemOf(reading, now), reading);
    }

    /// <summary>Why the certificate that was read cannot be used now; null when it can.</summary>
    public CertificateProblem? ProblemOf(PairReading reading, DateTimeOffset now) =>
        reading.Found is { } found ? Flaw(found.Certificate, now) : reading.Problem;

    private CertificateProblem? Flaw(X509Certificate2 certificate, DateTimeOffset now)
    {
        var flaw = now >= certificate.Ends() ? $"ended on {certificate.Ends().Day()}"
            : now < certificate.Begins() ? $"is not in force before {certificate.Begins().Day()}"
            : Unfit(certificate);
        return flaw is null ? null : Files.OfCertificate($"{Files.CertificatePath} {flaw}");
    }

    /// <summary>What follows the file's name in a sentence.</summary>
    protected abstract string? Unfit(X509Certificate2 certificate);

    protected static bool IsForServers(X509Certificate2 certificate) =>
        certificate.Extensions.OfType<X509EnhancedKeyUsageExtension>().FirstOrDefault() is not { } usages
        || usages.EnhancedKeyUsages.Cast<System.Security.Cryptography.Oid>().Any(usage => usage.Value is ServerAuthentication or AnyUsage);
}

/// <summary>The CA.</summary>
/// <param name="names">What it must be able to sign for.</param>
internal sealed class PlannedAuthority(CertificatePair files, IReadOnlyList<string> names) : PlannedCertificate("ca", files)
{
    /// <summary>The names among these that the CA's constraints do not permit.</summary>
    public static IReadOnlyList<string> Barred(X509Certificate2 authority, IEnumerable<string> hosts) =>
        NameConstraints.Of(authority) is { } constraints ? [.. hosts.Where(host => !constraints.Permits(host))] : [];

    protected override string? Unfit(X509Certificate2 certificate)
    {
        if (certificate.Extensions.OfType<X509BasicConstraintsExtension>().FirstOrDefault() is not { CertificateAuthority: true })
            return "is no CA";
        if (certificate.Extensions.OfType<X509KeyUsageExtension>().FirstOrDefault() is { } usage && !usage.KeyUsages.HasFlag(X509KeyUsageFlags.KeyCertSign))
            return "may not sign certificates";
        if (!IsForServers(certificate))
            return "may not sign for servers";
        try
        {
            return Barred(certificate, names) is { Count: > 0 } barred ? $"may not sign for {string.Join(", ", barred)}" : null;
        }
        catch (AsnContentException)
        {
            return "has name constraints that cannot be read";
        }
    }
}

/// <summary>The certificate of a TLS server.</summary>
/// <param name="names">The names and addresses that it must be valid for.</param>
internal sealed class PlannedLeaf(string name, CertificatePair files, IReadOnlyList<string> names) : PlannedCertificate(name, files)
{
    public IReadOnlyList<string> Names { get; } = names;

    protected override string? Unfit(X509Certificate2 certificate)
    {
        if (!IsForServers(certificate))
            return "is not for servers";
        var missing = Names.Where(host => !certificate.MatchesHostname(host, allowCommonName: false)).ToList();
        return missing.Count > 0 ? $"is not for {string.Join(", ", missing)}" : null;
    }
}

internal static class CertificateFacts
{
    public static DateTimeOffset Begins(this X509Certificate2 certificate) => new(certificate.NotBefore.ToUniversalTime());

    public static DateTimeOffset Ends(this X509Certificate2 certificate) => new(certificate.NotAfter.ToUniversalTime());

    public static string Fingerprint(this X509Certificate2 certificate) =>
        string.Join(':', Convert.ToHexString(certificate.GetCertHash(System.Security.Cryptography.HashAlgorithmName.SHA256)).Chunk(2).Select(pair => new string(pair)));

    public static string Day(this DateTimeOffset moment) => moment.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);

    /// <summary>The names and addresses that it is valid for.</summary>
    public static IReadOnlyList<string> Hosts(this X509Certificate2 certificate) =>
    [
        .. certificate.Extensions.OfType<X509SubjectAlternativeNameExtension>()
            .SelectMany(names => names.EnumerateDnsNames().Concat(names.EnumerateIPAddresses().Select(address => address.ToString()))),
    ];
}
