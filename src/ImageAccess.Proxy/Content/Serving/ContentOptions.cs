using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Content.Serving;

/// <summary>How long what is kept counts: the section <c>Cache</c>, beside its place and size.</summary>
public sealed class ContentOptions
{
    /// <summary>How long a tag's last known digest serves without a question to upstream.</summary>
    public TimeSpan TagFreshness { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>How long it serves while upstream cannot answer.</summary>
    public TimeSpan StaleFor { get; set; } = TimeSpan.FromHours(24);

    /// <summary>A tag that upstream says is missing serves as if upstream could not answer.</summary>
    public bool StaleWhenMissing { get; set; }

    /// <summary>The part of a blob from which on its download is finished although nobody waits for it any more; 1 for never.</summary>
    public double FinishFrom { get; set; } = 0.5;
}

internal sealed class ContentOptionsValidator : IValidateOptions<ContentOptions>
{
    public ValidateOptionsResult Validate(string? name, ContentOptions options) => options.FinishFrom is >= 0 and <= 1
        ? ValidateOptionsResult.Success
        : ValidateOptionsResult.Fail("Cache:FinishFrom: choose a number from 0 to 1, as 0.5");
}
