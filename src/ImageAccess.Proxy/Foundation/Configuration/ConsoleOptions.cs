using Microsoft.Extensions.Options;

namespace ImageAccess.Proxy.Foundation.Configuration;

/// <summary>How people reach the console.</summary>
public sealed class ConsoleOptions
{
    /// <summary>What leaves room for a denial's message and its id in 200 characters.</summary>
    public const int MaximumLength = 80;

    /// <summary><c>ConsoleUrl</c>; null where nothing leads there.</summary>
    public Uri? Url { get; set; }

    /// <summary>
    /// <c>Console:DockerHubSignIn</c>: as what somebody is signed in who has a Docker Hub user name and access token, <c>owner</c> (whatever they are),
    /// <c>member</c> (no more than that) or <c>off</c>.
    /// </summary>
    public string DockerHubSignIn { get; set; } = "owner";

    /// <summary>The address of what is told of a denial; null where nothing leads there.</summary>
    public string? PageOfDenial(string id) => LinkTo($"/d/{id}");

    /// <summary>The address of a path of the console, which may itself be below a path; null where nothing leads there.</summary>
    public string? LinkTo(string path) => Url is null ? null : Url.AbsoluteUri.TrimEnd('/') + path;
}

internal sealed class ConsoleOptionsValidator : IValidateOptions<ConsoleOptions>
{
    public ValidateOptionsResult Validate(string? name, ConsoleOptions options) =>
        options.Url is { } url && FlawOf(url) is { } flaw ? ValidateOptionsResult.Fail($"ConsoleUrl: {flaw}")
        : options.DockerHubSignIn is not ("owner" or "member" or "off") ? ValidateOptionsResult.Fail("Console:DockerHubSignIn: choose owner, member or off")
        : ValidateOptionsResult.Success;

    private static string? FlawOf(Uri url)
    {
        if (url is not { IsAbsoluteUri: true, Scheme: "http" or "https", UserInfo.Length: 0, Query.Length: 0, Fragment.Length: 0 })
            return "not an http or https address without a user, a query or a fragment, as https://images.example.com";
        if (url.Scheme == Uri.UriSchemeHttp && !url.IsLoopback)
            return $"'{url.OriginalString}' is plain http beyond this machine, where people would sign in in the clear: use https";
        return url.AbsoluteUri.Length > ConsoleOptions.MaximumLength
            ? $"longer than {ConsoleOptions.MaximumLength} characters, so that the reason of a denial would leave it out in many clients"
            : null;
    }
}
