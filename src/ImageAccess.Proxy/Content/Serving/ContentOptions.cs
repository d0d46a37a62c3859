using ImageAccess.Proxy.Content.Cache;
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

    /// <summary>How long content is served by digest after upstream has last answered for it in the repository.</summary>
    public TimeSpan LinkFreshness { get; set; } = TimeSpan.FromDays(30);

    /// <summary>When this part of a blob has come, its download is finished even if no client waits for it any more; 1 for never.</summary>
    public double FinishFrom { get; set; } = 0.5;

    public bool IsFresh(ContentLink link, DateTimeOffset now) => now - link.SeenAt < LinkFreshness;

    /// <summary>What is no longer fresh is served for as long as a tag is, while upstream cannot answer.</summary>
    public DateTimeOffset StaleUntil(ContentLink link) => link.SeenAt + LinkFreshness + StaleFor;
}

internal sealed class ContentOptionsValidator : IValidateOptions<ContentOptions>
{
    public ValidateOptionsResult Validate(string? name, ContentOptions options)
    {
        var problems = new List<string>();
        if (options.FinishFrom is not (>= 0 and <= 1))
            problems.Add("Cache:FinishFrom: choose a number from 0 to 1, as 0.5");
        if (options.LinkFreshness < LinkIndex.TellAgain)
            problems.Add("Cache:LinkFreshness: choose 1m or more, as 30d");
        return problems.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(problems);
    }
}
