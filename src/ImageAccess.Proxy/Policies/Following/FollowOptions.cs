using ImageAccess.Proxy.Foundation.DockerHub;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Policies.Following;

/// <summary>With whose credentials Docker Hub's own switches are read, and how often: the section <c>Follow</c>. Which organizations follow them, the policy says.</summary>
public sealed class FollowOptions
{
    public const string Section = "Follow";

    public static readonly TimeSpan MinimumInterval = TimeSpan.FromSeconds(1);

    public static readonly TimeSpan MaximumInterval = TimeSpan.FromHours(1);

    public string? Username { get; set; }

    /// <summary>Read anew each time that it is needed: whoever changes it restarts nothing, and while it is not there what is known stays.</summary>
    public string? SecretFile { get; set; }

    public TimeSpan Interval { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary><c>Data:Directory</c>.</summary>
    internal string DataDirectory { get; set; } = "";

    internal string CopyPath => Path.Combine(DataDirectory, "followed.json");
}

/// <param name="upstream">For the Hub API's address, which the secret is sent to.</param>
internal sealed class FollowOptionsValidation(IOptions<UpstreamOptions> upstream) : IValidateOptions<FollowOptions>
{
    public ValidateOptionsResult Validate(string? name, FollowOptions options)
    {
        var problems = Problems(options).ToList();
        return problems.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(problems);
    }

    private IEnumerable<string> Problems(FollowOptions options)
    {
        var (hasName, hasFile) = (!string.IsNullOrEmpty(options.Username), !string.IsNullOrEmpty(options.SecretFile));
        if (hasFile && !hasName)
            yield return "Follow:Username: name the account whose secret Follow:SecretFile holds: an owner of the organization";
        if (hasName && !hasFile)
            yield return "Follow:SecretFile: name a file that holds the secret of the account of Follow:Username";
        if (options.Interval < FollowOptions.MinimumInterval || options.Interval > FollowOptions.MaximumInterval)
            yield return "Follow:Interval: choose a duration from 1s to 1h, as 1m";
        if (hasFile && upstream.Value.Hub is { IsLoopback: false } hub && hub.Scheme != Uri.UriSchemeHttps)
            yield return $"Follow:SecretFile: Upstream:Hub is {hub.OriginalString}, and the secret goes over https or to this host alone; make Upstream:Hub https";
    }
}
