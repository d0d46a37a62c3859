namespace ImageAccess.Core.Policies;

/// <summary>What a person may do about an organization's policy; zero is nothing.</summary>
[Flags]
public enum Roles
{
    None = 0,
    Member = 1,
    Auditor = 2,
    Approver = 4,
    Administrator = 8,
    Owner = 16,
    OnCall = 32,
    CompanyOwner = 64,

    /// <summary>Of a token alone: it tells what was found on a machine, and may nothing else.</summary>
    Reporter = 128,
}
