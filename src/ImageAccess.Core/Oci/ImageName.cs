using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Sockets;
using ImageAccess.Core.Hosts;

namespace ImageAccess.Core.Oci;

/// <summary>
/// An image as people write it: <c>nginx</c>, <c>docker.io/bitnami/redis:7</c>, <c>localhost:5000/x@sha256:…</c>. Grammar:
/// distribution/reference, "familiar names". Of another registry than Docker Hub only its name is known.
/// </summary>
public sealed class ImageName
{
    /// <summary>Docker Hub's host in a full name.</summary>
    public const string DockerHub = DockerHubHosts.Domain;

    private ImageName(string registry, string path, RepositoryName? repository, Tag? tag, Digest? digest)
    {
        Registry = registry;
        Path = path;
        Repository = repository;
        Tag = tag;
        Digest = digest;
    }

    /// <summary><see cref="DockerHub"/>, or another registry's host as it was written.</summary>
    public string Registry { get; }

    /// <summary>The repository's name in its registry: <c>library/nginx</c>.</summary>
    public string Path { get; }

    /// <summary>The repository on Docker Hub; null where the image is in another registry.</summary>
    public RepositoryName? Repository { get; }

    public Tag? Tag { get; }

    public Digest? Digest { get; }

    /// <param name="text">The image as it was written.</param>
    /// <param name="name">The image.</param>
    /// <param name="problem">What is wrong with the text, to follow it in a sentence; empty when nothing is.</param>
    public static bool TryParse(string? text, [NotNullWhen(true)] out ImageName? name, out string problem)
    {
        name = null;
        problem = "";
        if (string.IsNullOrEmpty(text))
        {
            problem = "is empty";
            return false;
        }

        var rest = text;
        Digest? digest = null;
        if (rest.IndexOf('@', StringComparison.Ordinal) is >= 0 and var at)
        {
            if (!Digest.TryParse(rest[(at + 1)..], out digest))
            {
                problem = "has a digest that is none: sha256: and 64 hexadecimal digits in lower case";
                return false;
            }

            rest = rest[..at];
        }

        Tag? tag = null;
        var colon = rest.LastIndexOf(':');
        if (colon > rest.LastIndexOf('/'))
        {
            if (!Tag.TryParse(rest[(colon + 1)..], out tag))
            {
                problem = "has a tag that is none: letters, digits and _ . -, at most 128 of them";
                return false;
            }

            rest = rest[..colon];
        }

        var (registry, path) = Split(rest);
        problem = Judge(registry, path);
        if (problem.Length > 0)
            return false;

        name = DockerHubHosts.NamesRegistry(registry) && RepositoryName.TryParse(path, out var repository)
            ? new ImageName(DockerHub, repository.Value, repository, tag, digest)
            : new ImageName(registry, path, null, tag, digest);
        return true;
    }

    /// <summary>As people write it: <c>nginx:1.27</c>, <c>bitnami/redis</c>, <c>ghcr.io/x/y</c>.</summary>
    public override string ToString()
    {
        var name = Repository is null ? $"{Registry}/{Path}" : Repository.IsOfficial ? Path[(RepositoryName.Library.Length + 1)..] : Path;
        return name + (Tag is null ? "" : $":{Tag}") + (Digest is null ? "" : $"@{Digest}");
    }

    /// <summary>What stands before the first slash is a registry when it could not be a namespace.</summary>
    private static (string Registry, string Path) Split(string text)
    {
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        if (slash < 0)
            return (DockerHub, text);
        var first = text[..slash];
        return first.AsSpan().ContainsAny('.', ':') || first == "localhost" || first.Any(char.IsAsciiLetterUpper)
            ? (first, text[(slash + 1)..])
            : (DockerHub, text);
    }

    private static string Judge(string registry, string path)
    {
        if (!IsHost(registry))
            return $"names a registry that is none: {registry}";
        if (path.Any(char.IsAsciiLetterUpper))
            return "has upper-case letters; a repository's name has none";
        if (!RepositoryName.TryParse(path, out _))
        {
            return path.Length > RepositoryName.MaximumLength - RepositoryName.Library.Length - 1
                ? $"is longer than {RepositoryName.MaximumLength} characters"
                : "is not the name of an image, as nginx or docker.io/bitnami/redis:7";
        }

        return path.Length == 64 && path.All(char.IsAsciiHexDigitLower) ? "is an image's id and not its name" : "";
    }

    /// <summary>A host's name, or an address of version 6 in brackets, and perhaps a port.</summary>
    private static bool IsHost(string text)
    {
        var colon = text.LastIndexOf(':');
        var hasPort = colon > text.LastIndexOf(']');
        var host = hasPort ? text[..colon] : text;
        if (hasPort && (colon == text.Length - 1 || text.AsSpan(colon + 1).ContainsAnyExceptInRange('0', '9')))
            return false;
        return host.StartsWith('[')
            ? host.EndsWith(']') && IPAddress.TryParse(host.AsSpan()[1..^1], out var address) && address.AddressFamily == AddressFamily.InterNetworkV6
            : host.Split('.').All(IsLabel);
    }

    private static bool IsLabel(string label) =>
        label.Length > 0 && label[0] != '-' && label[^1] != '-' && label.All(c => char.IsAsciiLetterOrDigit(c) || c == '-');
}
