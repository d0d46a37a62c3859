namespace ImageAccess.Proxy.Callers.Identity;

/// <summary>What is known about who asks. Closed: these four answers and no other.</summary>
public abstract class Identification
{
    private Identification()
    {
    }

    /// <summary>The request carries no bearer token.</summary>
    public sealed class NoToken : Identification
    {
        private NoToken()
        {
        }

        internal static NoToken Instance { get; } = new();
    }

    /// <summary>The request carries a token that is worth nothing.</summary>
    public sealed class Invalid : Identification
    {
        internal Invalid(TokenFlaw flaw) => Flaw = flaw;

        public TokenFlaw Flaw { get; }
    }

    /// <summary>No verification key could be learnt, so no token can be judged.</summary>
    public sealed class Unavailable : Identification
    {
        private Unavailable()
        {
        }

        internal static Unavailable Instance { get; } = new();
    }

    public sealed class Verified : Identification
    {
        internal Verified(VerifiedToken token) => Token = token;

        public VerifiedToken Token { get; }
    }
}
