using ImageAccess.Core.Classification;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;

namespace ImageAccess.Proxy.Policies.Decisions;

/// <summary>What the command line and the admin listener tell about an image.</summary>
internal sealed record ImageVerdict
{
    public const string Outside = "outside";

    /// <summary>Offline, the answer depends on a publisher who is not known here.</summary>
    public const string Unknown = "unknown";

    /// <summary>As people write it.</summary>
    public required string Image { get; init; }

    /// <summary>On Docker Hub; null outside.</summary>
    public string? Repository { get; init; }

    /// <summary><c>allow</c>, <c>deny</c>, <c>observe</c>, <see cref="Outside"/> or <see cref="Unknown"/>.</summary>
    public required string Verdict { get; init; }

    public string? Rule { get; init; }

    public string? Category { get; init; }

    public string? CategorySource { get; init; }

    public long? CategoryAgeSeconds { get; init; }

    /// <summary>The message that a client would read in the error's body, or a remark about the verdict.</summary>
    public string? Text { get; init; }

    /// <summary>Of a denial: the last day on which the allowlist approved the image; null when it never did.</summary>
    public DateOnly? ApprovalEnded { get; init; }

    public IReadOnlyList<string> Organizations { get; init; } = [];

    /// <summary>Of a denial: those of the caller's own organizations that deny the image.</summary>
    public IReadOnlyList<string> DeniedBy { get; init; } = [];

    /// <summary>Of an allow: those organizations whose exceptions open some images of the repository, and not all of it.</summary>
    public IReadOnlyList<string> LimitedBy { get; init; } = [];

    public bool IsRefused => Verdict == "deny";

    public static ImageVerdict Of(ImageName image, AccessDecision decision, RepositoryClassification classification, DateTimeOffset now) => new()
    {
        Image = image.ToString(),
        Repository = image.Path,
        Verdict = decision.Outcome.ToWireName(),
        Rule = decision.Rule,
        Category = classification.Category.ToWireName(),
        CategorySource = classification.Source,
        CategoryAgeSeconds = classification.ReadAt is { } read ? (long)Math.Max(0, (now - read).TotalSeconds) : null,
        Text = decision.Message is null ? null : DenialText.Of(decision).ToString(),
        ApprovalEnded = decision.ApprovalEnded,
        Organizations = decision.Organizations,
        DeniedBy = decision.DeniedBy,
        LimitedBy = [.. decision.Permit?.Limits.Select(limit => limit.Organization) ?? []],
    };

    /// <summary>The verdict on an image of another registry: the policy does not apply to it.</summary>
    public static ImageVerdict OutsideOf(ImageName image) => new()
    {
        Image = image.ToString(),
        Verdict = Outside,
        Text = $"{image.Registry} is not Docker Hub: outside this policy",
    };
}
