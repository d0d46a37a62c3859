using System.Diagnostics.CodeAnalysis;
using ImageAccess.Core.Hosts;

namespace ImageAccess.Proxy.Tools.Engines;

/// <summary>A registry that stands for Docker Hub.</summary>
/// <param name="Registry">Where its API is.</param>
internal sealed record MirrorAddress(RegistryAddress Registry)
{
    /// <summary>It may be asked over http where https fails.</summary>
    public bool MayBePlain { get; init; }

    /// <summary>It is Docker Hub itself.</summary>
    public bool IsDockerHub => HostName.TryParse(Registry.Origin.IdnHost, out var host) && DockerHubHosts.RoleOf(host) == DockerHubRole.Registry;

    /// <summary>Takes scheme, host, port and path of an address, and ignores a user and a password in it.</summary>
    /// <param name="text">An address; without a scheme, https.</param>
    /// <param name="isWholePath">The path is already the API's; usually the API's path follows it.</param>
    public static bool TryParseUrl(string text, bool isWholePath, [NotNullWhen(true)] out MirrorAddress? mirror)
    {
        mirror = null;
        if (!TryParse(text, out var address))
            return false;
        var path = address.AbsolutePath.TrimEnd('/');
        mirror = new MirrorAddress(AddressOf(address) with { ApiPath = isWholePath ? path : path.EndsWith("/v2", StringComparison.Ordinal) ? path : $"{path}/v2" });
        return true;
    }

    /// <summary><c>host:5000/prefix</c>, where the path stands before the repository's name.</summary>
    public static bool TryParseLocation(string text, bool isPlain, [NotNullWhen(true)] out MirrorAddress? mirror)
    {
        mirror = null;
        if (!TryParse(isPlain && !text.Contains("://", StringComparison.Ordinal) ? $"http://{text}" : text, out var address))
            return false;
        var path = address.AbsolutePath.Trim('/');
        mirror = new MirrorAddress(AddressOf(address) with { RepositoryPrefix = path.Length == 0 ? "" : $"{path}/" });
        return true;
    }

    public override string ToString() => Registry.Origin.GetLeftPart(UriPartial.Authority) + (Registry.ApiPath == "/v2" ? "" : Registry.ApiPath)
        + (Registry.RepositoryPrefix.Length == 0 ? "" : $"/{Registry.RepositoryPrefix.TrimEnd('/')}");

    private static bool TryParse(string text, [NotNullWhen(true)] out Uri? address) =>
        Uri.TryCreate(text.Contains("://", StringComparison.Ordinal) ? text : $"https://{text}", UriKind.Absolute, out address)
        && address.Scheme is "http" or "https" && address.Host.Length > 0 && address.Port > 0;

    private static RegistryAddress AddressOf(Uri address) => new(new UriBuilder(address.Scheme, address.Host, address.Port).Uri) { IsMirror = true };
}
