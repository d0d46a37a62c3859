using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using ImageAccess.Core.Policies;
using ImageAccess.Proxy.Administration.Api;

namespace ImageAccess.Proxy.Administration.DockerApi;

/// <summary>Which registries may be reached, as Docker's API writes it.</summary>
internal sealed record RegistrySettings(
    bool Enabled,
    [property: JsonPropertyName("standard_registries")] IReadOnlyList<StandardRegistry> Standard,
    [property: JsonPropertyName("custom_registries")] IReadOnlyList<CustomRegistry> Custom)
{
    private const string DockerHub = "DockerHub";

    public static RegistrySettings Of(RegistriesDocument registries) => new(
        registries.Enabled,
        [new StandardRegistry(DockerHub, Allowed: true)],
        [.. registries.Custom.Select(one => new CustomRegistry(one.Address, one.Name ?? "", one.Allowed))]);

    /// <exception cref="ProblemException">Docker Hub itself is named as Docker's API does not, or is to be refused.</exception>
    public void Demand()
    {
        if (Standard.Any(one => one is null) || Custom.Any(one => one is null))
            throw ProblemException.Bad("the body has a wrong value: a registry is an object");
        if (Standard is not [{ Id: DockerHub, Allowed: true }])
        {
            throw ProblemException.Bad([new Mistake(
                "standard_registries", $"must be {DockerHub}, allowed: which of its images may be used says restricted_images, and a block is for what nobody may have")]);
        }
    }

    /// <summary>As the policy document has it once it is compiled.</summary>
    public RegistriesDocument ToDocument() => new()
    {
        Enabled = Enabled,
        Custom = [.. Custom.Select(one => new RegistryDocument(one.Address, one.FriendlyName.Length > 0 ? one.FriendlyName : null, one.Allowed))],
    };

    /// <summary>As the policy document writes it.</summary>
    public JsonObject ToSection() => new()
    {
        ["enabled"] = Enabled,
        ["custom"] = new JsonArray([.. Custom.Select(one => one.ToSection())]),
    };
}

internal sealed record StandardRegistry(string Id, bool Allowed);

internal sealed record CustomRegistry(string Address, [property: JsonPropertyName("friendly_name")] string FriendlyName, bool Allowed)
{
    public JsonObject ToSection()
    {
        var section = new JsonObject { ["address"] = Address };
        if (FriendlyName.Length > 0)
            section["name"] = FriendlyName;
        section["allowed"] = Allowed;
        return section;
    }
}
