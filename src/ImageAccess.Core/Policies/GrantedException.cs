using System.Diagnostics.CodeAnalysis;
using ImageAccess.Core.Oci;

namespace ImageAccess.Core.Policies;

/// <summary>What a person has allowed the members of an organization beside the document: a repository, a namespace, or one image of a repository.</summary>
/// <param name="Id">A number that no other exception of this installation has or had.</param>
/// <param name="Organization">The organization whose rules it is an exception to.</param>
/// <param name="Pattern">What it opens.</param>
/// <param name="Approved">Of a tag: the digest that it had when it was approved. Null for a tag that is followed, and for what is no tag.</param>
/// <param name="Follow">The tag is approved wherever it points to.</param>
/// <param name="Reason">Why it was granted.</param>
/// <param name="AskedBy">Who asked for it; null where nobody did.</param>
/// <param name="ApprovedBy">Who granted it.</param>
/// <param name="Since">When.</param>
/// <param name="Until">From when on it no longer holds, in UTC; null for no end.</param>
[SuppressMessage("Naming", "CA1711", Justification = "It is an exception to the rules, as people call it, and nothing that is thrown.")]
public sealed record GrantedException(
    long Id,
    string Organization,
    ImagePattern Pattern,
    Digest? Approved,
    bool Follow,
    string Reason,
    string? AskedBy,
    string ApprovedBy,
    DateTimeOffset Since,
    DateTimeOffset? Until)
{
    /// <summary>The largest number of days that a document may write.</summary>
    public const int LongestDays = 3650;

    /// <summary>The ticket that it was asked for by.</summary>
    public string? Ticket { get; init; }

    /// <summary>The tag that it opens; null where it opens something else.</summary>
    public Tag? Tag => Pattern.Asked?.Tag;

    /// <summary>The digest of the approved image: of a tag the one that was seen, or the one that is named. Null for a repository, and for a tag that is only followed.</summary>
    public Digest? Root => Approved ?? Pattern.Asked?.Digest;

    /// <summary>It opens one image of a repository, and not all of it.</summary>
    internal bool IsPart => Pattern.Asked is { } asked && (asked.Tag is not null || asked.Digest is not null);

    /// <summary>Reads what an exception may name: what a block may, but always in a repository or a namespace.</summary>
    /// <param name="text">The pattern as a person writes it.</param>
    /// <param name="pattern">The pattern.</param>
    /// <param name="problem">What is wrong with the text, to follow it in a sentence; empty when nothing is.</param>
    public static bool TryParsePattern(string? text, [NotNullWhen(true)] out ImagePattern? pattern, out string problem)
    {
        if (ImagePattern.TryParse(text, out pattern, out problem) && pattern is { Asked: null, Namespace: null })
            (pattern, problem) = (null, "names no repository: write REPOSITORY@DIGEST");
        return pattern is not null;
    }

    /// <summary>When it ends under a document that limits its length; null for never.</summary>
    public DateTimeOffset? EndUnder(ExceptionsDocument document)
    {
        if (document.MaximumDays is not { } days)
            return Until;
        var last = Since < DateTimeOffset.MaxValue.AddDays(-days) ? Since.AddDays(days) : DateTimeOffset.MaxValue;
        return Until is { } until && until < last ? until : last;
    }

    /// <summary>Whether it opens anything at this instant.</summary>
    public bool Holds(ExceptionsDocument document, DateTimeOffset now) => !document.Forbidden && (EndUnder(document) is not { } end || now < end);
}
