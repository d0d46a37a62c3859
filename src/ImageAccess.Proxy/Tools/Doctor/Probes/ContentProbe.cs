namespace ImageAccess.Proxy.Tools.Doctor.Probes;

/// <summary>Asks a blob host for its root. Any answer counts: addresses of blobs are signed, and doctor cannot sign one.</summary>
internal sealed class ContentProbe(Timeouts timeouts)
{
    /// <param name="dialer">How to get there.</param>
    /// <param name="host">The host.</param>
    /// <param name="isGiven">The user gave its address: then whoever answers there is the host.</param>
    /// <exception cref="RouteClosedException">Nobody answers.</exception>
    public async Task<Outcome> AskAsync(Dialer dialer, string host, bool isGiven, CancellationToken cancellationToken)
    {
        using var exchange = new Exchange(dialer, timeouts);
        var address = new Uri($"https://{host}/");
        var answer = await exchange.GetAsync(address, cancellationToken);
        if (answer.IsDenial)
            return Outcome.Enforced($"denied: {answer.Phrase} ({answer.Status})");

        var certificate = exchange.CertificateOf(host);
        return isGiven || certificate is { IsTrusted: true }
            ? Outcome.Open($"it answers ({answer}); {certificate}", Curl.Status(dialer, address, certificate is { IsTrusted: true }))
            : Outcome.NotReachable($"somebody else answers: {certificate}");
    }
}
