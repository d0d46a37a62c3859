using System.Net;
using ImageAccess.Core.Hosts;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Connections.Certificates;

/// <summary>The section <c>Certificates</c>.</summary>
public sealed class CertificatesOptions
{
    public const string Section = "Certificates";

    public string? Directory { get; set; }

    /// <summary>The administrator's own CA, which issues the leaves.</summary>
    public string? Authority { get; set; }

    public string? AuthorityKey { get; set; }

    /// <summary>The administrator's own leaf for Docker Hub's names.</summary>
    public string? Gateway { get; set; }

    public string? GatewayKey { get; set; }

    /// <summary>The administrator's own leaf for the mirror listener.</summary>
    public string? Mirror { get; set; }

    public string? MirrorKey { get; set; }

    /// <summary><c>Data:Directory</c>.</summary>
    public string DataDirectory { get; set; } = "";

    /// <summary><c>PublicUrl</c>.</summary>
    public Uri? PublicUrl { get; set; }

    public string Folder => Directory ?? Path.Combine(DataDirectory, "certificates");

    /// <summary>The name or the address that clients reach the mirror listener by.</summary>
    public string? PublicHost
    {
        get
        {
            if (PublicUrl is not { IsAbsoluteUri: true } url)
                return null;
            return IPAddress.TryParse(url.IdnHost, out var address) ? address.ToString()
                : HostName.TryParse(url.IdnHost, out var name) ? name.Value
                : null;
        }
    }

    public static CertificatesOptions Of(IConfiguration configuration)
    {
        var options = new CertificatesOptions();
        Fill(options, configuration);
        return options;
    }

    public static void Fill(CertificatesOptions options, IConfiguration configuration)
    {
        configuration.GetSection(Section).Bind(options);
        options.DataDirectory = configuration["Data:Directory"] ?? "";
        options.PublicUrl = Uri.TryCreate(configuration["PublicUrl"], UriKind.Absolute, out var url) ? url : null;
    }
}

/// <summary>Checks the certificates that the administrator brings: both files are there, in force, and valid for their names.</summary>
internal sealed class CertificatesOptionsValidation(TimeProvider time) : IValidateOptions<CertificatesOptions>
{
    public ValidateOptionsResult Validate(string? name, CertificatesOptions options)
    {
        var problems = Problems(options).ToList();
        return problems.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(problems);
    }

    private IEnumerable<string> Problems(CertificatesOptions options)
    {
        (string Key, string? Certificate, string? PrivateKey)[] pairs =
        [
            ("Certificates:Authority", options.Authority, options.AuthorityKey),
            ("Certificates:Gateway", options.Gateway, options.GatewayKey),
            ("Certificates:Mirror", options.Mirror, options.MirrorKey),
        ];
        var halves = pairs.Where(pair => pair.Certificate is null != pair.PrivateKey is null).ToList();
        foreach (var (key, certificate, _) in halves)
        {
            yield return certificate is null
                ? $"{key}: is missing: {key}Key is of no use without its certificate"
                : $"{key}Key: is missing: {key} is of no use without its private key";
        }

        var plan = new CertificatePlan(options);
        var now = time.GetUtcNow();
        foreach (var watched in plan.All.Where(one => one.IsOwn && halves.TrueForAll(half => half.Key != one.Files.CertificateSetting)))
        {
            if (watched.Read(now).Problem is { } problem)
                yield return problem.ToString();
        }
    }
}
