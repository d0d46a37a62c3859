using System.CommandLine;
using System.Formats.Asn1;
using System.Globalization;
using System.Security.Cryptography.X509Certificates;
using ImageAccess.Proxy.Connections.Certificates;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Tools.Verbs;

/// <summary><c>imageaccess certificates …</c>: the CA that clients trust, and the certificates that it signs.</summary>
internal static class CertificatesCommands
{
    public static Command Build() => new("certificates", "Makes and shows the CA and the certificates of the TLS listeners.") { Create(), Show() };

    private static Command Create()
    {
        var file = Verb.ConfigurationFile();
        var command = new Command("create", "Makes what is missing: a CA, and certificates for Docker Hub's names and the mirror listener. It never overwrites a CA.")
        {
            file,
        };
        Verb.SetAction(command, (parsed, _) => CreateAsync(parsed.InvocationConfiguration.Output, Options(parsed.GetValue(file))));
        return command;
    }

    private static Command Show()
    {
        var file = Verb.ConfigurationFile();
        var json = Verb.Json();
        var command = new Command("show", "Shows the CA and the certificates. Exit code 1 when one is missing, expired or of no use.") { file, json };
        Verb.SetAction(command, (parsed, _) => ShowAsync(parsed.InvocationConfiguration.Output, Options(parsed.GetValue(file)), parsed.GetValue(json)));
        return command;
    }

    private static CertificatesOptions Options(string? file) => CertificatesOptions.Of(Verb.Configuration(file));

    private static async Task<int> CreateAsync(TextWriter output, CertificatesOptions options)
    {
        if (new CertificatesOptionsValidation(TimeProvider.System).Validate(null, options) is { Failed: true } wrong)
            throw new OptionsValidationException(CertificatesOptions.Section, typeof(CertificatesOptions), wrong.Failures);

        var plan = new CertificatePlan(options);
        foreach (var own in plan.Leaves.Where(leaf => leaf.IsOwn))
            await WriteAsync(output, "yours", own, own.Read(TimeProvider.System.GetUtcNow()).Found!.Certificate);
        var leaves = plan.Leaves.Where(leaf => !leaf.IsOwn).ToList();
        if (leaves.Count == 0)
        {
            await output.WriteLineAsync("Every certificate is your own: there is nothing to make.");
            return Verb.Yes;
        }

        return await CreateAsync(output, plan, leaves);
    }

    private static async Task<int> CreateAsync(TextWriter output, CertificatePlan plan, List<PlannedLeaf> leaves)
    {
        var issue = new CertificateIssue(plan, TimeProvider.System);
        var problems = new List<string>();
        try
        {
            var authority = issue.EnsureAuthority();
            await WriteAsync(output, Word(plan.Authority, authority), plan.Authority, authority.Certificate.Certificate);
            foreach (var leaf in leaves)
            {
                try
                {
                    var issued = issue.EnsureLeaf(leaf, authority.Certificate);
                    await WriteAsync(output, Word(leaf, issued), leaf, issued.Certificate.Certificate);
                }
                catch (CertificateException exception)
                {
                    problems.Add(exception.Message);
                }
            }
        }
        catch (CertificateException exception)
        {
            problems.Add(exception.Message);
        }

        if (problems.Count > 0)
            throw new MisuseException(problems);
        if (plan.Mirror is null)
            await output.WriteLineAsync("without PublicUrl the mirror listener's name is not known: it gets no certificate");
        await output.WriteLineAsync($"next   each client must trust {Verb.Shown(plan.Authority.Files.CertificatePath)}: imageaccess clients --help");
        return Verb.Yes;
    }

    private static string Word(PlannedCertificate planned, IssuedCertificate issued) => planned.IsOwn ? "yours" : issued.IsNew ? "made" : "kept";

    private static async Task WriteAsync(TextWriter output, string word, PlannedCertificate planned, X509Certificate2 certificate)
    {
        await output.WriteLineAsync(TextTable.Plain($"{word,-6} {Verb.Shown(planned.Files.CertificatePath)}"));
        foreach (var (head, text) in Facts(planned, certificate).Where(fact => fact.Head is not "subject"))
            await output.WriteLineAsync(TextTable.Plain($"         {head,-9} {text}"));
    }

    private static async Task<int> ShowAsync(TextWriter output, CertificatesOptions options, bool json)
    {
        var plan = new CertificatePlan(options);
        var isAuthorityNeeded = plan.Authority.IsOwn || plan.Leaves.Any(leaf => !leaf.IsOwn);
        var shown = plan.All.Where(planned => planned != plan.Authority || isAuthorityNeeded).Select(Sight.Of).ToList();
        if (json)
        {
            await Verb.WriteJsonAsync(output, new { Certificates = shown.Select(sight => sight.ToJson()) });
            return shown.Exists(sight => sight.Problem is not null) ? Verb.No : Verb.Yes;
        }

        foreach (var sight in shown)
        {
            await output.WriteLineAsync(sight.Planned.Name);
            await LineAsync(output, "files", $"{Verb.Shown(sight.Planned.Files.CertificatePath)}, {Verb.Shown(sight.Planned.Files.KeyPath)}");
            foreach (var (head, text) in sight.Certificate is { } certificate ? Facts(sight.Planned, certificate) : [])
                await LineAsync(output, head, text);
            if (sight.Problem is { } problem)
                await LineAsync(output, "problem", problem);
        }

        if (plan.Mirror is null)
            await output.WriteLineAsync("without PublicUrl the mirror listener has no certificate");
        return shown.Exists(sight => sight.Problem is not null) ? Verb.No : Verb.Yes;
    }

    private static Task LineAsync(TextWriter output, string head, string text) => output.WriteLineAsync(TextTable.Plain($"    {head,-12} {text}"));

    private static IEnumerable<(string Head, string Text)> Facts(PlannedCertificate planned, X509Certificate2 certificate)
    {
        yield return ("subject", certificate.Subject);
        if (planned is PlannedLeaf)
        {
            yield return ("for", string.Join(", ", certificate.Hosts()));
        }
        else
        {
            var (permitted, excluded) = Constraints(certificate);
            yield return ("signs for", permitted is null ? "anything: it has no name constraints"
                : $"{string.Join(", ", permitted)}{(excluded is { Count: > 0 } ? $"; never {string.Join(", ", excluded)}" : "")}");
        }

        yield return ("in force", $"{certificate.Begins().Day()} to {certificate.Ends().Day()}, {Left(certificate)}");
        yield return ("SHA-256", certificate.Fingerprint());
    }

    private static string Left(X509Certificate2 certificate)
    {
        var days = DaysLeft(certificate);
        return days <= 0 ? "ended" : $"{TextTable.Count(days, "day")} left";
    }

    private static int DaysLeft(X509Certificate2 certificate) => (int)Math.Ceiling((certificate.Ends() - TimeProvider.System.GetUtcNow()).TotalDays);

    /// <summary>The names that the CA may sign and those that it may not; null where nothing constrains it.</summary>
    private static (IReadOnlyList<string>? Permitted, IReadOnlyList<string>? Excluded) Constraints(X509Certificate2 certificate)
    {
        try
        {
            return NameConstraints.Of(certificate) is { } constraints ? (constraints.PermittedHosts, constraints.ExcludedHosts) : (null, null);
        }
        catch (AsnContentException)
        {
            return (["name constraints that cannot be read"], []);
        }
    }

    /// <summary>A certificate as it is found.</summary>
    private sealed record Sight(PlannedCertificate Planned, X509Certificate2? Certificate, string? Problem)
    {
        public static Sight Of(PlannedCertificate planned)
        {
            var (found, problem, _) = planned.Read(TimeProvider.System.GetUtcNow());
            return new Sight(planned, found?.Certificate, problem?.Text);
        }

        public object ToJson()
        {
            var constraints = Certificate is { } authority && Planned is PlannedAuthority ? Constraints(authority) : default;
            return new
            {
                Planned.Name,
                Certificate = Planned.Files.CertificatePath,
                Key = Planned.Files.KeyPath,
                Own = Planned.IsOwn,
                Certificate?.Subject,
                Fingerprint = Certificate?.Fingerprint(),
                NotBefore = Certificate?.Begins().ToString("O", CultureInfo.InvariantCulture),
                NotAfter = Certificate?.Ends().ToString("O", CultureInfo.InvariantCulture),
                DaysLeft = Certificate is null ? (int?)null : DaysLeft(Certificate),
                Names = Planned is PlannedLeaf ? Certificate?.Hosts() : null,
                constraints.Permitted,
                constraints.Excluded,
                Problem,
            };
        }
    }
}
