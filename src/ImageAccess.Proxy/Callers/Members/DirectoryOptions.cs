using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Foundation.DockerHub;
using ImageAccess.Proxy.Foundation.Files;
using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Callers.Members;

/// <summary>Docker Hub's member lists: the section <c>Identity:Directory</c>. Without an organization there are none.</summary>
public sealed class DirectoryOptions
{
    public const string Section = "Identity:Directory";

    public IReadOnlyList<string> Organizations { get; internal set; } = [];

    public string? Username { get; set; }

    /// <summary>Read anew each time that it is needed: whoever rotates it restarts nothing.</summary>
    public string? SecretFile { get; set; }

    public string? Secret { get; set; }

    public TimeSpan Refresh { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>A list that is older grants no owner exemption.</summary>
    public TimeSpan StaleFor { get; set; } = TimeSpan.FromDays(7);

    /// <summary><c>Data:Directory</c>.</summary>
    internal string DataDirectory { get; set; } = "";

    internal bool IsOn => Organizations.Count > 0;

    internal string KeptPath => Path.Combine(DataDirectory, "members.json");

    internal string ConfirmedPath => Path.Combine(DataDirectory, "accounts.confirmed.json");

    internal string AccountsPath => Path.Combine(DataDirectory, "accounts.json");
}

/// <param name="upstream">For the Hub API's address, which the secret is sent to.</param>
internal sealed class DirectoryOptionsValidation(IOptions<UpstreamOptions> upstream) : IValidateOptions<DirectoryOptions>
{
    public ValidateOptionsResult Validate(string? name, DirectoryOptions options)
    {
        var problems = Problems(options).ToList();
        return problems.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(problems);
    }

    private IEnumerable<string> Problems(DirectoryOptions options)
    {
        var hasFile = !string.IsNullOrEmpty(options.SecretFile);
        var hasSecret = !string.IsNullOrEmpty(options.Secret);
        if (!options.IsOn)
        {
            if (hasFile || hasSecret || !string.IsNullOrEmpty(options.Username))
            {
                yield return "Identity:Directory:Organization: name the organization whose members are to be read, "
                    + "or leave out the other keys of Identity:Directory";
            }

            yield break;
        }

        foreach (var organization in options.Organizations.Where(o => !AccountName.IsNamespace(o)))
            yield return $"Identity:Directory:Organization: '{organization}' is not the name of an organization on Docker Hub";
        if (string.IsNullOrEmpty(options.Username))
        {
            yield return "Identity:Directory:Username: name the account that may read the members: "
                + "a user, or the organization for its access token";
        }

        if (hasFile == hasSecret)
        {
            yield return "Identity:Directory:SecretFile: name a file that holds an access token, "
                + "or set IMAGEACCESS_Identity__Directory__Secret: one of the two";
        }
        else if (hasFile && DirectorySecret.Read(options, out var problem) is null)
        {
            yield return $"Identity:Directory:SecretFile: {problem}";
        }

        if (options.Refresh <= TimeSpan.Zero || options.Refresh > TimeSpan.FromDays(1))
            yield return "Identity:Directory:Refresh: choose a duration of at most a day, as 5m";
        if (options.StaleFor <= TimeSpan.Zero)
            yield return "Identity:Directory:StaleFor: choose a duration, as 7d";
        if (upstream.Value.Hub is { IsLoopback: false } hub && hub.Scheme != Uri.UriSchemeHttps)
        {
            yield return $"Identity:Directory:Organization: Upstream:Hub is {hub.OriginalString}, "
                + "and the secret goes over https or to this host alone; make Upstream:Hub https";
        }

        if (options.DataDirectory.Length == 0)
            yield return "Data:Directory: name a directory";
    }
}

/// <summary>The access token that member lists are read with. It goes into one request's body and nowhere else.</summary>
internal static class DirectorySecret
{
    /// <summary>The secret, or null and why there is none: a sentence without any part of it.</summary>
    public static string? Read(DirectoryOptions options, out string problem)
    {
        problem = "";
        return string.IsNullOrEmpty(options.SecretFile) ? options.Secret : SecretFile.Read(options.SecretFile, "access token", out problem);
    }
}
