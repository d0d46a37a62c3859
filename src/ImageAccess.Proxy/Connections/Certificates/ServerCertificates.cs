using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Connections.Certificates;

/// <summary>A TLS listener's certificate. Ask for it at every handshake: it is renewed while the program runs.</summary>
public sealed class ServerCertificate
{
    private volatile SslStreamCertificateContext _current;

    internal ServerCertificate(KeyedCertificate certificate) => _current = Context(certificate);

    public SslStreamCertificateContext Current => _current;

    internal void Exchange(KeyedCertificate certificate) => _current = Context(certificate);

    /// <summary>Nothing is fetched: what the chain needs is in the file.</summary>
    private static SslStreamCertificateContext Context(KeyedCertificate certificate) =>
        SslStreamCertificateContext.Create(certificate.Certificate, certificate.Chain, offline: true);
}

/// <summary>
/// The certificates of the listeners, renewed and reloaded while they serve, and the CA that clients must trust. A leaf that no
/// listener needs is not read, issued or renewed.
/// </summary>
public sealed class ServerCertificates : IReloadable
{
    /// <summary>How early it warns of a leaf that nobody renews.</summary>
    private static readonly TimeSpan LeafWarning = TimeSpan.FromDays(14);

    /// <summary>How early it warns of the CA: every client must trust its successor first.</summary>
    private static readonly TimeSpan AuthorityWarning = TimeSpan.FromDays(90);

    private static readonly TimeSpan RetryAfter = TimeSpan.FromMinutes(1);

    private readonly Lock _gate = new();
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly CertificatePlan _plan;
    private readonly CertificateIssue _issue;
    private readonly WatchedCertificate _authority;
    private readonly Dictionary<string, Served> _served = new(StringComparer.Ordinal);
    private readonly HashSet<string> _warned = new(StringComparer.Ordinal);
    private DateOnly _day;
    private volatile string? _authorityPem;
    private volatile string? _concern;

    public ServerCertificates(IOptions<CertificatesOptions> options, TimeProvider time, ILogger<ServerCertificates> logger)
    {
        _time = time;
        _logger = logger;
        _plan = new CertificatePlan(options.Value);
        _issue = new CertificateIssue(_plan, time);
        _authority = new WatchedCertificate(_plan.Authority, time, logger);
    }

    /// <summary>The certificate of the CA alone, in PEM; null while there is none.</summary>
    public string? AuthorityPem => _authorityPem;

    /// <summary>When the CA and what the listeners serve end.</summary>
    internal IReadOnlyList<(string Name, DateTimeOffset At)> Ends
    {
        get
        {
            lock (_gate)
            {
                var served = _served.Values.Select(one => (one.Leaf.Name, one.Watched.Current!.Certificate.Ends()));
                return [.. _authority.Current is { } authority ? served.Prepend(("authority", authority.Certificate.Ends())) : served];
            }
        }
    }

    /// <summary>What is wrong or will be soon; null when all is well.</summary>
    public string? Concern => _concern;

    /// <summary>The certificate for the names of Docker Hub that are intercepted.</summary>
    /// <param name="listener">The key of the listener that cannot start without it.</param>
    /// <exception cref="OptionsValidationException">There is none.</exception>
    public ServerCertificate ForDockerHub(string listener) => Demand(_plan.DockerHub, listener);

    /// <summary>The certificate for the host of <c>PublicUrl</c>.</summary>
    /// <param name="listener">The key of the listener that cannot start without it.</param>
    /// <exception cref="OptionsValidationException">There is none.</exception>
    public ServerCertificate ForMirror(string listener) => Demand(
        _plan.Mirror ?? throw Failed($"{listener}: it is not known which name its certificate is for: set PublicUrl, or bring one with Certificates:Mirror"), listener);

    /// <summary>Looks whether a file has changed, and renews what ends soon.</summary>
    public void Refresh()
    {
        lock (_gate)
        {
            LookAtAuthority();
            foreach (var served in _served.Values)
            {
                if (served.Watched.Look())
                    served.Certificate.Exchange(served.Watched.Current!);
                Renew(served);
            }

            Judge();
        }
    }

    string? IReloadable.Reload()
    {
        Refresh();
        lock (_gate)
        {
            var ends = _served.Values.Select(served => $"{served.Leaf.Files.CertificatePath} ends on {served.Watched.Current!.Certificate.Ends().Day()}").ToList();
            return ends.Count == 0 ? null : $"the certificates; {string.Join(", ", ends)}";
        }
    }

    private ServerCertificate Demand(PlannedLeaf leaf, string listener)
    {
        lock (_gate)
        {
            if (_served.TryGetValue(leaf.Name, out var known))
                return known.Certificate;

            LookAtAuthority();
            var watched = new WatchedCertificate(leaf, _time, _logger);
            watched.Look();
            var problem = IsDue(leaf, watched) ? Issue(leaf, watched) : null;
            if (watched.Current is not { } current)
                throw Failed($"{listener}: {Reason(watched, problem)}");

            var served = new Served(leaf, watched, new ServerCertificate(current));
            _served.Add(leaf.Name, served);
            NotIssued(served, problem);
            Judge();
            return served.Certificate;
        }
    }

    private void LookAtAuthority()
    {
        if (_authority.Look())
            _authorityPem = _authority.Current!.Certificate.ExportCertificatePem() + "\n";
    }

    private bool IsDue(PlannedLeaf leaf, WatchedCertificate watched) =>
        !leaf.IsOwn && _authority.Current is { } authority && (watched.Current is null || watched.IsMissing || _issue.IsDue(watched.Current, authority));

    private void Renew(Served served)
    {
        var now = _time.GetUtcNow();
        if (!IsDue(served.Leaf, served.Watched))
        {
            served.NotIssued = null;
        }
        else if (now >= served.NotBefore)
        {
            served.NotBefore = now + RetryAfter;
            NotIssued(served, Issue(served.Leaf, served.Watched));
            served.Certificate.Exchange(served.Watched.Current!);
        }
    }

    /// <summary>Issues the leaf again, unless another process has just done so. Returns why it could not.</summary>
    private CertificateProblem? Issue(PlannedLeaf leaf, WatchedCertificate watched)
    {
        try
        {
            _issue.EnsureLeaf(leaf, _authority.Current!);
            watched.Look();
            return null;
        }
        catch (CertificateException exception)
        {
            return exception.Problem;
        }
    }

    /// <summary>Logs each cause once.</summary>
    private void NotIssued(Served served, CertificateProblem? problem)
    {
        if (problem is not null && problem != served.NotIssued)
            _logger.NotIssued(problem.ToString());
        served.NotIssued = problem;
    }

    private void Judge()
    {
        var today = DateOnly.FromDateTime(_time.GetUtcNow().UtcDateTime);
        if (today != _day)
            _warned.Clear();
        _day = today;

        var endings = Endings().ToList();
        foreach (var ending in endings.Where(_warned.Add))
            _logger.EndsSoon(ending);
        var problems = _served.Values.SelectMany(served => new[] { served.Watched.Problem, served.NotIssued }).Prepend(_authority.Problem);
        var concerns = problems.OfType<CertificateProblem>().Select(problem => problem.ToString()).Concat(endings).Distinct().ToList();
        _concern = concerns.Count == 0 ? null : string.Join("; ", concerns);
    }

    /// <summary>The leaves that nobody renews, and the CA.</summary>
    private IEnumerable<string> Endings()
    {
        var authority = _authority.Current?.Certificate;
        if (authority is not null && Ending(_plan.Authority, authority, AuthorityWarning) is { } end)
            yield return $"{end}; every client must trust another before";
        foreach (var served in _served.Values)
        {
            var leaf = served.Watched.Current!.Certificate;
            var isRenewed = !served.Leaf.IsOwn && authority is not null && authority.Ends() > leaf.Ends();
            if (!isRenewed && Ending(served.Leaf, leaf, LeafWarning) is { } ending)
                yield return ending;
        }
    }

    private string? Ending(PlannedCertificate planned, X509Certificate2 certificate, TimeSpan warning)
    {
        var left = certificate.Ends() - _time.GetUtcNow();
        return left > warning ? null
            : planned.Files.OfCertificate($"{planned.Files.CertificatePath} {(left > TimeSpan.Zero ? "ends" : "ended")} on {certificate.Ends().Day()}").ToString();
    }

    private string Reason(WatchedCertificate watched, CertificateProblem? notIssued)
    {
        var problem = notIssued ?? watched.Problem ?? _authority.Problem;
        return problem?.Text ?? $"there is no certificate in {_plan.Folder}: run imageaccess certificates create";
    }

    private static OptionsValidationException Failed(string failure) => new(nameof(CertificatesOptions), typeof(CertificatesOptions), [failure]);

    private sealed class Served(PlannedLeaf leaf, WatchedCertificate watched, ServerCertificate certificate)
    {
        public PlannedLeaf Leaf => leaf;

        public WatchedCertificate Watched => watched;

        public ServerCertificate Certificate => certificate;

        /// <summary>Why the last renewal failed.</summary>
        public CertificateProblem? NotIssued { get; set; }

        /// <summary>When the next renewal may be tried.</summary>
        public DateTimeOffset NotBefore { get; set; }
    }
}
