using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace ImageAccess.FakeHubs;

/// <summary>A throw-away CA for servers under names that belong to somebody else. Its key never leaves the process.</summary>
public sealed class CertificateAuthority : IDisposable
{
    /// <summary>Where the certificates of public authorities have their proofs of publication (RFC 6962, section 3.3).</summary>
    private const string ProofsOfPublication = "1.3.6.1.4.1.11129.2.4.2";

    private readonly X509Certificate2 _certificate;

    public CertificateAuthority(string name = "Fake Docker Hub CA")
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, critical: true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, critical: false));
        var now = TimeProvider.System.GetUtcNow();
        _certificate = request.CreateSelfSigned(now.AddDays(-1), now.AddYears(1));
    }

    public string CertificatePem => _certificate.ExportCertificatePem();

    /// <summary>Writes the certificate for a client's trust store.</summary>
    public Task WriteToAsync(string path) => File.WriteAllTextAsync(path, CertificatePem + "\n");

    /// <summary>A server certificate, with its key, for these host names and addresses.</summary>
    public X509Certificate2 Issue(params IReadOnlyList<string> names) => Issue(names, []);

    /// <summary>The same as a public authority issues it: with a list, empty here, of proofs that it was published.</summary>
    public X509Certificate2 IssueAsPublic(params IReadOnlyList<string> names) =>
        Issue(names, [new X509Extension(ProofsOfPublication, [0x04, 0x02, 0x00, 0x00], critical: false)]);

    public void Dispose() => _certificate.Dispose();

    private X509Certificate2 Issue(IReadOnlyList<string> names, IEnumerable<X509Extension> further)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={names[0]}", key, HashAlgorithmName.SHA256);
        var alternatives = new SubjectAlternativeNameBuilder();
        foreach (var name in names)
        {
            if (IPAddress.TryParse(name, out var address))
                alternatives.AddIpAddress(address);
            else
                alternatives.AddDnsName(name);
        }

        request.CertificateExtensions.Add(alternatives.Build());
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, critical: true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid("1.3.6.1.5.5.7.3.1")], critical: false));
        request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromCertificate(_certificate, true, false));
        foreach (var extension in further)
            request.CertificateExtensions.Add(extension);
        var now = TimeProvider.System.GetUtcNow();
        using var issued = request.Create(_certificate, now.AddHours(-1), now.AddDays(300), RandomNumberGenerator.GetBytes(16));
        return issued.CopyWithPrivateKey(key);
    }
}
