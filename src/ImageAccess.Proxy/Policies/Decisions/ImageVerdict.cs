using ImageAccess.Core.Classification;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Policies;

namespace ImageAccess.Proxy.Policies.Decisions;

/// <summary>What is told about an image: by the command line, and by the admin listener.</summary>
internal sealed record ImageVerdict
{
    public const string Outside = "outside";

    /// <summary>Neither allowed nor denied with what is known at hand.</summary>
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

    /// <summary>What a client is told, in the words of the error's body; without a client, what there is to say.</summary>
    public string? Text { get; init; }

    public IReadOnlyList<string> Organizations { get; init; } = [];

    public bool IsRefused => Verdict is "deny" or Unknown;

    public static ImageVerdict Of(ImageName image, AccessDecision decision, RepositoryClassification classification, DateTimeOffset now) => new()
    {
        Image = image.ToString(),
        Repository = image.Path,
        Verdict = decision.Outcome.ToWireName(),
        Rule = decision.Rule,
        Category = classification.Category.ToWireName(),
        CategorySource = classification.Source,
        CategoryAgeSeconds = classification.ReadAt is { } read ? (long)Math.Max(0, (now - read).TotalSeconds) : null,
        Text = decision switch
        {
            { Message: null } => null,
            { Outcome: AccessOutcome.Observe } => decision.Message,
            _ => DenialText.Explain(decision.Message, decision.Help),
        },
        Organizations = decision.Organizations,
    };

    /// <summary>An image of another registry: the policy has nothing to say about it.</summary>
    public static ImageVerdict OutsideOf(ImageName image) => new()
    {
        Image = image.ToString(),
        Verdict = Outside,
        Text = $"{image.Registry} is not Docker Hub: outside this policy",
    };
}

/// <summary>A verdict, as whom and by which policy.</summary>
internal sealed record CheckAnswer(string Caller, bool ImageAccess, string PolicyVersion, ImageVerdict Image)
{
    /// <summary>Where the admin listener gives one.</summary>
    public const string Path = "/check";
}

/// <summary>Why a check has no answer.</summary>
internal sealed record CheckRefusal(string Error);
