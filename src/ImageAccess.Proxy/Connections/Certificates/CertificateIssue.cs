namespace ImageAccess.Proxy.Connections.Certificates;

/// <summary>A certificate cannot be made or used; the message begins with the key of the configuration that it is about.</summary>
internal sealed class CertificateException(CertificateProblem problem) : Exception(problem.ToString())
{
    public CertificateProblem Problem { get; } = problem;
}

/// <summary>A certificate, and whether it was made just now.</summary>
internal sealed record IssuedCertificate(KeyedCertificate Certificate, bool IsNew);

/// <summary>Makes what is missing and nothing else, for the verb <c>certificates create</c> and for the running proxy.</summary>
internal sealed class CertificateIssue(CertificatePlan plan, TimeProvider time)
{
    private readonly CertificateFolder _folder = new(plan.Folder);

    /// <summary>The CA, made if there is none. One that is there is never overwritten, whatever is wrong with it.</summary>
    /// <exception cref="CertificateException">The CA that is there cannot be used, or none can be written.</exception>
    public IssuedCertificate EnsureAuthority() => Writing(plan.Authority.Files, () =>
    {
        using var hold = plan.Authority.IsOwn ? null : _folder.Hold();
        if (Look(plan.Authority) is { } there)
            return new IssuedCertificate(there, IsNew: false);
        CertificateFolder.Write(plan.Authority.Files, CertificateAuthority.Create(plan.Constraints, time.GetUtcNow()), overwrite: false);
        return new IssuedCertificate(Look(plan.Authority)!, IsNew: true);
    });

    /// <summary>A leaf of this CA. It is issued again where it is missing, cannot be used, is of another CA, or ends soon.</summary>
    /// <exception cref="CertificateException">The CA may not sign for it, a person must mend the file, or it cannot be written.</exception>
    public IssuedCertificate EnsureLeaf(PlannedLeaf leaf, KeyedCertificate authority) => Writing(leaf.Files, () =>
    {
        using var hold = _folder.Hold();
        var (found, problem, reading) = leaf.Read(time.GetUtcNow());
        if (reading.IsBarred)
            throw new CertificateException(problem!);
        if (found is not null && problem is null && !IsDue(found, authority))
            return new IssuedCertificate(found, IsNew: false);
        if (PlannedAuthority.Barred(authority.Certificate, leaf.Names) is { Count: > 0 } barred)
            throw new CertificateException(OutOfBounds(barred));

        CertificateFolder.Write(leaf.Files, CertificateAuthority.Issue(authority, leaf.Name, leaf.Names, time.GetUtcNow()), overwrite: true);
        return new IssuedCertificate(leaf.Read(time.GetUtcNow()).Found!, IsNew: true);
    });

    /// <summary>It is of another CA, or in the last third of its life while a longer one can be issued.</summary>
    public bool IsDue(KeyedCertificate leaf, KeyedCertificate authority)
    {
        var now = time.GetUtcNow();
        var (begins, ends) = (leaf.Certificate.Begins(), leaf.Certificate.Ends());
        return !CertificateAuthority.HasIssued(authority.Certificate, leaf.Certificate)
            || (now >= ends - ((ends - begins) / 3) && CertificateAuthority.EndOfLeaf(authority.Certificate, now) > ends);
    }

    private KeyedCertificate? Look(PlannedAuthority authority)
    {
        var (found, problem, reading) = authority.Read(time.GetUtcNow());
        if (problem is null || (reading.IsMissing && !authority.IsOwn))
            return found;
        throw new CertificateException(reading.IsBarred || authority.IsOwn ? problem : problem with { Text = problem.Text + WayOut(found is not null) });
    }

    private string WayOut(bool isWhole) => isWhole
        ? $"; move {plan.Authority.Files.CertificatePath} and {plan.Authority.Files.KeyPath} away to make another, which every client must then trust"
        : "; put back what is missing, or, if no client trusts this CA yet, move what is there away";

    private CertificateProblem OutOfBounds(IReadOnlyList<string> hosts)
    {
        var files = plan.Authority.Files;
        var other = files.IsOwn ? "" : $"move {files.CertificatePath} and {files.KeyPath} away and make another, which every client must then trust, or ";
        return new CertificateProblem("PublicUrl", $"the CA {files.CertificatePath} may not sign for {string.Join(", ", hosts)}: {other}bring a certificate with Certificates:Mirror");
    }

    private static IssuedCertificate Writing(CertificatePair files, Func<IssuedCertificate> write)
    {
        try
        {
            return write();
        }
        catch (IOException exception)
        {
            throw new CertificateException(files.OfCertificate($"{files.CertificatePath} cannot be written: {exception.Message}"));
        }
    }
}
