using System.Globalization;
using System.Text.Json.Nodes;
using ImageAccess.Core.Oci;
using ImageAccess.Proxy.Foundation.Files;

namespace ImageAccess.Proxy.Administration.Api;

/// <summary>Repositories that come into an organization's allowlist together, with one reason.</summary>
internal sealed record AllowlistAdditions(IReadOnlyList<string> Repositories, string Reason)
{
    private const int Maximum = 200;

    public string? Ticket { get; init; }

    /// <exception cref="ProblemException">One of them is no repository.</exception>
    public IReadOnlyList<string> Named()
    {
        if (Repositories.Count is 0 or > Maximum)
            throw ProblemException.Bad([new Mistake("repositories", string.Create(CultureInfo.InvariantCulture, $"must have 1 to {Maximum} names"))]);
        var names = new List<string>();
        foreach (var text in Repositories)
        {
            if (!RepositoryName.TryParse(text, out var name))
                throw ProblemException.Bad([new Mistake("repositories", $"has '{PrintableText.Of(text ?? "")}': name each in full, as bitnami/redis")]);
            names.Add(name.Value);
        }

        return [.. names.Distinct()];
    }

    /// <summary>What is there already stays as it is.</summary>
    public void AddTo(JsonObject section, IReadOnlyList<string> names)
    {
        if (section["allowlist"] is not JsonArray list)
            section["allowlist"] = list = [];
        var there = list.Select(entry => (entry as JsonObject)?["repository"]?.ToString()).ToHashSet();
        foreach (var name in names.Where(name => !there.Contains(name)))
            list.Add(new JsonObject { ["repository"] = name, ["reason"] = Reason });
    }
}
