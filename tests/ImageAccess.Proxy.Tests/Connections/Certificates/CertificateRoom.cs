using System.Diagnostics;
using System.Net;
using System.Runtime.Versioning;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using ImageAccess.Proxy.Connections.Certificates;

namespace ImageAccess.Proxy.Tests.Connections.Certificates;

/// <summary>A directory of certificates, a clock, and what is started over them.</summary>
[SupportedOSPlatform("linux")]
public sealed class CertificateRoom : IDisposable
{
    private const UnixFileMode Owner = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly TemporaryDirectory _directory = new();

    public CertificatesOptions Options { get; } = new();

    public ManualTime Time { get; } = new();

    public LogLines<ServerCertificates> Log { get; } = new();

    public string Folder => _directory["data/certificates"];

    internal CertificatePlan Plan
    {
        get
        {
            Options.DataDirectory = _directory["data"];
            return new CertificatePlan(Options);
        }
    }

    internal CertificateIssue Issue => new(Plan, Time);

    public string this[string name] => Path.Combine(Folder, name);

    public string Outside(string name) => _directory[name];

    /// <summary>As the verb does it: a CA and its leaves.</summary>
    public void Create()
    {
        var (plan, issue) = (Plan, Issue);
        var authority = issue.EnsureAuthority();
        foreach (var leaf in plan.Leaves.Where(leaf => !leaf.IsOwn))
            issue.EnsureLeaf(leaf, authority.Certificate);
    }

    /// <summary>As a start of the program.</summary>
    public ServerCertificates Start()
    {
        _ = Plan;
        return new ServerCertificates(Microsoft.Extensions.Options.Options.Create(Options), Time, Log);
    }

    /// <summary>What would stop the start.</summary>
    public IReadOnlyList<string> Faults()
    {
        _ = Plan;
        var result = new CertificatesOptionsValidation(Time).Validate(null, Options);
        return result.Failed ? [.. result.Failures] : [];
    }

    public X509Certificate2 Read(string name) => X509Certificate2.CreateFromPem(File.ReadAllText(this[name]));

    /// <summary>The CA with its key, as a thief has it.</summary>
    internal KeyedCertificate Stolen() => new(
        X509Certificate2.CreateFromPem(File.ReadAllText(this["ca.crt"]), File.ReadAllText(this["ca.key"])), []);

    /// <summary>Both halves as files, the key for its owner alone.</summary>
    public (string Certificate, string Key) Write(string name, X509Certificate2 certificate, string behind = "")
    {
        var (path, key) = (_directory[name + ".pem"], _directory[name + "-key.pem"]);
        File.WriteAllText(path, certificate.ExportCertificatePem() + "\n" + behind);
        WriteKey(key, KeyPem(certificate));
        return (path, key);
    }

    public static void WriteKey(string path, string pem)
    {
        File.WriteAllText(path, pem);
        File.SetUnixFileMode(path, Owner);
    }

    public static string KeyPem(X509Certificate2 certificate)
    {
        using var ecdsa = certificate.GetECDsaPrivateKey();
        using var rsa = certificate.GetRSAPrivateKey();
        return ((AsymmetricAlgorithm?)ecdsa ?? rsa!).ExportPkcs8PrivateKeyPem();
    }

    /// <summary>A certificate that somebody brings: signed by itself, or by another.</summary>
    public X509Certificate2 Brought(
        IReadOnlyList<string> hosts, int days = 365, bool isAuthority = false, X509Certificate2? issuer = null, AsymmetricAlgorithm? key = null,
        string usage = "1.3.6.1.5.5.7.3.1")
    {
        key ??= ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var name = isAuthority ? $"CN=a company CA {Convert.ToHexString(RandomNumberGenerator.GetBytes(4))}" : "CN=a company server";
        var request = key is RSA rsa
            ? new CertificateRequest(name, rsa, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)
            : new CertificateRequest(name, (ECDsa)key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(isAuthority, false, 0, true));
        if (!isAuthority)
            request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(usage)], false));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
        if (hosts.Count > 0)
            request.CertificateExtensions.Add(Alternatives(hosts));
        var (begins, ends) = (Time.GetUtcNow().AddDays(Math.Min(-1, days - 1)), Time.GetUtcNow().AddDays(days));
        if (issuer is null)
            return request.CreateSelfSigned(begins, ends);
        using var signer = issuer.GetECDsaPrivateKey()!;
        using var made = request.Create(
            issuer.SubjectName, X509SignatureGenerator.CreateForECDsa(signer), begins > issuer.Begins() ? begins : issuer.Begins(), ends, RandomNumberGenerator.GetBytes(8));
        return key is RSA own ? made.CopyWithPrivateKey(own) : made.CopyWithPrivateKey((ECDsa)key);
    }

    public static X509Extension Alternatives(IEnumerable<string> hosts)
    {
        var alternatives = new SubjectAlternativeNameBuilder();
        foreach (var host in hosts)
        {
            if (IPAddress.TryParse(host, out var address))
                alternatives.AddIpAddress(address);
            else if (host.Contains("://", StringComparison.Ordinal))
                alternatives.AddUri(new Uri(host));
            else if (host.Contains('@', StringComparison.Ordinal))
                alternatives.AddEmailAddress(host);
            else
                alternatives.AddDnsName(host);
        }

        return alternatives.Build();
    }

    public static async Task<(int Code, string Output)> RunAsync(string program, params string[] arguments)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        using var process = Process.Start(new ProcessStartInfo(program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        })!;
        var (output, error) = (process.StandardOutput.ReadToEndAsync(limit.Token), process.StandardError.ReadToEndAsync(limit.Token));
        await process.WaitForExitAsync(limit.Token);
        return (process.ExitCode, await output + await error);
    }

    public void Dispose() => _directory.Dispose();
}
