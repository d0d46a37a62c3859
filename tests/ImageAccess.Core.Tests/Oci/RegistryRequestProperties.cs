using System.Text.RegularExpressions;
using FsCheck;
using FsCheck.Fluent;
using ImageAccess.Core.Oci;
using ImageAccess.Core.Tests.Policies;

namespace ImageAccess.Core.Tests.Oci;

/// <summary>What holds for every target, whoever wrote it.</summary>
public sealed partial class RegistryRequestProperties
{
    private static readonly Gen<string> Methods =
        Gen.Elements("GET", "GET", "HEAD", "PUT", "POST", "PATCH", "DELETE");

    private static readonly Gen<string> Segments = Gen.Frequency(
        (20, Gen.Elements(
            "v2", "library", "nginx", "acme", "app", "manifests", "blobs", "uploads", "tags", "list", "referrers", "latest", "a__b")),
        (1, Gen.Elements("_catalog", "Upper", "..", "", "%2F", "session=", Names.Sha256)));

    private static readonly Gen<string> Parameters = Gen.Frequency(
        (9, Gen.Elements(
            "ns=docker.io", "ns=index.docker.io", "n=5", "last=v1", "nextToken=a%2fB==", "artifactType=a%2Fb", "digest=" + Names.Sha256, "mount=" + Names.Sha256,
            "from=nginx", "tag=v1", "tag=%76%32", "_state=x%3Dy", "", "=", "x=%zz")),
        (1, Gen.Elements("n=%zz", "tag=a%2Fb", "%zz=1", "%6E=7", "from=acme%2Fbase", "ns=quay.io")));

    /// <summary>Words that mean something, put together at random: most targets are nearly right, many are right.</summary>
    private static readonly Gen<string> Targets =
        from start in Gen.Frequency((20, Gen.Constant("/v2/")), (1, Gen.Elements("/", "", "//", "/V2/")))
        from segments in Segments.ListOf()
        from end in Gen.Elements(
            "", "/manifests/latest", "/manifests/" + Names.Sha256, "/blobs/" + Names.Sha256, "/tags/list",
            "/referrers/" + Names.Sha256, "/blobs/uploads/", "/blobs/uploads/session")
        from parameters in Parameters.ListOf()
        select start + string.Join('/', segments) + end + (parameters.Count == 0 ? "" : "?" + string.Join('&', parameters.Take(3)));

    [Fact]
    public void What_upstream_is_asked_is_the_request_that_was_judged()
    {
        var parsed = 0;
        Check(Targets, (method, target) =>
        {
            if (!RegistryRequest.TryParse(method, target, out var request, out _) || request is not RepositoryRequest asked)
                return true;

            parsed++;
            var upstream = Upstream(asked);
            return RegistryRequest.TryParse(method, upstream, out var again, out _)
                && again.GetType() == asked.GetType()
                && again is RepositoryRequest same
                && same.Repository.Equals(asked.Repository)
                && same.Action == asked.Action
                && same.Subject == asked.Subject
                && Upstream(same) == upstream;
        });
        Assert.InRange(parsed, 500, int.MaxValue);
    }

    /// <summary>
    /// Upstream's router is the other reader of the same line. Its routes, as the CNCF distribution writes them,
    /// find one repository in it, and it is the one that was judged.
    /// </summary>
    [Fact]
    public void The_routes_of_a_registry_find_the_same_repository_in_it()
    {
        Regex[] routes = [ManifestRoute(), TagsRoute(), BlobRoute(), ReferrersRoute(), UploadRoute(), SessionRoute()];
        Check(Targets, (method, target) =>
        {
            if (!RegistryRequest.TryParse(method, target, out var request, out _) || request is not RepositoryRequest asked)
                return true;

            var path = Upstream(asked).Split('?')[0];
            var matches = routes.Select(route => route.Match(path)).Where(match => match.Success).ToList();
            return matches.Count == 1 && matches[0].Groups["name"].Value == asked.Repository.Value;
        });
    }

    [Fact]
    public void A_parsed_target_is_plain_ASCII_without_a_way_out()
    {
        Check(Targets, (method, target) =>
            !RegistryRequest.TryParse(method, target, out var request, out _)
            || request is not RepositoryRequest asked
            || (Upstream(asked) is var upstream
                && upstream.All(c => c is > ' ' and <= '~' and not ('\\' or '#'))
                && upstream.StartsWith($"/v2/{asked.Repository.Value}/", StringComparison.Ordinal)
                && !upstream.Split('?')[0].Contains('%', StringComparison.Ordinal)
                && !upstream.Split('?')[0].Contains("//", StringComparison.Ordinal)
                && !upstream.Split('?')[0].Split('/').Contains("..")));
    }

    [Fact]
    public void No_text_makes_the_parser_throw()
    {
        var anything = ArbMap.Default.GeneratorFor<string?>().Select(text => text ?? "");
        var hostile = Gen.Elements<char>([.. "/v2%.?&=:#\\ \0\r\n\ud800\udc00\uffffé"]).ListOf().Select(list => string.Concat(list));
        var spoiled =
            from target in Targets
            from noise in Gen.OneOf(anything, hostile)
            from position in Gen.Choose(0, 1000)
            select target.Insert(position % (target.Length + 1), noise);

        var nearby = Gen.OneOf(anything, hostile).Select(text => "/v2/" + text);

        Check(Gen.OneOf(anything, hostile, nearby, spoiled), (method, target) =>
        {
            var accepted = RegistryRequest.TryParse(method, target, out var request, out var error);
            return accepted ? request is not null && error is null : request is null && error?.Status is 400 or 404 or 405 or 414;
        });
    }

    private static void Check(Gen<string> targets, Func<string, string, bool> holds)
    {
        var requests = from method in Methods from target in targets select (method, target);
        Prop.ForAll(requests.ToArbitrary(), request => holds(request.method, request.target))
            .Check(Config.QuickThrowOnFailure.WithMaxTest(10_000).WithEndSize(6));
    }

    private static string Upstream(RepositoryRequest request) => Permits.For(request.Repository).UpstreamTarget(request);

    private const string Component = @"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*";
    private const string Name = "(?<name>" + Component + @"(\/" + Component + ")*)";
    private const string AnyDigest = @"[A-Za-z][A-Za-z0-9]*([-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}";
    private const RegexOptions Options = RegexOptions.NonBacktracking | RegexOptions.ExplicitCapture;

    [GeneratedRegex(@"\A/v2/" + Name + @"/manifests/([a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}|" + AnyDigest + @")\z", Options)]
    private static partial Regex ManifestRoute();

    [GeneratedRegex(@"\A/v2/" + Name + @"/tags/list\z", Options)]
    private static partial Regex TagsRoute();

    [GeneratedRegex(@"\A/v2/" + Name + "/blobs/" + AnyDigest + @"\z", Options)]
    private static partial Regex BlobRoute();

    [GeneratedRegex(@"\A/v2/" + Name + "/referrers/" + AnyDigest + @"\z", Options)]
    private static partial Regex ReferrersRoute();

    [GeneratedRegex(@"\A/v2/" + Name + @"/blobs/uploads/\z", Options)]
    private static partial Regex UploadRoute();

    [GeneratedRegex(@"\A/v2/" + Name + @"/blobs/uploads/[a-zA-Z0-9\-_.=]+\z", Options)]
    private static partial Regex SessionRoute();
}
