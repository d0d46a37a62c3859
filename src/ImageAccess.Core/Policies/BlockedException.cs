using ImageAccess.Core.Oci;

namespace ImageAccess.Core.Policies;

/// <summary>What a tag or a manifest led to is blocked; the decision on it is still to be made.</summary>
public sealed class BlockedException(Digest digest) : Exception($"{digest} is blocked.")
{
    public Digest Digest { get; } = digest;
}
