using System.Security.Cryptography;
using System.Text;
using ImageAccess.Core.Policies;

namespace ImageAccess.Proxy.Registry;

/// <summary>
/// Why tags were denied that have moved since they were approved. A client that is held asks for what stands in for the tag, by its digest alone:
/// so each such denial has a digest of its own, and the last of them are remembered. What is forgotten is denied all the same, in general words.
/// </summary>
internal sealed class HeldTags
{
    private const int Maximum = 256;

    private static readonly string Stem = "sha256:" + new string('0', 48);

    private readonly Lock _gate = new();
    private readonly (string Digest, AccessDecision Decision)[] _last = new (string, AccessDecision)[Maximum];
    private int _next;

    /// <summary>The digest, which no content has, of what stands in for anything else that is denied.</summary>
    public static string NoContent { get; } = Stem + new string('0', 16);

    /// <summary>Whether it is the digest of what stands in for something denied.</summary>
    public static bool IsStandIn(string? subject) => subject is not null && subject.StartsWith(Stem, StringComparison.Ordinal);

    /// <summary>The digest of what stands in for a tag that is denied so.</summary>
    public string Hold(AccessDecision denial)
    {
        if (!denial.HasMoved)
            return NoContent;
        var digest = DigestOf(denial);
        lock (_gate)
        {
            if (!Array.Exists(_last, held => held.Digest == digest))
                _last[_next++ % Maximum] = (digest, denial);
        }

        return digest;
    }

    /// <summary>How the tag was denied that this stands in for; null where that is not known.</summary>
    public AccessDecision? Find(string subject)
    {
        if (!IsStandIn(subject))
            return null;
        lock (_gate)
            return Array.Find(_last, held => held.Digest == subject).Decision;
    }

    /// <summary>Another one for each text and those who are told it: nobody is told what is another organization's.</summary>
    private static string DigestOf(AccessDecision denial)
    {
        var told = $"{denial.Message}\n{denial.Help}\n{string.Join(',', denial.Organizations)}";
        return Stem + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(told)).AsSpan(0, 8));
    }
}
