namespace ImageAccess.Proxy.Connections.Certificates;

/// <summary>
/// A certificate whose files are looked at again and again. What cannot be used is refused, and the last good one stays.
/// </summary>
internal sealed class WatchedCertificate(PlannedCertificate planned, TimeProvider time, ILogger logger)
{
    private volatile KeyedCertificate? _current;
    private string? _accepted;
    private string? _refused;
    private string? _suspect;

    public PlannedCertificate Planned => planned;

    /// <summary>The last good one.</summary>
    public KeyedCertificate? Current => _current;

    /// <summary>Why it is not what the files hold; null when it is.</summary>
    public CertificateProblem? Problem { get; private set; }

    /// <summary>Why there is none is that nobody has made one.</summary>
    public bool IsMissing { get; private set; }

    /// <summary>Looks at the files; true when another certificate is current.</summary>
    public bool Look()
    {
        var reading = planned.Files.Read();
        var stamp = reading.Stamp;
        IsMissing = reading.IsMissing;
        if (stamp == _accepted)
        {
            Recover();
            return false;
        }

        if (IsMissing && !planned.IsOwn && Current is null)
        {
            (_refused, Problem) = (null, null);
            return false;
        }

        var found = reading.Parse();
        var problem = found is null ? reading.Problem : planned.Flaw(found.Certificate, time.GetUtcNow());
        if (problem is null)
        {
            Accept(found!, stamp);
            return true;
        }

        // Two files are not exchanged at once: with a good one in hand, what is wrong is looked at twice.
        if (Current is null || _suspect == stamp)
            Refuse(problem, stamp);
        _suspect = stamp;
        return false;
    }

    private void Accept(KeyedCertificate found, string stamp)
    {
        _current = found;
        (_accepted, _refused, _suspect, Problem) = (stamp, null, null, null);
        logger.Accepted(planned.Files.CertificatePath, found.Certificate.Ends(), found.Certificate.Fingerprint());
    }

    private void Refuse(CertificateProblem problem, string stamp)
    {
        var told = Current is null ? problem : problem with { Text = $"{problem.Text}; the last good one stays in use" };
        if (stamp != _refused || told != Problem)
            logger.Refused(told.ToString());
        (_refused, Problem) = (stamp, told);
    }

    private void Recover()
    {
        _suspect = null;
        if (Problem is null)
            return;
        (_refused, Problem) = (null, null);
        logger.Recovered(planned.Files.CertificatePath);
    }
}
