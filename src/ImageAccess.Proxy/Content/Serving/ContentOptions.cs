using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Content.Serving;

/// <summary>How long kept content may be served: the section <c>Cache</c>, beside the keys for its place and size.</summary>
public sealed class ContentOptions
{
    /// <summary>How long a tag's last known digest is served without a request to upstream.</summary>
    public TimeSpan TagFreshness { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>How long it is served while upstream cannot answer.</summary>
    public TimeSpan StaleFor { get; set; } = TimeSpan.FromHours(24);

    /// <summary>When upstream says that a tag is missing, the tag is served as if upstream could not answer.</summary>
    public bool StaleWhenMissing { get; set; }

    /// <summary>When this part of a blob has come, its download is finished even if no client waits for it any more; 1 for never.</summary>
    public double FinishFrom { get; set; } = 0.5;
}

internal sealed class ContentOptionsValidator : IValidateOptions<ContentOptions>
{
    public ValidateOptionsResult Validate(string? name, ContentOptions options) => options.FinishFrom is >= 0 and <= 1
        ? ValidateOptionsResult.Success
        : ValidateOptionsResult.Fail("Cache:FinishFrom: choose a number from 0 to 1, as 0.5");
}
