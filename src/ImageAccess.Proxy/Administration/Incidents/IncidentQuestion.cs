using System.Globalization;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Administration.Incidents;

/// <summary>The images of an incident, as people write them: digests, tags, repositories, publishers.</summary>
internal static class IncidentQuestion
{
    /// <summary>How many images one question may name.</summary>
    public const int MaximumImages = 50;

    /// <param name="images">As a block names them.</param>
    /// <param name="faults">What is wrong with which of them, to follow its member in a sentence; empty when nothing is.</param>
    /// <returns>Each once.</returns>
    public static IReadOnlyList<ImagePattern> Read(IReadOnlyList<string?> images, out IReadOnlyList<(string Member, string Fault)> faults)
    {
        var (read, found) = (new List<ImagePattern>(), new List<(string, string)>());
        foreach (var (number, text) in images.Take(MaximumImages + 1).Index())
        {
            if (ImagePattern.TryParse(text, out var image, out var problem))
                read.Add(image);
            else
                found.Add(($"images[{number}]", $"'{PrintableText.Of(text ?? "")}' {problem}"));
        }

        if (images.Count is 0 or > MaximumImages)
            found.Add(("images", string.Create(CultureInfo.InvariantCulture, $"must name 1 to {MaximumImages}")));
        faults = found;
        return [.. read.DistinctBy(image => image.ToString())];
    }
}
