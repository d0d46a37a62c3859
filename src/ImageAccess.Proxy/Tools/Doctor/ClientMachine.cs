using ImageAccess.Proxy.Foundation.DockerHub;
using ImageAccess.Proxy.Tools.Doctor.Probes;

namespace ImageAccess.Proxy.Tools.Doctor;

/// <summary>The machine whose routes are tried.</summary>
internal sealed record ClientMachine
{
    /// <summary>Where its file system begins.</summary>
    public string Root { get; init; } = "/";

    /// <summary>The user's home folder; the root where there is none.</summary>
    public required string Home { get; init; }

    public required Func<string, string?> Environment { get; init; }

    public IHostResolver Names { get; init; } = new SystemNames();

    /// <summary>The port of registries.</summary>
    public int HttpsPort { get; init; } = 443;

    public static ClientMachine This() => new()
    {
        Home = System.Environment.GetFolderPath(System.Environment.SpecialFolder.UserProfile) is { Length: > 0 } home ? home : "/",
        Environment = System.Environment.GetEnvironmentVariable,
    };
}
