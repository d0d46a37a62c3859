using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Connections.Certificates;

/// <summary>
/// A certificate whose files are watched. Files that cannot be used are refused, and the last good certificate stays.
/// </summary>
internal sealed class WatchedCertificate
{
    private readonly ILogger _logger;
    private readonly WatchedFile<Content> _files;

    public WatchedCertificate(PlannedCertificate planned, TimeProvider time, ILogger logger)
    {
        Planned = planned;
        _logger = logger;
        _files = new WatchedFile<Content>(planned.Files.Both(), Parse) { IsOptional = !planned.IsOwn, ChangesWithTime = true };

        Content Parse(IReadOnlyList<FileReading> readings)
        {
            var reading = new PairReading(planned.Files, readings);
            return new Content(reading.Found, planned.ProblemOf(reading, time.GetUtcNow()));
        }
    }

    public PlannedCertificate Planned { get; }

    /// <summary>The last good one.</summary>
    public KeyedCertificate? Current => _files.Current?.Found;

    /// <summary>Why it is not what the files hold; null when it is.</summary>
    public CertificateProblem? Problem => (_files.Refusal?.Problem, Current) switch
    {
        ({ } problem, not null) => problem with { Text = $"{problem.Text}; the last good one stays in use" },
        var (problem, _) => problem,
    };

    /// <summary>Neither file is there.</summary>
    public bool IsMissing => _files.IsMissing;

    /// <summary>Looks at the files; true when another certificate is current.</summary>
    public bool Look()
    {
        var change = _files.Look();
        if (change == FileChange.Refused)
            _logger.Refused(Problem!.ToString());
        else if (change == FileChange.Recovered && Current is not null)
            _logger.Recovered(Planned.Files.CertificatePath);
        else if (change == FileChange.Accepted)
            _logger.Accepted(Planned.Files.CertificatePath, Current!.Certificate.Ends(), Current.Certificate.Fingerprint());
        return change == FileChange.Accepted;
    }

    private sealed record Content(KeyedCertificate? Found, CertificateProblem? Problem) : IFileContent
    {
        public string? Flaw => Problem?.ToString();
    }
}
