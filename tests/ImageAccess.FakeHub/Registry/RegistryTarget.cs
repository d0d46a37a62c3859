using System.Text.RegularExpressions;

namespace ImageAccess.FakeHubs;

internal enum TargetKind
{
    Manifest,
    Blob,
    Tags,
    Referrers,
    Uploads,
}

/// <summary>A registry path below <c>/v2/</c>: a repository, and what of it.</summary>
internal sealed partial record RegistryTarget(TargetKind Kind, string Repository, string Reference)
{
    public bool ReferenceIsDigest => Reference.Contains(':', StringComparison.Ordinal);

    /// <summary>Null when no operation has such a path. Nothing is decoded: registry paths need no escapes.</summary>
    public static RegistryTarget? Parse(string path)
    {
        var match = PathPattern.Match(path);
        if (!match.Success)
            return null;
        var kind = match.Groups["kind"].Value switch
        {
            "manifests" => TargetKind.Manifest,
            "blobs" => TargetKind.Blob,
            "tags/list" => TargetKind.Tags,
            "referrers" => TargetKind.Referrers,
            _ => TargetKind.Uploads,
        };
        return new RegistryTarget(kind, match.Groups["name"].Value, match.Groups["reference"].Value);
    }

    public static bool IsName(string name) => name.Length < 256 && NamePattern.IsMatch(name);

    public static bool IsDigest(string digest) => DigestPattern.IsMatch(digest);

    [GeneratedRegex(
        @"^/v2/(?<name>.+)/"
        + @"((?<kind>manifests|blobs|referrers)/(?<reference>[^/]+)|(?<kind>tags/list)|(?<kind>blobs/uploads)/(?<reference>[^/]*))\z",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000)]
    private static partial Regex PathPattern { get; }

    [GeneratedRegex(
        @"^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*\z",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000)]
    private static partial Regex NamePattern { get; }

    [GeneratedRegex(@"^sha256:[0-9a-f]{64}\z", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex DigestPattern { get; }
}
