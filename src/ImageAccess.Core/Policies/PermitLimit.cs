using ImageAccess.Core.Oci;

namespace ImageAccess.Core.Policies;

/// <summary>To which images of its repository a permit is limited by one organization, which would deny the rest.</summary>
public sealed class PermitLimit
{
    internal PermitLimit(OrganizationPolicy organization, IReadOnlyList<GrantedException> exceptions) =>
        (Organization, Help, Exceptions) = (organization.Name, organization.Help, exceptions);

    public string Organization { get; }

    /// <summary>The exceptions that hold for the request: one at least. Of a request by tag those for its tag, else those for the repository's images.</summary>
    public IReadOnlyList<GrantedException> Exceptions { get; }

    internal string? Help { get; }

    /// <summary>Whether it is an approved image itself, an index or a manifest.</summary>
    public bool IsRoot(Digest digest)
    {
        for (var i = 0; i < Exceptions.Count; i++)
        {
            if (digest.Equals(Exceptions[i].Root))
                return true;
        }

        return false;
    }
}
