using System.Collections.Frozen;

namespace ImageAccess.FakeHubs;

/// <summary>The host names under which the real Docker Hub answers, and the face behind each.</summary>
public static class DockerHubNames
{
    public const string Registry = "registry-1.docker.io";
    public const string Auth = "auth.docker.io";
    public const string Hub = "hub.docker.com";
    public const string Index = "index.docker.io";
    public const string Cdn = "production.cloudflare.docker.com";

    private static readonly FrozenDictionary<string, Face> Faces = new Dictionary<string, Face>(StringComparer.OrdinalIgnoreCase)
    {
        [Registry] = Face.Registry,
        [Index] = Face.Index,
        ["registry.hub.docker.com"] = Face.Index,
        ["docker.io"] = Face.Index,
        [Auth] = Face.Auth,
        [Hub] = Face.Hub,
        [Cdn] = Face.Cdn,
        ["production.cloudfront.docker.com"] = Face.Cdn,
        ["docker-images-prod.6aa30f8b08e16409b46e0173d6de2f56.r2.cloudflarestorage.com"] = Face.Cdn,
    }.ToFrozenDictionary(StringComparer.OrdinalIgnoreCase);

    public static IReadOnlyList<string> All => Faces.Keys;

    /// <summary>The names that clients need for a pull, a push, a search and a login: without the API and the CDN.</summary>
    public static IReadOnlyList<string> Intercepted => [.. Faces.Where(pair => pair.Value is not (Face.Hub or Face.Cdn)).Select(pair => pair.Key)];

    public static bool Contains(string? host) => host is not null && Faces.ContainsKey(host);

    internal static Face? FaceOf(string host) => Faces.TryGetValue(host, out var face) ? face : null;
}
