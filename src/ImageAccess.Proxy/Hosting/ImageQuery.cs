using System.Diagnostics.CodeAnalysis;
using ImageAccess.Core.Oci;

namespace ImageAccess.Proxy.Hosting;

/// <summary>The query of a request on the admin listener that is about an image.</summary>
internal static class ImageQuery
{
    /// <summary>Characters of the query.</summary>
    private const int MaximumLength = 2048;

    /// <param name="known">The parameters that there are; each may come once, and <c>image</c> must.</param>
    /// <param name="problem">What is wrong with the query; empty when nothing is.</param>
    public static bool TryRead(HttpRequest request, IReadOnlyCollection<string> known, [NotNullWhen(true)] out ImageName? image, out string problem)
    {
        image = null;
        problem = "";
        if (request.QueryString.Value is { Length: > MaximumLength })
            problem = "the query is too long";
        else if (request.Query.Keys.FirstOrDefault(name => !known.Contains(name)) is { } unknown)
            problem = $"unknown parameter {unknown}; known are {string.Join(", ", known)}";
        else if (request.Query.FirstOrDefault(parameter => parameter.Value.Count > 1).Key is { } twice)
            problem = $"{twice} comes twice";
        else if (!ImageName.TryParse((string?)request.Query["image"], out image, out var flaw))
            problem = $"image {flaw}";
        return problem.Length == 0;
    }
}
