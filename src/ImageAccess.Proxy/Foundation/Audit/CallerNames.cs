using ImageAccess.Proxy.Foundation.Limits;

namespace ImageAccess.Proxy.Foundation.Audit;

/// <summary>What stands for a caller's name in the trail, and in whatever else is kept of who pulled: the name itself, or a pseudonym. It waits for nothing.</summary>
internal class CallerNames
{
    /// <summary><c>Audit:Callers</c> is <c>names</c>.</summary>
    public static CallerNames Plain { get; } = new();

    /// <summary>Whether they are pseudonyms.</summary>
    public virtual bool ArePseudonyms => false;

    /// <summary>Why it may not last who a pseudonym is; null while all is well.</summary>
    public virtual string? Concern => null;

    /// <summary>For the name of a caller whom a token has proved.</summary>
    public virtual string Of(string name) => name;

    /// <summary>What stands for a caller already: for who asks about themselves. Nothing is remembered of it.</summary>
    public virtual string OfSelf(string name) => name;

    /// <summary>
    /// For a name that somebody claims, from somewhere. It is another than the caller's own, and from elsewhere another one: who reads the trail could claim
    /// a name to learn what stands for it.
    /// </summary>
    public virtual string OfClaimed(string name, ClientShare client) => name;
}
