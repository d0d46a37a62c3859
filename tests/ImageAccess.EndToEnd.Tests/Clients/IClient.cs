namespace ImageAccess.EndToEnd.Tests.Clients;

/// <summary>A program that people pull images with, as it is set up to use a mirror of Docker Hub.</summary>
internal interface IClient : IAsyncDisposable
{
    /// <summary>Pulls a Docker Hub image, or, with a host before its name, one from there.</summary>
    Task<Outcome> PullAsync(string image);

    /// <summary>What tells the image that it has now from every other: its identity and its layers.</summary>
    Task<string> IdentityAsync(string image);

    Task<bool> HasAsync(string image);

    Task RemoveAsync(string image);
}

/// <summary>Names as the clients write them.</summary>
internal static class Image
{
    /// <summary>The full name, for the clients that do not add it themselves: <c>docker.io/library/hello:latest</c>.</summary>
    public static string Full(string image)
    {
        var first = image.Split('/')[0];
        var hosted = first is "localhost" || first.Contains('.', StringComparison.Ordinal) || first.Contains(':', StringComparison.Ordinal);
        var host = hosted ? "" : "docker.io/";
        var tag = image.Contains('@', StringComparison.Ordinal) || image.LastIndexOf(':') > image.LastIndexOf('/') ? "" : ":latest";
        return host + image + tag;
    }
}
