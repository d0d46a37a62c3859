using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Policies.Exceptions;

/// <summary>An exception that somebody wants to grant.</summary>
internal sealed record ExceptionGrant
{
    /// <summary>The characters of a reason.</summary>
    public const int MaximumReason = 1000;

    /// <summary>The characters of the name of who asked, or granted.</summary>
    public const int MaximumName = 64;

    private const string OfTag = "of a tag the image is approved that it is now";

    public required string Organization { get; init; }

    public required string Image { get; init; }

    /// <summary>Of a tag: the digest that it has now.</summary>
    public string? Digest { get; init; }

    public bool Follow { get; init; }

    public required string Reason { get; init; }

    public string? Ticket { get; init; }

    public string? AskedBy { get; init; }

    public required string ApprovedBy { get; init; }

    /// <summary>Null for no end.</summary>
    public DateTimeOffset? Until { get; init; }

    /// <summary>Checks it against the policy that is in force.</summary>
    /// <param name="policy">The policy.</param>
    /// <param name="now">When it is granted.</param>
    /// <param name="faults">What is wrong.</param>
    /// <returns>What is to be granted, without its number; null where something is wrong.</returns>
    public GrantedException? Check(Policy policy, DateTimeOffset now, out IReadOnlyList<ChangeFault> faults)
    {
        var found = new List<ChangeFault>();
        faults = found;
        var digest = ReadImage(found, out var pattern);
        if (PrintableText.FaultOf(Reason, MaximumReason) is { } reasonFault)
            found.Add(new("reason", reasonFault));
        if (AskedBy is not null && PrintableText.FaultOf(AskedBy, MaximumName) is { } askerFault)
            found.Add(new("asked-by", askerFault));
        if (PrintableText.FaultOf(ApprovedBy, MaximumName) is { } approverFault)
            found.Add(new("by", approverFault));
        if (policy.Organizations.All(organization => organization.Name != Organization))
            found.Add(new("organization", $"'{PrintableText.Of(Organization)}' is not in the policy: {Known(policy)}"));
        CheckLength(policy.Document.Exceptions, now, found);
        return pattern is null || found.Count > 0
            ? null
            : new GrantedException(0, Organization, pattern, digest, Follow, Reason, AskedBy, ApprovedBy, now, Until) { Ticket = Ticket };
    }

    private Digest? ReadImage(List<ChangeFault> found, out ImagePattern? pattern)
    {
        Digest? digest = null;
        if (Digest is not null && !Core.Oci.Digest.TryParse(Digest, out digest))
            found.Add(new("digest", $"'{PrintableText.Of(Digest)}' is no digest: sha256: and 64 hexadecimal digits in lower case"));
        if (!GrantedException.TryParsePattern(Image, out pattern, out var problem))
            found.Add(new(null, $"'{PrintableText.Of(Image)}' {problem}"));
        else if (pattern.Asked?.Tag is null && Digest is not null)
            found.Add(new("digest", $"is for a tag, and {pattern} is none"));
        else if (pattern.Asked?.Tag is null && Follow)
            found.Add(new("follow", $"is for a tag, and {pattern} is none"));
        else if (pattern.Asked?.Tag is not null && Digest is not null && Follow)
            found.Add(new("follow", "approves whatever the tag comes to, and a digest what it is now: choose one of them"));
        else if (pattern.Asked?.Tag is not null && Digest is null && !Follow)
            found.Add(new("digest", $"is missing: {OfTag}. `docker buildx imagetools inspect {pattern}` tells its digest; follow approves whatever the tag comes to"));
        return digest;
    }

    private void CheckLength(ExceptionsDocument document, DateTimeOffset now, List<ChangeFault> found)
    {
        if (document.Forbidden)
            found.Add(new(null, "the policy allows no exceptions (exceptions.allowed)"));
        var most = document.MaximumDays is { } days ? now.AddDays(days) : (DateTimeOffset?)null;
        var limit = $"the policy allows exceptions of at most {document.MaximumDays} days (exceptions.maximumDays)";
        if (Until is { } until && until <= now)
            found.Add(new(null, $"it would end {ExceptionChanges.Minute(until)}, which is in the past"));
        else if (most is not null && Until is null)
            found.Add(new(null, $"it would not end: {limit}"));
        else if (Until > most)
            found.Add(new(null, $"it would end {ExceptionChanges.Minute(Until.Value)}: {limit}"));
    }

    private static string Known(Policy policy) => policy.Organizations.Count == 0
        ? "it has none"
        : $"it has {PrintableText.ListOf([.. policy.Organizations.Select(organization => organization.Name)], 5)}";
}
