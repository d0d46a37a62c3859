using ImageAccess.Core.Oci;

namespace ImageAccess.Core.Policies;

/// <summary>
/// The proof that the policy engine allowed a repository. Only this assembly makes one; whoever serves or forwards
/// content demands it, so that serving without a decision does not compile.
/// </summary>
public sealed class Permit
{
    internal Permit(RepositoryName repository) => Repository = repository;

    public RepositoryName Repository { get; }

    /// <summary>Throws unless the permit is for this very repository.</summary>
    /// <exception cref="InvalidOperationException">The permit is for another repository.</exception>
    public void Demand(RepositoryName repository)
    {
        if (!Repository.Equals(repository))
            throw new InvalidOperationException($"A permit for {Repository} was shown for {repository}.");
    }
}
