using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace ImageAccess.Proxy.Connections.Certificates;

/// <summary>A certificate and its private key as they are written.</summary>
internal sealed record NewCertificate(string CertificatePem, string KeyPem);

/// <summary>Makes the CA and its leaves. Its keys are ECDSA over P-256; a CA of the administrator may have another kind.</summary>
internal static class CertificateAuthority
{
    private const int Years = 10;
    private const string ServerAuthentication = "1.3.6.1.5.5.7.3.1";

    /// <summary>How long before now a certificate begins: clocks of clients may be slow.</summary>
    private static readonly TimeSpan ClockSkew = TimeSpan.FromHours(1);

    private static readonly TimeSpan LeafLife = TimeSpan.FromDays(30);

    public static NewCertificate Create(NameConstraints constraints, DateTimeOffset now)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        // A name of its own: a client may have to tell this CA from the one that was there before.
        var name = $"CN=ImageAccess.Proxy CA {Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(4))}";
        var request = new CertificateRequest(name, key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, hasPathLengthConstraint: true, pathLengthConstraint: 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, critical: true));
        // What a constraint of names says nothing about: certificates for code and for clients.
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(ServerAuthentication)], critical: false));
        request.CertificateExtensions.Add(constraints.Encode());
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, critical: false));
        using var made = request.Create(
            request.SubjectName, X509SignatureGenerator.CreateForECDsa(key), now - ClockSkew, now.AddYears(Years), Serial());
        return Written(made, key, []);
    }

    /// <summary>When a leaf ends that is issued now: never after its CA.</summary>
    public static DateTimeOffset EndOfLeaf(X509Certificate2 authority, DateTimeOffset now) =>
        now + LeafLife < authority.Ends() ? now + LeafLife : authority.Ends();

    /// <summary>A leaf for a server with these names; its file holds the CA and its issuers as well.</summary>
    public static NewCertificate Issue(KeyedCertificate authority, string name, IReadOnlyList<string> hosts, DateTimeOffset now)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var issuer = authority.Certificate;
        // The name is no host's: some programs hold a common name that could be one against the constraints for hosts.
        var request = new CertificateRequest($"CN=ImageAccess.Proxy {name}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: false, hasPathLengthConstraint: false, pathLengthConstraint: 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, critical: true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(ServerAuthentication)], critical: false));
        request.CertificateExtensions.Add(Alternatives(hosts));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, critical: false));
        var hasIdentifier = KeyIdentifier(issuer) is not null;
        request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromCertificate(
            issuer, includeKeyIdentifier: hasIdentifier, includeIssuerAndSerial: !hasIdentifier));

        var begins = now - ClockSkew > issuer.Begins() ? now - ClockSkew : issuer.Begins();
        using var made = Sign(request, issuer, begins, EndOfLeaf(issuer, now));
        return Written(made, key, [issuer, .. authority.Chain]);
    }

    public static bool HasIssued(X509Certificate2 authority, X509Certificate2 leaf) =>
        leaf.IssuerName.RawData.AsSpan().SequenceEqual(authority.SubjectName.RawData)
        && (KeyIdentifier(authority) is not { } key
            || leaf.Extensions.OfType<X509AuthorityKeyIdentifierExtension>().FirstOrDefault()?.KeyIdentifier is { } identifier
                && identifier.Span.SequenceEqual(key.Span));

    private static ReadOnlyMemory<byte>? KeyIdentifier(X509Certificate2 certificate) =>
        certificate.Extensions.OfType<X509SubjectKeyIdentifierExtension>().FirstOrDefault()?.SubjectKeyIdentifierBytes;

    private static X509Extension Alternatives(IReadOnlyList<string> hosts)
    {
        var alternatives = new SubjectAlternativeNameBuilder();
        foreach (var host in hosts)
        {
            if (IPAddress.TryParse(host, out var address))
                alternatives.AddIpAddress(address);
            else
                alternatives.AddDnsName(host);
        }

        return alternatives.Build();
    }

    /// <summary>A CA that the administrator brings may have a key of another kind.</summary>
    private static X509Certificate2 Sign(CertificateRequest request, X509Certificate2 issuer, DateTimeOffset begins, DateTimeOffset ends)
    {
        using var ecdsa = issuer.GetECDsaPrivateKey();
        using var rsa = issuer.GetRSAPrivateKey();
        var generator = ecdsa is not null ? X509SignatureGenerator.CreateForECDsa(ecdsa) : X509SignatureGenerator.CreateForRSA(rsa!, RSASignaturePadding.Pkcs1);
        return request.Create(issuer.SubjectName, generator, begins, ends, Serial());
    }

    /// <summary>16 random bytes, as a number that is neither negative nor shorter.</summary>
    private static byte[] Serial()
    {
        var serial = RandomNumberGenerator.GetBytes(16);
        serial[0] = (byte)((serial[0] & 0x7F) | 0x40);
        return serial;
    }

    private static NewCertificate Written(X509Certificate2 made, ECDsa key, IEnumerable<X509Certificate2> above) => new(
        string.Concat(above.Prepend(made).Select(certificate => certificate.ExportCertificatePem() + "\n")),
        key.ExportPkcs8PrivateKeyPem() + "\n");
}
