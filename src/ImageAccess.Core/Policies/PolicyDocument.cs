using ImageAccess.Core.Oci;

namespace ImageAccess.Core.Policies;

/// <summary>The policy as a person writes it, its names checked, before it is compiled.</summary>
public sealed record PolicyDocument
{
    public string? DefaultOrganization { get; init; }

    public CallersDocument Callers { get; init; } = new();

    public IReadOnlyList<OrganizationDocument> Organizations { get; init; } = [];
}

/// <summary>How callers are treated who belong to no organization. True is <c>"deny"</c>.</summary>
public sealed record CallersDocument
{
    public bool DenyAnonymous { get; init; }

    public bool DenyOutsiders { get; init; }

    public bool DenyOrganizationTokens { get; init; } = true;
}

public sealed record OrganizationDocument
{
    public required string Name { get; init; }

    /// <summary>The namespaces that the organization publishes under; its own name when empty.</summary>
    public IReadOnlyList<string> Namespaces { get; init; } = [];

    public IReadOnlyList<string> Owners { get; init; } = [];

    public IReadOnlyList<string> Members { get; init; } = [];

    public bool Enabled { get; init; }

    /// <summary>Denials are recorded, and the requests are allowed.</summary>
    public bool Observe { get; init; }

    /// <summary>The last day (UTC) on which observing holds; enforcing from the next.</summary>
    public DateOnly? ObserveUntil { get; init; }

    public bool AllowOfficial { get; init; }

    public bool AllowVerifiedPublisher { get; init; }

    public bool AllowCommunity { get; init; }

    public IReadOnlyList<AllowlistEntry> Allowlist { get; init; } = [];

    /// <summary>Where a person who was refused can ask.</summary>
    public string? Help { get; init; }
}

/// <summary>An approved repository, or every repository of a namespace.</summary>
/// <param name="Namespace">The namespace.</param>
/// <param name="Repository">The repository, or null for <c>NAMESPACE/*</c>.</param>
/// <param name="Expires">The last day (UTC) on which it holds.</param>
public sealed record AllowlistEntry(string Namespace, RepositoryName? Repository, DateOnly? Expires)
{
    public string? Reason { get; init; }

    public string? ApprovedBy { get; init; }

    public override string ToString() => Repository?.Value ?? $"{Namespace}/*";
}
