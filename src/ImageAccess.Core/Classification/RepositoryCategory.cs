namespace ImageAccess.Core.Classification;

/// <summary>The four types of images that a policy distinguishes; zero is none of them.</summary>
public enum RepositoryCategory
{
    Unknown,
    Official,
    VerifiedPublisher,
    Organization,
    Community,
}

public static class RepositoryCategoryNames
{
    /// <summary>The category as the contract writes it: in audit events, metrics and rules.</summary>
    public static string ToWireName(this RepositoryCategory category) => category switch
    {
        RepositoryCategory.Official => "official",
        RepositoryCategory.VerifiedPublisher => "verified-publisher",
        RepositoryCategory.Organization => "organization",
        RepositoryCategory.Community => "community",
        _ => "unknown",
    };
}
